import type { Fields, RequestHead } from '../exchange.ts';
import { findField } from '../fields.ts';
import { isGrpcContentType } from '../grpc/status.ts';
import { isAuthority } from '../authority.ts';
import { normalizePath, PATH_FAULTS } from '../path.ts';
import {
  classifyName,
  CONNECTION_SPECIFIC,
  CONTENT_LENGTH,
  COOKIE,
  GRPC_TIMEOUT,
  HOST,
  isFieldValue,
  isPath,
  isToken,
  MALFORMED,
  ORDINARY,
  parseContentLength,
  PSEUDO,
  TE,
} from './field-syntax.ts';
import type { DecodedFields } from './hpack/decoder.ts';

/** A request head as it came, checked. May be shared by requests that came as the same block, so it isn't changed. */
export interface ReceivedRequest {
  readonly head: RequestHead;
  /** Regular fields, each cookie crumb counted. */
  readonly fieldCount: number;
  /** The method is CONNECT, with or without `:protocol`; `path` is empty then. */
  readonly isConnect: boolean;
  /** Value of grpc-timeout; undefined where there is none. */
  readonly grpcTimeout: string | undefined;
  /** A call of gRPC whose `:path` doesn't start with a slash, which names no method: UNIMPLEMENTED. */
  readonly namesNoMethod: boolean;
  /** What it costs who keeps it; see DecodedFields. */
  readonly heldBytes: number;
}

/** A copy that the callee of an exchange may change. */
export function copyRequestHead(head: RequestHead): RequestHead {
  return {
    method: head.method,
    scheme: head.scheme,
    authority: head.authority,
    path: head.path,
    protocol: head.protocol,
    version: 20,
    fields: head.fields.slice(),
    neverIndexed: head.neverIndexed,
    contentLength: head.contentLength,
  };
}

/**
 * Sorts and checks a request's fields (RFC 9113 section 8.3.1). The answer is the request, or what is wrong with it in
 * words. Cookie crumbs are joined, `host` goes into `authority`. `scheme` is the connection's: `:scheme` must be http
 * or https, but what it claims is not believed.
 */
export function readRequestHead(decoded: DecodedFields, scheme: 'http' | 'https'): ReceivedRequest | string {
  const items = decoded.items;
  const fields: Fields = [];
  let method: string | undefined;
  let claimedScheme: string | undefined;
  let authority: string | undefined;
  let path: string | undefined;
  let protocol: string | undefined;
  let host: string | undefined;
  let cookieAt = -1;
  let cookies = 0;
  let contentLength = -1;
  let grpcTimeout: string | undefined;
  let regular = false;
  let namesNoMethod = false;
  for (let i = 0; i < decoded.length; i += 2) {
    const name = items[i]!;
    const value = items[i + 1]!;
    const treatment = classifyName(name);
    if (treatment === PSEUDO) {
      if (regular) return `${name} after a regular field`;
      switch (name) {
        case ':method':
          if (method !== undefined) return 'two :method';
          method = value;
          break;
        case ':scheme':
          if (claimedScheme !== undefined) return 'two :scheme';
          claimedScheme = value;
          break;
        case ':authority':
          if (authority !== undefined) return 'two :authority';
          authority = value;
          break;
        case ':path':
          if (path !== undefined) return 'two :path';
          path = value;
          break;
        case ':protocol':
          if (protocol !== undefined) return 'two :protocol';
          protocol = value;
          break;
        default:
          return 'an unknown pseudo-field';
      }
      continue;
    }
    regular = true;
    if (treatment === MALFORMED) return 'a malformed field name';
    if (!isFieldValue(value)) return `a malformed value of ${name}`;
    switch (treatment) {
      case ORDINARY:
        break;
      case COOKIE:
        cookies++;
        if (cookieAt >= 0) {
          fields[cookieAt] += `; ${value}`;
          continue;
        }
        cookieAt = fields.length + 1;
        break;
      case CONTENT_LENGTH:
        if (contentLength >= 0) return 'two content-length';
        contentLength = parseContentLength(value);
        if (contentLength < 0) return 'a malformed content-length';
        fields.push(name, String(contentLength)); // in one form: 03 might be read as octal by others
        continue;
      case HOST:
        if (host !== undefined) return 'two host';
        host = value;
        continue;
      case TE:
        if (value.toLowerCase() !== 'trailers') return 'te other than trailers';
        break;
      case GRPC_TIMEOUT:
        grpcTimeout = value;
        break;
      case CONNECTION_SPECIFIC:
        return `the connection-specific field ${name}`;
      default:
        break;
    }
    fields.push(name, value);
  }
  if (method === undefined || !isToken(method)) return 'no valid :method';
  const isConnect = method === 'CONNECT';
  if (isConnect && protocol === undefined) {
    if (path !== undefined || claimedScheme !== undefined) return 'CONNECT with :scheme or :path';
  } else {
    if (protocol !== undefined && !isConnect) return ':protocol without CONNECT';
    if (claimedScheme !== 'http' && claimedScheme !== 'https') return 'no valid :scheme';
    if (path === undefined) return 'no valid :path';
    if (!isPath(path) && !(path === '*' && method === 'OPTIONS')) {
      const isRooted = path === '' || path.charCodeAt(0) === 0x2f;
      if (isRooted || !isFieldValue(path) || !isGrpcContentType(findField(fields, 'content-type') ?? '')) {
        return 'no valid :path';
      }
      namesNoMethod = true;
    } else {
      const normal = normalizePath(path);
      if (typeof normal === 'number') return PATH_FAULTS[normal];
      path = normal;
    }
  }
  if (authority !== undefined && host !== undefined && authority.toLowerCase() !== host.toLowerCase()) {
    return ':authority and host differ';
  }
  const named = authority ?? host;
  if (named === undefined || !isAuthority(named)) return 'no valid :authority';
  return {
    head: {
      method,
      scheme,
      authority: named,
      path: path ?? '',
      protocol: protocol ?? '',
      version: 20,
      fields,
      neverIndexed: decoded.neverIndexed,
      contentLength,
    },
    fieldCount: fields.length / 2 + Math.max(0, cookies - 1) + (host === undefined ? 0 : 1),
    isConnect,
    grpcTimeout,
    namesNoMethod,
    heldBytes: decoded.heldBytes,
  };
}
