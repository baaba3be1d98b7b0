// The admin method Explain: reads the request that is asked about, and says in words where it would go.
import type { ExplainRequest, ExplainResponse } from '../gen/outrigger/admin/v1/admin.ts';
import { FieldError } from './page.ts';
import type { ExplainQuery, SidecarView } from './views.ts';

const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
const GRPC_METHOD = /^\/[^/?#\s]+\/[^/?#\s]+$/;

export function explain(view: SidecarView, request: ExplainRequest): ExplainResponse {
  const query = readQuery(request);
  const found = view.explain(query);
  if (found === undefined) {
    const known = view.listeners().map(({ address }) => address.slice(address.lastIndexOf(':') + 1));
    throw new FieldError('port', `no listener has port ${query.port}; there are ${known.join(', ') || 'none'}`);
  }
  const { port, ...rest } = found;
  return {
    ...rest,
    upstream: port?.upstream ?? '',
    servicePort: port?.servicePort ?? 0,
    policy: [...(port?.policy() ?? [])],
    notes: [...(port?.notes ?? [])],
    endpoints: rest.endpoints.map((endpoint) => ({ ...endpoint })),
    onFailure: [...rest.onFailure],
  };
}

function readQuery(request: ExplainRequest): ExplainQuery {
  const { port, authority, method, path, httpMethod, headers, remoteAddress } = request;
  if (port < 1 || port > 65_535) throw new FieldError('port', `must be between 1 and 65535, not ${port}`);
  const isGrpc = method !== '';
  if (isGrpc && path !== '') throw new FieldError('path', 'not together with method, which is the path of a gRPC call');
  if (isGrpc && !GRPC_METHOD.test(method)) {
    throw new FieldError('method', `${JSON.stringify(method)} must be /package.Service/Method`);
  }
  if (path !== '' && !path.startsWith('/')) throw new FieldError('path', 'must start with /');
  if (httpMethod !== '' && !TOKEN.test(httpMethod)) throw new FieldError('http_method', 'must be an HTTP method');
  if (isGrpc && httpMethod !== '' && httpMethod !== 'POST') {
    throw new FieldError('http_method', 'not together with method: a gRPC call is a POST');
  }
  const fields = isGrpc ? ['content-type', 'application/grpc'] : [];
  for (const [i, line] of headers.entries()) {
    const colon = line.indexOf(':');
    const name = line.slice(0, Math.max(0, colon)).trim();
    if (!TOKEN.test(name)) throw new FieldError(`headers[${i}]`, `${JSON.stringify(line)} must be a line name: value`);
    fields.push(name.toLowerCase(), line.slice(colon + 1).trim());
  }
  return {
    port,
    authority: authority === '' ? `localhost:${port}` : authority,
    path: isGrpc ? method : path === '' ? '/' : path,
    isGrpc,
    httpMethod: isGrpc ? 'POST' : httpMethod === '' ? 'GET' : httpMethod,
    fields,
    remoteAddress: remoteAddress === '' ? '127.0.0.1' : remoteAddress,
  };
}
