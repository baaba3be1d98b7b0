// The fields that a request gains on its way: who called, by what name, which request it is, and the loop guard.
// docs/request.md lists them. Guarded by `npm run bench -- micro forwarding`.
import type { RandomHex } from '../base/rng.ts';
import type { Fields, HttpVersion, RequestHead } from '../codec/exchange.ts';

/** How often a request may carry this sidecar's own name in `Via` before it is taken for a loop. */
const MAX_OWN_PASSES = 3;

const LETTER_T = 0x74;
const LETTER_V = 0x76;
const LETTER_X = 0x78;

/** What forwarding needs to know about the process. */
export interface ForwardingContext {
  /** Pseudonym in `Via` (RFC 9110 section 7.6.3), unique to this process. */
  readonly pseudonym: string;
  /** This sidecar's entry in `Via`, by the version that the request came with. */
  readonly via: Readonly<Record<HttpVersion, string>>;
  /** Where the ids of requests come from. */
  readonly ids: RandomHex;
}

/** `pseudonym` and `ids`: see {@link ForwardingContext}. */
export function createForwarding(pseudonym: string, ids: RandomHex): ForwardingContext {
  const via = { 10: `1.0 ${pseudonym}`, 11: `1.1 ${pseudonym}`, 20: `2.0 ${pseudonym}` };
  return { pseudonym, via, ids };
}

/** What forwarding tells the access log. */
export interface Forwarded {
  requestId: string;
  /** The request has come back to this sidecar too often. */
  loops: boolean;
}

/**
 * Adds the forwarding fields to `head.fields`, in place. X-Forwarded-For grows by the caller's address. The other
 * X-Forwarded-* and X-Real-IP are set, except that a caller on this machine (the application) may have set them
 * itself and is believed; from others X-Forwarded-Client-Cert is dropped too. x-request-id and traceparent are kept if there.
 */
export function addForwardingFields(
  head: RequestHead,
  remoteAddress: string,
  localPort: number,
  context: ForwardingContext,
): Forwarded {
  const fields = head.fields;
  const trusted = isLoopback(remoteAddress);
  let forwardedFor = -1;
  let via = -1;
  let passes = 0;
  let requestId = '';
  let hasTrace = false;
  let proto = false;
  let host = false;
  let port = false;
  let realIp = false;
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i]!;
    // First letters first: most fields are none of these, and folding case costs more than comparing numbers.
    const first = name.charCodeAt(0) | 0x20;
    if (first !== LETTER_X && first !== LETTER_T && first !== LETTER_V) continue;
    switch (name.toLowerCase()) {
      case 'via':
        via = i;
        passes += fields[i + 1]!.split(context.pseudonym).length - 1;
        break;
      case 'x-forwarded-for':
        if (forwardedFor >= 0) {
          fields[forwardedFor + 1] += ', ' + fields[i + 1]!;
          fields.splice(i, 2);
          i -= 2;
        } else forwardedFor = i;
        break;
      case 'x-request-id':
        // An empty one says nothing, and two of a name would leave it to the server which one counts.
        if (requestId !== '' || fields[i + 1] === '') {
          fields.splice(i, 2);
          i -= 2;
        } else requestId = fields[i + 1]!;
        break;
      case 'traceparent':
        hasTrace = true;
        break;
      case 'x-forwarded-proto':
        proto = keepOrDrop(fields, i, trusted);
        if (!proto) i -= 2;
        break;
      case 'x-forwarded-host':
        host = keepOrDrop(fields, i, trusted);
        if (!host) i -= 2;
        break;
      case 'x-forwarded-port':
        port = keepOrDrop(fields, i, trusted);
        if (!port) i -= 2;
        break;
      case 'x-forwarded-client-cert':
        // Whose certificate a caller showed is for a proxy to say that the endpoint trusts, never for the caller.
        if (!keepOrDrop(fields, i, trusted)) i -= 2;
        break;
      case 'x-real-ip':
        realIp = keepOrDrop(fields, i, trusted);
        if (!realIp) i -= 2;
        break;
      default:
    }
  }
  if (forwardedFor >= 0) fields[forwardedFor + 1] += ', ' + remoteAddress;
  else fields.push('x-forwarded-for', remoteAddress);
  if (!proto) fields.push('x-forwarded-proto', head.scheme);
  if (!host && head.authority !== '') fields.push('x-forwarded-host', head.authority);
  if (!port) fields.push('x-forwarded-port', String(localPort));
  if (!realIp) fields.push('x-real-ip', remoteAddress);
  if (requestId === '' || !hasTrace) {
    const trace = context.ids.take(32);
    if (requestId === '') fields.push('x-request-id', (requestId = trace));
    // Flags 00: this sidecar doesn't record the trace (W3C Trace Context section 3.2).
    if (!hasTrace) fields.push('traceparent', `00-${trace}-${context.ids.take(16)}-00`);
  }
  const own = context.via[head.version];
  if (via < 0) {
    fields.push('via', own);
    return { requestId, loops: false };
  }
  fields[via + 1] += ', ' + own;
  return { requestId, loops: passes >= MAX_OWN_PASSES };
}

function keepOrDrop(fields: Fields, at: number, trusted: boolean): boolean {
  if (!trusted) fields.splice(at, 2);
  return trusted;
}

/** Whether a caller is on this machine. */
export function isLoopback(address: string): boolean {
  return address.startsWith('127.') || address === '::1';
}
