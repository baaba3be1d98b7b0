import { startDataPlane } from './data-plane.ts';
import { rawCaller, type RawCaller } from './raw-caller.ts';

/** What the tests of one file start, closed together at its end. */
export class RawScene {
  /** Called by `close`; push what else has to end. */
  readonly closers: (() => void)[] = [];

  close(): void {
    for (const close of this.closers) close();
  }

  /** As startDataPlane. */
  async plane(...args: Parameters<typeof startDataPlane>): ReturnType<typeof startDataPlane> {
    const started = await startDataPlane(...args);
    this.closers.push(() => started.close());
    return started;
  }

  /** A caller that has sent `bytes`. */
  async call(port: number, bytes: string): Promise<RawCaller> {
    const caller = await rawCaller(port);
    this.closers.push(() => caller.close());
    caller.send(bytes);
    return caller;
  }
}
