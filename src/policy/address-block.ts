// Whether an address is in a list of addresses and blocks (APISIX `remote_addrs`, `ipmatch`; RFC 4632, RFC 4291). The list
// is kept by prefix length, so that a test costs one look-up for each length in it, not for each entry. An IPv4 address
// in IPv6 (`::ffff:192.0.2.1`, RFC 4291 section 2.5.5.2) is that IPv4 address, on both sides; `::/0` has no IPv4 in it.

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

const DOT = 0x2e;
const COLON = 0x3a;
const ZERO = 0x30;
const NINE = 0x39;

/** The address read last: as a signed number of 32 bits, or as eight words. */
let ipv4 = 0;
const ipv6 = new Uint16Array(8);

/** Reads an address into the variables above. 0: it is none. An IPv4 address in IPv6 is 4. A zone is passed over. */
function readAddress(text: string): 0 | 4 | 6 {
  if (text.length === 0 || text.length > 64) return 0;
  if (!text.includes(':')) return readIpv4(text, 0, text.length) ? 4 : 0;
  if (!readIpv6(text)) return 0;
  if ((ipv6[0]! | ipv6[1]! | ipv6[2]! | ipv6[3]! | ipv6[4]!) !== 0 || ipv6[5] !== 0xffff) return 6;
  ipv4 = (ipv6[6]! << 16) | ipv6[7]!;
  return 4;
}

/** Four decimal numbers without needless zeros. */
function readIpv4(text: string, start: number, end: number): boolean {
  let address = 0;
  let parts = 1;
  let digits = 0;
  let value = 0;
  for (let i = start; i < end; i++) {
    const code = text.charCodeAt(i);
    if (code === DOT) {
      if (digits === 0 || ++parts > 4) return false;
      address = (address << 8) | value;
      digits = value = 0;
    } else if (code >= ZERO && code <= NINE && !(digits > 0 && value === 0)) {
      digits++;
      value = value * 10 + code - ZERO;
      if (value > 255) return false;
    } else return false;
  }
  ipv4 = (address << 8) | value;
  return parts === 4 && digits > 0;
}

/** Eight groups of hexadecimal digits, of which `::` stands for those that are zero; the last two may be an IPv4 address. */
function readIpv6(text: string): boolean {
  let end = text.indexOf('%');
  if (end < 0) end = text.length;
  else if (end === text.length - 1) return false;
  let count = 0;
  let gapAt = -1;
  let at = 0;
  if (text.charCodeAt(0) === COLON) {
    if (text.charCodeAt(1) !== COLON) return false;
    gapAt = 0;
    at = 2;
  }
  while (at < end) {
    let value = 0;
    let next = at;
    for (; next < end && next - at < 5; next++) {
      const digit = hexDigit(text.charCodeAt(next));
      if (digit < 0) break;
      value = value * 16 + digit;
    }
    if (next < end && text.charCodeAt(next) === DOT) {
      if (count > 6 || !readIpv4(text, at, end)) return false;
      ipv6[count++] = ipv4 >>> 16;
      ipv6[count++] = ipv4 & 0xffff;
      at = end;
      break;
    }
    if (next === at || next - at > 4 || count === 8) return false;
    ipv6[count++] = value;
    at = next;
    if (at === end) break;
    if (text.charCodeAt(at) !== COLON) return false;
    if (text.charCodeAt(++at) === COLON) {
      if (gapAt >= 0) return false;
      gapAt = count;
      at++;
    } else if (at >= end) return false;
  }
  if (gapAt < 0) return count === 8;
  if (count === 8) return false;
  const moved = count - gapAt;
  ipv6.copyWithin(8 - moved, gapAt, count);
  ipv6.fill(0, gapAt, 8 - moved);
  return true;
}

function hexDigit(code: number): number {
  if (code >= ZERO && code <= NINE) return code - ZERO;
  const lower = code | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x61 + 10 : -1;
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
