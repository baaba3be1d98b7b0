// The catalogue of bad and borderline HTTP/1 requests. Numbers are those of its rows; a letter marks a close relative of the
// row before it.
import assert from 'node:assert/strict';
import type { ErrorKind } from '../../src/base/error.ts';
import { seededRng } from '../../src/base/rng.ts';
import type { CallerView } from './h1-deliveries.ts';
import { type RecordedRequest, recordedField } from './recording-upstream.ts';

/** Of the random bytes. */
const SEED = 0x5eed;

/** The answer is ours, and closes. */
export interface Refused {
  readonly status: number;
  readonly reason: ErrorKind;
  /** The fault is in the body: the head may have gone on already. */
  readonly inBody?: true;
  /** What is counted where these are the first bytes of a connection, if it isn't `reason`. */
  readonly firstReason?: ErrorKind;
}

/** The upstream answers. */
export interface Served {
  /** Method and target of each request as the upstream must see them. */
  readonly targets: readonly string[];
  readonly check?: (requests: readonly RecordedRequest[], view: CallerView) => void;
}

export interface RequestRow {
  readonly id: string;
  readonly name: string;
  readonly bytes: string;
  readonly expected: Refused | Served;
  readonly protocols?: 'http1';
}

const HTTP_STATUS: Partial<Record<ErrorKind, number>> = {
  bad_request: 400,
  method_not_allowed: 405,
  content_too_large: 413,
  uri_too_long: 414,
  expectation_failed: 417,
  headers_too_large: 431,
  not_implemented: 501,
  version_not_supported: 505,
};

/** Lines and the blank line. */
export function head(lines: string): string {
  return `${lines}\r\n\r\n`;
}

function get(fields: string, line = 'GET /x HTTP/1.1'): string {
  return head(`${line}\r\nHost: a${fields === '' ? '' : `\r\n${fields}`}`);
}

function line(text: string): string {
  return get('', text);
}

function post(fields: string, body = ''): string {
  return get(fields, 'POST /x HTTP/1.1') + body;
}

const LENGTH = 'Content-Length: 5';
const CHUNKED = 'Transfer-Encoding: chunked';
const TWO_CHUNKS = '2\r\nab\r\n0\r\n\r\n';

function chunked(body: string): string {
  return post(CHUNKED, body);
}

function bad(
  id: string,
  name: string,
  bytes: string,
  reason: ErrorKind = 'bad_request',
  more: Partial<RequestRow> = {},
): RequestRow {
  return { id, name, bytes, expected: { status: HTTP_STATUS[reason]!, reason }, ...more };
}

function badBody(id: string, name: string, bytes: string, reason: ErrorKind = 'bad_request'): RequestRow {
  return { id, name, bytes, expected: { status: HTTP_STATUS[reason]!, reason, inBody: true } };
}

function served(
  id: string,
  name: string,
  bytes: string,
  targets: readonly string[],
  check?: Served['check'],
): RequestRow {
  return { id, name, bytes, expected: check ? { targets, check } : { targets } };
}

/** One request with a body that the upstream must see whole and framed once. */
function framed(body: string): (requests: readonly RecordedRequest[]) => void {
  return ([request]) => {
    assert.equal(request?.body, body);
    assert.equal(request.head.match(/^(?:content-length|transfer-encoding):/gim)?.length, 1, request.head);
  };
}

function withoutFields(...names: readonly string[]): (requests: readonly RecordedRequest[]) => void {
  return (requests) => {
    for (const request of requests) {
      for (const name of names) assert.equal(recordedField(request, name), undefined, `${name} in ${request.head}`);
    }
  };
}

const KEY = 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==';
const rng = seededRng(SEED);
const GARBAGE = Array.from({ length: 512 }, () => String.fromCharCode(rng.below(256))).join('');
/** Nothing that no head may hold, and no line end. */
const HIGH_GARBAGE = Array.from({ length: 512 }, () => String.fromCharCode(0x80 + rng.below(128))).join('');
/** The first bytes of a ClientHello of TLS 1.3. */
const TLS_HELLO = `\x16\x03\x01\x00\xf8\x01\x00\x00\xf4\x03\x03${HIGH_GARBAGE.slice(0, 240)}`;

/** The rows, in the order of their numbers. */
export const REQUEST_ROWS: readonly RequestRow[] = [
  // --- framing
  bad('H1-001', 'cl-te-both', post(`${LENGTH}\r\n${CHUNKED}`, '0\r\n\r\n')),
  bad('H1-002', 'te-cl-both', post(`${CHUNKED}\r\n${LENGTH}`, '0\r\n\r\n')),
  bad('H1-002a', 'te-cl-zero', post(`${CHUNKED}\r\nContent-Length: 0`, TWO_CHUNKS)),
  bad('H1-003', 'dup-cl-diff', post(`${LENGTH}\r\nContent-Length: 2`, 'hello')),
  bad('H1-004', 'dup-cl-same', post(`${LENGTH}\r\n${LENGTH}`, 'hello')),
  bad('H1-004a', 'dup-cl-case', post(`${LENGTH}\r\ncontent-LENGTH: 5`, 'hello')),
  bad('H1-005', 'cl-list-diff', post('Content-Length: 5, 6', 'hello')),
  bad('H1-006', 'cl-list-same', post('Content-Length: 5, 5', 'hello')),
  bad('H1-007', 'cl-plus', post('Content-Length: +5', 'hello')),
  bad('H1-008', 'cl-negative', post('Content-Length: -5', 'hello')),
  bad('H1-009', 'cl-hex', post('Content-Length: 0x5', 'hello')),
  bad('H1-009a', 'cl-exponent', post('Content-Length: 5e0', 'hello')),
  bad('H1-010', 'cl-underscore-val', post('Content-Length: 0_5', 'hello')),
  bad('H1-011', 'cl-sp-inside', post('Content-Length: 5 0', 'hello')),
  bad('H1-012', 'cl-empty', post('Content-Length:', 'hello')),
  bad('H1-013', 'cl-overflow', post('Content-Length: 18446744073709551621', 'hello')),
  bad('H1-013a', 'cl-overflow-53', post('Content-Length: 9007199254740993', 'hello')),
  bad('H1-014', 'cl-zeros', post('Content-Length: 005', 'hello')),
  bad('H1-015', 'cl-sp-before-colon', post('Content-Length : 5', 'hello')),
  bad('H1-016', 'cl-tab-before-colon', post('Content-Length\t: 5', 'hello')),
  bad('H1-017', 'cl-lead-sp-line', post(' Content-Length: 5', 'hello')),
  bad('H1-018', 'hdr1-lead-sp', head('GET / HTTP/1.1\r\n Host: a')),
  bad('H1-019', 'te-sp-before-colon', post('Transfer-Encoding : chunked', '0\r\n\r\n')),
  bad('H1-020', 'te-xchunked', post('Transfer-Encoding: xchunked', '0\r\n\r\n')),
  bad(
    'H1-020a',
    'te-name-underscore-cl',
    post(`Transfer_Encoding: chunked\r\nTransfer-Encoding: x\r\n${LENGTH}`, 'hello'),
  ),
  bad('H1-021', 'te-vtab', post(`Transfer-Encoding: \vchunked\r\n${LENGTH}`, 'hello')),
  bad('H1-022', 'te-nul', post(`Transfer-Encoding: chunked\0\r\n${LENGTH}`, 'hello')),
  served('H1-023', 'te-trail-tab', post('Transfer-Encoding: chunked\t', TWO_CHUNKS), ['POST /x'], framed('ab')),
  served('H1-024', 'te-lead-ws', post('Transfer-Encoding: \t chunked', TWO_CHUNKS), ['POST /x'], framed('ab')),
  bad('H1-024a', 'te-lead-comma', post('Transfer-Encoding: ,chunked', TWO_CHUNKS)),
  bad('H1-024b', 'te-nbsp', post('Transfer-Encoding: \xa0chunked', TWO_CHUNKS)),
  bad('H1-025', 'te-trail-comma', post('Transfer-Encoding: chunked,', TWO_CHUNKS)),
  bad('H1-026', 'te-dup', post(`${CHUNKED}\r\n${CHUNKED}`, TWO_CHUNKS)),
  bad('H1-026a', 'te-twice', post('Transfer-Encoding: chunked, chunked', TWO_CHUNKS)),
  bad('H1-027', 'te-dup-identity', post(`${CHUNKED}\r\nTransfer-Encoding: identity`, TWO_CHUNKS)),
  bad('H1-028', 'te-identity', post('Transfer-Encoding: identity', 'hello')),
  bad('H1-028a', 'te-identity-cl', post(`Transfer-Encoding: identity\r\n${LENGTH}`, 'hello')),
  bad('H1-029', 'te-gzip-chunked', post('Transfer-Encoding: gzip, chunked', TWO_CHUNKS), 'not_implemented'),
  bad('H1-030', 'te-chunked-gzip', post('Transfer-Encoding: chunked, gzip', TWO_CHUNKS)),
  bad('H1-031', 'te-obsfold', post(`Transfer-Encoding:\r\n chunked\r\n${LENGTH}`, 'hello')),
  served('H1-032', 'te-case', post('tRANSFER-eNCODING: ChUnKeD', TWO_CHUNKS), ['POST /x'], framed('ab')),
  bad('H1-033', 'te-http10', get(`Connection: keep-alive\r\n${CHUNKED}`, 'POST / HTTP/1.0') + TWO_CHUNKS),
  bad('H1-034', 'te-quoted', post(`Transfer-Encoding: "chunked"\r\n${LENGTH}`, 'hello')),
  bad('H1-035', 'te-param', post('Transfer-Encoding: chunked;a=b', TWO_CHUNKS)),
  bad('H1-036', 'te-empty', post('Transfer-Encoding:', TWO_CHUNKS)),
  bad('H1-037', 'te-bare-lf-inject', post(`X: y\nTransfer-Encoding: chunked\r\n${LENGTH}`, 'hello')),
  bad('H1-038', 'te-bare-cr-inject', post(`X: y\rTransfer-Encoding: chunked\r\n${LENGTH}`, 'hello')),
  // --- header section
  bad('H1-039', 'obs-fold', get('X: a\r\n b')),
  bad('H1-039a', 'obs-fold-tab', get('X: a\r\n\tb')),
  bad('H1-039b', 'obs-fold-empty', get('X: a\r\n \r\nY: b')),
  bad('H1-040', 'bare-lf', 'GET / HTTP/1.1\nHost: a\n\n'),
  bad('H1-040a', 'bare-lf-line', 'GET / HTTP/1.1\nHost: a\r\n\r\n'),
  bad('H1-040b', 'bare-lf-field', 'GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n'),
  bad('H1-041', 'bare-lf-end', 'GET / HTTP/1.1\r\nHost: a\r\n\n'),
  bad('H1-041a', 'bare-cr-end', 'GET / HTTP/1.1\r\nHost: a\r\n\rX'),
  bad('H1-042', 'cr-in-value', get('X: a\rb')),
  bad('H1-042a', 'cr-cr-lf', get('X: a\r')),
  bad('H1-043', 'nul-in-value', get('X: a\0b')),
  bad('H1-043a', 'del-in-value', get('X: a\x7fb')),
  served('H1-044', 'obs-text', get('X: a\x80\xff\tb'), ['GET /x'], ([request]) =>
    assert.equal(request && recordedField(request, 'x'), 'a\x80\xff\tb'),
  ),
  bad('H1-045', 'empty-name', get(': x')),
  bad('H1-046', 'no-colon', get('Xy')),
  bad('H1-047', 'bad-name-char', get('X(y): z')),
  bad('H1-047a', 'nul-in-name', get('X\0: z')),
  bad('H1-047b', 'hibit-name', get('X\xe9: z')),
  bad('H1-048', 'sp-in-name', get('X y: z')),
  served(
    'H1-049',
    'proto-header',
    get('__proto__: x\r\nconstructor: y\r\nhasOwnProperty: z'),
    ['GET /x'],
    ([request]) => {
      assert.ok(request);
      assert.equal(recordedField(request, '__proto__'), 'x');
      assert.equal(recordedField(request, 'constructor'), 'y');
      assert.equal(recordedField(request, 'hasOwnProperty'), 'z');
      assert.equal(Object.keys(Object.prototype).length, 0);
    },
  ),
  // --- Host and target
  bad('H1-050', 'no-host', head('GET /x HTTP/1.1')),
  bad('H1-051', 'dup-host', get('Host: a')),
  bad('H1-051a', 'dup-host-10', get('hOST: b', 'GET /x HTTP/1.0')),
  bad('H1-052', 'host-empty', head('GET /x HTTP/1.1\r\nHost:')),
  bad('H1-053', 'host-userinfo', head('GET /x HTTP/1.1\r\nHost: u@a')),
  bad('H1-054', 'host-slash', head('GET /x HTTP/1.1\r\nHost: a/b')),
  bad('H1-054a', 'host-port-bad', head('GET /x HTTP/1.1\r\nHost: a:b')),
  bad('H1-054b', 'host-port-large', head('GET /x HTTP/1.1\r\nHost: a:65536')),
  bad('H1-054c', 'host-list', head('GET /x HTTP/1.1\r\nHost: a, b')),
  bad('H1-054d', 'host-space', head('GET /x HTTP/1.1\r\nHost: a b')),
  bad('H1-054e', 'host-v6-bad', head('GET /x HTTP/1.1\r\nHost: [1:2]')),
  bad('H1-054f', 'host-percent', head('GET /x HTTP/1.1\r\nHost: a%zz')),
  bad('H1-055', 'abs-mismatch', line('GET http://b/ HTTP/1.1')),
  bad('H1-055a', 'abs-port-mismatch', line('GET http://a:81/ HTTP/1.1')),
  served('H1-055b', 'abs-same', line('GET http://A:80/y?q HTTP/1.1'), ['GET /y?q'], ([request]) =>
    assert.equal(request && recordedField(request, 'host'), 'a'),
  ),
  bad('H1-056', 'uri-abs-userinfo', line('GET http://u@a/ HTTP/1.1')),
  bad('H1-056a', 'uri-abs-empty', line('GET http:///x HTTP/1.1')),
  bad('H1-056b', 'uri-abs-scheme', line('GET ftp://a/ HTTP/1.1')),
  bad('H1-056c', 'uri-abs-no-host', head('GET http://a/ HTTP/1.1')),
  bad('H1-056d', 'uri-relative', line('GET x HTTP/1.1')),
  bad('H1-056e', 'uri-authority', line('GET a:80 HTTP/1.1')),
  bad('H1-057', 'uri-star-get', line('GET * HTTP/1.1')),
  served('H1-057a', 'uri-star-options', line('OPTIONS * HTTP/1.1'), ['OPTIONS *']),
  bad('H1-058', 'uri-frag', line('GET /a#b HTTP/1.1')),
  bad('H1-059', 'uri-space', line('GET /a b HTTP/1.1')),
  bad('H1-060', 'uri-ctl', line('GET /a\x01 HTTP/1.1')),
  bad('H1-060a', 'uri-del', line('GET /\x7f HTTP/1.1')),
  bad('H1-060b', 'uri-nul', line('GET /\0 HTTP/1.1')),
  bad('H1-060c', 'path-percent', line('GET /a%zz HTTP/1.1')),
  bad('H1-060d', 'path-nul', line('GET /a%00 HTTP/1.1')),
  bad('H1-060e', 'path-backslash', line('GET /..\\b HTTP/1.1')),
  bad('H1-060f', 'path-climbs', line('GET /a/../../b HTTP/1.1')),
  bad('H1-060g', 'path-climbs-encoded', line('GET /%2e%2E/b HTTP/1.1')),
  served('H1-060h', 'path-normal', line('GET /a/%2e%2e/%7eb//c%2fd;p/./?x=/../%7e HTTP/1.1'), [
    'GET /~b//c%2Fd;p/?x=/../%7e',
  ]),
  bad('H1-061', 'uri-hibit', line('GET /\xc3\xa9 HTTP/1.1')),
  bad('H1-062', 'connect', head('CONNECT a:443 HTTP/1.1\r\nHost: a:443'), 'method_not_allowed'),
  bad('H1-063', 'trace', line('TRACE / HTTP/1.1'), 'method_not_allowed'),
  // --- request line and version
  bad('H1-064', 'two-spaces', line('GET  / HTTP/1.1')),
  bad('H1-064a', 'lead-sp-line', line(' GET / HTTP/1.1')),
  bad('H1-065', 'tab-line', line('GET\t/\tHTTP/1.1')),
  bad('H1-066', 'trail-sp-line', line('GET / HTTP/1.1 ')),
  bad('H1-067', 'http09', head('GET /')),
  bad('H1-068', 'http-lower', line('GET / http/1.1')),
  bad('H1-068a', 'http-no-minor', line('GET / HTTP/1')),
  bad('H1-068b', 'http-comma', line('GET / HTTP/1,1')),
  bad('H1-069', 'http12', line('GET / HTTP/1.2'), 'version_not_supported'),
  bad('H1-070', 'http20', line('GET / HTTP/2.0'), 'version_not_supported'),
  bad('H1-070a', 'http00', line('GET / HTTP/0.9'), 'version_not_supported'),
  bad('H1-071', 'http-1.10', line('GET / HTTP/1.10')),
  bad('H1-072', 'http3', line('GET / HTTP/3.0'), 'version_not_supported'),
  bad('H1-072a', 'http3-short', line('GET / HTTP/3')),
  served('H1-073', 'method-lower', line('get / HTTP/1.1'), ['get /']),
  bad('H1-074', 'method-bad', line('G@T / HTTP/1.1')),
  bad('H1-074a', 'method-none', line(' / HTTP/1.1')),
  served('H1-075', 'method-unknown', line('FROB / HTTP/1.1'), ['FROB /']),
  bad('H1-076', 'method-long', line(`${'M'.repeat(9000)} / HTTP/1.1`), 'uri_too_long'),
  bad('H1-077', 'h2-preface', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'bad_request', { protocols: 'http1' }),
  bad('H1-078', 'garbage', GARBAGE),
  bad('H1-078a', 'garbage-high', HIGH_GARBAGE),
  bad('H1-079', 'tls-hello', TLS_HELLO, 'bad_request', {
    expected: { status: 400, reason: 'bad_request', firstReason: 'tls_to_plaintext' },
  }),
  // --- chunks
  badBody('H1-080', 'chunk-minus', chunked('-2\r\nab\r\n0\r\n\r\n')),
  badBody('H1-081', 'chunk-plus', chunked('+2\r\nab\r\n0\r\n\r\n')),
  badBody('H1-082', 'chunk-lead-sp', chunked(' 2\r\nab\r\n0\r\n\r\n')),
  badBody('H1-083', 'chunk-trail-sp', chunked('2 \r\nab\r\n0\r\n\r\n')),
  badBody('H1-084', 'chunk-hex-prefix', chunked('0x2\r\nab\r\n0\r\n\r\n')),
  badBody('H1-084a', 'chunk-underscore', chunked('0_2\r\nab\r\n0\r\n\r\n')),
  badBody('H1-084b', 'chunk-many-zeros', chunked('00000000000000002\r\nab\r\n0\r\n\r\n')),
  badBody('H1-085', 'chunk-empty-size', chunked('\r\nab\r\n0\r\n\r\n')),
  badBody('H1-086', 'chunk-overflow', chunked('10000000000000002\r\nab\r\n0\r\n\r\n')),
  badBody('H1-086a', 'chunk-overflow-53', chunked('20000000000000\r\nab\r\n0\r\n\r\n')),
  badBody('H1-087', 'chunk-bare-lf-size', chunked('2\nab\r\n0\r\n\r\n')),
  badBody('H1-088', 'chunk-bare-cr-size', chunked('2\rab\r\n0\r\n\r\n')),
  badBody('H1-089', 'chunk-no-crlf-data', chunked('2\r\nab0\r\n\r\n')),
  badBody('H1-089a', 'chunk-lf-data', chunked('2\r\nab\n0\r\n\r\n')),
  badBody('H1-090', 'chunk-bad-after', chunked('2\r\nabcd\r\n0\r\n\r\n')),
  served('H1-091', 'chunk-ext', chunked('2;a=b\r\nab\r\n0;c\r\n\r\n'), ['POST /x'], ([request]) => {
    assert.equal(request?.body, 'ab');
    assert.ok(!request.bytes.includes(';'), 'the extension is not passed on');
  }),
  served('H1-092', 'chunk-ext-quoted', chunked('2;a="b;\\"c"\r\nab\r\n0\r\n\r\n'), ['POST /x'], framed('ab')),
  badBody('H1-093', 'chunk-ext-lf', chunked('2;\nxx\r\nab\r\n0\r\n\r\n')),
  badBody('H1-093a', 'chunk-ext-quoted-lf', chunked('2;a="\n"\r\nab\r\n0\r\n\r\n')),
  badBody('H1-094', 'chunk-ext-cr', chunked('2;a\rb\r\nab\r\n0\r\n\r\n')),
  badBody('H1-095', 'chunk-ext-nul', chunked('2;\0\r\nab\r\n0\r\n\r\n')),
  badBody('H1-096', 'chunk-ext-long', chunked(`2;${'a'.repeat(2000)}\r\nab\r\n0\r\n\r\n`), 'content_too_large'),
  badBody(
    'H1-096a',
    'chunk-ext-sum',
    chunked(`1;${'a'.repeat(299)}\r\na\r\n`.repeat(4) + '0\r\n\r\n'),
    'content_too_large',
  ),
  badBody('H1-097', 'chunk-last-lf', chunked('0\n\n')),
  badBody('H1-097a', 'chunk-end-lf', chunked('2\r\nab\r\n0\r\n\n')),
  served('H1-098', 'trailer', chunked('2\r\nab\r\n0\r\nX-T: 1\r\n\r\n'), ['POST /x'], ([request]) => {
    assert.equal(request?.trailers, 'X-T: 1\r\n');
    assert.equal(request.body, 'ab');
  }),
  served(
    'H1-099',
    'trailer-cl',
    chunked(
      '2\r\nab\r\n0\r\nContent-Length: 9\r\nHost: b\r\nX-T: 1\r\nTransfer-Encoding: x\r\nX-Forwarded-For: b\r\n\r\n',
    ),
    ['POST /x'],
    ([request]) => assert.equal(request?.trailers, 'X-T: 1\r\n'),
  ),
  badBody('H1-100', 'trailer-fold', chunked('0\r\nX: a\r\n b\r\n\r\n')),
  badBody('H1-100a', 'trailer-lf', chunked('0\r\nX: a\n\r\n')),
  badBody('H1-100b', 'trailer-no-colon', chunked('0\r\nX\r\n\r\n')),
  badBody('H1-100c', 'trailer-large', chunked(`0\r\nX: ${'a'.repeat(8200)}\r\n\r\n`), 'headers_too_large'),
  badBody('H1-100d', 'trailer-many', chunked(`0\r\n${'X: a\r\n'.repeat(33)}\r\n`), 'headers_too_large'),
  // --- connection management and sizes
  served(
    'H1-101',
    'conn-strip-cl',
    post(`Connection: Content-Length\r\n${LENGTH}`, 'hello'),
    ['POST /x'],
    framed('hello'),
  ),
  served(
    'H1-101a',
    'conn-strip-te',
    post(`Connection: Transfer-Encoding\r\n${CHUNKED}`, TWO_CHUNKS),
    ['POST /x'],
    framed('ab'),
  ),
  served('H1-101b', 'conn-strip-host', get('Connection: Host'), ['GET /x'], ([request]) =>
    assert.equal(request && recordedField(request, 'host'), 'a'),
  ),
  served(
    'H1-102',
    'h2c-upgrade',
    get('Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__'),
    ['GET /x'],
    withoutFields('connection', 'upgrade', 'http2-settings'),
  ),
  bad('H1-103', 'ws-upgrade-nokey', get('Connection: Upgrade\r\nUpgrade: websocket')),
  bad('H1-103a', 'ws-upgrade-two-keys', get(`Connection: Upgrade\r\nUpgrade: websocket\r\n${KEY}\r\n${KEY}`)),
  bad('H1-103b', 'ws-upgrade-bad-key', get('Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: c2hvcnQ=')),
  bad('H1-103c', 'ws-upgrade-body', get(`Connection: Upgrade\r\nUpgrade: websocket\r\n${KEY}\r\n${LENGTH}`) + 'hello'),
  served(
    'H1-103d',
    'upgrade-unknown',
    get('Connection: Upgrade\r\nUpgrade: foo/2, bar'),
    ['GET /x'],
    withoutFields('connection', 'upgrade'),
  ),
  served('H1-104', 'expect-100', post(`Expect: 100-continue\r\n${LENGTH}`, 'hello'), ['POST /x'], ([request]) => {
    assert.equal(request?.body, 'hello');
    assert.equal(recordedField(request, 'expect'), undefined, 'it is answered here');
  }),
  bad('H1-105', 'expect-unknown', post(`Expect: foo\r\n${LENGTH}`, 'hello'), 'expectation_failed'),
  bad('H1-105a', 'expect-two', post(`Expect: 100-continue\r\nExpect: foo\r\n${LENGTH}`, 'hello'), 'expectation_failed'),
  served('H1-106', 'get-with-body', get(LENGTH) + 'hello', ['GET /x'], framed('hello')),
  served('H1-106a', 'get-chunked', get(CHUNKED) + TWO_CHUNKS, ['GET /x'], framed('ab')),
  served('H1-107', 'pipeline-2', line('GET /1 HTTP/1.1') + line('GET /2 HTTP/1.1'), ['GET /1', 'GET /2']),
  served('H1-107a', 'pipeline-bodies', post(LENGTH, 'hello') + chunked(TWO_CHUNKS) + get(''), [
    'POST /x',
    'POST /x',
    'GET /x',
  ]),
  served('H1-108', 'empty-lines-first', `\r\n\r\n${get('')}`, ['GET /x']),
  bad('H1-108a', 'empty-lines-many', `${'\r\n'.repeat(5)}${get('')}`),
  bad('H1-108b', 'empty-line-lf', `\n${get('')}`),
  bad('H1-108c', 'empty-line-cr', `\r${get('')}`),
  bad('H1-109', 'hdr-100k', get(`X: ${'a'.repeat(100_000)}`), 'headers_too_large'),
  bad('H1-109a', 'name-20k', get(`${'X'.repeat(20_000)}: a`), 'headers_too_large'),
  bad('H1-110', 'hdrs-150', get('X: a\r\n'.repeat(150).slice(0, -2)), 'headers_too_large'),
  bad('H1-111', 'hdrs-3000', get('X: a\r\n'.repeat(3000).slice(0, -2)), 'headers_too_large'),
  bad('H1-112', 'uri-long', line(`GET /${'a'.repeat(9000)} HTTP/1.1`), 'uri_too_long'),
  bad('H1-112a', 'uri-endless', `GET /${'a'.repeat(40_000)}`, 'uri_too_long'),
];

export function isRefused(expected: Refused | Served): expected is Refused {
  return 'status' in expected;
}
