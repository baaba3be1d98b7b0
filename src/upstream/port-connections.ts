// How the endpoints of one upstream port are connected to: scheme, TLS identity, pools and channels. A change of scheme or
// identity makes new pools; the old ones finish what they have.
import { isDeepStrictEqual } from 'node:util';
import type { ErrorKind } from '../base/error.ts';
import { ClientTls, type SessionSlot } from '../identity/client-tls.ts';
import type { Credentials } from '../identity/credentials.ts';
import { isGrpcScheme, isSecureScheme, type PortPolicy } from '../model/policy.ts';
import type { EndpointSpec, UpstreamPort } from '../model/snapshot.ts';
import type { WireLimits } from '../codec/limits.ts';
import type { TimerWheel } from '../base/timer-wheel.ts';
import type { TlsConnector, TlsRefusal } from '../net/tls.ts';
import type { NetContext, TlsFacts, Transport } from '../net/transport.ts';
import type { Counters } from '../telemetry/counters.ts';
import type { Channel, ChannelOwner } from './channel.ts';
import type { CircuitBreaker } from './circuit-breaker.ts';
import { endpointId } from './endpoint.ts';
import { createH1Channel, type H1ChannelContext } from './h1-channel.ts';
import { createH2Channel } from './h2-channel.ts';
import { EndpointPool, type PoolOptions } from './pool.ts';
import { PoolSet, type PoolFactory, type PoolNaming } from './pool-set.ts';

/** Streams that a new HTTP/2 connection is expected to take; its SETTINGS say the truth later. */
const EXPECTED_STREAMS = 100;

/** What connections need from outside. */
export interface ConnectionContext extends NetContext {
  readonly credentials: Credentials;
  readonly wheel: TimerWheel;
  readonly limits: WireLimits;
  readonly counters: Counters;
}

/** Who owns the connections of a port. */
export interface ConnectionsOwner {
  readonly breaker: CircuitBreaker;
  /** The certificate or the authorities changed: connections made with the old ones are not used any more. */
  onIdentityChanged(): void;
  onSecured(endpointId: string, facts: TlsFacts): void;
  onConnectFailed(endpointId: string, kind: ErrorKind, detail: string): void;
}

/** What tells the connections of an endpoint apart, and what makes their pools. */
interface Reach {
  readonly naming: PoolNaming;
  readonly factory: PoolFactory;
}

/** Of one upstream port. */
export class PortConnections {
  /** TLS towards the endpoints; undefined where neither calls nor probes speak it. */
  tls: ClientTls | undefined;
  private port: UpstreamPort;
  private readonly context: ConnectionContext;
  private readonly owner: ConnectionsOwner;
  /** Of the scheme and the TLS in force when an endpoint's pools are made; stays theirs. */
  private reach: Reach;
  /** What channels of the policy in force are made with: one object for all, which is in the cache when they look. */
  private channelContext: H1ChannelContext;

  constructor(port: UpstreamPort, context: ConnectionContext, owner: ConnectionsOwner) {
    this.port = port;
    this.context = context;
    this.owner = owner;
    this.tls = this.createTls();
    this.reach = this.createReach();
    this.channelContext = this.createChannelContext();
  }

  /** Takes a new policy; true where connections of the old one may not be used. */
  update(port: UpstreamPort): boolean {
    const before = this.port.policy;
    this.port = port;
    if (before !== port.policy) this.channelContext = this.createChannelContext();
    const { scheme, tls } = port.policy;
    if (before.scheme === scheme && isDeepStrictEqual(before.tls, tls)) return false;
    this.tls?.stop();
    this.tls = this.createTls();
    this.reach = this.createReach();
    return true;
  }

  stop(): void {
    this.tls?.stop();
  }

  /** Whether the name that a certificate is looked at for comes with each call. */
  get isNamedByCaller(): boolean {
    return this.port.policy.host.passHost === 'pass' && this.tls?.policy.serverName === undefined;
  }

  /** TLS for a probe; undefined: it goes over plaintext. */
  probeConnector({ address, host }: EndpointSpec): TlsConnector | TlsRefusal | undefined {
    const { tls } = this;
    const { scheme, checks } = this.port.policy;
    const active = checks?.active;
    if (!tls || !active || active.type === 'tcp') return undefined;
    if (!isSecureScheme(scheme) && active.type !== 'https') return undefined;
    // With `pass_host: pass` the name comes with each call, and a probe has none.
    const unnamed = this.isNamedByCaller ? undefined : address;
    const named = active.host ?? (host === '' ? unnamed : host);
    const name = named === undefined ? undefined : tls.nameOf(named);
    return tls.connector(name, { session: undefined }, active.verifyCertificate);
  }

  createPools(spec: EndpointSpec): PoolSet {
    return new PoolSet(this.reach.factory, spec, this.reach.naming);
  }

  private createReach(): Reach {
    const { scheme } = this.port.policy;
    const tls = isSecureScheme(scheme) ? this.tls : undefined;
    const byHost = tls !== undefined && tls.policy.serverName === undefined;
    const naming: PoolNaming = {
      nameOf: byHost ? (host) => tls.nameOf(host) : undefined,
      separatesUpgrades: scheme === 'https',
    };
    const factory: PoolFactory = {
      createPool: (spec, name, forUpgrades, set) => {
        const slot: SessionSlot = { session: undefined };
        const connect = tls && (() => tls.connector(tls.policy.serverName ?? name, slot));
        const connector = connect && forUpgrades ? () => withoutHttp2(connect()) : connect;
        const capacity = forUpgrades ? 1 : this.expectedCapacity;
        const options = this.poolOptions(spec, connector, capacity, () => set.isConnected);
        return new EndpointPool(options, this.context, this.context.counters);
      },
    };
    return { naming, factory };
  }

  /** Lets pools that stay go by the policy in force. */
  updatePools(spec: EndpointSpec, pools: PoolSet): void {
    for (const pool of pools.all()) {
      const { connector, expectedCapacity, isConnected } = pool.options;
      pool.options = this.poolOptions(spec, connector, expectedCapacity, isConnected);
    }
  }

  createChannel(http2: boolean, transport: Transport, owner: ChannelOwner, pingPatience = 1): Channel {
    const { channelContext } = this;
    if (!http2) return createH1Channel(transport, owner, channelContext);
    const pingAgainMs = channelContext.limits.pingAgainMs * pingPatience;
    return createH2Channel(transport, owner, { ...channelContext, pingAgainMs });
  }

  private createChannelContext(): H1ChannelContext {
    const { clock, wheel, logger, limits } = this.context;
    return { clock, wheel, logger, limits, maxRequests: this.port.policy.keepalivePool.requests };
  }

  private createTls(): ClientTls | undefined {
    const { policy, upstream } = this.port;
    if (!policy.tls) return undefined;
    return new ClientTls(policy.tls, {
      credentials: this.context.credentials,
      clock: this.context.clock,
      usedBy: `Upstream ${upstream}`,
      alpn: isGrpcScheme(policy.scheme) ? ['h2'] : ['h2', 'http/1.1'],
      onChange: () => this.owner.onIdentityChanged(),
    });
  }

  /** An endpoint that chooses its version is hoped to choose HTTP/2: one connection tells, and others follow if not. */
  private get expectedCapacity(): number {
    return this.port.policy.scheme === 'http' ? 1 : EXPECTED_STREAMS;
  }

  private poolOptions(
    spec: EndpointSpec,
    connector: PoolOptions['connector'],
    expectedCapacity: number,
    isConnected: PoolOptions['isConnected'],
  ): PoolOptions {
    const { scheme, timeout, keepalivePool }: PortPolicy = this.port.policy;
    const id = endpointId(spec.address, spec.port);
    return {
      address: spec.address,
      port: spec.port,
      connectTimeoutMs: timeout.connectMs,
      keepalive: keepalivePool,
      createChannel: (transport, owner, pingPatience) =>
        this.createChannel(isGrpcScheme(scheme) || transport.tls?.alpn === 'h2', transport, owner, pingPatience),
      expectedCapacity,
      connector,
      breaker: this.owner.breaker,
      isConnected,
      onSecured: (facts) => this.owner.onSecured(id, facts),
      onConnectFailed: (kind, detail) => this.owner.onConnectFailed(id, kind, detail),
    };
  }
}

/** An upgrade needs a connection that speaks HTTP/1. */
function withoutHttp2(connector: TlsConnector | TlsRefusal): TlsConnector | TlsRefusal {
  return 'kind' in connector ? connector : { ...connector, alpn: ['http/1.1'] };
}
