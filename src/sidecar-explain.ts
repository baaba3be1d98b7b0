// The answer to the admin method Explain, made of the live objects: which listener and target take a request, whether the
// session and the proxy let it pass, and what the upstream port would do with it. proxy/handle.ts `match` asks the same
// questions in the same order, of a request that came.
import type { ExplainQuery, Explanation, PortView } from './admin/views.ts';
import type { RequestHead } from './codec/exchange.ts';
import { findField } from './codec/fields.ts';
import { isGrpcContentType } from './codec/grpc/status.ts';
import { Fault } from './codec/h1/fault.ts';
import { DEFAULT_LIMITS, type WireLimits } from './codec/limits.ts';
import { foreseeHead } from './downstream/explain.ts';
import { ERROR_TABLE } from './model/error-table.ts';
import { isGrpcScheme } from './model/policy.ts';
import { CallDeadline } from './proxy/deadline.ts';
import { GatewayPassage } from './proxy/gateway.ts';
import { missingBridge } from './proxy/missing-bridge.ts';
import { whyNoTarget } from './route/authority.ts';
import type { LiveConfig, LiveListener } from './runtime/live-config.ts';
import type { Cluster } from './upstream/cluster.ts';
import { explainPick, type Refusal } from './upstream/explain.ts';

/** Callers come from some port; which one can't be known. */
const REMOTE_PORT = 40_000;

/** Where a request would go; undefined where no listener has the port. */
export function explainRequest(
  config: LiveConfig,
  query: ExplainQuery,
  nowMs: number,
  viewOf: (cluster: Cluster) => PortView,
  limits: WireLimits = DEFAULT_LIMITS,
): Explanation | undefined {
  const { port, authority, path, httpMethod, fields, isGrpc: isGrpcCall } = query;
  const listener = [...config.listeners.values()].find((one) => one.port === port);
  if (!listener) return undefined;
  const { protocols, tls, name } = listener.spec;
  if (!listener.bound) return refused(name, 'not_listening', listener.error || 'it is being bound');
  if (listener.bindError === '' && listener.error !== '') return refusal(name, 'tls_handshake_failure', listener.error);
  if (isGrpcCall && protocols === 'http1') {
    return refusal(name, 'bad_request', 'a gRPC call is HTTP/2, and the listener speaks HTTP/1 only');
  }
  const head = foreseeHead(
    {
      http2: isGrpcCall || protocols === 'http2',
      scheme: tls ? 'https' : 'http',
      method: httpMethod,
      path,
      authority,
      fields,
    },
    limits,
  );
  if (head instanceof Fault) return refusal(name, head.kind, head.detail);
  const connection = connectionOf(listener, query);
  const { gateway } = config;
  const passage =
    listener.route.gateway && new GatewayPassage(head, connection.connection, listener.route.gateway.hostname);
  const passed = passage && gateway?.foresee(passage);
  const route = passed?.lines ?? [];
  if (passed?.answer !== undefined) return { ...refusal(name, passed.answer.kind, passed.answer.detail), route };
  const cluster = passed === undefined ? listener.route.pick(head.authority) : passed.cluster;
  if (cluster === undefined) return refusal(name, 'no_route', whyNoTarget(head.authority));
  if (typeof cluster === 'string') return refusal(name, 'no_endpoints', `${cluster} is not configured yet`);
  const isGrpc = head.method === 'POST' && isGrpcContentType(findField(head.fields, 'content-type') ?? '');
  const call = { head, isGrpc, ...connection, caller: passage };
  const found = explainPick(cluster, call, nowMs, refusalOf(cluster, head, isGrpc, nowMs));
  return { ...found, listener: name, port: portOf(viewOf(cluster), cluster, passage), route };
}

/** The port as the request meets it: timeouts of a route stand in the place of the upstream's. */
function portOf(view: PortView, cluster: Cluster, passage: GatewayPassage | undefined): PortView {
  if (passage?.route?.timeouts === undefined) return view;
  const { connectMs, sendMs, readMs } = passage.timeouts(cluster.port.policy.timeout);
  // A connection is made under the upstream's limit too, since others may use it.
  const connect = Math.min(connectMs, cluster.port.policy.timeout.connectMs);
  const lines = new Map(
    Object.entries({ connect, send: sendMs, read: readMs }).map(([name, ms]) => [
      `timeout.${name}`,
      `timeout.${name}: ${ms / 1000}s (route)`,
    ]),
  );
  const policy = (): string[] => view.policy().map((line) => lines.get(line.slice(0, line.indexOf(':'))) ?? line);
  return { ...view, policy };
}

/** Why the upstream port refuses the request before an endpoint is picked. */
function refusalOf(cluster: Cluster, head: RequestHead, isGrpc: boolean, nowMs: number): Refusal | undefined {
  const { key, policy } = cluster.port;
  const { scheme, circuitBreakers } = policy;
  if (!cluster.breaker.requestRoom)
    return { kind: 'overflow', detail: `max_requests is ${circuitBreakers.maxRequests}` };
  const gap = missingBridge(head, isGrpc, key, scheme);
  if (gap !== undefined) return { kind: 'unsupported_bridge', detail: gap };
  if (isGrpc && isGrpcScheme(scheme) && CallDeadline.read(head.fields, nowMs) === 'malformed') {
    return { kind: 'bad_request', detail: 'grpc-timeout is malformed' };
  }
  return undefined;
}

/** The connection that the request would come over, as far as it is known. */
function connectionOf({ address, port }: LiveListener, { remoteAddress }: ExplainQuery): Connection {
  const isAny = address === '0.0.0.0' || address === '::';
  const loopback = address === '::' && remoteAddress.includes(':') ? '::1' : '127.0.0.1';
  const localAddress = isAny ? loopback : address;
  return {
    connection: { remoteAddress, remotePort: REMOTE_PORT, localAddress, localPort: port },
    localAddressIsAssumed: isAny,
  };
}

type Connection = Pick<Parameters<typeof explainPick>[1], 'connection' | 'localAddressIsAssumed'>;

function refusal(listener: string, kind: keyof typeof ERROR_TABLE, detail: string): Explanation {
  return refused(listener, kind, `${ERROR_TABLE[kind].text}${detail === '' ? '' : `: ${detail}`}`);
}

function refused(listener: string, reason: string, detail: string): Explanation {
  return {
    listener,
    route: [],
    port: undefined,
    hashKey: '',
    endpoints: [],
    endpointsLeftOut: 0,
    pick: '',
    pickReason: '',
    onFailure: [],
    refused: reason,
    refusedDetail: detail,
  };
}
