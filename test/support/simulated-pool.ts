// A pool of HTTP/1 connections without sockets, for simulations: it asks and tells the circuit breaker exactly as
// upstream/pool.ts does, and a test decides what becomes of each connection.
import type { BlockedPool, CircuitBreaker } from '../../src/upstream/circuit-breaker.ts';

/** Who waits for a connection. */
export interface SimulatedWaiter {
  onConnection(): void;
  onFailed(): void;
}

/** Connections to one endpoint. */
export class SimulatedPool implements BlockedPool {
  idle = 0;
  busy = 0;
  /** Asked for and not there yet. */
  opening = 0;
  /** Given up, and not gone yet: they count until they are. */
  closing = 0;
  readonly waiting: SimulatedWaiter[] = [];
  private drained = false;
  private readonly breaker: CircuitBreaker;

  constructor(breaker: CircuitBreaker) {
    this.breaker = breaker;
  }

  get isConnected(): boolean {
    return this.idle + this.busy + this.opening > 0;
  }

  get connections(): number {
    return this.idle + this.busy + this.opening + this.closing;
  }

  /** False: too many wait already. */
  lease(waiter: SimulatedWaiter): boolean {
    if (this.idle > 0) {
      this.idle--;
      this.busy++;
      waiter.onConnection();
      return true;
    }
    if (!this.breaker.admitsPending()) return false;
    this.waiting.push(waiter);
    this.breaker.movePending(1);
    this.openForWaiting();
    return true;
  }

  cancel(waiter: SimulatedWaiter): void {
    const index = this.waiting.indexOf(waiter);
    if (index < 0) throw new Error('does not wait');
    this.waiting.splice(index, 1);
    this.breaker.movePending(-1);
  }

  openForWaiting(): void {
    while (this.opening < this.waiting.length && this.breaker.admitsConnection(this)) {
      this.opening++;
      this.breaker.moveConnections(1);
    }
  }

  /** A connection that was being opened is there. */
  opened(): void {
    this.opening--;
    this.idle++;
    this.available();
    if (this.waiting.length > 0) this.openForWaiting();
  }

  /** A connection that was being opened failed. */
  refused(): void {
    this.opening--;
    this.breaker.moveConnections(-1);
    if (this.waiting.length > this.opening) this.next()?.onFailed();
  }

  /** A busy connection is free again; `reusable`: for others. */
  freed(reusable: boolean): void {
    this.busy--;
    if (!reusable) {
      this.closing++;
      if (this.waiting.length > 0) this.openForWaiting();
      return;
    }
    this.idle++;
    this.available();
  }

  /** A connection that was given up is gone. */
  gone(): void {
    this.closing--;
    this.breaker.moveConnections(-1);
    if (this.waiting.length > 0) this.openForWaiting();
  }

  /** For the breaker and for idle timeouts. False: none is idle. */
  closeOneIdle(): boolean {
    if (this.idle === 0) return false;
    this.idle--;
    this.closing++;
    return true;
  }

  /** The endpoint is gone. */
  drain(): void {
    this.drained = true;
    while (this.closeOneIdle());
  }

  private available(): void {
    const waiter = this.next();
    if (waiter) {
      this.idle--;
      this.busy++;
      waiter.onConnection();
    } else if (this.drained || this.breaker.isWantedByOthers(this)) this.closeOneIdle();
  }

  private next(): SimulatedWaiter | undefined {
    const waiter = this.waiting.shift();
    if (waiter) this.breaker.movePending(-1);
    return waiter;
  }
}
