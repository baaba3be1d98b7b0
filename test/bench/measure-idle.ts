import { checkAnswer } from './check-answer.ts';
import { cpuUsBetween, readUsage } from './cpu.ts';
import type { Lineup } from './lineup.ts';
import { holdConnections } from './load/connections.ts';
import type { Scenario } from './scenario.ts';
import type { Workbench } from './workbench.ts';

/** Starts each peer anew in each round: memory that a process once had says nothing about what its connections need. */
export async function measureIdle(
  bench: Workbench,
  scenario: Scenario,
  rounds: number,
  backendPort: number,
  lineup: Lineup,
): Promise<void> {
  await lineup.alternate('', rounds, lineup.runners, async ({ peer, rounds: made }) => {
    const running = await peer.start(bench, scenario, backendPort);
    try {
      await checkAnswer(bench, scenario, running.port);
      const before = readUsage(running.pid);
      const held = await holdConnections(bench, scenario, running.port);
      const after = readUsage(running.pid);
      await held.release();
      const cpuUs = cpuUsBetween(before, after);
      made.push({
        cpuUsPerRequest: cpuUs / held.answered,
        requestsPerSecond: held.answered / held.seconds,
        coreShare: cpuUs / (held.seconds * 1e6),
        rssBytes: after.rssBytes,
        bytesPerConnection: (after.rssBytes - before.rssBytes) / held.answered,
      });
    } finally {
      await running.stop();
    }
  });
}
