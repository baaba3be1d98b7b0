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
  /** `address:port`. */
  readonly id: string;
  /** Row in the endpoint cells. */
  readonly slot: number;
  readonly generation: number;
  spec: EndpointSpec;
  pools: PoolSet;
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

  private readonly cells: Cells;

  constructor(spec: EndpointSpec, pools: PoolSet, cells: Cells, nowWallMs: number) {
    this.id = endpointId(spec.address, spec.port);
    this.spec = spec;
    this.pools = pools;
    this.cells = cells;
    this.slot = cells.allocate();
    this.generation = cells.generation(this.slot);
    this.sinceWallMs = nowWallMs;
  }

  /** Whether the row still is this endpoint's (it isn't once the endpoint was removed). */
  get holdsRow(): boolean {
    return this.cells.holds(this.slot, this.generation);
  }

  beginAttempt(): void {
    if (!this.holdsRow) return;
    this.cells.add(this.slot, EndpointCell.InFlight, 1);
    this.cells.count(this.slot, EndpointCell.Attempts);
  }

  /** `undefined`: it was given up for reasons that are not the endpoint's. */
  endAttempt(success: boolean | undefined): void {
    if (!this.holdsRow) return;
    this.cells.add(this.slot, EndpointCell.InFlight, -1);
    if (success !== undefined) this.cells.count(this.slot, success ? EndpointCell.Successes : EndpointCell.Failures);
  }

  /** The endpoint was removed: its row goes back, its connections finish. */
  remove(): void {
    this.cells.release(this.slot);
    this.pools.drain();
  }
}
