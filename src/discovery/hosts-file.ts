// The static table of host names, /etc/hosts (hosts(5)): an address and its names a line. It stands above DNS.
import { withoutFinalDot } from './final-dot.ts';

/** The one spelling of an IP address; undefined if it is none (a zone, `fe80::1%eth0`, makes it none). */
export type CanonicalIp = (text: string) => string | undefined;

/** Addresses by name, lower case without final dot, in the order of the file. */
export type HostTable = ReadonlyMap<string, readonly string[]>;

/** Reads the file's text. Lines that aren't understood are passed over, as the C library does. */
export function parseHosts(text: string, canonicalIp: CanonicalIp): HostTable {
  const table = new Map<string, string[]>();
  for (const line of text.split('\n')) {
    const hash = line.indexOf('#');
    const [first = '', ...names] = (hash < 0 ? line : line.slice(0, hash)).trim().split(/\s+/);
    const address = canonicalIp(first);
    if (address === undefined) continue;
    for (const written of names) {
      const name = withoutFinalDot(written.toLowerCase());
      const addresses = table.get(name);
      if (!addresses) table.set(name, [address]);
      else if (!addresses.includes(address)) addresses.push(address);
    }
  }
  return table;
}

/**
 * What a static name stands for: its IPv4 addresses, else its IPv6 ones (as in APISIX: a server on this machine most
 * often listens on one of the two, and the lines of one name mean one server). `localhost` and names under it are
 * loopback even where the file doesn't say so (RFC 6761 section 6.3). Undefined: not here.
 */
export function staticAddresses(table: HostTable, name: string): readonly string[] | undefined {
  const addresses = table.get(name);
  if (addresses) {
    const ipv4 = addresses.filter((address) => !address.includes(':'));
    return ipv4.length > 0 ? ipv4 : addresses;
  }
  return name === 'localhost' || name.endsWith('.localhost') ? LOOPBACK : undefined;
}

const LOOPBACK: readonly string[] = ['127.0.0.1'];
