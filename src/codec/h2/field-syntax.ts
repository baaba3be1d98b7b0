// What names and values of fields may be (RFC 9113 sections 8.2 and 8.3, RFC 9110 section 5). What is refused here is
// never forwarded: the bytes would mean something else to an HTTP/1 server behind us. Guarded by
// `npm run bench -- micro hpack-decode`.

/** How a name is treated. */
export const ORDINARY = 0;
export const MALFORMED = 1;
export const PSEUDO = 2;
/** Belongs to one HTTP/1 connection; an HTTP/2 message with it is malformed (RFC 9113 section 8.2.2). */
export const CONNECTION_SPECIFIC = 3;
export const TE = 4;
export const COOKIE = 5;
export const CONTENT_LENGTH = 6;
export const HOST = 7;
export const GRPC_TIMEOUT = 8;

const SPECIAL: readonly (readonly [string, number])[] = [
  ['connection', CONNECTION_SPECIFIC],
  ['keep-alive', CONNECTION_SPECIFIC],
  ['proxy-connection', CONNECTION_SPECIFIC],
  ['transfer-encoding', CONNECTION_SPECIFIC],
  ['upgrade', CONNECTION_SPECIFIC],
  ['te', TE],
  ['cookie', COOKIE],
  ['content-length', CONTENT_LENGTH],
  ['host', HOST],
  ['grpc-timeout', GRPC_TIMEOUT],
];

const TOKEN = new Uint8Array(256); // RFC 9110 section 5.6.2
for (const letter of "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") {
  TOKEN[letter.charCodeAt(0)] = 1;
}

const MAX_KNOWN = 512;
const known = new Map<string, number>(SPECIAL);

/** Treatment of a field by its name; names already seen cost one look-up. */
export function classifyName(name: string): number {
  const treatment = known.get(name);
  if (treatment !== undefined) return treatment;
  if (name.charCodeAt(0) === 0x3a) return PSEUDO;
  if (name.length === 0) return MALFORMED;
  for (let i = 0; i < name.length; i++) {
    const code = name.charCodeAt(i);
    if (TOKEN[code] !== 1 || (code >= 0x41 && code <= 0x5a)) return MALFORMED;
  }
  if (known.size < MAX_KNOWN && name.length <= 64) known.set(name, ORDINARY);
  return ORDINARY;
}

/** Whether `text` is a token, as a method must be. */
export function isToken(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    if (TOKEN[text.charCodeAt(i)] !== 1) return false;
  }
  return text.length > 0;
}

// oxlint-disable-next-line no-control-regex -- control characters are what it looks for
const CONTROL = /[\x00-\x08\x0a-\x1f\x7f]/;

/** Whether a value has no control characters but tabs inside, and no space or tab at either end. */
export function isFieldValue(value: string): boolean {
  const last = value.length - 1;
  if (last < 0) return true;
  return value.charCodeAt(0) > 0x20 && value.charCodeAt(last) > 0x20 && !CONTROL.test(value);
}

/** Whether `path` starts with a slash and holds no control character, space, `#` or byte above 0x7e. */
export function isPath(path: string): boolean {
  if (path.charCodeAt(0) !== 0x2f) return false;
  for (let i = 1; i < path.length; i++) {
    const code = path.charCodeAt(i);
    if (code <= 0x20 || code >= 0x7f || code === 0x23) return false;
  }
  return true;
}

/** Value of a content-length; -1 unless it is one plain number below 2^53. */
export function parseContentLength(value: string): number {
  const length = value.length;
  if (length === 0 || length > 16) return -1;
  let number = 0;
  for (let i = 0; i < length; i++) {
    const digit = value.charCodeAt(i) - 0x30;
    if (digit < 0 || digit > 9) return -1;
    number = number * 10 + digit;
  }
  return number <= Number.MAX_SAFE_INTEGER ? number : -1;
}
