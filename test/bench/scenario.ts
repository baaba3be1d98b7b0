// Every scenario. What isn't said here is alike in all of them: one proxy on one core, one origin and one load tool on the
// other.

/** What a connection speaks: HTTP/1.1, or HTTP/2 without negotiation (over TLS by ALPN). */
export type Version = 'h1' | 'h2';

/**
 * What is counted, and what a figure is of: requests; connections with a full handshake and one request each;
 * connections that are open and idle after a request; bytes that went through; requests at a fixed rate, of which the
 * time counts; or starts of the proxy.
 */
export type Unit = 'request' | 'handshake' | 'idle connection' | 'MiB' | 'GiB' | 'paced request' | 'start';

/** One shape of traffic, the same for every peer. */
export interface Scenario {
  readonly name: string;
  readonly summary: string;
  /** What the load speaks to the proxy. */
  readonly downstream: Version;
  /** What the proxy speaks to the backend. */
  readonly upstream: Version;
  /** Whether requests are gRPC calls; then both sides are `h2`. */
  readonly isGrpc: boolean;
  /** Whether the load speaks TLS 1.3 to the proxy; the proxy speaks plaintext to the backend in any case. */
  readonly tls: boolean;
  readonly unit: Unit;
  /** Connections that the load tool holds open; of handshakes those at a time. */
  readonly connections: number;
  /** Requests in flight on each connection. */
  readonly streams: number;
  /** Whether each request has a connection of its own. */
  readonly isClosing: boolean;
  /** Path of each request. */
  readonly path: string;
  /** Body of each request, sent with POST; undefined: a GET without one. */
  readonly requestBody: Buffer | undefined;
  /**
   * Body that the backend answers with, for gRPC before the trailer `grpc-status: 0`; undefined: {@link BULK_BYTES}
   * zeros, which the load tool counts.
   */
  readonly responseBody: Buffer | undefined;
  /** Where the backend listens; `0.0.0.0` stands for all of 127.x.y.z. */
  readonly backendAddress: '127.0.0.1' | '0.0.0.0';
  /** The peers that take part, by name. A second build of the sidecar takes part wherever the first does. */
  readonly peers: readonly string[];
  /** Why somebody doesn't, or what else one should know. */
  readonly note?: string | undefined;
  /** Whether a run without names takes it. */
  readonly isDefault: boolean;
}

/** Length of the large answer. */
export const BULK_BYTES = 1024 ** 3;

/** Routes of the scenario with many of them; each takes the paths below its number. */
export const MANY_ROUTES = 10_000;
/** Endpoints of the scenario with many of them. */
export const MANY_ENDPOINTS = 1_000;

const LAST_ROUTE_PATH = `/r${MANY_ROUTES - 1}/index.html`;
const MESSAGE_BYTES = 16 * 1024;
const GATEWAY_NOTE = 'outrigger: a listener, as in h1-small; outrigger-gateway: the gateway with one route';
const NO_H2_UPSTREAM = 'nginx speaks no HTTP/2 to an origin, except in calls of gRPC';

/** A message with gRPC's prefix: a flag byte (not compressed) and the length in four bytes. */
function grpcMessage(bytes: number): Buffer {
  const framed = Buffer.alloc(5 + bytes, 'x');
  framed.writeUInt8(0, 0);
  framed.writeUInt32BE(bytes, 1);
  return framed;
}

/** 10 MiB in messages of 16 KiB. */
const STREAM = Buffer.concat(
  Array.from({ length: (10 * 1024 * 1024) / MESSAGE_BYTES }, () => grpcMessage(MESSAGE_BYTES)),
);

const H1_SMALL: Scenario = {
  name: 'h1-small',
  summary: '64-byte GET over HTTP/1.1, 64 keep-alive connections',
  downstream: 'h1',
  upstream: 'h1',
  isGrpc: false,
  tls: false,
  unit: 'request',
  connections: 64,
  streams: 1,
  isClosing: false,
  path: '/',
  requestBody: undefined,
  responseBody: Buffer.alloc(64, 'x'),
  backendAddress: '127.0.0.1',
  peers: ['outrigger', 'nginx', 'haproxy', 'envoy', 'node-http'],
  isDefault: true,
};

const H2_SMALL: Scenario = {
  ...H1_SMALL,
  name: 'h2-small',
  summary: '64-byte GET over h2c on both sides, 8 connections of 16 streams',
  downstream: 'h2',
  upstream: 'h2',
  connections: 8,
  streams: 16,
  peers: ['outrigger', 'haproxy', 'envoy'],
  note: NO_H2_UPSTREAM,
};

const GRPC_UNARY: Scenario = {
  ...H2_SMALL,
  name: 'grpc-unary',
  summary: '64-byte unary calls over h2c, 8 connections of 16 streams',
  isGrpc: true,
  path: '/bench.v1.Echo/Unary',
  requestBody: grpcMessage(64),
  responseBody: grpcMessage(64),
  peers: ['outrigger', 'nginx', 'haproxy', 'envoy', 'node-http'],
  note: undefined,
};

const IDLE: Scenario = {
  ...H1_SMALL,
  name: 'idle',
  summary: '10,000 connections that are idle after a 64-byte GET each; the proxy is new in each round',
  unit: 'idle connection',
  connections: 10_000,
  peers: ['outrigger', 'haproxy', 'envoy'],
};

const BULK: Scenario = {
  ...H1_SMALL,
  name: 'bulk',
  summary: '1 GiB GET over HTTP/1.1, one at a time',
  unit: 'GiB',
  connections: 1,
  path: '/bulk',
  responseBody: undefined,
  peers: ['outrigger', 'nginx', 'haproxy', 'envoy'],
};

/** Every scenario, in the order in which `all` takes them. */
export const SCENARIOS: readonly Scenario[] = [
  H1_SMALL,
  {
    ...H1_SMALL,
    name: 'h1-10k',
    summary: 'h1-small with answers of 10 KiB',
    responseBody: Buffer.alloc(10 * 1024, 'x'),
    peers: ['outrigger', 'haproxy', 'envoy', 'node-http'],
  },
  {
    ...H1_SMALL,
    name: 'h1-post',
    summary: 'h1-small with POST and 4 KiB of body',
    requestBody: Buffer.alloc(4 * 1024, 'x'),
    peers: ['outrigger', 'haproxy', 'envoy'],
  },
  H2_SMALL,
  GRPC_UNARY,
  {
    ...GRPC_UNARY,
    name: 'grpc-stream',
    summary: 'calls with 10 MiB in messages of 16 KiB each way, 4 at a time',
    unit: 'MiB',
    connections: 4,
    streams: 1,
    path: '/bench.v1.Echo/Stream',
    requestBody: STREAM,
    responseBody: STREAM,
    peers: ['outrigger', 'nginx', 'haproxy', 'envoy'],
  },
  {
    ...H1_SMALL,
    name: 'h1-to-h2',
    summary: 'h1-small to an origin that speaks h2c',
    upstream: 'h2',
    peers: ['outrigger', 'haproxy', 'envoy'],
    note: NO_H2_UPSTREAM,
  },
  {
    ...H2_SMALL,
    name: 'h2-to-h1',
    summary: 'h2-small to an origin that speaks HTTP/1.1',
    upstream: 'h1',
    note: undefined,
  },
  {
    ...H1_SMALL,
    name: 'tls-h1',
    summary: 'h1-small over TLS 1.3',
    tls: true,
    peers: ['outrigger', 'nginx', 'haproxy', 'envoy', 'node-http'],
  },
  {
    ...GRPC_UNARY,
    name: 'tls-h2',
    summary: 'grpc-unary over TLS 1.3',
    tls: true,
    peers: ['outrigger', 'haproxy', 'envoy'],
  },
  BULK,
  {
    ...H1_SMALL,
    name: 'churn',
    summary: 'a new connection for each 64-byte GET, 64 at a time',
    isClosing: true,
    peers: ['outrigger', 'haproxy', 'envoy'],
  },
  IDLE,
  {
    ...H1_SMALL,
    name: 'many-endpoints',
    summary: 'h1-small to 1,000 endpoints, an active check on each; beside it to one',
    backendAddress: '0.0.0.0',
    peers: [
      ...['outrigger', 'outrigger-many-endpoints', 'haproxy', 'haproxy-many-endpoints'],
      ...['envoy', 'envoy-many-endpoints'],
    ],
  },
  {
    ...H1_SMALL,
    name: 'many-routes',
    summary: 'h1-small by the last of 10,000 routes of a gateway; beside it without routes',
    note: GATEWAY_NOTE,
    path: LAST_ROUTE_PATH,
    peers: ['outrigger', 'outrigger-gateway', 'outrigger-many-routes', 'envoy', 'envoy-many-routes'],
  },
  {
    ...H1_SMALL,
    name: 'reload',
    summary: 'h1-small while the control plane changes an endpoint every 50 ms; beside it without changes',
    note: GATEWAY_NOTE,
    peers: ['outrigger', 'outrigger-gateway', 'outrigger-reload'],
  },
  {
    ...H1_SMALL,
    name: 'start',
    summary: 'from the start of the process until it serves, and memory two seconds later',
    unit: 'start',
    peers: ['outrigger-static', 'outrigger', 'nginx', 'haproxy', 'envoy'],
    note: 'outrigger-static: run --listen … --to …; outrigger: run --control … to a control plane that runs',
  },
  {
    ...H1_SMALL,
    name: 'latency-h1',
    summary: 'time of h1-small at a fixed rate: half of what envoy manages, half of what outrigger does',
    unit: 'paced request',
    peers: ['outrigger', 'haproxy', 'envoy'],
  },
  {
    ...GRPC_UNARY,
    name: 'latency-grpc',
    summary: 'time of grpc-unary at a fixed rate: half of what envoy manages, half of what outrigger does',
    unit: 'paced request',
    peers: ['outrigger', 'haproxy', 'envoy'],
  },
  {
    ...BULK,
    name: 'bulk-h2',
    summary: '1 GiB GET over h2c on both sides, one at a time',
    downstream: 'h2',
    upstream: 'h2',
    peers: ['outrigger', 'haproxy', 'envoy'],
    note: NO_H2_UPSTREAM,
    isDefault: false,
  },
  {
    ...H1_SMALL,
    name: 'tls-handshakes',
    summary: 'a new TLS 1.3 connection for each 64-byte GET, no session resumed, 32 at a time',
    tls: true,
    unit: 'handshake',
    connections: 32,
    isDefault: false,
  },
  {
    ...IDLE,
    name: 'tls-idle',
    summary: '2,000 TLS 1.3 connections that are idle after a 64-byte GET each; the proxy is new in each round',
    tls: true,
    connections: 2_000,
    isDefault: false,
  },
];

/** What a run without names takes. */
export const DEFAULT_SCENARIOS: readonly Scenario[] = SCENARIOS.filter(({ isDefault }) => isDefault);

/** The scenarios of these names, `all` for every one, the default ones for no name. Throws on an unknown name. */
export function chooseScenarios(names: readonly string[]): readonly Scenario[] {
  if (names.length === 0) return DEFAULT_SCENARIOS;
  if (names.length === 1 && names[0] === 'all') return SCENARIOS;
  return names.map(scenarioNamed);
}

/** The scenario of a name. Throws if there is none. */
export function scenarioNamed(name: string): Scenario {
  const found = SCENARIOS.find((scenario) => scenario.name === name);
  if (found === undefined) {
    throw new RangeError(`no scenario ${name}; there are: ${SCENARIOS.map((each) => each.name).join(', ')}`);
  }
  return found;
}
