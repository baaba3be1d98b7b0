import { cpuUsBetween, readUsage } from './cpu.ts';
import type { Lineup } from './lineup.ts';
import { loadWithoutTrouble } from './load/load.ts';
import type { LoadTool } from './load/load.ts';
import type { Round } from './result.ts';
import { warmUpSeconds } from './plan.ts';
import type { Plan } from './plan.ts';
import type { Scenario } from './scenario.ts';
import type { Running, Workbench } from './workbench.ts';

/** CPU of each peer in each round, by what the scenario counts, under as much load as it takes. */
export async function measureCost(
  bench: Workbench,
  scenario: Scenario,
  load: LoadTool,
  plan: Plan,
  lineup: Lineup,
): Promise<void> {
  await lineup.each('warm-up', async ({ peer, running }) => {
    await loadWithoutTrouble(load, bench, scenario, running.port, warmUpSeconds(peer));
  });
  await lineup.alternate('', plan.rounds, lineup.runners, async ({ running, rounds }) => {
    const calm = running.disturb?.();
    try {
      rounds.push(await measureRound(load, bench, scenario, running, plan.seconds));
    } finally {
      await calm?.();
    }
  });
}

async function measureRound(
  load: LoadTool,
  bench: Workbench,
  scenario: Scenario,
  running: Running,
  wantedSeconds: number,
): Promise<Round> {
  const before = readUsage(running.pid);
  const { answered, seconds } = await loadWithoutTrouble(load, bench, scenario, running.port, wantedSeconds);
  const after = readUsage(running.pid);
  const cpuUs = cpuUsBetween(before, after);
  return {
    cpuUsPerRequest: cpuUs / answered,
    requestsPerSecond: answered / seconds,
    coreShare: cpuUs / (seconds * 1e6),
    rssBytes: after.rssBytes,
  };
}
