// The admin method Explain: reads the request that is asked about, and says in words where it would go. What a caller
// could send, however wrong, is passed on: what the sidecar says to it is the answer. Refused here is what is no request.
import { isIP, SocketAddress } from 'node:net';
import type { ExplainRequest, ExplainResponse } from '../gen/outrigger/admin/v1/admin.ts';
import { FieldError } from '../rpc/page.ts';
import type { ExplainQuery, SidecarView } from './views.ts';

const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
const GRPC_METHOD = /^\/[^/?#\s]+\/[^/?#\s]+$/;
const GRPC_CONTENT_TYPE = /^application\/grpc(?:\+|[ \t]*(?:;|$))/i;
/** What may stand around a field's value (RFC 9110 section 5.5). */
const BLANKS = /^[ \t]+|[ \t]+$/g;

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
    route: [...rest.route],
  };
}

function readQuery(request: ExplainRequest): ExplainQuery {
  const { port, method, path, httpMethod, remoteAddress } = request;
  if (port < 1 || port > 65_535) throw new FieldError('port', `must be between 1 and 65535, not ${port}`);
  const isGrpc = method !== '';
  if (isGrpc && path !== '') throw new FieldError('path', 'not together with method, which is the path of a gRPC call');
  if (isGrpc && !GRPC_METHOD.test(method)) {
    throw new FieldError('method', `${JSON.stringify(method)} must be /package.Service/Method`);
  }
  if (path !== '' && path !== '*' && !path.startsWith('/')) throw new FieldError('path', 'must start with /');
  if (httpMethod !== '' && !TOKEN.test(httpMethod)) throw new FieldError('http_method', 'must be an HTTP method');
  if (isGrpc && httpMethod !== '' && httpMethod !== 'POST') {
    throw new FieldError('http_method', 'not together with method: a gRPC call is a POST');
  }
  const { fields, authority } = readFields(request);
  return {
    port,
    authority: authority ?? `localhost:${port}`,
    path: isGrpc ? method : path === '' ? '/' : path,
    isGrpc,
    httpMethod: isGrpc ? 'POST' : httpMethod === '' ? 'GET' : httpMethod,
    fields,
    remoteAddress: remoteAddress === '' ? '127.0.0.1' : readAddress(remoteAddress),
  };
}

/** The fields, and the authority that `authority` or the first `host` among them states; undefined: neither does. */
function readFields(request: ExplainRequest): { fields: string[]; authority: string | undefined } {
  const fields: string[] = [];
  let authority = request.authority === '' ? undefined : request.authority;
  let hasHost = false;
  let hasType = false;
  for (const [i, line] of request.headers.entries()) {
    const colon = line.indexOf(':');
    const name = line.slice(0, Math.max(0, colon)).replace(BLANKS, '').toLowerCase();
    const value = line.slice(colon + 1).replace(BLANKS, '');
    if (!TOKEN.test(name)) throw new FieldError(`headers[${i}]`, `${JSON.stringify(line)} must be a line name: value`);
    if (name === 'host' && !hasHost) {
      hasHost = true;
      authority ??= value;
      if (authority !== value) {
        const both = `${JSON.stringify(value)} differs from authority ${JSON.stringify(authority)}`;
        throw new FieldError(`headers[${i}]`, `host ${both}: give one of the two`);
      }
      continue;
    }
    if (name === 'content-type' && request.method !== '') {
      hasType = true;
      if (!GRPC_CONTENT_TYPE.test(value)) {
        throw new FieldError(
          `headers[${i}]`,
          'the content-type of a gRPC call is application/grpc or application/grpc+…',
        );
      }
    }
    fields.push(name, value);
  }
  if (request.method !== '' && !hasType) fields.unshift('content-type', 'application/grpc');
  return { fields, authority };
}

/** An IP address in the spelling that connections have: IPv4 that comes over an IPv6 socket is IPv4. */
function readAddress(text: string): string {
  const version = text.includes('%') ? 0 : isIP(text);
  if (version === 0) {
    const example = 'write 10.1.2.3 or 2001:db8::1, without a port and without brackets';
    throw new FieldError('remote_address', `${JSON.stringify(text)} is no IP address: ${example}`);
  }
  const { address } = new SocketAddress({ address: text, family: version === 6 ? 'ipv6' : 'ipv4' });
  return address.startsWith('::ffff:') && address.includes('.') ? address.slice(7) : address;
}
