// The circuit breakers of one upstream port: how many calls, waiting attempts, further attempts and connections it may
// have at once. The numbers are words of the port's row, so ListEndpoints and metrics show what is counted here.
import { PortCell, type Cells } from '../model/cells.ts';
import type { CircuitBreakerPolicy } from '../model/policy.ts';

/** A pool that wants another connection and may not open one. */
export interface BlockedPool {
  /** Whether its endpoint has a connection that is of use or opening, under whatever name, or several that are leaving. */
  readonly isConnected: boolean;
  /** There may be room for a connection now. */
  openForWaiting(): void;
}

/** Counts and judges; one for each upstream port. A limit of 0 is none. */
export class CircuitBreaker {
  policy: CircuitBreakerPolicy;
  private readonly cells: Cells;
  private readonly slot: number;
  private readonly generation: number;
  private readonly blocked = new Set<BlockedPool>();
  /** Closes an idle connection of the port; false: there is none. */
  private readonly closeOneIdle: () => boolean;

  constructor(policy: CircuitBreakerPolicy, cells: Cells, slot: number, closeOneIdle: () => boolean) {
    this.policy = policy;
    this.cells = cells;
    this.slot = slot;
    this.generation = cells.generation(slot);
    this.closeOneIdle = closeOneIdle;
  }

  /** Whether one more call may start; counts the one that may not. */
  admitsRequest(): boolean {
    return this.admits(this.policy.maxRequests, PortCell.InFlight, PortCell.OverflowRequests);
  }

  /** Whether one more further attempt may start. */
  get retryRoom(): boolean {
    return this.hasRoom(this.policy.maxRetries, PortCell.RetriesInFlight);
  }

  /** Whether one more call might start now; counts nothing, nor do the next two. */
  get requestRoom(): boolean {
    return this.hasRoom(this.policy.maxRequests, PortCell.InFlight);
  }

  /** Whether one more attempt might wait for a connection. */
  get pendingRoom(): boolean {
    return this.hasRoom(this.policy.maxPendingRequests, PortCell.Pending);
  }

  /** Whether one more connection might be opened without that an idle one gives way. */
  get connectionRoom(): boolean {
    return this.hasRoom(this.policy.maxConnections, PortCell.Connections);
  }

  /** Whether one more attempt may wait for a connection; counts the one that may not. */
  admitsPending(): boolean {
    return this.admits(this.policy.maxPendingRequests, PortCell.Pending, PortCell.OverflowPending);
  }

  /** A request begins with further attempts (1) or ends (-1). */
  moveRetries(delta: 1 | -1): void {
    this.move(PortCell.RetriesInFlight, delta);
  }

  /** Attempts begin or cease to wait for a connection. */
  movePending(delta: number): void {
    this.move(PortCell.Pending, delta);
  }

  /**
   * Whether `pool` may open a connection. Where there is no room, an idle connection of another endpoint gives way if there
   * is one, and a pool that has to wait is told as soon as there is room.
   */
  admitsConnection(pool: BlockedPool): boolean {
    const { maxConnections } = this.policy;
    if (maxConnections === 0 || this.connections < maxConnections) {
      this.unblock(pool);
      return true;
    }
    if (!this.blocked.has(pool)) {
      this.blocked.add(pool);
      if (this.holdsRow) this.cells.count(this.slot, PortCell.OverflowConnections);
    }
    // As in Envoy one connection may be had beyond the limit, by an endpoint that was picked and has none: else its calls
    // could wait for as long as those of other endpoints keep theirs.
    const givesWay = this.connections === maxConnections && this.closeOneIdle();
    const mayOpen = givesWay ? this.connections < maxConnections : !pool.isConnected;
    if (mayOpen) this.blocked.delete(pool);
    return mayOpen;
  }

  /** Connections are opened (positive) or gone (negative). */
  moveConnections(delta: number): void {
    this.move(PortCell.Connections, delta);
    if (delta < 0) this.wakeBlocked();
  }

  /** There may be room for connections: fewer are open, or the limit was changed. */
  wakeBlocked(): void {
    if (this.blocked.size === 0) return;
    const waiting = [...this.blocked];
    this.blocked.clear();
    for (const pool of waiting) pool.openForWaiting();
  }

  /** `pool` wants no connection any more. */
  unblock(pool: BlockedPool): void {
    if (this.blocked.size > 0) this.blocked.delete(pool);
  }

  /** Whether `pool` waits for room. */
  isBlocked(pool: BlockedPool): boolean {
    return this.blocked.has(pool);
  }

  /** Whether a pool other than `pool` waits for room, and would get it: then a connection that falls idle gives way. */
  isWantedByOthers(pool: BlockedPool): boolean {
    if (this.blocked.size === 0 || this.connections > this.policy.maxConnections) return false;
    return this.blocked.size > (this.blocked.has(pool) ? 1 : 0);
  }

  private get connections(): number {
    return this.holdsRow ? this.cells.get(this.slot, PortCell.Connections) : 0;
  }

  private admits(limit: number, word: number, overflow: number): boolean {
    if (this.hasRoom(limit, word)) return true;
    this.cells.count(this.slot, overflow);
    return false;
  }

  private hasRoom(limit: number, word: number): boolean {
    return limit === 0 || !this.holdsRow || this.cells.get(this.slot, word) < limit;
  }

  private move(word: number, delta: number): void {
    if (this.holdsRow) this.cells.add(this.slot, word, delta);
  }

  private get holdsRow(): boolean {
    return this.cells.holds(this.slot, this.generation);
  }
}
