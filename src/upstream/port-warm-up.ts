// Slow start of one upstream port's endpoints: holds the timer that health/warm-up.ts asks for.
import type { Cancel, Clock } from '../base/clock.ts';
import { WarmUp, type WeightedSlot } from '../health/warm-up.ts';
import type { Cells } from '../model/cells.ts';
import type { WarmUpPolicy } from '../model/policy.ts';
import type { LiveEndpoint } from './endpoint.ts';

/** What warming up needs from outside. */
export interface WarmUpContext {
  readonly clock: Clock;
  readonly endpointCells: Cells;
}

/** Slow start of the endpoints of one port. */
export class PortWarmUp {
  private readonly context: WarmUpContext;
  private readonly warmUp: WarmUp;
  /** The endpoints in use, by level. */
  private readonly levels: () => readonly (readonly WeightedSlot[])[];
  private cancelTimer: Cancel | undefined = undefined;

  /** `knownSinceMs`: when the port became known. */
  constructor(context: WarmUpContext, levels: () => readonly (readonly WeightedSlot[])[], knownSinceMs: number) {
    this.context = context;
    this.levels = levels;
    this.warmUp = new WarmUp(undefined, knownSinceMs);
  }

  /** Takes the policy, and endpoints that have just appeared. Call {@link step} when the levels are up to date. */
  update(policy: WarmUpPolicy | undefined, added: readonly LiveEndpoint[]): void {
    const { clock, endpointCells } = this.context;
    this.warmUp.setPolicy(endpointCells, policy, clock.nowMs);
    for (const { slot } of added) this.warmUp.appeared(endpointCells, slot, clock.nowMs);
  }

  /** An endpoint went out of use, or came back. */
  onAvailable(endpoint: LiveEndpoint, available: boolean): void {
    const { clock, endpointCells } = this.context;
    if (available) this.warmUp.begin(endpointCells, endpoint.slot, clock.nowMs);
    else this.warmUp.end(endpointCells, endpoint.slot);
  }

  /** Writes the shares as of now, and again when they will have changed. */
  step(): void {
    const { clock, endpointCells } = this.context;
    this.cancelTimer?.();
    this.cancelTimer = undefined;
    if (this.warmUp.size === 0) return;
    this.warmUp.step(endpointCells, this.levels(), clock.nowMs);
    const { nextMs } = this.warmUp;
    if (nextMs === Infinity) return;
    this.cancelTimer = clock.after(Math.max(1, nextMs - clock.nowMs), () => this.step());
  }

  stop(): void {
    this.cancelTimer?.();
    this.cancelTimer = undefined;
  }
}
