// One scenario: the backend and all peers are up at the same time, and each round loads one after the other, beginning
// with another one each time. What disturbs the machine for a while then disturbs all.
import { startBackend } from './backends/backend.ts';
import { checkAnswer } from './check-answer.ts';
import { readUsage } from './cpu.ts';
import { chooseLoadTool } from './load/choose.ts';
import { holdConnections } from './load/connections.ts';
import type { LoadOutcome, LoadTool } from './load/load.ts';
import type { Peer } from './peers/peer.ts';
import type { Absence, Round, ScenarioResult } from './result.ts';
import type { Scenario } from './scenario.ts';
import type { Running, Workbench } from './workbench.ts';

/** How long and how often to measure. */
export interface Plan {
  readonly rounds: number;
  /** Measured seconds of a round. */
  readonly seconds: number;
  /** Seconds of the same load before each measurement. */
  readonly warmUpSeconds: number;
}

/** A peer that takes part, with what it did so far. */
interface Runner {
  readonly peer: Peer;
  readonly version: string;
  readonly running: Running;
  readonly restRssBytes: number;
  readonly rounds: Round[];
}

/** Measures every peer that is installed. `progress` is told of each step. */
export async function runScenario(
  bench: Workbench,
  scenario: Scenario,
  peers: readonly Peer[],
  plan: Plan,
  progress: (step: string) => void,
): Promise<ScenarioResult> {
  const load = chooseLoadTool(scenario);
  const skipped: Absence[] = [];
  const failed: Absence[] = [];
  const fail = (peer: Peer, error: unknown, running?: Running): void => {
    const message = error instanceof Error ? error.message : String(error);
    const lastWords = running?.lastWords();
    failed.push({ peer: peer.name, reason: lastWords === undefined ? message : `${message}; it ended: ${lastWords}` });
  };
  const backend = await startBackend(bench, scenario);
  let runners: Runner[] = [];
  try {
    const plain = { ...scenario, tls: false };
    await checkAnswer(bench, plain, backend.port);
    progress('direct');
    const direct = await loadWithoutTrouble(load, bench, plain, backend.port, 1);
    for (const peer of peers) {
      const found = peer.probe(bench);
      if ('missing' in found) {
        skipped.push({ peer: peer.name, reason: found.missing });
        continue;
      }
      try {
        const running = await peer.start(bench, scenario, backend.port);
        const { rssBytes } = readUsage(running.pid);
        runners.push({ peer, version: found.version, running, restRssBytes: rssBytes, rounds: [] });
        await checkAnswer(bench, scenario, running.port);
      } catch (error) {
        fail(peer, error);
      }
    }
    for (let round = 0; round < plan.rounds; round++) {
      for (let turn = 0; turn < runners.length; turn++) {
        const runner = runners[(round + turn) % runners.length];
        if (runner === undefined || failed.some(({ peer }) => peer === runner.peer.name)) continue;
        progress(`round ${round + 1} of ${plan.rounds}: ${runner.peer.name}`);
        try {
          const round =
            scenario.unit === 'idle connection'
              ? await measureIdle(bench, scenario, runner.peer, backend.port)
              : await measure(load, bench, scenario, runner.running, plan);
          runner.rounds.push(round);
        } catch (error) {
          fail(runner.peer, error, runner.running);
        }
      }
    }
    const complete = runners.filter((runner) => runner.rounds.length === plan.rounds);
    return {
      scenario: scenario.name,
      summary: scenario.summary,
      unit: scenario.unit,
      load: load.title,
      backend: backend.title,
      directRequestsPerSecond: direct.answered / direct.seconds,
      peers: complete.map(({ peer, version, restRssBytes, rounds }) => ({
        peer: peer.name,
        version,
        restRssBytes,
        rounds,
      })),
      skipped,
      failed,
    };
  } finally {
    await Promise.all([...runners.map(({ running }) => running.stop()), backend.stop()]);
    runners = [];
  }
}

/** Starts the peer anew: memory that a process once had says nothing about what its connections need. */
async function measureIdle(bench: Workbench, scenario: Scenario, peer: Peer, backendPort: number): Promise<Round> {
  const running = await peer.start(bench, scenario, backendPort);
  try {
    await checkAnswer(bench, scenario, running.port);
    const before = readUsage(running.pid);
    const held = await holdConnections(bench, scenario, running.port);
    const after = readUsage(running.pid);
    await held.release();
    const cpuUs = after.cpuUs - before.cpuUs;
    return {
      cpuUsPerRequest: cpuUs / held.answered,
      requestsPerSecond: held.answered / held.seconds,
      coreShare: cpuUs / (held.seconds * 1e6),
      rssBytes: after.rssBytes,
      bytesPerConnection: (after.rssBytes - before.rssBytes) / held.answered,
    };
  } finally {
    await running.stop();
  }
}

async function measure(
  load: LoadTool,
  bench: Workbench,
  scenario: Scenario,
  running: Running,
  plan: Plan,
): Promise<Round> {
  if (plan.warmUpSeconds > 0) await loadWithoutTrouble(load, bench, scenario, running.port, plan.warmUpSeconds);
  const before = readUsage(running.pid);
  const { answered, seconds } = await loadWithoutTrouble(load, bench, scenario, running.port, plan.seconds);
  const after = readUsage(running.pid);
  const cpuUs = after.cpuUs - before.cpuUs;
  return {
    cpuUsPerRequest: cpuUs / answered,
    requestsPerSecond: answered / seconds,
    coreShare: cpuUs / (seconds * 1e6),
    rssBytes: after.rssBytes,
  };
}

async function loadWithoutTrouble(
  load: LoadTool,
  bench: Workbench,
  scenario: Scenario,
  port: number,
  seconds: number,
): Promise<LoadOutcome> {
  const outcome = await load.run(bench, scenario, port, seconds);
  if (outcome.trouble !== '') throw new Error(`requests failed: ${outcome.trouble} (of ${outcome.answered} answered)`);
  if (outcome.answered === 0) throw new Error('not one request was answered');
  return outcome;
}
