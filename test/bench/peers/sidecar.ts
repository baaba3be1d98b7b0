import { readFileSync } from 'node:fs';
import { awaitReadyLine } from '../await-ready.ts';
import { runningOn } from '../workbench.ts';
import type { Running, Workbench } from '../workbench.ts';
import { portOf } from './control-plane.ts';
import type { ControlPlane } from './control-plane.ts';

/** Starts a sidecar of a build on the proxy's core and waits until it is ready. */
export async function startSidecar(bench: Workbench, program: string, args: readonly string[]): Promise<Running> {
  const child = await bench.children.start('proxy', bench.node, [
    ...[...nodeFlags(program), program, 'run', ...args],
    ...['--admin', '127.0.0.1:0', '--health', '127.0.0.1:0'],
  ]);
  try {
    const ready = await awaitReadyLine(child, 'the sidecar');
    return runningOn(bench, child, listenerPort(ready));
  } catch (error) {
    await bench.children.stop(child);
    throw error;
  }
}

/** Flags of Node's that the program asks for in its first line, as a shell and the image start it. */
export function nodeFlags(program: string): string[] {
  const firstLine = readFileSync(program, 'utf8').split('\n', 1)[0] ?? '';
  return /^#!.* -S node (.+)$/.exec(firstLine)?.[1]?.split(' ') ?? [];
}

/** The same with a control plane, which ends with it. */
export async function startControlled(
  bench: Workbench,
  control: ControlPlane,
  program: string,
  more: readonly string[],
): Promise<Running> {
  const stopControl = (): Promise<void> => bench.children.stop(control.child);
  try {
    const running = await startSidecar(bench, program, ['--control', control.ads, ...more]);
    return {
      ...running,
      stop: async () => {
        await running.stop();
        await stopControl();
      },
    };
  } catch (error) {
    await stopControl();
    throw error;
  }
}

/** The port of the gateway, else of the one listener, in the line that the sidecar prints when it is ready. */
function listenerPort(ready: unknown): number {
  const { gateway, listeners } = ready as { gateway?: unknown; listeners?: readonly { address: unknown }[] };
  return portOf(gateway ?? listeners?.[0]?.address);
}
