import type { BalancedEndpoint } from '../balance/balancer.ts';
import type { OutReason } from '../health/availability.ts';
import { EndpointCell, type Cells } from '../model/cells.ts';
import type { EndpointSpec } from '../model/snapshot.ts';
import type { TlsFacts } from '../net/transport.ts';
import type { PoolSet } from './pool-set.ts';

/** What keeps an endpoint apart from others of its port. */
export function endpointId(address: string, port: number): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}

/**
 * An endpoint as it lives: it keeps its row of cells, its pool and its history for as long as its address and port are
 * configured, whatever else changes.
 */
export class LiveEndpoint {
  // What each attempt reads comes first: of a thousand endpoints none is in the processor's cache when its turn comes.

  /** Row in the endpoint cells. */
  readonly slot: number;
  readonly generation: number;
  private readonly cells: Cells;
  pools: PoolSet;
  private trialCount = 0;
  /** Attempts in flight that began before its present trial, or whose answer has begun: they take nothing of its place. */
  olderAttempts = 0;
  /** Its cap is that of a trial; upstream/picker.ts keeps it. */
  isCappedByTrial = false;

  /** `address:port`. */
  readonly id: string;
  private ownSpec: EndpointSpec;
  /** As balancers know it; another object after each change of the weight. */
  balanced: BalancedEndpoint;
  /** Its place among the endpoints of its port, in the order of turns; upstream/picker.ts keeps it. */
  order = 0;
  /** What led to the health state, for people. */
  cause = '';
  /** Wall time since when the health state holds, ms. */
  sinceWallMs: number;
  /** Whether the balancer picks it now; upstream/picker.ts keeps it. */
  usable = false;
  /** Up, not on trial and not ejected; upstream/picker.ts keeps it. */
  available = true;
  /** Why the balancer doesn't pick it; empty where it does, or where nothing of the endpoint stands in the way. */
  outReason: OutReason = '';
  /** What it was ejected for last; empty where it never was. */
  ejectionCause = '';
  /** Until when it is ejected at least, ms since 1970. */
  ejectedUntilWallMs = 0;
  /** What the last TLS handshake with it settled. */
  lastHandshake: TlsFacts | undefined = undefined;

  constructor(spec: EndpointSpec, pools: PoolSet, cells: Cells, nowWallMs: number) {
    this.id = endpointId(spec.address, spec.port);
    this.ownSpec = spec;
    this.pools = pools;
    this.cells = cells;
    this.slot = cells.allocate();
    this.generation = cells.generation(this.slot);
    this.balanced = { slot: this.slot, id: this.id, weight: spec.weight };
    this.sinceWallMs = nowWallMs;
  }

  get spec(): EndpointSpec {
    return this.ownSpec;
  }

  set spec(spec: EndpointSpec) {
    const { slot, id, balanced } = this;
    if (spec.weight !== balanced.weight) this.balanced = { slot, id, weight: spec.weight };
    this.ownSpec = spec;
  }

  /** Whether the row still is this endpoint's (it isn't once the endpoint was removed). */
  get holdsRow(): boolean {
    return this.cells.holds(this.slot, this.generation);
  }

  /** One call at a time shall find out whether it is well again. What lasts from before doesn't stand in the way of that. */
  beginTrial(): void {
    this.trialCount++;
    this.olderAttempts = this.cells.get(this.slot, EndpointCell.InFlight);
  }

  /** How many trials there have been. Only attempts that began in the present one decide it. */
  get trials(): number {
    return this.trialCount;
  }

  /** Returns how many trials there have been, which the report of the attempt wants to know. */
  beginAttempt(): number {
    if (!this.holdsRow) return this.trials;
    this.cells.add(this.slot, EndpointCell.InFlight, 1);
    this.cells.count(this.slot, EndpointCell.Attempts);
    return this.trials;
  }

  /**
   * The answer to an attempt has begun well. If that is a trial's, another may begin: how long the first lasts says nothing.
   * True where the attempt is older than the trial from here on, for `endAttempt`.
   */
  answerBegan(trials: number): boolean {
    if (!this.isCappedByTrial || trials !== this.trials || !this.holdsRow) return false;
    this.olderAttempts++;
    this.cells.add(this.slot, EndpointCell.Cap, 1);
    return true;
  }

  /** `success` undefined: it was given up for reasons that are not the endpoint's. */
  endAttempt(success: boolean | undefined, trials = this.trials): void {
    if (!this.holdsRow) return;
    this.cells.add(this.slot, EndpointCell.InFlight, -1);
    if (trials !== this.trials) {
      this.olderAttempts--;
      if (this.isCappedByTrial) this.cells.add(this.slot, EndpointCell.Cap, -1);
    }
    if (success !== undefined) this.cells.count(this.slot, success ? EndpointCell.Successes : EndpointCell.Failures);
  }

  /** The endpoint was removed: its row goes back, its connections finish. */
  remove(): void {
    this.cells.release(this.slot);
    this.pools.drain();
  }
}
