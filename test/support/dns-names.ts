// Names, answers and ports for tests of discovery, with what a test doesn't say filled in.
import type { Answer } from '../../src/discovery/answer.ts';
import {
  DEFAULT_ATTEMPTS,
  DEFAULT_BALANCER,
  DEFAULT_CIRCUIT_BREAKERS,
  DEFAULT_KEEPALIVE,
  DEFAULT_TIMEOUT,
} from '../../src/model/defaults.ts';
import type { PortPolicy } from '../../src/model/policy.ts';
import {
  portKey,
  type EndpointSpec,
  type NameSpec,
  type Snapshot,
  type UpstreamPort,
} from '../../src/model/snapshot.ts';

const NO_LABELS: ReadonlyMap<string, string> = new Map();

export function endpointAt(port: number, overrides: Partial<EndpointSpec> = {}): EndpointSpec {
  return {
    address: '127.0.0.1',
    port,
    weight: 1,
    priority: 0,
    draining: false,
    labels: NO_LABELS,
    host: '',
    ...overrides,
  };
}

export function nameSpec(name: string, overrides: Partial<NameSpec> = {}): NameSpec {
  return {
    kind: 'addresses',
    name,
    port: 80,
    portIsSet: true,
    weight: 1,
    priority: 0,
    labels: NO_LABELS,
    ...overrides,
  };
}

/** Plain addresses of a name. */
export function addressesAnswer(name: string, addresses: readonly string[], overrides: Partial<Answer> = {}): Answer {
  return {
    foundAs: name,
    records: undefined,
    addresses: new Map([[name, [...addresses].sort()]]),
    gaps: [],
    ttlMs: 60_000,
    ...overrides,
  };
}

/** SRV records, `PRIORITY WEIGHT PORT TARGET`, with the targets' addresses. */
export function serviceAnswer(
  name: string,
  records: readonly string[],
  targets: Readonly<Record<string, readonly string[]>>,
  overrides: Partial<Answer> = {},
): Answer {
  return {
    foundAs: name,
    records: records.map((line) => {
      const [priority = '', weight = '', port = '', target = ''] = line.split(' ');
      return { target, port: Number(port), priority: Number(priority), weight: Number(weight) };
    }),
    addresses: new Map(Object.entries(targets)),
    gaps: [],
    ttlMs: 30_000,
    ...overrides,
  };
}

const POLICY: PortPolicy = {
  scheme: 'http',
  balancer: DEFAULT_BALANCER,
  attempts: DEFAULT_ATTEMPTS,
  timeout: DEFAULT_TIMEOUT,
  keepalivePool: DEFAULT_KEEPALIVE,
  host: { passHost: 'pass', upstreamHost: '' },
  tls: undefined,
  checks: undefined,
  outlierDetection: undefined,
  circuitBreakers: DEFAULT_CIRCUIT_BREAKERS,
  warmUp: undefined,
  allUnhealthy: 'use-all',
  panicThreshold: 0,
};

/** A port `test/NAME/80`. */
export function portWithNames(
  service: string,
  names: readonly NameSpec[],
  overrides: Partial<UpstreamPort> = {},
): UpstreamPort {
  const upstream = `test/${service}`;
  return {
    key: portKey(upstream, 80),
    upstream,
    servicePort: 80,
    policy: POLICY,
    provenance: new Map(),
    endpoints: [],
    names,
    ...overrides,
  };
}

const NO_LISTENERS: Snapshot['listeners'] = new Map();
const NO_SECRETS: Snapshot['secrets'] = new Map();

export function snapshotOf(ports: readonly UpstreamPort[], number = 1): Snapshot {
  return {
    number,
    listeners: NO_LISTENERS,
    ports: new Map(ports.map((port) => [port.key, port])),
    secrets: NO_SECRETS,
    gateway: undefined,
  };
}

/** `address:port*weight` of each endpoint, with `^priority` and `@host` where they say something. */
export function shown(port: UpstreamPort | undefined): string[] {
  return (port?.endpoints ?? []).map(({ address, port: number, weight, priority, host }) => {
    const at = address.includes(':') ? `[${address}]` : address;
    return `${at}:${number}*${weight}${priority === 0 ? '' : `^${priority}`}${host === '' ? '' : `@${host}`}`;
  });
}
