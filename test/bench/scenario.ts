/** What the load speaks to a proxy, and a proxy to the backend. */
export type Protocol = 'http/1.1' | 'grpc';

/** One shape of traffic, the same for every peer. */
export interface Scenario {
  readonly name: string;
  readonly summary: string;
  readonly protocol: Protocol;
  /** Connections that the load tool holds open. */
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

/** Every scenario, in the order in which a run without names takes them. */
export const SCENARIOS: readonly Scenario[] = [
  {
    name: 'h1-small',
    summary: '64-byte GET over HTTP/1.1, 64 keep-alive connections',
    protocol: 'http/1.1',
    connections: 64,
    streams: 1,
    path: '/',
    requestBody: undefined,
    responseBody: Buffer.alloc(64, 'x'),
  },
  {
    name: 'grpc-unary',
    summary: '64-byte unary calls over h2c, 8 connections of 16 streams',
    protocol: 'grpc',
    connections: 8,
    streams: 16,
    path: '/bench.v1.Echo/Unary',
    requestBody: grpcMessage(64),
    responseBody: grpcMessage(64),
  },
];

/** The scenarios of these names, all of them for no name. Throws on a name that doesn't exist. */
export function chooseScenarios(names: readonly string[]): readonly Scenario[] {
  if (names.length === 0) return SCENARIOS;
  return names.map((name) => {
    const found = SCENARIOS.find((scenario) => scenario.name === name);
    if (found === undefined) {
      throw new RangeError(`no scenario ${name}; there are: ${SCENARIOS.map((each) => each.name).join(', ')}`);
    }
    return found;
  });
}
