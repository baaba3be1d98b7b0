// What Host and :authority may be, the same for both versions. Guarded by `npm run bench -- micro head-parse`.

const REG_NAME = /(?!:|$)[A-Za-z0-9\-._~!$&'()*+,;=]*(?:%[0-9A-Fa-f]{2}[A-Za-z0-9\-._~!$&'()*+,;=]*)*/;
const IP_LITERAL = /\[([0-9A-Fa-f:.]+)(?:%25[A-Za-z0-9\-._~]+)?\]/;
const AUTHORITY = new RegExp(`^(?:${REG_NAME.source}|${IP_LITERAL.source})(?::([0-9]{0,5}))?$`);

const GROUP = /^[0-9A-Fa-f]{1,4}$/;
const OCTETS = /^(?:(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])(?:\.(?!$)|$)){4}$/;

/** Whether `text` is an IPv6 address, without a zone (RFC 3986 section 3.2.2): eight groups, or fewer around one `::`. */
function isIpv6(text: string): boolean {
  const halves = text.split('::');
  if (halves.length > 2) return false;
  let groups = 0;
  for (const [h, half] of halves.entries()) {
    if (half === '') continue;
    const parts = half.split(':');
    for (const [i, part] of parts.entries()) {
      if (GROUP.test(part)) groups++;
      else if (h === halves.length - 1 && i === parts.length - 1 && OCTETS.test(part)) groups += 2;
      else return false;
    }
  }
  return halves.length === 2 ? groups < 8 : groups === 8;
}

const COLON = 0x3a;
/** 1 for the characters of a name without escapes, which nearly every host is. */
const NAME_CHARACTER = new Uint8Array(256);
for (const character of "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~!$&'()*+,;=") {
  NAME_CHARACTER[character.charCodeAt(0)] = 1;
}

/**
 * Whether `text` is a host with an optional port and nothing else: no userinfo, no path (RFC 9110 section 7.2, RFC 3986
 * section 3.2.2). Ports end at 65535.
 */
export function isAuthority(text: string): boolean {
  const { length } = text;
  let i = 0;
  while (i < length && NAME_CHARACTER[text.charCodeAt(i)] === 1) i++;
  if (i > 0) {
    if (i === length) return true;
    if (text.charCodeAt(i) === COLON) return isPort(text, i + 1);
  }
  const match = AUTHORITY.exec(text);
  if (!match || Number(match[2] ?? 0) > 65535) return false;
  return match[1] === undefined || isIpv6(match[1]);
}

/** Whether `text` from `at` on is a port; none at all is one too (RFC 3986 section 3.2.3). */
function isPort(text: string, at: number): boolean {
  if (text.length - at > 5) return false;
  let port = 0;
  for (let i = at; i < text.length; i++) {
    const digit = text.charCodeAt(i) - 0x30;
    if (digit < 0 || digit > 9) return false;
    port = port * 10 + digit;
  }
  return port <= 65535;
}
