// The time of a request while a proxy isn't busy: at half of what Envoy manages, and at half of what the sidecar does.
import { cpuUsBetween, readUsage } from './cpu.ts';
import type { Lineup } from './lineup.ts';
import { loadWithoutTrouble } from './load/load.ts';
import type { LoadTool } from './load/load.ts';
import { runPaced } from './load/paced.ts';
import { warmUpSeconds } from './plan.ts';
import type { Plan } from './plan.ts';
import type { ScenarioResult } from './result.ts';
import type { Scenario } from './scenario.ts';
import type { Workbench } from './workbench.ts';

/** The peers whose capacity gives a rate. */
const PACEMAKERS = ['envoy', 'outrigger'];
/** Most of its capacity that a peer is asked for; above it queues, not the proxy, make the times. */
const MOST = 0.8;
/** Least share of the rate that the load has to reach. */
const LEAST = 0.95;
const CAPACITY_SECONDS = 1;

/** What a rate gives beside what is common to the scenario. */
export type LatencyPart = Pick<ScenarioResult, 'scenario' | 'summary' | 'peers'> & {
  readonly notes: readonly string[];
};

/** Measures at both rates. A peer that couldn't keep up is left out, with a note. */
export async function measureLatency(
  bench: Workbench,
  scenario: Scenario,
  load: LoadTool,
  plan: Plan,
  backendPort: number,
  lineup: Lineup,
): Promise<LatencyPart[]> {
  const capacities = new Map<string, number>();
  await lineup.each('capacity', async ({ peer, running }) => {
    await loadWithoutTrouble(load, bench, scenario, running.port, warmUpSeconds(peer));
    const { answered, seconds } = await loadWithoutTrouble(load, bench, scenario, running.port, CAPACITY_SECONDS);
    capacities.set(peer.name, answered / seconds);
  });
  const parts: LatencyPart[] = [];
  for (const pacemaker of PACEMAKERS) {
    const most = capacities.get(pacemaker);
    if (most === undefined) continue;
    const rate = Math.round(most / 2);
    const capacityOf = (name: string): number => capacities.get(name) ?? 0;
    const able = lineup.runners.filter(({ peer }) => capacityOf(peer.name) * MOST >= rate);
    const notes = lineup.runners
      .filter((runner) => !able.includes(runner))
      .map(({ peer }) => `${peer.name} left out: it manages ${Math.round(capacityOf(peer.name))}/s`);
    const floor = await runPaced(bench, scenario, backendPort, plan.seconds, rate);
    notes.push(`without proxy p50 ${Math.round(floor.p50Us)} µs, p99 ${Math.round(floor.p99Us)} µs`);
    for (const { rounds } of lineup.runners) rounds.length = 0;
    await lineup.alternate(`${rate}/s, `, plan.rounds, able, async ({ running, rounds }) => {
      const before = readUsage(running.pid);
      const { answered, measured, p50Us, p99Us } = await runPaced(bench, scenario, running.port, plan.seconds, rate);
      const after = readUsage(running.pid);
      if (measured < rate * plan.seconds * LEAST) {
        throw new Error(`the load made ${measured} requests instead of ${rate * plan.seconds}`);
      }
      const cpuUs = cpuUsBetween(before, after);
      rounds.push({
        p50Us,
        p99Us,
        cpuUsPerRequest: cpuUs / answered,
        coreShare: (cpuUs / 1e6 / answered) * rate,
      });
    });
    parts.push({
      scenario: `${scenario.name} by ${pacemaker}`,
      summary: `${scenario.summary}; here ${rate}/s, half of what ${pacemaker} manages`,
      peers: lineup.results(plan.rounds),
      notes,
    });
  }
  return parts;
}
