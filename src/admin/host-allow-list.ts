// Guards the HTTP pages against DNS rebinding: a web page whose name is made to resolve to this machine sends its own
// name as Host. An address typed as such can't be rebound.
import { isIP } from 'node:net';

/** Why a request with this Host is refused, with its status; undefined if it is fine. `bound` is the address bound. */
export function refuseHost(host: string | undefined, bound: string): { status: 400 | 403; reason: string } | undefined {
  // HTTP/1.0 may leave Host out, and no browser does.
  if (host === undefined) return undefined;
  const name = hostName(host);
  if (name === undefined) return { status: 400, reason: `Host ${JSON.stringify(host)} is malformed` };
  if (name === 'localhost' || name.endsWith('.localhost') || isLoopback(name) || name === bound) return undefined;
  if (isWildcard(bound) && isIP(name) !== 0) return undefined;
  const others = isWildcard(bound) ? 'an IP address' : bound;
  return { status: 403, reason: `Host ${JSON.stringify(host)} is not allowed here: use localhost or ${others}` };
}

/** Lower-case name or address of a Host field, without brackets and port. */
function hostName(host: string): string | undefined {
  const match = /^(?:\[([0-9a-f:.]+)\]|([a-z0-9._-]+))(?::\d{1,5})?$/i.exec(host);
  const name = (match?.[1] ?? match?.[2])?.toLowerCase();
  return match?.[1] !== undefined && isIP(match[1]) !== 6 ? undefined : name?.replace(/\.$/, '');
}

function isLoopback(name: string): boolean {
  return (isIP(name) === 4 && name.startsWith('127.')) || name === '::1';
}

function isWildcard(address: string): boolean {
  return address === '0.0.0.0' || address === '::';
}
