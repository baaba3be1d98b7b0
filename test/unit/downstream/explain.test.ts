// What Explain says of a head is what the codec says of the same bytes.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Fault } from '../../../src/codec/h1/fault.ts';
import { DEFAULT_LIMITS } from '../../../src/codec/limits.ts';
import { foreseeHead, type WrittenRequest } from '../../../src/downstream/explain.ts';

const PLAIN: WrittenRequest = {
  http2: false,
  scheme: 'http',
  method: 'GET',
  path: '/',
  authority: 'web',
  fields: [],
};

function kindOf(request: Partial<WrittenRequest>): string {
  const head = foreseeHead({ ...PLAIN, ...request }, DEFAULT_LIMITS);
  return head instanceof Fault ? head.kind : 'sent';
}

const wide = (count: number, bytes = 1): string[] =>
  Array.from({ length: count }, (_, i) => [`x-${i}`, 'v'.repeat(bytes)]).flat();

describe('a head that is only written', () => {
  for (const http2 of [false, true]) {
    describe(http2 ? 'over HTTP/2' : 'over HTTP/1.1', () => {
      const rows: readonly (readonly [string, Partial<WrittenRequest>, string])[] = [
        ['an ordinary one', { path: '/a?b=%C3%BC', fields: ['x-a', 'b'] }, 'sent'],
        ['a blank in the path', { path: '/a b' }, 'bad_request'],
        ['a fragment', { path: '/a#b' }, 'bad_request'],
        ['a path beyond ASCII', { path: '/é' }, 'bad_request'],
        ['a percent sign alone', { path: '/%zz' }, 'bad_request'],
        ['a path above its root', { path: '/../x' }, 'bad_request'],
        ['* for GET', { path: '*' }, 'bad_request'],
        ['* for OPTIONS', { path: '*', method: 'OPTIONS' }, 'sent'],
        ['a blank in the authority', { authority: 'a b' }, 'bad_request'],
        ['userinfo', { authority: 'a@b' }, 'bad_request'],
        ['a slash in the authority', { authority: 'a/b' }, 'bad_request'],
        ['no authority', { authority: '' }, 'bad_request'],
        ['a second host', { fields: ['host', 'other'] }, 'bad_request'],
        ['a control character', { fields: ['x-a', 'a\u0001b'] }, 'bad_request'],
        ['a NUL', { fields: ['x-a', 'a\0b'] }, 'bad_request'],
        ['a line break', { fields: ['x-a', 'a\r\nx-b: c'] }, 'bad_request'],
        ['CONNECT', { method: 'CONNECT' }, 'method_not_allowed'],
        ['TRACE', { method: 'TRACE' }, 'method_not_allowed'],
        ['100 fields', { fields: wide(http2 ? 100 : 99) }, 'sent'],
        ['101 fields', { fields: wide(http2 ? 101 : 100) }, 'headers_too_large'],
        ['a head of 17 KiB', { fields: wide(17, 1000) }, 'headers_too_large'],
        ['a path of 8 KiB and more', { path: `/${'a'.repeat(8192)}` }, 'uri_too_long'],
        ['a value in UTF-8', { fields: ['x-a', 'ü€😀'] }, 'sent'],
      ];
      for (const [what, request, kind] of rows) {
        it(`${what}: ${kind}`, () => assert.equal(kindOf({ ...request, http2 }), kind));
      }
    });
  }

  it('of HTTP/1.1 alone: an expectation, framing, an upgrade without a key', () => {
    assert.equal(kindOf({ fields: ['expect', 'foo'] }), 'expectation_failed');
    assert.equal(kindOf({ fields: ['expect', '100-continue'] }), 'sent');
    assert.equal(kindOf({ fields: ['content-length', 'x'] }), 'bad_request');
    assert.equal(kindOf({ fields: ['transfer-encoding', 'gzip, chunked'] }), 'not_implemented');
    assert.equal(kindOf({ fields: ['connection', 'upgrade', 'upgrade', 'websocket'] }), 'bad_request');
  });

  it('of HTTP/2 alone: fields of a connection', () => {
    assert.equal(kindOf({ http2: true, fields: ['connection', 'close'] }), 'bad_request');
    assert.equal(kindOf({ http2: true, fields: ['te', 'gzip'] }), 'bad_request');
  });

  it('is the head that the proxy would see: latin1, without what belongs to the connection, the path normal', () => {
    for (const http2 of [false, true]) {
      const own = http2 ? [] : ['connection', 'x-b', 'x-b', '1'];
      const head = foreseeHead(
        { ...PLAIN, http2, scheme: 'https', path: '/%61/../b?q', fields: ['x-a', 'é', ...own] },
        DEFAULT_LIMITS,
      );
      assert.ok(!(head instanceof Fault));
      const { method, scheme, authority, path, version, fields } = head;
      assert.deepEqual(
        { method, scheme, authority, path, version, fields },
        {
          method: 'GET',
          scheme: 'https',
          authority: 'web',
          path: '/b?q',
          version: http2 ? 20 : 11,
          fields: ['x-a', '\u00c3\u00a9'],
        },
      );
    }
  });
});
