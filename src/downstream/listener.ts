// One listening port: bound, serving, drained.
import type { RequestHandler } from '../codec/exchange.ts';
import { listen, type BoundListener } from '../net/listen.ts';
import type { NetContext } from '../net/transport.ts';
import { CounterCell, type Counters } from '../telemetry/counters.ts';
import { SniffingConnection, type ConnectionOwner } from './connection.ts';
import type { SessionContext } from './session.ts';

/** What a listener needs besides its address. */
export interface ListenerContext extends NetContext, Omit<SessionContext, 'handle' | 'scheme'> {
  readonly counters: Counters;
}

/** A bound listener with its connections. */
export class Listener implements ConnectionOwner {
  private readonly bound: BoundListener;
  private readonly counters: Counters;
  private readonly connections = new Set<SniffingConnection>();
  private draining = false;
  private whenEmpty: (() => void) | undefined = undefined;

  private constructor(bound: BoundListener, counters: Counters) {
    this.bound = bound;
    this.counters = counters;
  }

  /** Binds `address`:`port`; rejects with Node's error where it can't. */
  static async bind(
    address: string,
    port: number,
    protocols: 'auto' | 'http1' | 'http2',
    handle: RequestHandler,
    context: ListenerContext,
  ): Promise<Listener> {
    const sessionContext: SessionContext = { ...context, handle, scheme: 'http' };
    let listener: Listener | undefined;
    const owner: ConnectionOwner = {
      onSession: (connection) => listener?.onSession(connection),
      onClosed: (connection) => listener?.onClosed(connection),
    };
    const bound = await listen(
      address,
      port,
      () => {
        const connection = new SniffingConnection(protocols, sessionContext, owner);
        listener?.connections.add(connection);
        return connection;
      },
      context,
    );
    listener = new Listener(bound, context.counters);
    return listener;
  }

  /** Address as bound. */
  get address(): string {
    return this.bound.address;
  }

  get port(): number {
    return this.bound.port;
  }

  /** Open connections. */
  get connectionCount(): number {
    return this.connections.size;
  }

  /** Requests in flight. */
  get active(): number {
    let active = 0;
    for (const connection of this.connections) active += connection.session?.active ?? 0;
    return active;
  }

  /** Accepts no more; what is in flight finishes. Resolves when the last connection is closed. */
  drain(): Promise<void> {
    if (!this.draining) {
      this.draining = true;
      this.bound.close();
      for (const connection of [...this.connections]) connection.drain();
    }
    if (this.connections.size === 0) return Promise.resolve();
    return new Promise((resolve) => {
      const before = this.whenEmpty;
      this.whenEmpty = () => {
        before?.();
        resolve();
      };
    });
  }

  /** Closes everything at once. */
  destroy(): void {
    this.draining = true;
    this.bound.close();
    for (const connection of [...this.connections]) connection.destroy();
  }

  onSession(connection: SniffingConnection): void {
    this.counters.count(connection.isHttp2 ? CounterCell.Http2Opened : CounterCell.Http1Opened);
    if (this.draining) connection.drain();
  }

  onClosed(connection: SniffingConnection): void {
    this.connections.delete(connection);
    const closed = connection.isHttp2 ? CounterCell.Http2Closed : CounterCell.Http1Closed;
    this.counters.count(connection.session ? closed : CounterCell.ConnectionsRefused);
    if (this.connections.size === 0) this.whenEmpty?.();
  }
}
