// The hosts that a Route matches: a whole name or address, or a leading `*` and what hosts end in.
import { canonicalIp } from '../base/ip-address.ts';
import { quote } from './problem-list.ts';

/** What is wrong with one of `hosts`; undefined if nothing is. */
export function routeHostProblem(host: string): string | undefined {
  if (host === '') return 'required: a host; for any host leave the list out';
  if (host === '*') return `'*' alone would be any host: leave the list out`;
  const rest = host.startsWith('*') ? host.slice(1) : host;
  if (rest.includes('*')) return `${quote(host)}: a * may only stand first`;
  const bracketed = /^\[([^[\]]*)\](:.*)?$/.exec(host);
  if (bracketed) {
    const [, address = '', port] = bracketed;
    if (canonicalIp(address)?.includes(':') !== true) return `${quote(host)} has no IPv6 address in its brackets`;
    return port === undefined ? undefined : withoutPort(host, `[${address}]`);
  }
  if (canonicalIp(host)?.includes(':') === true) {
    return `${quote(host)}: an IPv6 address stands in brackets: ${quote(`[${host}]`)}`;
  }
  const port = /^([^:]+):\d*$/.exec(host)?.[1];
  if (port !== undefined) return withoutPort(host, port);
  if (!/^[A-Za-z0-9._-]+$/.test(rest)) return `${quote(host)} is no host: a DNS name or an IP address`;
  if (rest.endsWith('.')) {
    return `${quote(host)}: hosts are compared without a dot at their end: write ${quote(host.slice(0, -1))}`;
  }
  return undefined;
}

function withoutPort(host: string, plain: string): string {
  return `${quote(host)}: hosts are compared without their port: write ${quote(plain)}`;
}

/** The one spelling of a host that has no problem: lower case; an IPv6 address, in its brackets, as RFC 5952 writes it. */
export function canonicalRouteHost(host: string): string {
  if (!host.startsWith('[')) return host.toLowerCase();
  const address = host.slice(1, -1);
  return `[${canonicalIp(address) ?? address}]`;
}
