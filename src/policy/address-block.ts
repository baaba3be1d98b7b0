// Whether an address is in a list of addresses and blocks (APISIX `remote_addrs`, `ipmatch`; RFC 4632, RFC 4291). The list
// is kept by prefix length, so that a test costs one look-up for each length in it, not for each entry. An IPv4 address
// in IPv6 (`::ffff:192.0.2.1`, RFC 4291 section 2.5.5.2) is that IPv4 address, on both sides; `::/0` has no IPv4 in it.

import { ipv4Number, ipv6Words } from '../base/ip-address.ts';

/** Whether an address, as text, is one of those it was made of. What is no address is none of them. */
export type IsInBlocks = (address: string) => boolean;

/** Compiles IP addresses and CIDR blocks. An entry that is neither holds no address. */
export function compileAddressBlocks(blocks: readonly string[]): IsInBlocks {
  const v4 = new Map<number, Set<number>>();
  const v6 = new Map<number, Set<string>>();
  for (const block of blocks) {
    const slashAt = block.indexOf('/');
    const version = readAddress(slashAt < 0 ? block : block.slice(0, slashAt));
    if (version === 0) continue;
    // A block that is written in IPv6 counts the 96 bits before an IPv4 address.
    const isMapped = version === 4 && block.includes(':');
    const width = version === 4 && !isMapped ? 32 : 128;
    const stated = slashAt < 0 ? width : readPrefixLength(block.slice(slashAt + 1), width);
    if (stated < 0 || (isMapped && stated < 96)) continue;
    if (version === 4) add(v4, isMapped ? stated - 96 : stated, ipv4 & ipv4Mask(isMapped ? stated - 96 : stated));
    else add(v6, stated, ipv6Key(stated));
  }
  const v4Blocks = [...v4].map(([length, members]) => ({ mask: ipv4Mask(length), members }));
  const v6Blocks = [...v6].map(([length, members]) => ({ length, members }));
  return (address) => {
    const version = readAddress(address);
    if (version === 4) {
      for (const { mask, members } of v4Blocks) if (members.has(ipv4 & mask)) return true;
    } else if (version === 6) {
      for (const { length, members } of v6Blocks) if (members.has(ipv6Key(length))) return true;
    }
    return false;
  };
}

function add<K>(blocks: Map<number, Set<K>>, length: number, member: K): void {
  const members = blocks.get(length);
  if (members === undefined) blocks.set(length, new Set([member]));
  else members.add(member);
}

/** The address read last: as a signed number of 32 bits, or as eight words. */
let ipv4 = 0;
let ipv6: readonly number[] = [];

/** Reads an address into the variables above. 0: it is none. An IPv4 address in IPv6 is 4. A zone is passed over. */
function readAddress(text: string): 0 | 4 | 6 {
  if (!text.includes(':')) {
    const number = ipv4Number(text);
    ipv4 = number | 0;
    return number < 0 ? 0 : 4;
  }
  const zoneAt = text.indexOf('%');
  if (zoneAt === text.length - 1) return 0;
  const words = ipv6Words(zoneAt < 0 ? text : text.slice(0, zoneAt));
  if (words === undefined) return 0;
  ipv6 = words;
  const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0, high = 0, low = 0] = words;
  if ((a | b | c | d | e) !== 0 || f !== 0xffff) return 6;
  ipv4 = (high << 16) | low;
  return 4;
}

/** -1: it is none. */
function readPrefixLength(text: string, width: number): number {
  if (!/^(?:0|[1-9][0-9]{0,2})$/.test(text)) return -1;
  const length = Number(text);
  return length <= width ? length : -1;
}

function ipv4Mask(length: number): number {
  return length === 0 ? 0 : -1 << (32 - length);
}

/** The first bits of the address read last, a character for each word. */
function ipv6Key(length: number): string {
  let key = '';
  for (let i = 0; i < 8; i++) {
    const bits = Math.min(16, Math.max(0, length - i * 16));
    key += String.fromCharCode(ipv6[i]! & (0xffff << (16 - bits)));
  }
  return key;
}
