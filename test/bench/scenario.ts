/** What the load speaks to a proxy, and a proxy to the backend. */
export type Protocol = 'http/1.1' | 'grpc';

/**
 * What is counted: requests on connections that are kept; connections with a handshake and one request each; or
 * connections that are open and idle after that.
 */
export type Unit = 'request' | 'handshake' | 'idle connection';

/** One shape of traffic, the same for every peer. */
export interface Scenario {
  readonly name: string;
  readonly summary: string;
  readonly protocol: Protocol;
  /** Whether the load speaks TLS 1.3 to the proxy; the proxy speaks plaintext to the backend in any case. */
  readonly tls: boolean;
  readonly unit: Unit;
  /** Connections that the load tool holds open; of handshakes those at a time. */
  readonly connections: number;
  /** Requests in flight on each connection. */
  readonly streams: number;
  /** Path of each request. */
  readonly path: string;
  /** Body of each request; undefined: a GET without one. */
  readonly requestBody: Buffer | undefined;
  /** Body that the backend answers with; a gRPC answer ends with the trailer `grpc-status: 0`. */
  readonly responseBody: Buffer;
}

/** A message with gRPC's prefix: a flag byte (not compressed) and the length in four bytes. */
function grpcMessage(bytes: number): Buffer {
  const framed = Buffer.alloc(5 + bytes, 'x');
  framed.writeUInt8(0, 0);
  framed.writeUInt32BE(bytes, 1);
  return framed;
}

const H1_SMALL: Scenario = {
  name: 'h1-small',
  summary: '64-byte GET over HTTP/1.1, 64 keep-alive connections',
  protocol: 'http/1.1',
  tls: false,
  unit: 'request',
  connections: 64,
  streams: 1,
  path: '/',
  requestBody: undefined,
  responseBody: Buffer.alloc(64, 'x'),
};

const GRPC_UNARY: Scenario = {
  name: 'grpc-unary',
  summary: '64-byte unary calls over h2c, 8 connections of 16 streams',
  protocol: 'grpc',
  tls: false,
  unit: 'request',
  connections: 8,
  streams: 16,
  path: '/bench.v1.Echo/Unary',
  requestBody: grpcMessage(64),
  responseBody: grpcMessage(64),
};

/** What a run without names takes: they fit into three minutes. */
export const DEFAULT_SCENARIOS: readonly Scenario[] = [H1_SMALL, GRPC_UNARY];

/** Every scenario, in the order in which `all` takes them. */
export const SCENARIOS: readonly Scenario[] = [
  ...DEFAULT_SCENARIOS,
  { ...H1_SMALL, name: 'tls-h1', summary: 'h1-small over TLS 1.3', tls: true },
  { ...GRPC_UNARY, name: 'tls-h2', summary: 'grpc-unary over TLS 1.3', tls: true },
  {
    ...H1_SMALL,
    name: 'tls-handshakes',
    summary: 'a new TLS 1.3 connection for each 64-byte GET, no session resumed, 32 at a time',
    tls: true,
    unit: 'handshake',
    connections: 32,
  },
  {
    ...H1_SMALL,
    name: 'tls-idle',
    summary: '2,000 TLS 1.3 connections that are idle after a 64-byte GET each; the proxy is new in each round',
    tls: true,
    unit: 'idle connection',
    connections: 2_000,
  },
];

/** The scenarios of these names, `all` for every one, the default ones for no name. Throws on an unknown name. */
export function chooseScenarios(names: readonly string[]): readonly Scenario[] {
  if (names.length === 0) return DEFAULT_SCENARIOS;
  if (names.length === 1 && names[0] === 'all') return SCENARIOS;
  return names.map((name) => {
    const found = SCENARIOS.find((scenario) => scenario.name === name);
    if (found === undefined) {
      throw new RangeError(`no scenario ${name}; there are: ${SCENARIOS.map((each) => each.name).join(', ')}`);
    }
    return found;
  });
}
