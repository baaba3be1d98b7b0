// The client of the scenarios that count connections. wrk and h2load resume sessions or keep connections, so it is a
// program of this bench in any case.
import { fileURLToPath } from 'node:url';
import { awaitReadyLine } from '../await-ready.ts';
import type { Scenario } from '../scenario.ts';
import type { Workbench } from '../workbench.ts';
import { LATE_MS } from './load.ts';
import type { LoadOutcome, LoadTool } from './load.ts';

const PROGRAM = fileURLToPath(new URL('./connections-program.js', import.meta.url));

/** Connections that are open and idle. */
export interface HeldConnections extends LoadOutcome {
  /** Closes them. Rejects if one had ended before. */
  release(): Promise<void>;
}

/** Opens connections one after the other, a request on each. */
export function connectionsTool(): LoadTool {
  return {
    title: `own client on Node ${process.version}`,
    run: async (bench, scenario, port, seconds) => {
      const args = programArguments(scenario, port, seconds);
      const { stdout } = await bench.children.run('others', process.execPath, args, seconds * 1000 + LATE_MS);
      return JSON.parse(stdout) as LoadOutcome;
    },
  };
}

/** Opens the scenario's connections, sends a request on each, and keeps them. Rejects if they don't all answer. */
export async function holdConnections(bench: Workbench, scenario: Scenario, port: number): Promise<HeldConnections> {
  const child = await bench.children.start('others', process.execPath, programArguments(scenario, port, undefined));
  try {
    const outcome = (await awaitReadyLine(child, 'the client of idle connections')) as LoadOutcome;
    return {
      ...outcome,
      release: async () => {
        const [ended, reason] = [child.hasEnded(), child.stderr()];
        await bench.children.stop(child);
        if (ended) throw new Error(`idle connections didn't stay: ${reason}`);
      },
    };
  } catch (error) {
    await bench.children.stop(child);
    throw error;
  }
}

function programArguments(scenario: Scenario, port: number, seconds: number | undefined): string[] {
  return [
    PROGRAM,
    scenario.name,
    String(port),
    scenario.tls ? 'tls' : 'plain',
    seconds === undefined ? 'hold' : String(seconds),
    String(scenario.connections),
  ];
}
