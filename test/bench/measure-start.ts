import { readPrivateBytes, readUsage } from './cpu.ts';
import type { Lineup } from './lineup.ts';
import type { Plan } from './plan.ts';
import type { PeerResult } from './result.ts';
import type { Scenario } from './scenario.ts';
import type { Workbench } from './workbench.ts';

const REST_MS = 2_000;

/**
 * How long each peer takes from its start until it serves, its files being in the page cache, and what it holds two
 * seconds later. The peers of the line-up have been started already, which fills that cache.
 */
export async function measureStart(
  bench: Workbench,
  scenario: Scenario,
  plan: Plan,
  backendPort: number,
  lineup: Lineup,
): Promise<PeerResult[]> {
  await new Promise((resume) => setTimeout(resume, REST_MS));
  const memory = new Map<string, { restRssBytes: number; restPrivateBytes: number }>();
  await lineup.each('memory', ({ peer, running }) => {
    const { rssBytes } = readUsage(running.pid);
    memory.set(peer.name, { restRssBytes: rssBytes, restPrivateBytes: readPrivateBytes(running.pid) });
    return running.stop();
  });
  await lineup.alternate('', plan.rounds, lineup.runners, async ({ peer, rounds }) => {
    const running = await peer.start(bench, scenario, backendPort);
    rounds.push({ readyMs: running.readyMs });
    await running.stop();
  });
  return lineup.results(plan.rounds).map((result) => ({ ...result, ...memory.get(result.peer) }));
}
