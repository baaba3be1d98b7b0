// IP addresses as text. Endpoints are told apart by their address, so one address must have one spelling.

/**
 * The one spelling of an IP address: IPv4 as it is, IPv6 as RFC 5952 writes it (lower case, the longest run of zeros cut).
 * Without brackets. Undefined if it is no address; a zone (`fe80::1%eth0`) is none either.
 */
export function canonicalIp(text: string): string | undefined {
  if (isIpv4(text)) return text;
  const words = ipv6Words(text);
  return words && writeIpv6(words);
}

/**
 * Whether an address in that spelling is one of this machine's loopback: 127.0.0.0/8, `::1`, or the former in IPv6
 * (`::ffff:127.0.0.1`, RFC 4291 section 2.5.5.2), whose last words begin with 7f.
 */
export function isLoopbackIp(ip: string): boolean {
  return ip.startsWith('127.') || ip === '::1' || /^::ffff:7f[0-9a-f]{2}:/.test(ip);
}

/**
 * The one spelling of an IP address or CIDR block (`10.0.0.0/8`): the address as above, with the bits behind the prefix
 * cleared. A block of one address is that address. Undefined if it is neither.
 */
export function canonicalBlock(text: string): string | undefined {
  const slash = text.indexOf('/');
  if (slash < 0) return canonicalIp(text);
  const address = text.slice(0, slash);
  const bits = prefixBits(text.slice(slash + 1));
  if (isIpv4(address)) {
    const words = address.split('.').map(Number);
    return writeBlock(words, 8, bits, (bytes) => bytes.join('.'));
  }
  const words = ipv6Words(address);
  return words && writeBlock(words, 16, bits, writeIpv6);
}

/** -1 if it is no number of bits. */
function prefixBits(text: string): number {
  return /^\d{1,3}$/.test(text) ? Number(text) : -1;
}

/** `width` is the bits of a word. */
function writeBlock(
  words: readonly number[],
  width: number,
  bits: number,
  write: (words: readonly number[]) => string,
): string | undefined {
  const all = words.length * width;
  if (bits < 0 || bits > all) return undefined;
  const masked = words.map((word, i) => {
    const cleared = width - Math.min(width, Math.max(0, bits - i * width));
    return (word >> cleared) << cleared;
  });
  return bits === all ? write(masked) : `${write(masked)}/${bits}`;
}

const DOT = 0x2e;
const ZERO = 0x30;
const NINE = 0x39;

function isIpv4(text: string): boolean {
  return ipv4Number(text) >= 0;
}

/** The 32 bits of an IPv4 address, four decimal numbers without needless zeros; -1 if it is none. */
export function ipv4Number(text: string): number {
  // One walk without allocations: a resource may hold tens of thousands of addresses.
  let address = 0;
  let parts = 1;
  let digits = 0;
  let value = 0;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code === DOT) {
      if (digits === 0 || ++parts > 4) return -1;
      address = address * 256 + value;
      digits = value = 0;
    } else if (code >= ZERO && code <= NINE && !(digits > 0 && value === 0)) {
      digits++;
      value = value * 10 + code - ZERO;
      if (value > 255) return -1;
    } else return -1;
  }
  return parts === 4 && digits > 0 ? address * 256 + value : -1;
}

/** The eight 16-bit words of an IPv6 address (RFC 4291 section 2.2); undefined if it is none. */
export function ipv6Words(text: string): number[] | undefined {
  const halves = text.split('::');
  if (text.length > 45 || halves.length > 2) return undefined;
  const [head, tail] = halves.map((half, i) => groups(half, i === halves.length - 1));
  if (!head) return undefined;
  if (halves.length === 1) return head.length === 8 ? head : undefined;
  if (!tail || head.length + tail.length > 7) return undefined;
  return [...head, ...Array<number>(8 - head.length - tail.length).fill(0), ...tail];
}

/** Words of `a:b:c`; the last group of an address may be IPv4. */
function groups(text: string, isEnd: boolean): number[] | undefined {
  if (text === '') return [];
  const words: number[] = [];
  const parts = text.split(':');
  for (const [i, part] of parts.entries()) {
    if (/^[0-9a-fA-F]{1,4}$/.test(part)) words.push(Number.parseInt(part, 16));
    else if (isEnd && i === parts.length - 1 && isIpv4(part)) {
      const [a = 0, b = 0, c = 0, d = 0] = part.split('.').map(Number);
      words.push(a * 256 + b, c * 256 + d);
    } else return undefined;
  }
  return words;
}

function writeIpv6(words: readonly number[]): string {
  let start = 0;
  let length = 1;
  for (let i = 0; i < 8; i++) {
    let run = 0;
    while (i + run < 8 && words[i + run] === 0) run++;
    if (run > length) [start, length] = [i, run];
  }
  const hex = words.map((word) => word.toString(16));
  if (length < 2) return hex.join(':');
  return `${hex.slice(0, start).join(':')}::${hex.slice(start + length).join(':')}`;
}
