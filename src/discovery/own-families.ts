import { networkInterfaces } from 'node:os';
import type { Answer } from './answer.ts';

/** Families in which this machine has an address that others could reach it by. */
export interface OwnFamilies {
  readonly ipv4: boolean;
  readonly ipv6: boolean;
}

/** As of now, by the network interfaces: neither loopback nor link-local addresses count. */
export function ownFamilies(): OwnFamilies {
  const own = Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .filter(({ internal, address }) => !internal && !address.startsWith('fe80:'));
  return { ipv4: own.some(({ family }) => family === 'IPv4'), ipv6: own.some(({ family }) => family === 'IPv6') };
}

/**
 * Parts what a name stands for, host by host, into the answer with the addresses to use and those that partByFamily
 * leaves out. `known` is all that is known, also from before: while one family can't be learned its addresses still
 * count, else a single SERVFAIL would make a machine use the family that it hasn't.
 */
export function partAnswer(
  known: Answer,
  families: () => OwnFamilies,
): { readonly used: Answer; readonly leftOut: readonly string[] } {
  const leftOut: string[] = [];
  const addresses = new Map<string, readonly string[]>();
  let own: OwnFamilies | undefined;
  for (const [host, all] of known.addresses) {
    const parts = partByFamily(all, () => (own ??= families()));
    addresses.set(host, parts.used);
    leftOut.push(...parts.leftOut);
  }
  return leftOut.length === 0 ? { used: known, leftOut } : { used: { ...known, addresses }, leftOut };
}

/**
 * Parts the addresses of a name that has both families into those to use and those of a family that this machine has none
 * of, as getaddrinfo does with AI_ADDRCONFIG (RFC 3493 section 6.1): a Pod without IPv6 would lose a connection attempt on
 * every AAAA record. Loopback is always used, and so is everything where nothing else would be left.
 */
export function partByFamily(
  addresses: readonly string[],
  families: () => OwnFamilies,
): { readonly used: readonly string[]; readonly leftOut: readonly string[] } {
  const ipv6 = addresses.filter(isIpv6).length;
  if (ipv6 === 0 || ipv6 === addresses.length) return { used: addresses, leftOut: [] };
  const own = families(); // some 100 µs, so only where it matters
  const isReachable = (address: string): boolean => isLoopback(address) || (isIpv6(address) ? own.ipv6 : own.ipv4);
  const used = addresses.filter(isReachable);
  if (used.length === 0) return { used: addresses, leftOut: [] };
  return { used, leftOut: addresses.filter((address) => !isReachable(address)) };
}

function isIpv6(address: string): boolean {
  return address.includes(':');
}

function isLoopback(address: string): boolean {
  return address.startsWith('127.') || address === '::1';
}
