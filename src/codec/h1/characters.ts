// Classes of bytes as tables: one load per byte of a head, where a comparison chain costs several branches.
// Guarded by `npm run bench -- micro head-parse`.

export const HTAB = 0x09;
export const LF = 0x0a;
export const CR = 0x0d;
export const SP = 0x20;
export const SLASH = 0x2f;
export const COLON = 0x3a;

/**
 * Without the white space that may stand around an element of a list: SP and HTAB (RFC 9110 section 5.6.3).
 * `String.trim` would take 0xA0 too, which to others is a part of the word.
 */
export function trimSpace(text: string): string {
  let start = 0;
  let end = text.length;
  while (start < end && isBlank(text, start)) start++;
  while (end > start && isBlank(text, end - 1)) end--;
  return text.slice(start, end);
}

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

const DOT = 2;
/** Value of TARGET_BYTE for a percent sign or a backslash. */
export const ESCAPE = 3;

/**
 * What a request target may hold: visible ASCII without `#`, since a fragment is never sent (RFC 9112 section 3.2). 0: may
 * not; 1: may; more: may, and a path with ESCAPE, or with a dot behind a slash, may differ from its normal form.
 */
export const TARGET_BYTE = Uint8Array.from({ length: 256 }, (_, byte) => {
  if (byte <= SP || byte >= 0x7f || byte === 0x23) return 0;
  return byte === 0x2e ? DOT : byte === 0x25 || byte === 0x5c ? ESCAPE : 1;
});

/** Value of a hexadecimal digit; 255 for anything else. */
export const HEX_VALUE = Uint8Array.from({ length: 256 }, (_, byte) => {
  const digit = '0123456789abcdef'.indexOf(String.fromCharCode(byte).toLowerCase());
  return digit < 0 ? 255 : digit;
});

function isBlank(text: string, at: number): boolean {
  const code = text.charCodeAt(at);
  return code === SP || code === HTAB;
}
