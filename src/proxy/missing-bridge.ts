// Which kinds of call can't be carried to which scheme.
import type { RequestHead } from '../codec/exchange.ts';
import { isGrpcScheme, type Scheme } from '../model/policy.ts';

/** Why a request can't go to the upstream port `key`; undefined where it can. */
export function missingBridge(head: RequestHead, isGrpc: boolean, key: string, scheme: Scheme): string | undefined {
  if (head.protocol !== '' && isGrpcScheme(scheme)) return `an upgrade came to ${key}, whose scheme is ${scheme}`;
  if (!isGrpc) return undefined;
  if (head.version === 10) return 'HTTP/1.0 has no trailers, where gRPC says how a call ended';
  return isGrpcScheme(scheme) ? undefined : `a gRPC call came to ${key}, whose scheme is ${scheme}`;
}
