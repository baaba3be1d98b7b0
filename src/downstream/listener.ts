// One listening port: bound, serving, drained.
import type { RequestHandler } from '../codec/exchange.ts';
import { listen, type BoundListener, type ListenTls, type SurplusHandler } from '../net/listen.ts';
import type { TlsAcceptor, TlsRefusal } from '../net/tls.ts';
import type { NetContext, TlsFacts } from '../net/transport.ts';
import { CounterCell, type Counters } from '../telemetry/counters.ts';
import { SniffingConnection, type ConnectionOwner } from './connection.ts';
import type { ConnectionQuota } from './connection-quota.ts';
import type { SessionContext } from './session.ts';
import { SurplusConnection } from './surplus-connection.ts';

/** What a listener needs besides its address. */
export interface ListenerContext extends NetContext, Omit<SessionContext, 'handle' | 'scheme'> {
  readonly counters: Counters;
  /** Of all listeners together. */
  readonly quota: ConnectionQuota;
}

/** A bound listener with its connections. */
export class Listener implements ConnectionOwner {
  private readonly bound: BoundListener;
  private readonly context: ListenerContext;
  private readonly counters: Counters;
  private readonly tls: { acceptor: TlsAcceptor | undefined } & ListenTls;
  /** Each at its `place`. No Set: one whose members come and go leaves old tables that keep them from being collected. */
  private readonly connections: SniffingConnection[] = [];
  /** Connections beyond the quota, while they are told so. */
  private readonly surplus = new Set<SurplusConnection>();
  private draining = false;
  private whenEmpty: (() => void) | undefined = undefined;

  private constructor(bound: BoundListener, context: ListenerContext, tls: Listener['tls']) {
    this.bound = bound;
    this.context = context;
    this.counters = context.counters;
    this.tls = tls;
  }

  /** Binds `address`:`port`; rejects with Node's error where it can't. */
  static async bind(
    address: string,
    port: number,
    protocols: 'auto' | 'http1' | 'http2',
    handle: RequestHandler,
    context: ListenerContext,
    acceptor?: TlsAcceptor,
  ): Promise<Listener> {
    const plain: SessionContext = { ...context, handle, scheme: 'http' };
    const secure: SessionContext = { ...context, handle, scheme: 'https' };
    const tls = { acceptor, handshakeMs: context.limits.handshakeMs };
    let listener: Listener | undefined;
    const owner: ConnectionOwner = {
      onSession: (connection) => listener?.onSession(connection),
      onClosed: (connection) => listener?.onClosed(connection),
      onSecured: (facts) => listener?.onSecured(facts),
      onHandshakeRefused: (refusal, remoteAddress) => listener?.onHandshakeRefused(refusal, remoteAddress),
    };
    const bound = await listen(
      address,
      port,
      {
        accept: () => {
          if (!listener || !context.quota.take()) return undefined;
          const { connections } = listener;
          const connection = new SniffingConnection(
            protocols,
            tls.acceptor ? secure : plain,
            owner,
            connections.length,
          );
          connections.push(connection);
          return connection;
        },
        refuse: (remoteAddress, isTls) => listener?.refuse(protocols, remoteAddress, isTls),
      },
      context,
      tls,
    );
    listener = new Listener(bound, context, tls);
    return listener;
  }

  /** TLS for connections that are accepted from now on; undefined: plaintext. */
  setTls(acceptor: TlsAcceptor | undefined): void {
    this.tls.acceptor = acceptor;
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
    return this.connections.length;
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
    if (this.connections.length === 0) return Promise.resolve();
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
    for (const connection of [...this.surplus]) connection.destroy();
  }

  onSession(connection: SniffingConnection): void {
    this.counters.count(connection.isHttp2 ? CounterCell.Http2Opened : CounterCell.Http1Opened);
    if (this.draining) connection.drain();
  }

  onSecured({ resumed }: TlsFacts): void {
    this.counters.count(resumed ? CounterCell.DownstreamHandshakesResumed : CounterCell.DownstreamHandshakes);
  }

  onHandshakeRefused({ kind, detail }: TlsRefusal, remoteAddress: string): void {
    this.counters.count(CounterCell.DownstreamHandshakesFailed);
    this.context.onRefused(kind, detail, remoteAddress);
  }

  onClosed(connection: SniffingConnection): void {
    const last = this.connections.pop();
    if (last && last !== connection) {
      this.connections[connection.place] = last;
      last.place = connection.place;
    }
    this.context.quota.release();
    const closed = connection.isHttp2 ? CounterCell.Http2Closed : CounterCell.Http1Closed;
    // One that left before it said anything wasn't refused.
    if (connection.session) this.counters.count(closed);
    else if (connection.isRefused) this.counters.count(CounterCell.ConnectionsRefused);
    if (this.connections.length === 0) this.whenEmpty?.();
  }

  private refuse(
    protocols: 'auto' | 'http1' | 'http2',
    remoteAddress: string,
    isTls: boolean,
  ): SurplusHandler | undefined {
    const { quota, wheel } = this.context;
    this.counters.count(CounterCell.ConnectionsRefused);
    this.context.onRefused('too_many_connections', quota.reason, remoteAddress);
    // A handshake costs more than all the rest; its caller sees a reset.
    if (isTls || !quota.takeFarewell()) return undefined;
    const connection = new SurplusConnection(protocols, wheel, (gone) => {
      this.surplus.delete(gone);
      quota.releaseFarewell();
    });
    this.surplus.add(connection);
    return connection;
  }
}
