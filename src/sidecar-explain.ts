// The answer to the admin method Explain, made of the live objects: which listener and target take a request, and what the
// upstream port would do with it.
import type { ExplainQuery, Explanation, PortView } from './admin/views.ts';
import type { RequestHead } from './codec/exchange.ts';
import { ERROR_TABLE } from './model/error-table.ts';
import { isGrpcScheme } from './model/policy.ts';
import type { LiveConfig } from './runtime/live-config.ts';
import type { Cluster } from './upstream/cluster.ts';
import { explainPick } from './upstream/explain.ts';

/** Callers come from some port; which one says nothing. */
const REMOTE_PORT = 40_000;

/** Where a request would go; undefined where no listener has the port. */
export function explainRequest(
  config: LiveConfig,
  query: ExplainQuery,
  nowMs: number,
  viewOf: (cluster: Cluster) => PortView,
): Explanation | undefined {
  const { port, authority, path, httpMethod, fields, isGrpc, remoteAddress } = query;
  const listener = [...config.listeners.values()].find((one) => one.port === port);
  if (!listener) return undefined;
  const refused = (kind: keyof typeof ERROR_TABLE, detail: string): Explanation => ({
    listener: listener.spec.name,
    port: undefined,
    hashKey: '',
    endpoints: [],
    pick: '',
    pickReason: '',
    onFailure: [],
    refused: kind,
    refusedDetail: `${ERROR_TABLE[kind].text}: ${detail}`,
  });
  const cluster = listener.route.pick(authority);
  if (cluster === undefined) return refused('no_route', authority);
  if (typeof cluster === 'string') return refused('no_endpoints', `${cluster} is not configured yet`);
  const { scheme } = cluster.port.policy;
  if (isGrpc && !isGrpcScheme(scheme)) {
    const detail = `a gRPC call to ${cluster.port.key}, whose scheme is ${scheme}`;
    return { ...refused('unsupported_bridge', detail), port: viewOf(cluster) };
  }
  const head: RequestHead = {
    method: httpMethod,
    scheme: 'http',
    authority,
    path,
    protocol: '',
    version: isGrpc ? 20 : 11,
    fields: [...fields],
    neverIndexed: undefined,
    contentLength: -1,
  };
  const connection = { remoteAddress, remotePort: REMOTE_PORT, localAddress: listener.address, localPort: port };
  const found = explainPick(cluster, { head, isGrpc, connection }, nowMs);
  return { ...found, listener: listener.spec.name, port: viewOf(cluster) };
}
