// DNS names as text. Like addresses they are compared and looked up, so one name must have one spelling.
import { canonicalIp } from '../base/ip-address.ts';
import { quote } from './problem-list.ts';

/** A label as resolvers take it (RFC 1035 section 2.3.1, with the underscore that service names begin with, RFC 2782). */
const LABEL = /^[a-z0-9_-]{1,63}$/;

/**
 * The one spelling of a DNS name: lower case. A final dot stays: `web.` is the name `web` itself, and `web` what the
 * search list makes of it (resolv.conf(5)). Labels have 1 to 63 letters, digits, `-` and `_`, the whole at most 253
 * characters without that dot and at least one letter, so that `1.2.3` is a slip in an address and no name. Undefined
 * if it is none.
 */
export function canonicalDnsName(text: string): string | undefined {
  if (text.length > 254) return undefined;
  const name = text.toLowerCase();
  const relative = name.endsWith('.') ? name.slice(0, -1) : name;
  if (relative.length > 253 || !/[a-z]/.test(relative)) return undefined;
  return relative.split('.').every((label) => LABEL.test(label)) ? name : undefined;
}

/** A host without the brackets that an IPv6 address may have there. */
export function unbracketed(host: string): string {
  return /^\[(.*:.*)\]$/.exec(host)?.[1] ?? host;
}

/** What is wrong with the host of an endpoint, an IP address or a DNS name; undefined if nothing is. */
export function endpointHostProblem(host: string): string | undefined {
  if (canonicalIp(unbracketed(host)) !== undefined || canonicalDnsName(host) !== undefined) return undefined;
  if (host === '') return 'required: an IP address or a DNS name';
  if (host.includes('*')) return `${quote(host)} has a wildcard, and an endpoint is one host: name each`;
  if (host.includes('%')) return `${quote(host)}: an IPv6 address with a zone is not supported; give one without`;
  if (/^[^:]+:\d+$/.test(host) || /^\[.*\]:\d+$/.test(host)) return `${quote(host)} has a port in it: write it as port`;
  if (!/[A-Za-z]/.test(host) || host.includes(':')) return `${quote(host)} is no IP address and no DNS name`;
  return `${quote(host)} is no DNS name: its labels have 1 to 63 letters, digits, - and _, the whole at most 253 characters`;
}
