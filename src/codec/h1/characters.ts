// Classes of bytes as tables: one load per byte of a head, where a comparison chain costs several branches.
// Guarded by test/bench (h1-small).

export const HTAB = 0x09;
export const LF = 0x0a;
export const CR = 0x0d;
export const SP = 0x20;
export const COLON = 0x3a;

function table(accepts: (byte: number) => boolean): Uint8Array {
  return Uint8Array.from({ length: 256 }, (_, byte) => (accepts(byte) ? 1 : 0));
}

function oneOf(text: string): (byte: number) => boolean {
  return (byte) => text.includes(String.fromCharCode(byte));
}

const ALPHANUMERIC = '0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ';

/** tchar (RFC 9110 section 5.6.2): methods and field names. */
export const TOKEN_BYTE = table(oneOf(`!#$%&'*+-.^_\`|~${ALPHANUMERIC}`));

/** What a field value, a reason phrase or a quoted string may hold: HTAB, SP, VCHAR and obs-text (RFC 9110 section 5.5). */
export const VALUE_BYTE = table((byte) => byte === HTAB || (byte >= SP && byte !== 0x7f));

/** What a request target may hold: visible ASCII without `#`, since a fragment is never sent (RFC 9112 section 3.2). */
export const TARGET_BYTE = table((byte) => byte > SP && byte < 0x7f && byte !== 0x23);

/** Value of a hexadecimal digit; 255 for anything else. */
export const HEX_VALUE = Uint8Array.from({ length: 256 }, (_, byte) => {
  const digit = '0123456789abcdef'.indexOf(String.fromCharCode(byte).toLowerCase());
  return digit < 0 ? 255 : digit;
});

const AUTHORITY = /^(?:[A-Za-z0-9\-._~!$&'()*+,;=%]+|\[[0-9A-Fa-f:.]+(?:%25[A-Za-z0-9\-._~]+)?\])(?::([0-9]{0,5}))?$/;

let lastAuthority = '';

/**
 * Whether `text` is a host with an optional port and nothing else: no userinfo, no path (RFC 9110 section 7.2, RFC 3986
 * section 3.2.2). Ports end at 65535. The answer for the last good one is remembered, since a caller repeats itself.
 */
export function isAuthority(text: string): boolean {
  if (text === lastAuthority && text !== '') return true;
  const match = AUTHORITY.exec(text);
  if (!match || Number(match[1] ?? 0) > 65535) return false;
  lastAuthority = text;
  return true;
}
