// The catalogue of bad requests turned into answers, and what only an answer can do wrong.
import assert from 'node:assert/strict';
import type { ErrorKind } from '../../src/base/error.ts';
import { seededRng } from '../../src/base/rng.ts';
import type { CallerView } from './h1-deliveries.ts';

/** Of the random bytes. */
const SEED = 0x5e5;

/** What an upstream sends, and what becomes of it. */
export interface ResponseRow {
  readonly id: string;
  readonly name: string;
  /** What the upstream sends. */
  readonly bytes: string;
  readonly expected: Bad | Cut | Served;
  /** What follows the bytes; nothing if left out. */
  readonly then?: 'fin' | 'reset';
  readonly method?: string;
  readonly version?: '1.0';
}

/** 502 with this reason. */
export interface Bad {
  readonly bad: ErrorKind;
}

/** The caller's connection is cut, for this reason. 502 where the fault came before the head had gone out. */
export interface Cut {
  readonly cut: ErrorKind;
}

/** The caller gets these statuses and this body. */
export interface Served {
  readonly statuses: readonly number[];
  readonly body: string;
  /** The upstream connection is dropped nevertheless. */
  readonly drops?: true;
  readonly check?: (view: CallerView) => void;
}

type More = Partial<Pick<ResponseRow, 'then' | 'method' | 'version'>>;

const BROKEN = 'upstream_protocol_error';
const LENGTH = 'Content-Length: 5';
const CHUNKED = 'Transfer-Encoding: chunked';
const TWO_CHUNKS = '2\r\nab\r\n0\r\n\r\n';

/** An answer's bytes. */
export function answer(fields: string, body = '', line = 'HTTP/1.1 200 OK'): string {
  return `${line}\r\n${fields === '' ? '' : `${fields}\r\n`}\r\n${body}`;
}

function chunked(body: string): string {
  return answer(CHUNKED, body);
}

function bad(id: string, name: string, bytes: string, kind: ErrorKind = BROKEN, more: More = {}): ResponseRow {
  return { id, name, bytes, expected: { bad: kind }, ...more };
}

function cut(id: string, name: string, bytes: string, kind: ErrorKind = BROKEN, more: More = {}): ResponseRow {
  return { id, name, bytes, expected: { cut: kind }, ...more };
}

function served(id: string, name: string, bytes: string, expected: Served, more: More = {}): ResponseRow {
  return { id, name, bytes, expected, ...more };
}

const rng = seededRng(SEED);
const GARBAGE = Array.from({ length: 512 }, () => String.fromCharCode(rng.below(256))).join('');

/** Faults of the head, by their names in the corpus of requests. */
const HEADS: readonly (readonly [string, string, ErrorKind?])[] = [
  ['cl-te-both', answer(`${LENGTH}\r\n${CHUNKED}`, TWO_CHUNKS)],
  ['te-cl-both', answer(`${CHUNKED}\r\n${LENGTH}`, TWO_CHUNKS)],
  ['dup-cl-diff', answer(`${LENGTH}\r\nContent-Length: 2`, 'hello')],
  ['dup-cl-same', answer(`${LENGTH}\r\n${LENGTH}`, 'hello')],
  ['cl-list-diff', answer('Content-Length: 5, 6', 'hello')],
  ['cl-list-same', answer('Content-Length: 5, 5', 'hello')],
  ['cl-plus', answer('Content-Length: +5', 'hello')],
  ['cl-negative', answer('Content-Length: -5', 'hello')],
  ['cl-hex', answer('Content-Length: 0x5', 'hello')],
  ['cl-underscore-val', answer('Content-Length: 0_5', 'hello')],
  ['cl-sp-inside', answer('Content-Length: 5 0', 'hello')],
  ['cl-empty', answer('Content-Length:', 'hello')],
  ['cl-overflow', answer('Content-Length: 18446744073709551621', 'hello')],
  ['cl-overflow-53', answer('Content-Length: 9007199254740993', 'hello')],
  ['cl-zeros', answer('Content-Length: 005', 'hello')],
  ['cl-sp-before-colon', answer('Content-Length : 5', 'hello')],
  ['cl-lead-sp-line', answer('X: y\r\n Content-Length: 5', 'hello')],
  ['hdr1-lead-sp', answer(` ${LENGTH}`, 'hello')],
  ['te-sp-before-colon', answer('Transfer-Encoding : chunked', TWO_CHUNKS)],
  ['te-xchunked', answer('Transfer-Encoding: xchunked', TWO_CHUNKS)],
  ['te-vtab', answer('Transfer-Encoding: \vchunked', TWO_CHUNKS)],
  ['te-nul', answer('Transfer-Encoding: chunked\0', TWO_CHUNKS)],
  ['te-nbsp', answer('Transfer-Encoding: \xa0chunked', TWO_CHUNKS)],
  ['te-trail-comma', answer('Transfer-Encoding: chunked,', TWO_CHUNKS)],
  ['te-dup', answer(`${CHUNKED}\r\n${CHUNKED}`, TWO_CHUNKS)],
  ['te-dup-identity', answer(`${CHUNKED}\r\nTransfer-Encoding: identity`, TWO_CHUNKS)],
  ['te-identity', answer('Transfer-Encoding: identity', 'hello')],
  ['te-gzip', answer('Transfer-Encoding: gzip', 'hello')],
  ['te-gzip-chunked', answer('Transfer-Encoding: gzip, chunked', TWO_CHUNKS)],
  ['te-chunked-gzip', answer('Transfer-Encoding: chunked, gzip', TWO_CHUNKS)],
  ['te-obsfold', answer('Transfer-Encoding:\r\n chunked', TWO_CHUNKS)],
  ['te-http10', answer(CHUNKED, TWO_CHUNKS, 'HTTP/1.0 200 OK')],
  ['te-quoted', answer('Transfer-Encoding: "chunked"', TWO_CHUNKS)],
  ['te-param', answer('Transfer-Encoding: chunked;a=b', TWO_CHUNKS)],
  ['te-empty', answer('Transfer-Encoding:', TWO_CHUNKS)],
  ['te-bare-lf-inject', answer(`X: y\nTransfer-Encoding: chunked\r\n${LENGTH}`, 'hello')],
  ['te-bare-cr-inject', answer(`X: y\rTransfer-Encoding: chunked\r\n${LENGTH}`, 'hello')],
  ['obs-fold', answer(`X: a\r\n b\r\n${LENGTH}`, 'hello')],
  ['obs-fold-tab', answer(`X: a\r\n\tb\r\n${LENGTH}`, 'hello')],
  ['bare-lf', 'HTTP/1.1 200 OK\nContent-Length: 5\n\nhello'],
  ['bare-lf-line', 'HTTP/1.1 200 OK\nContent-Length: 5\r\n\r\nhello'],
  ['bare-lf-end', 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\nhello'],
  ['cr-in-value', answer(`X: a\rb\r\n${LENGTH}`, 'hello')],
  ['nul-in-value', answer(`X: a\0b\r\n${LENGTH}`, 'hello')],
  ['del-in-value', answer(`X: a\x7fb\r\n${LENGTH}`, 'hello')],
  ['empty-name', answer(`: x\r\n${LENGTH}`, 'hello')],
  ['no-colon', answer(`Xy\r\n${LENGTH}`, 'hello')],
  ['bad-name-char', answer(`X(y): z\r\n${LENGTH}`, 'hello')],
  ['hibit-name', answer(`X\xe9: z\r\n${LENGTH}`, 'hello')],
  ['hdr-100k', answer(`X: ${'a'.repeat(100_000)}\r\n${LENGTH}`, 'hello'), 'upstream_headers_too_large'],
  ['hdrs-150', answer(`${'X: a\r\n'.repeat(150)}${LENGTH}`, 'hello'), 'upstream_headers_too_large'],
  ['hdrs-3000', answer(`${'X: a\r\n'.repeat(3000)}${LENGTH}`, 'hello'), 'upstream_headers_too_large'],
  // --- status lines
  ['reason-ctl', answer(LENGTH, 'hello', 'HTTP/1.1 200 O\x01K')],
  ['reason-nul', answer(LENGTH, 'hello', 'HTTP/1.1 200 O\0K')],
  ['status-two-digits', answer(LENGTH, 'hello', 'HTTP/1.1 20 OK')],
  ['status-four-digits', answer(LENGTH, 'hello', 'HTTP/1.1 2000 OK')],
  ['status-099', answer(LENGTH, 'hello', 'HTTP/1.1 099 OK')],
  ['status-letters', answer(LENGTH, 'hello', 'HTTP/1.1 2x0 OK')],
  ['status-none', answer(LENGTH, 'hello', 'HTTP/1.1')],
  ['status-tab', answer(LENGTH, 'hello', 'HTTP/1.1\t200\tOK')],
  ['status-two-spaces', answer(LENGTH, 'hello', 'HTTP/1.1  200 OK')],
  ['http12', answer(LENGTH, 'hello', 'HTTP/1.2 200 OK')],
  ['http20', answer(LENGTH, 'hello', 'HTTP/2.0 200 OK')],
  ['http3', answer(LENGTH, 'hello', 'HTTP/3 200 OK')],
  ['http-lower', answer(LENGTH, 'hello', 'http/1.1 200 OK')],
  ['icy', answer(LENGTH, 'hello', 'ICY 200 OK')],
  ['lead-sp-line', answer(LENGTH, 'hello', ' HTTP/1.1 200 OK')],
  ['empty-line-first', `\r\n${answer(LENGTH, 'hello')}`],
  ['request', 'GET / HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['garbage', GARBAGE],
  ['ssh', 'SSH-2.0-OpenSSH_9.2\r\n'],
  ['tls-alert', '\x15\x03\x03\x00\x02\x02\x32'],
  ['h2-settings', '\x00\x00\x00\x04\x00\x00\x00\x00\x00'],
  // --- informational
  ['1xx-storm', 'HTTP/1.1 103 Early Hints\r\n\r\n'.repeat(11) + answer(LENGTH, 'hello')],
  ['1xx-endless', 'HTTP/1.1 100 Continue\r\n\r\n'.repeat(2000)],
  ['1xx-with-length', answer(LENGTH, 'hello', 'HTTP/1.1 103 Early Hints') + answer(LENGTH, 'hello')],
  ['1xx-chunked', answer(CHUNKED, TWO_CHUNKS, 'HTTP/1.1 103 Early Hints') + answer(LENGTH, 'hello')],
  ['101-unasked', answer('Connection: Upgrade\r\nUpgrade: websocket', 'hello', 'HTTP/1.1 101 Switching Protocols')],
  ['101-bare', answer('', 'hello', 'HTTP/1.1 101 Switching Protocols')],
];

/** Faults of a chunked body. */
const BODIES: readonly (readonly [string, string, ErrorKind?])[] = [
  ['chunk-minus', '-2\r\nab\r\n0\r\n\r\n'],
  ['chunk-plus', '+2\r\nab\r\n0\r\n\r\n'],
  ['chunk-lead-sp', ' 2\r\nab\r\n0\r\n\r\n'],
  ['chunk-trail-sp', '2 \r\nab\r\n0\r\n\r\n'],
  ['chunk-hex-prefix', '0x2\r\nab\r\n0\r\n\r\n'],
  ['chunk-empty-size', '\r\nab\r\n0\r\n\r\n'],
  ['chunk-overflow', '10000000000000002\r\nab\r\n0\r\n\r\n'],
  ['chunk-overflow-53', '20000000000000\r\nab\r\n0\r\n\r\n'],
  ['chunk-bare-lf-size', '2\nab\r\n0\r\n\r\n'],
  ['chunk-bare-cr-size', '2\rab\r\n0\r\n\r\n'],
  ['chunk-no-crlf-data', '2\r\nab0\r\n\r\n'],
  ['chunk-lf-data', '2\r\nab\n0\r\n\r\n'],
  ['chunk-bad-after', '2\r\nabcd\r\n0\r\n\r\n'],
  ['chunk-ext-lf', '2;\nxx\r\nab\r\n0\r\n\r\n'],
  ['chunk-ext-cr', '2;a\rb\r\nab\r\n0\r\n\r\n'],
  ['chunk-ext-nul', '2;\0\r\nab\r\n0\r\n\r\n'],
  ['chunk-ext-long', `2;${'a'.repeat(2000)}\r\nab\r\n0\r\n\r\n`],
  ['chunk-last-lf', '0\n\n'],
  ['chunk-end-lf', '2\r\nab\r\n0\r\n\n'],
  ['trailer-fold', '2\r\nab\r\n0\r\nX: a\r\n b\r\n\r\n'],
  ['trailer-lf', '2\r\nab\r\n0\r\nX: a\n\r\n'],
  ['trailer-no-colon', '2\r\nab\r\n0\r\nX\r\n\r\n'],
  ['trailer-large', `2\r\nab\r\n0\r\nX: ${'a'.repeat(8200)}\r\n\r\n`, 'upstream_headers_too_large'],
  ['trailer-many', `2\r\nab\r\n0\r\n${'X: a\r\n'.repeat(33)}\r\n`, 'upstream_headers_too_large'],
];

const EMPTY = { statuses: [200], body: '' };
const HINTS = 'HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n';

/** The rows. */
export const RESPONSE_ROWS: readonly ResponseRow[] = [
  ...HEADS.map(([name, bytes, kind]) => bad('H1-119', name, bytes, kind)),
  ...BODIES.map(([name, body, kind]) => cut('H1-119', name, chunked(body), kind)),
  // A caller of HTTP/1.0 gets bodies to the end of the connection: a clean end would make a part look whole.
  ...BODIES.slice(0, 3).map(([name, body]) =>
    cut('H1-119', `${name}, to 1.0`, chunked(body), BROKEN, { version: '1.0' }),
  ),
  // --- cut short
  bad('H1-121', 'no byte, FIN', '', 'upstream_reset', { then: 'fin' }),
  bad('H1-121', 'no byte, RST', '', 'upstream_reset', { then: 'reset' }),
  bad('H1-121', 'half a head, FIN', 'HTTP/1.1 200 OK\r\nContent-Len', 'upstream_truncated', { then: 'fin' }),
  bad('H1-121', 'only 1xx, FIN', 'HTTP/1.1 100 Continue\r\n\r\n', 'upstream_truncated', { then: 'fin' }),
  cut('H1-121', 'half of a sized body, FIN', answer('Content-Length: 100', 'a'.repeat(50)), 'upstream_truncated', {
    then: 'fin',
  }),
  cut(
    'H1-121',
    'half of a sized body, FIN, to 1.0',
    answer('Content-Length: 100', 'a'.repeat(50)),
    'upstream_truncated',
    {
      then: 'fin',
      version: '1.0',
    },
  ),
  cut('H1-121', 'half of a sized body, RST', answer('Content-Length: 100', 'a'.repeat(50)), 'upstream_truncated', {
    then: 'reset',
  }),
  cut('H1-121', 'chunks without the last, FIN', chunked('2\r\nab\r\n'), 'upstream_truncated', { then: 'fin' }),
  cut('H1-121', 'chunks without the last, FIN, to 1.0', chunked('2\r\nab\r\n'), 'upstream_truncated', {
    then: 'fin',
    version: '1.0',
  }),
  cut('H1-121', 'last chunk without its end, FIN', chunked('2\r\nab\r\n0\r\n'), 'upstream_truncated', { then: 'fin' }),
  cut('H1-121', 'half a trailer, FIN', chunked('2\r\nab\r\n0\r\nX: y'), 'upstream_truncated', { then: 'fin' }),
  // A body to the end of the connection is whole with FIN, and only with that.
  cut('H1-121', 'a body to the close, RST', answer('', 'hello'), 'upstream_truncated', { then: 'reset' }),
  served(
    'H1-121',
    'a body to the close, FIN',
    answer('', 'hello'),
    { statuses: [200], body: 'hello', drops: true },
    {
      then: 'fin',
    },
  ),
  served(
    'H1-121',
    'a body to the close, FIN, to 1.0',
    answer('', 'hello'),
    { statuses: [200], body: 'hello', drops: true },
    { then: 'fin', version: '1.0' },
  ),
  // --- several 1xx
  served('H1-117', '100, 103, 103', `HTTP/1.1 100 Continue\r\n\r\n${HINTS}${HINTS}${answer(LENGTH, 'hello')}`, {
    statuses: [103, 103, 200],
    body: 'hello',
    check: (view) => assert.match(view.text, /^HTTP\/1\.1 103 Early Hints\r\nLink: <\/x>\r\n\r\n/),
  }),
  served(
    'H1-117',
    '1xx to 1.0',
    HINTS + answer(LENGTH, 'hello'),
    { statuses: [200], body: 'hello' },
    { version: '1.0' },
  ),
  served('H1-117', 'ten 1xx', HINTS.repeat(10) + answer(LENGTH, 'hello'), {
    statuses: [...Array.from({ length: 10 }, () => 103), 200],
    body: 'hello',
  }),
  served('H1-117', '1xx with a length of 0', `HTTP/1.1 103 E\r\nContent-Length: 0\r\n\r\n${answer(LENGTH, 'hello')}`, {
    statuses: [103, 200],
    body: 'hello',
    check: (view) => assert.equal(view.text.match(/content-length/gi)?.length, 1),
  }),
  // --- bodies where there is none
  served('H1-118', 'HEAD with a length', answer(LENGTH), EMPTY, { method: 'HEAD' }),
  served('H1-118', 'HEAD with a body', answer(LENGTH, 'hello'), { ...EMPTY, drops: true }, { method: 'HEAD' }),
  served('H1-118', 'HEAD with chunks', chunked(TWO_CHUNKS), { ...EMPTY, drops: true }, { method: 'HEAD' }),
  served(
    'H1-118',
    'HEAD with an answer as body',
    answer('Content-Length: 38', 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'),
    { ...EMPTY, drops: true },
    { method: 'HEAD' },
  ),
  served('H1-118', '204 with a body', answer(LENGTH, 'hello', 'HTTP/1.1 204 No Content'), {
    statuses: [204],
    body: '',
    drops: true,
    check: (view) => assert.doesNotMatch(view.text, /content-length|hello/i),
  }),
  served('H1-118', '204 with chunks', answer(CHUNKED, TWO_CHUNKS, 'HTTP/1.1 204 No Content'), {
    statuses: [204],
    body: '',
    drops: true,
    check: (view) => assert.doesNotMatch(view.text, /transfer-encoding/i),
  }),
  served('H1-118', '204 that declares a body', answer(LENGTH, '', 'HTTP/1.1 204 No Content'), {
    statuses: [204],
    body: '',
    drops: true,
  }),
  served('H1-118', '304 with a length', answer(LENGTH, '', 'HTTP/1.1 304 Not Modified'), {
    statuses: [304],
    body: '',
    check: (view) => assert.match(view.text, /\r\nContent-Length: 5\r\n/),
  }),
  served('H1-118', '304 with a body', answer(LENGTH, 'hello', 'HTTP/1.1 304 Not Modified'), {
    statuses: [304],
    body: '',
    drops: true,
  }),
  // --- what is in order
  served('H1-119', 'te-trail-tab', answer('Transfer-Encoding: chunked\t', TWO_CHUNKS), { statuses: [200], body: 'ab' }),
  served('H1-119', 'te-case', answer('tRANSFER-eNCODING: ChUnKeD', TWO_CHUNKS), {
    statuses: [200],
    body: 'ab',
    check: (view) => assert.match(view.text, /\r\nTransfer-Encoding: chunked\r\n/),
  }),
  served('H1-119', 'chunk-ext', chunked('2;a=b\r\nab\r\n0;c\r\n\r\n'), {
    statuses: [200],
    body: 'ab',
    check: (view) => assert.doesNotMatch(view.text, /;/),
  }),
  served('H1-119', 'trailer-cl', chunked('0\r\nContent-Length: 9\r\nX-T: 1\r\nTransfer-Encoding: x\r\n\r\n'), {
    statuses: [200],
    body: '',
    check: (view) => assert.match(view.text, /\r\n\r\n0\r\nX-T: 1\r\n\r\n$/),
  }),
  served('H1-119', 'conn-strip-cl', answer(`Connection: Content-Length\r\n${LENGTH}`, 'hello'), {
    statuses: [200],
    body: 'hello',
  }),
  served('H1-119', 'obs-text', answer(`X: \x80\xff\r\n${LENGTH}`, 'hello', 'HTTP/1.1 200 \xe9'), {
    statuses: [200],
    body: 'hello',
    check: (view) => assert.match(view.text, /\r\nX: \x80\xff\r\n/),
  }),
  served('H1-119', 'reason-none', answer(LENGTH, 'hello', 'HTTP/1.1 200'), { statuses: [200], body: 'hello' }),
  served('H1-119', 'two answers', answer(LENGTH, 'hello') + answer(LENGTH, 'other'), {
    statuses: [200],
    body: 'hello',
    drops: true,
  }),
  served('H1-119', 'bytes behind a chunked body', chunked(`${TWO_CHUNKS}x`), {
    statuses: [200],
    body: 'ab',
    drops: true,
  }),
];
