// Messages that the cases take as their input: as short as load generators send them, and as long as browsers do. A number
// makes them differ where those of one caller differ.
import type { Fields, RequestHead, ResponseHead } from '../../../src/codec/exchange.ts';

/** How many different inputs a case goes through; a power of two. */
export const VARIANTS = 256;

const HOST = 'shop.example:9080';
const END = '\r\n\r\n';

/** A request with Host and one other field, as wrk sends it. */
export function shortRequest(index: number, host = HOST): string {
  return `GET /api/v1/items/${digits(index)} HTTP/1.1\r\nHost: ${host}\r\nAccept: */*${END}`;
}

/** A request with 12 fields, as a browser sends it. `more` is added to its cookie. */
export function browserRequest(index: number, more = ''): string {
  return [
    `GET /catalogue/products/${digits(index)}?colour=blue&size=42 HTTP/1.1`,
    `Host: ${HOST}`,
    'Connection: keep-alive',
    'sec-ch-ua: "Chromium";v="140", "Not=A?Brand";v="24"',
    'sec-ch-ua-mobile: ?0',
    'sec-ch-ua-platform: "Linux"',
    'User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36',
    'Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8',
    'Sec-Fetch-Mode: navigate',
    `Referer: http://${HOST}/catalogue/products/${digits(index + 1)}`,
    'Accept-Encoding: gzip, deflate, br, zstd',
    'Accept-Language: en-GB,en;q=0.9,de;q=0.8',
    `Cookie: session=8f14e45fceea167a5a36dedd4bea${digits(index)}; theme=dark; consent=necessary${more}`,
  ]
    .join('\r\n')
    .concat(END);
}

const BODY = 'a'.repeat(64);

/** An answer with 5 fields, as nginx gives it, and its body of 64 bytes. */
export function shortResponse(index: number): string {
  return [
    'HTTP/1.1 200 OK',
    'Server: nginx/1.22.1',
    `Date: Tue, 03 Nov 2026 10:${digits(index).slice(1, 3)}:${digits(index).slice(3)} GMT`,
    'Content-Type: text/plain',
    'Content-Length: 64',
    'Connection: keep-alive',
  ]
    .join('\r\n')
    .concat(END, BODY);
}

/** An answer with 12 fields, as an application gives it, and its body of 64 bytes. */
export function longResponse(index: number): string {
  return [
    `HTTP/1.1 ${index % 8 === 0 ? '404 Not Found' : '200 OK'}`,
    `Date: Tue, 03 Nov 2026 10:${digits(index).slice(1, 3)}:${digits(index).slice(3)} GMT`,
    'Content-Type: application/json; charset=utf-8',
    'Content-Length: 64',
    'Connection: keep-alive',
    'Keep-Alive: timeout=72',
    'Cache-Control: private, max-age=0, must-revalidate',
    `ETag: W/"40-8f14e45fceea167a5a36dedd4bea${digits(index)}"`,
    'Vary: Accept-Encoding, Origin',
    'X-Content-Type-Options: nosniff',
    'Strict-Transport-Security: max-age=31536000; includeSubDomains',
    `Set-Cookie: session=8f14e45fceea167a5a36dedd4bea${digits(index)}; Path=/; HttpOnly`,
    `X-Response-Time: ${index % 97}ms`,
  ]
    .join('\r\n')
    .concat(END, BODY);
}

/** The head of {@link shortRequest} or {@link browserRequest} as a parser would give it: strings cut from one text. */
export function requestHead(text: string): RequestHead {
  const [method = '', path = ''] = text.slice(0, text.indexOf('\r\n')).split(' ');
  const { fields, contentLength } = cutFields(text, (name) => name !== 'Host' && name !== 'Connection');
  return {
    method,
    scheme: 'http',
    authority: HOST,
    path,
    protocol: '',
    version: 11,
    fields,
    neverIndexed: undefined,
    contentLength,
  };
}

/** The same of an answer. */
export function responseHead(text: string): ResponseHead {
  const { fields, contentLength } = cutFields(text, (name) => name !== 'Connection' && name !== 'Keep-Alive');
  return { status: Number(text.slice(9, 12)), fields, neverIndexed: undefined, contentLength };
}

function cutFields(
  text: string,
  isKept: (name: string) => boolean,
): { readonly fields: Fields; readonly contentLength: number } {
  // A text that was joined is not what comes from a buffer.
  const whole = Buffer.from(text, 'latin1').toString('latin1');
  const end = whole.indexOf(END);
  const fields: Fields = [];
  let contentLength = -1;
  for (let at = whole.indexOf('\r\n') + 2; at < end + 2;) {
    const colon = whole.indexOf(': ', at);
    const stop = whole.indexOf('\r\n', colon);
    const name = whole.slice(at, colon);
    const value = whole.slice(colon + 2, stop);
    if (isKept(name)) fields.push(name, value);
    if (name === 'Content-Length') contentLength = Number(value);
    at = stop + 2;
  }
  return { fields, contentLength };
}

/** Fields of a unary call as they come over HTTP/2. */
export const GRPC_FIELDS: Fields = [
  'te',
  'trailers',
  'content-type',
  'application/grpc',
  'user-agent',
  'grpc-go/1.66.0',
  'grpc-accept-encoding',
  'gzip',
];

/** The head of a unary call. */
export function grpcRequest(index: number): RequestHead {
  return {
    method: 'POST',
    scheme: 'http',
    authority: 'greeter.shop:50051',
    path: `/shop.v1.Catalogue/Get${digits(index)}`,
    protocol: '',
    version: 20,
    fields: GRPC_FIELDS.slice(),
    neverIndexed: undefined,
    contentLength: -1,
  };
}

/** Five digits. */
export function digits(index: number): string {
  return String(index % 100_000).padStart(5, '0');
}

/** A list of as many inputs as {@link VARIANTS} says. */
export function variants<T>(make: (index: number) => T): readonly T[] {
  return Array.from({ length: VARIANTS }, (_, index) => make(index));
}
