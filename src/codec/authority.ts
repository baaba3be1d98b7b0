// What Host and :authority may be, the same for both versions.

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

let lastAuthority = '';

/**
 * Whether `text` is a host with an optional port and nothing else: no userinfo, no path (RFC 9110 section 7.2, RFC 3986
 * section 3.2.2). Ports end at 65535. The answer for the last good one is remembered, since a caller repeats itself.
 */
export function isAuthority(text: string): boolean {
  if (text === lastAuthority && text !== '') return true;
  const match = AUTHORITY.exec(text);
  if (!match || Number(match[2] ?? 0) > 65535) return false;
  if (match[1] !== undefined && !isIpv6(match[1])) return false;
  lastAuthority = text;
  return true;
}
