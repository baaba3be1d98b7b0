// The peers of a scenario: all of them are up at the same time, and each round takes one after the other, beginning
// with another one each time. What disturbs the machine for a while then disturbs all.
import { checkAnswer } from './check-answer.ts';
import { readUsage } from './cpu.ts';
import type { Peer } from './peers/peer.ts';
import type { Absence, PeerResult, Round } from './result.ts';
import type { Scenario } from './scenario.ts';
import type { Running, Workbench } from './workbench.ts';

/** A peer that takes part, with what it did so far. */
export interface Runner {
  readonly peer: Peer;
  readonly version: string;
  readonly running: Running;
  readonly restRssBytes: number;
  readonly rounds: Round[];
}

/** Starts them, takes turns, and notes who drops out. */
export class Lineup {
  readonly skipped: Absence[] = [];
  readonly failed: Absence[] = [];
  /** What went wrong once. */
  readonly notes: string[] = [];
  private readonly bench: Workbench;
  private readonly scenario: Scenario;
  private readonly progress: (step: string) => void;
  private readonly started: Runner[] = [];
  private readonly repeated = new Set<string>();

  constructor(bench: Workbench, scenario: Scenario, progress: (step: string) => void) {
    this.bench = bench;
    this.scenario = scenario;
    this.progress = progress;
  }

  /** Those that are still in. */
  get runners(): readonly Runner[] {
    return this.started.filter(({ peer }) => !this.failed.some((absence) => absence.peer === peer.name));
  }

  /** Starts every peer that is installed, and lets it answer once. */
  async start(peers: readonly Peer[], backendPort: number): Promise<void> {
    for (const peer of peers) {
      const found = peer.probe(this.bench);
      if ('missing' in found) {
        this.skipped.push({ peer: peer.name, reason: found.missing });
        continue;
      }
      try {
        const running = await peer.start(this.bench, this.scenario, backendPort);
        const { rssBytes } = readUsage(running.pid);
        this.started.push({ peer, version: found.version, running, restRssBytes: rssBytes, rounds: [] });
        await checkAnswer(this.bench, this.scenario, running.port);
      } catch (error) {
        this.fail(peer, error);
      }
    }
  }

  /** Does something with each one. Who fails once is asked again, with a note; who fails again is out. */
  async each(what: string, work: (runner: Runner) => Promise<void>): Promise<void> {
    await this.turn(what, this.runners, work);
  }

  /** Rounds with each one of them. */
  async alternate(
    what: string,
    rounds: number,
    runners: readonly Runner[],
    work: (runner: Runner) => Promise<void>,
  ): Promise<void> {
    for (let round = 0; round < rounds; round++) {
      const first = round % Math.max(1, runners.length);
      const order = [...runners.slice(first), ...runners.slice(0, first)];
      await this.turn(`${what}round ${round + 1} of ${rounds}`, order, work);
    }
  }

  /** The results of those with so many rounds. */
  results(rounds: number): PeerResult[] {
    return this.runners
      .filter((runner) => runner.rounds.length === rounds)
      .map(({ peer, version, restRssBytes, rounds: made }) => ({
        peer: peer.name,
        version,
        restRssBytes,
        rounds: [...made],
      }));
  }

  /** Ends them all. */
  async stop(): Promise<void> {
    await Promise.all(this.started.map(({ running }) => running.stop()));
  }

  /** Takes a peer out. */
  fail(peer: Peer, error: unknown, running?: Running): void {
    const message = errorMessage(error);
    const lastWords = running?.lastWords();
    const reason = lastWords === undefined ? message : `${message}; it ended: ${lastWords}`;
    this.failed.push({ peer: peer.name, reason });
  }

  private async turn(what: string, runners: readonly Runner[], work: (runner: Runner) => Promise<void>): Promise<void> {
    for (const runner of runners) {
      const { peer, running } = runner;
      if (this.failed.some((absence) => absence.peer === peer.name)) continue;
      this.progress(`${what}: ${peer.name}`);
      try {
        await work(runner);
      } catch (error) {
        if (this.repeated.has(peer.name) || running.lastWords() !== undefined) {
          this.fail(peer, error, running);
          continue;
        }
        this.repeated.add(peer.name);
        this.notes.push(`${peer.name}: repeated ${what}: ${errorMessage(error)}`);
        await this.turn(what, [runner], work);
      }
    }
  }
}

function errorMessage(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
