// One scenario, from the start of its backend to its result.
import { neededByBackend, startBackend } from './backends/backend.ts';
import type { Backend } from './backends/backend.ts';
import { checkAnswer } from './check-answer.ts';
import { descriptorLimit, mostConnections } from './descriptors.ts';
import { Lineup } from './lineup.ts';
import { chooseLoadTool } from './load/choose.ts';
import { loadWithoutTrouble } from './load/load.ts';
import { measureCost } from './measure-cost.ts';
import { measureIdle } from './measure-idle.ts';
import { measureLatency } from './measure-latency.ts';
import { measureStart } from './measure-start.ts';
import type { Peer } from './peers/peer.ts';
import type { Plan } from './plan.ts';
import type { ScenarioResult } from './result.ts';
import type { Scenario } from './scenario.ts';
import type { Workbench } from './workbench.ts';

/** Rounds in which every process is new show little spread and take long. */
const MOST_IDLE_ROUNDS = 3;

/** Why a scenario can't be run here. */
export class CannotRun extends Error {}

/**
 * Measures every one of the peers that is installed; a scenario of several loads gives several results. `progress` is
 * told of each step. Rejects with a {@link CannotRun} where a tool is missing.
 */
export async function runScenario(
  bench: Workbench,
  scenario: Scenario,
  peers: readonly Peer[],
  plan: Plan,
  progress: (step: string) => void,
): Promise<ScenarioResult[]> {
  const load = chooseLoadTool(scenario);
  const needed = neededByBackend(scenario) ?? ('needed' in load ? load.needed : undefined);
  if ('needed' in load || needed !== undefined) throw new CannotRun(`${needed} is not installed`);
  const backend = await startBackend(bench, scenario);
  const lineup = new Lineup(bench, scenario, progress);
  const { notes } = lineup;
  if (scenario.note !== undefined) notes.push(scenario.note);
  const about = {
    scenario: scenario.name,
    summary: scenario.summary,
    unit: scenario.unit,
    load: load.title,
    backend: backend.title,
    skipped: lineup.skipped,
    failed: lineup.failed,
    notes,
  };
  try {
    const plain = { ...scenario, tls: false, downstream: scenario.upstream };
    await checkAnswer(bench, plain, backend.port);
    switch (scenario.unit) {
      case 'start':
        await lineup.start(peers, backend.port);
        return [{ ...about, peers: await measureStart(bench, scenario, plan, backend.port, lineup) }];
      case 'idle connection': {
        const rounds = Math.min(plan.rounds, MOST_IDLE_ROUNDS);
        const connections = Math.min(scenario.connections, mostConnections());
        if (connections < scenario.connections) {
          notes.push(`${connections} connections, since no more than ${descriptorLimit()} files may be open`);
        }
        await lineup.start(peers, backend.port);
        await measureIdle(bench, { ...scenario, connections }, rounds, backend.port, lineup);
        return [{ ...about, rounds, peers: lineup.results(rounds) }];
      }
      case 'paced request':
        await lineup.start(peers, backend.port);
        return (await measureLatency(bench, scenario, load, plan, backend.port, lineup)).map((part) => ({
          ...about,
          ...part,
          notes: [...notes, ...part.notes],
        }));
      default: {
        const direct = await loadDirectly(bench, plain, backend, progress);
        await lineup.start(peers, backend.port);
        await measureCost(bench, scenario, load, plan, lineup);
        return [{ ...about, directRequestsPerSecond: direct, peers: lineup.results(plan.rounds) }];
      }
    }
  } finally {
    await Promise.all([lineup.stop(), backend.stop()]);
  }
}

/** What backend and load manage without a proxy, in what the scenario counts a second. */
async function loadDirectly(
  bench: Workbench,
  plain: Scenario,
  backend: Backend,
  progress: (step: string) => void,
): Promise<number | undefined> {
  const load = chooseLoadTool(plain);
  if ('needed' in load) return undefined;
  progress('direct');
  // The first time the file comes into memory.
  if (plain.unit === 'GiB') await load.run(bench, plain, backend.port, 1);
  const { answered, seconds } = await loadWithoutTrouble(load, bench, plain, backend.port, 1);
  return answered / seconds;
}
