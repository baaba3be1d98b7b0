import type { ErrorKind } from '../base/error.ts';
import type { RequestHead } from '../codec/exchange.ts';
import type { RouteSpec } from '../model/gateway.ts';
import type { Cluster } from '../upstream/cluster.ts';
import type { LiveEndpoint } from '../upstream/endpoint.ts';

/** One try of a request. */
export interface AttemptRecord {
  readonly endpoint: LiveEndpoint;
  /** Undefined: it was answered. */
  readonly error: ErrorKind | undefined;
  /** Status of the answer; 0 without one. */
  readonly status: number;
  /** From its start to the answer's head; -1 without one. */
  readonly headMs: number;
  readonly durationMs: number;
}

/** What is known of a request when it is over. Counters, histograms and the access log are made from it. */
export interface RequestRecord {
  readonly durationMs: number;
  readonly head: RequestHead;
  readonly isGrpc: boolean;
  /** Undefined where no target matched. */
  readonly cluster: Cluster | undefined;
  /** HTTP status sent; 0 where the caller was gone before. */
  readonly status: number;
  /** gRPC status that the upstream sent, or that its reset means; -1 without one. */
  readonly grpcStatus: number;
  /** Undefined: the upstream's answer was handed on whole. */
  readonly error: ErrorKind | undefined;
  readonly bytesReceived: number;
  readonly bytesSent: number;
  readonly remoteAddress: string;
  readonly requestId: string;
  /** Of a request to the gateway: the route that it matched and who called; undefined where there is none. */
  readonly route: RouteSpec | undefined;
  readonly consumer: string | undefined;
  readonly attempts: readonly AttemptRecord[];
}
