// Which target of a listener a request means. With one target the authority doesn't matter. Several (two services on one
// port number) are told apart by Host, without its port: the caller's idea of the port is the listener's anyway.
// Guarded by `npm run bench -- micro route-match`.
import { canonicalIp } from '../base/ip-address.ts';
import type { TargetSpec } from '../model/snapshot.ts';

/** The targets of one listener, ready to be picked from. */
export interface AuthorityTable {
  /** Index of the target for a `Host` or `:authority` as received; -1 where none has it. */
  pick(authority: string): number;
}

/** Compiles a listener's targets. Where two name the same authority the first has it. */
export function createAuthorityTable(targets: readonly TargetSpec[]): AuthorityTable {
  if (targets.length === 1) return { pick: () => 0 };
  const byHost = new Map<string, number>();
  targets.forEach(({ authorities }, index) => {
    for (const authority of authorities) {
      const host = hostOf(authority);
      if (host !== undefined && !byHost.has(host)) byHost.set(host, index);
    }
  });
  return {
    pick(authority) {
      const exact = byHost.get(authority);
      if (exact !== undefined) return exact;
      const host = hostOf(authority);
      return (host === undefined ? undefined : byHost.get(host)) ?? -1;
    },
  };
}

/**
 * Host of an authority (RFC 3986 section 3.2.2) in lower case, without port, brackets and the dot of a fully qualified
 * name, an IPv6 address in its one spelling. Undefined if there is none or what follows it isn't a port.
 */
export function hostOf(authority: string): string | undefined {
  let host = authority;
  if (authority.startsWith('[')) {
    const end = authority.indexOf(']');
    if (end < 0 || !isPort(authority, end + 1)) return undefined;
    return ipv6Of(authority.slice(1, end));
  }
  const colon = authority.indexOf(':');
  if (colon >= 0) {
    // A second colon: an IPv6 address without brackets, which can't have a port.
    if (authority.indexOf(':', colon + 1) >= 0) return ipv6Of(authority);
    if (!isPort(authority, colon)) return undefined;
    host = authority.slice(0, colon);
  }
  if (host.endsWith('.')) host = host.slice(0, -1);
  return host === '' ? undefined : host.toLowerCase();
}

/** What is no address stays as it is: some name, which nobody has. */
function ipv6Of(text: string): string | undefined {
  return text === '' ? undefined : (canonicalIp(text) ?? text.toLowerCase());
}

const COLON = 0x3a;
const ZERO = 0x30;
const NINE = 0x39;

/** Whether nothing stands behind `start`, or a colon and a port, which may be empty (RFC 3986 section 3.2.3). */
function isPort(authority: string, start: number): boolean {
  if (start === authority.length) return true;
  if (authority.charCodeAt(start) !== COLON) return false;
  for (let i = start + 1; i < authority.length; i++) {
    const code = authority.charCodeAt(i);
    if (code < ZERO || code > NINE) return false;
  }
  return true;
}

/** Why no target of a listener has an authority, in words. */
export function whyNoTarget(authority: string): string {
  return authority === '' ? 'the request has no authority' : `no service has the authority ${authority}`;
}
