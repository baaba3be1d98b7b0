// `[HOST:]PORT`, as flags, the bootstrap file and the map form of `nodes` write addresses.
import { canonicalIp } from '../base/ip-address.ts';
import { quote } from './problem-list.ts';

/** An address with a port. `host` is without brackets. */
export interface HostPort {
  readonly host: string;
  readonly port: number;
}

/** What reading an address gives: it, or what is wrong with it. */
export type HostPortResult = ({ readonly ok: true } & HostPort) | { readonly ok: false; readonly reason: string };

/** What stands in an address that says nothing. */
export interface HostPortRules {
  /** Host if there is none; undefined: a host is required. */
  readonly defaultHost: string | undefined;
  /** Port if there is none; undefined: a port is required. */
  readonly defaultPort: number | undefined;
  /** Smallest port: 0 where a free one may be taken. */
  readonly minPort: 0 | 1;
}

/** To listen: `[HOST:]PORT`, host 127.0.0.1, port 0 is a free one. */
export const LISTEN_RULES: HostPortRules = { defaultHost: '127.0.0.1', defaultPort: undefined, minPort: 0 };
/** To connect: `HOST:PORT`. */
export const CONNECT_RULES: HostPortRules = { defaultHost: undefined, defaultPort: undefined, minPort: 1 };

/** Splits host and port. An IPv6 address must stand in brackets; what the host is, is not looked at. */
export function parseHostPort(text: string, rules: HostPortRules): HostPortResult {
  const form = rules.defaultHost === undefined ? 'HOST:PORT' : '[HOST:]PORT';
  const wrong = (reason: string): HostPortResult => ({ ok: false, reason });
  if (/^\d+$/.test(text) && rules.defaultHost !== undefined) return withPort(rules.defaultHost, text, rules);
  const bracketed = /^\[([^[\]]*)\](?::(.*))?$/.exec(text);
  if (bracketed && canonicalIp(bracketed[1] ?? '')?.includes(':') !== true) {
    return wrong(`${quote(text)} has no IPv6 address in its brackets`);
  }
  const colon = text.indexOf(':');
  if (!bracketed && colon !== text.lastIndexOf(':')) {
    return wrong(bracketHint(text) ?? `${quote(text)} is not ${form}`);
  }
  const host = bracketed ? (bracketed[1] ?? '') : colon < 0 ? text : text.slice(0, colon);
  const port = bracketed ? bracketed[2] : colon < 0 ? undefined : text.slice(colon + 1);
  if (host === '' && rules.defaultHost === undefined) return wrong(`${quote(text)} has no host: it must be ${form}`);
  if (host !== '' && !/^[A-Za-z0-9._:-]+$/.test(host)) return wrong(`${quote(text)} is not ${form}`);
  if (port === undefined) {
    if (rules.defaultPort === undefined) return wrong(`${quote(text)} has no port: it must be ${form}`);
    return { ok: true, host, port: rules.defaultPort };
  }
  return withPort(host === '' ? (rules.defaultHost ?? '') : host, port, rules);
}

/** How an IPv6 address without brackets would be written, with and without what may be its port; undefined if it is none. */
function bracketHint(text: string): string | undefined {
  const [, address = '', port = ''] = /^(.*):(\d{1,5})$/.exec(text) ?? [];
  const forms = [
    ...(canonicalIp(address) === undefined ? [] : [`[${address}]:${port}`]),
    ...(canonicalIp(text) === undefined ? [] : [`[${text}]`]),
  ];
  return forms.length === 0 ? undefined : `an IPv6 address stands in brackets: ${forms.join(', or ')}`;
}

function withPort(host: string, port: string, rules: HostPortRules): HostPortResult {
  const number = /^\d{1,5}$/.test(port) ? Number(port) : -1;
  if (number < rules.minPort || number > 65535) {
    return { ok: false, reason: `port ${quote(port)} must be between ${rules.minPort} and 65535` };
  }
  return { ok: true, host, port: number };
}
