// The real data plane on real sockets, configured by hand: a listener on a free port in front of given endpoints.
import type { ErrorKind } from '../../src/base/error.ts';
import type { Credentials } from '../../src/identity/credentials.ts';
import { createCredentials } from '../../src/identity/live-credentials.ts';
import { ServerTls } from '../../src/identity/server-tls.ts';
import type { ListenerTlsSpec } from '../../src/model/tls.ts';
import { silentLogger } from '../../src/base/log.ts';
import { systemClock, type Clock } from '../../src/base/clock.ts';
import { seededRng } from '../../src/base/rng.ts';
import { seededHex } from './seeded-hex.ts';
import { TimerWheel } from '../../src/base/timer-wheel.ts';
import { DEFAULT_LIMITS, type WireLimits } from '../../src/codec/limits.ts';
import { ConnectionQuota } from '../../src/downstream/connection-quota.ts';
import { Listener } from '../../src/downstream/listener.ts';
import { Cells } from '../../src/model/cells.ts';
import {
  DEFAULT_ATTEMPTS,
  DEFAULT_BALANCER,
  DEFAULT_CIRCUIT_BREAKERS,
  DEFAULT_KEEPALIVE,
  DEFAULT_TIMEOUT,
} from '../../src/model/defaults.ts';
import type {
  AttemptsPolicy,
  BalancerPolicy,
  CircuitBreakerPolicy,
  TimeoutPolicy,
  PortPolicy,
} from '../../src/model/policy.ts';
import { portKey, type EndpointSpec, type ListenerSpec, type Snapshot } from '../../src/model/snapshot.ts';
import { describeBindError } from '../../src/net/listen.ts';
import { createForwarding } from '../../src/proxy/forwarding.ts';
import { createRequestHandler } from '../../src/proxy/handle.ts';
import type { RequestRecord } from '../../src/proxy/record.ts';
import { LiveGatewayState } from '../../src/runtime/live-gateway.ts';
import { LiveConfig } from '../../src/runtime/live-config.ts';
import { Counters } from '../../src/telemetry/counters.ts';
import { Cluster } from '../../src/upstream/cluster.ts';

const ALPN = { auto: ['h2', 'http/1.1'], http1: ['http/1.1'], http2: ['h2'] } as const;

export interface TestDataPlane {
  /** Port of the only listener. */
  readonly port: number;
  readonly config: LiveConfig;
  /** Finished requests. */
  readonly records: RequestRecord[];
  readonly cluster: Cluster;
  /** Requests and connections that a session or a handshake refused: kind, detail, remote address. */
  readonly refusals: readonly [ErrorKind, string, string][];
  readonly credentials: Credentials;
  readonly counters: Counters;
  readonly quota: ConnectionQuota;
  /** New endpoints or policy for the same upstream port. */
  update(endpoints: readonly number[], policy?: TestPolicy): Promise<void>;
  close(): void;
}

/** What a test says of a policy; the rest is the default. */
export type TestPolicy = Partial<Omit<PortPolicy, 'attempts' | 'timeout' | 'balancer' | 'circuitBreakers'>> & {
  readonly attempts?: Partial<AttemptsPolicy>;
  readonly timeout?: Partial<TimeoutPolicy>;
  readonly balancer?: Partial<BalancerPolicy>;
  readonly circuitBreakers?: Partial<CircuitBreakerPolicy>;
};

export function testPolicy({
  attempts,
  timeout,
  balancer,
  circuitBreakers,
  ...overrides
}: TestPolicy = {}): PortPolicy {
  return {
    scheme: 'http',
    balancer: { ...DEFAULT_BALANCER, ...balancer },
    attempts: { ...DEFAULT_ATTEMPTS, ...attempts },
    timeout: { ...DEFAULT_TIMEOUT, ...timeout },
    keepalivePool: DEFAULT_KEEPALIVE,
    host: { passHost: 'pass', upstreamHost: '' },
    tls: undefined,
    checks: undefined,
    outlierDetection: undefined,
    circuitBreakers: { ...DEFAULT_CIRCUIT_BREAKERS, ...circuitBreakers },
    warmUp: undefined,
    allUnhealthy: 'use-all',
    panicThreshold: 0,
    ...overrides,
  };
}

export function endpointAt(port: number, overrides: Partial<EndpointSpec> = {}): EndpointSpec {
  return {
    address: '127.0.0.1',
    port,
    weight: 1,
    priority: 0,
    draining: false,
    labels: new Map(),
    host: '',
    ...overrides,
  };
}

/** What is seldom said. */
export interface TestDataPlaneOptions {
  readonly protocols?: ListenerSpec['protocols'];
  readonly limits?: Partial<WireLimits>;
  /** File descriptors of the process, of which `connectionShare` is the callers'. */
  readonly descriptors?: number;
  /** Time that a test moves, over real sockets. */
  readonly clock?: Clock;
}

/** Starts one; `endpoints` are ports of loopback. */
export async function startDataPlane(
  endpoints: readonly (number | EndpointSpec)[],
  policy: TestPolicy = {},
  listenerTls?: ListenerTlsSpec,
  { protocols = 'auto', limits = {}, descriptors = 20_000, clock = systemClock() }: TestDataPlaneOptions = {},
): Promise<TestDataPlane> {
  const wheel = new TimerWheel(clock);
  const rng = seededRng(7);
  const records: RequestRecord[] = [];
  const refusals: [ErrorKind, string, string][] = [];
  const shared = {
    clock,
    wheel,
    rng,
    logger: silentLogger,
    limits: { ...DEFAULT_LIMITS, ...limits },
    counters: new Counters(),
    quota: new ConnectionQuota(descriptors, limits.connectionShare ?? DEFAULT_LIMITS.connectionShare),
  };
  const credentials = createCredentials({ clock, logger: silentLogger });
  const cells = { endpointCells: new Cells(), portCells: new Cells() };
  const config = new LiveConfig({
    clock,
    rng,
    logger: silentLogger,
    bind: '127.0.0.1',
    ephemeralPorts: true,
    createGateway: (clusters) => new LiveGatewayState({ clock, hostname: 'test', carriesAdmin: true }, clusters),
    createCluster: (port) =>
      new Cluster(port, {
        ...shared,
        ...cells,
        credentials,
        hostname: 'test',
        onNotes: () => undefined,
        onEndpointChange: () => undefined,
        onConnectFailed: () => undefined,
      }),
    createHandler: (route) =>
      createRequestHandler(
        {
          ...shared,
          ...createForwarding('outrigger-test', seededHex(7)),
          onFinished: (record) => records.push(record),
        },
        route,
      ),
    credentials,
    createTls: ({ name, tls }) =>
      tls && new ServerTls(tls, { ...shared, credentials, usedBy: name, alpn: ALPN[protocols] }),
    bindListener: (address, port, protocols, handle, tls) =>
      Listener.bind(
        address,
        port,
        protocols,
        handle,
        { ...shared, onRefused: (...refused) => refusals.push(refused) },
        tls,
      ),
    describeBindError: (error, address, port) => describeBindError(error as NodeJS.ErrnoException, address, port),
  });
  const key = portKey('test/upstream', 80);
  let number = 0;
  const listeners = new Map([
    [
      'outbound/80',
      {
        name: 'outbound/80',
        address: undefined,
        port: 0,
        protocols,
        tls: listenerTls,
        targets: [{ port: key, authorities: [] }],
      },
    ],
  ]);
  const apply = async (specs: readonly (number | EndpointSpec)[], effective: PortPolicy): Promise<void> => {
    const list = specs.map((spec) => (typeof spec === 'number' ? endpointAt(spec) : spec));
    const port = {
      key,
      upstream: 'test/upstream',
      servicePort: 80,
      policy: effective,
      provenance: new Map(),
      endpoints: list,
      names: [],
    };
    const snapshot: Snapshot = {
      number: ++number,
      listeners,
      ports: new Map([[key, port]]),
      secrets: new Map(),
      gateway: undefined,
    };
    await config.apply(snapshot);
  };
  let current = testPolicy(policy);
  await apply(endpoints, current);
  const listener = config.listeners.get('outbound/80');
  const cluster = config.clusters.get(key);
  if (!listener || !cluster) throw new Error('not applied');
  return {
    port: listener.port,
    config,
    records,
    refusals,
    credentials,
    counters: shared.counters,
    quota: shared.quota,
    cluster,
    update: (next, overrides) => apply(next, (current = overrides ? testPolicy({ ...policy, ...overrides }) : current)),
    close: () => {
      config.destroy();
      credentials.stop();
    },
  };
}
