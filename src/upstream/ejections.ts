// Outlier detection of one upstream port: hands the ends of attempts to the detector (health/outlier.ts), holds the timer of
// its sweeps, and writes down for people who was ejected for what and until when.
import type { Cancel, Clock } from '../base/clock.ts';
import type { Rng } from '../base/rng.ts';
import type { LiveNumbers } from '../balance/balancer.ts';
import { ejectionLeftMs, isEjected } from '../health/outlier-ejection.ts';
import { OutlierDetector, type Detection, type OutlierOutcome } from '../health/outlier.ts';
import { PortCell } from '../model/cells.ts';
import type { OutlierPolicy } from '../model/policy.ts';
import type { LiveEndpoint } from './endpoint.ts';

/** What detection needs from outside. */
export interface EjectionContext {
  readonly clock: Clock;
  readonly rng: Rng;
}

/** Ejections of the endpoints of one port. */
export class PortEjections {
  private readonly context: EjectionContext;
  private readonly live: LiveNumbers;
  /** Endpoints were ejected or let back in; each is in the list once. */
  private readonly onChange: (endpoints: readonly LiveEndpoint[]) => void;
  private readonly detector: OutlierDetector;
  private policy: OutlierPolicy | undefined = undefined;
  private readonly endpoints = new Map<number, LiveEndpoint>();
  private slots: readonly number[] = [];
  private readonly outcome: { -readonly [K in keyof OutlierOutcome]: OutlierOutcome[K] } = {
    status: 0,
    local: 'none',
    latencyUs: 0,
  };
  private cancelTimer: Cancel | undefined = undefined;

  constructor(context: EjectionContext, live: LiveNumbers, onChange: (endpoints: readonly LiveEndpoint[]) => void) {
    this.context = context;
    this.live = live;
    this.onChange = onChange;
    this.detector = new OutlierDetector(undefined, context.clock.nowMs);
  }

  /** Takes policy and endpoints; the owner looks at who is out afterwards. */
  update(policy: OutlierPolicy | undefined, endpoints: Iterable<LiveEndpoint>): void {
    const { nowMs } = this.context.clock;
    const changed = policy !== this.policy;
    this.policy = policy;
    if (policy === undefined && !changed) return;
    this.endpoints.clear();
    for (const endpoint of endpoints) this.endpoints.set(endpoint.slot, endpoint);
    this.slots = [...this.endpoints.keys()];
    const cells = this.live.endpoints;
    if (changed) this.detector.setPolicy(cells, this.slots, policy, nowMs);
    else this.detector.keepWithinCap(cells, this.slots, nowMs);
    if (policy === undefined) {
      this.endpoints.clear();
      this.slots = [];
    } else if (changed) {
      for (const [slot, endpoint] of this.endpoints) {
        if (isEjected(cells, slot)) this.tellEnd(endpoint, ejectionLeftMs(cells, slot, policy, nowMs));
      }
    }
    this.schedule();
  }

  /**
   * An attempt has ended. `status` is the HTTP status, or that which stands for a grpc-status; 0 where none came. `failed`: no
   * answer came, and it is the endpoint's fault.
   */
  report(endpoint: LiveEndpoint, status: number, failed: boolean, latencyUs: number): void {
    if (this.policy === undefined) return;
    const { outcome, live, context } = this;
    outcome.status = status;
    outcome.local = failed ? 'failed' : 'none';
    outcome.latencyUs = latencyUs;
    const { nowMs } = context.clock;
    const detection = this.detector.report(live.endpoints, endpoint.slot, outcome, this.slots, nowMs, context.rng);
    const ejected = detection && this.settle(detection);
    if (ejected) this.onChange([ejected]);
  }

  /** An active check of the endpoint passed. */
  onActiveSuccess(endpoint: LiveEndpoint): void {
    if (this.detector.onActiveSuccess(this.live.endpoints, endpoint.slot, this.context.clock.nowMs)) {
      this.onChange([endpoint]);
    }
  }

  /** Ms until the first ejection may end; Infinity where nobody is ejected. */
  nextReturnMs(nowMs: number): number {
    const { policy, slots, live } = this;
    let next = Infinity;
    if (policy === undefined) return next;
    for (const slot of slots) {
      if (!isEjected(live.endpoints, slot)) continue;
      next = Math.min(next, ejectionLeftMs(live.endpoints, slot, policy, nowMs));
    }
    // Ejections end at a sweep.
    const sweepMs = this.detector.nextSweepMs - nowMs;
    const further = Math.max(0, Math.ceil((next - sweepMs) / policy.intervalMs));
    return next === Infinity ? next : sweepMs + further * policy.intervalMs;
  }

  stop(): void {
    this.cancelTimer?.();
    this.cancelTimer = undefined;
    this.endpoints.clear();
    this.slots = [];
  }

  private schedule(): void {
    const { clock } = this.context;
    this.cancelTimer?.();
    this.cancelTimer = undefined;
    const { nextSweepMs } = this.detector;
    if (nextSweepMs === Infinity) return;
    this.cancelTimer = clock.after(Math.max(1, nextSweepMs - clock.nowMs), () => this.sweep());
  }

  private sweep(): void {
    const { clock, rng } = this.context;
    const { unejected, detections } = this.detector.sweep(this.live.endpoints, this.slots, clock.nowMs, rng);
    // Told at once: looking at all endpoints for each of them would stop everything for seconds on a large port.
    const endpoints = [
      ...detections.map((detection) => this.settle(detection)),
      ...unejected.map((slot) => this.endpoints.get(slot)),
    ];
    const changed = new Set(endpoints.filter((endpoint) => endpoint !== undefined));
    if (changed.size > 0) this.onChange([...changed]);
    this.schedule();
  }

  /** Writes down what a detection led to. Returns the endpoint if it was ejected. */
  private settle({ slot, cause, verdict, forMs }: Detection): LiveEndpoint | undefined {
    const { ports, portSlot } = this.live;
    if (verdict === 'overflow') ports.count(portSlot, PortCell.EjectionsOverflow);
    if (verdict !== 'ejected') return undefined;
    ports.count(portSlot, PortCell.Ejections);
    const endpoint = this.endpoints.get(slot);
    if (endpoint === undefined) return undefined;
    endpoint.ejectionCause = cause;
    this.tellEnd(endpoint, forMs);
    return endpoint;
  }

  private tellEnd(endpoint: LiveEndpoint, leftMs: number): void {
    endpoint.ejectedUntilWallMs = this.context.clock.wallMs() + leftMs;
  }
}
