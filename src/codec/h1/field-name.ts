// The few field names that belong to a connection or to framing, recognised without lowering every name: length and
// first letter choose the one candidate, only that is compared. Guarded by `npm run bench -- micro head-parse`.

/** Not one of the names below. */
export const PLAIN = 0;
export const HOST = 1;
export const TE = 2;
export const UPGRADE = 3;
export const EXPECT = 4;
export const CONNECTION = 5;
export const KEEP_ALIVE = 6;
export const CONTENT_LENGTH = 7;
export const HTTP2_SETTINGS = 8;
export const PROXY_CONNECTION = 9;
export const TRANSFER_ENCODING = 10;
export const COOKIE = 11;

const NAMES = [
  '',
  'host',
  'te',
  'upgrade',
  'expect',
  'connection',
  'keep-alive',
  'content-length',
  'http2-settings',
  'proxy-connection',
  'transfer-encoding',
  'cookie',
] as const;

const LONGEST = 17;
const CANDIDATE = new Uint8Array((LONGEST + 1) * 32);
for (let id = 1; id < NAMES.length; id++) CANDIDATE[slot(NAMES[id]!)] = id;

function slot(name: string): number {
  return (name.length << 5) | (name.charCodeAt(0) & 31);
}

/** Which of the names above `name` is, in any case; PLAIN if none. */
export function identify(name: string): number {
  if (name.length > LONGEST) return PLAIN;
  const id = CANDIDATE[slot(name)]!;
  if (id === PLAIN) return PLAIN;
  const spelled = NAMES[id]!;
  return name === spelled || name.toLowerCase() === spelled ? id : PLAIN;
}

/**
 * Names that a trailer section may not carry (RFC 9110 section 6.5.1): framing, routing and who called, request
 * modifiers, authentication, response control and content format. They are dropped, never merged into the head.
 */
export const FORBIDDEN_TRAILERS: ReadonlySet<string> = new Set([
  ...NAMES.slice(1),
  'age',
  'authorization',
  'cache-control',
  'content-encoding',
  'content-range',
  'content-type',
  'date',
  'expires',
  'forwarded',
  'if-match',
  'if-modified-since',
  'if-none-match',
  'if-range',
  'if-unmodified-since',
  'location',
  'max-forwards',
  'pragma',
  'proxy-authenticate',
  'proxy-authorization',
  'range',
  'retry-after',
  'set-cookie',
  'trailer',
  'vary',
  'via',
  'www-authenticate',
  'x-forwarded-client-cert',
  'x-forwarded-for',
  'x-forwarded-host',
  'x-forwarded-port',
  'x-forwarded-proto',
  'x-outrigger-reason',
  'x-real-ip',
]);
