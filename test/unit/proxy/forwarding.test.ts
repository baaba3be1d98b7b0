import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { HttpVersion, RequestHead } from '../../../src/codec/exchange.ts';
import { addForwardingFields, createForwarding, type Forwarded } from '../../../src/proxy/forwarding.ts';
import { seededHex } from '../../support/seeded-hex.ts';

const PSEUDONYM = 'outrigger-0a1b2c3d';

function forward(
  fields: readonly string[],
  options: { from?: string; authority?: string; version?: HttpVersion } = {},
): Forwarded & { fields: string[]; values(name: string): string[] } {
  const head: RequestHead = {
    method: 'GET',
    scheme: 'http',
    authority: options.authority ?? 'svc:80',
    path: '/',
    protocol: '',
    version: options.version ?? 11,
    fields: [...fields],
    neverIndexed: undefined,
    contentLength: -1,
  };
  const context = createForwarding(PSEUDONYM, seededHex(1));
  const forwarded = addForwardingFields(head, options.from ?? '127.0.0.1', 8080, context);
  const values = (name: string): string[] =>
    head.fields.filter((_, i) => i % 2 === 1 && head.fields[i - 1]?.toLowerCase() === name);
  return { ...forwarded, fields: head.fields, values };
}

describe('forwarding fields', () => {
  it('a plain request gains them all, behind what it had', () => {
    const { fields, requestId } = forward(['Accept', '*/*', 'x', 'y']);
    const trace = /^00-([0-9a-f]{32})-([0-9a-f]{16})-00$/;
    const expected: [string, string | RegExp][] = [
      ['Accept', '*/*'],
      ['x', 'y'],
      ['x-forwarded-for', '127.0.0.1'],
      ['x-forwarded-proto', 'http'],
      ['x-forwarded-host', 'svc:80'],
      ['x-forwarded-port', '8080'],
      ['x-real-ip', '127.0.0.1'],
      ['x-request-id', /^[0-9a-f]{32}$/],
      ['traceparent', trace],
      ['via', `1.1 ${PSEUDONYM}`],
    ];
    assert.equal(fields.length, expected.length * 2);
    for (const [i, [name, value]] of expected.entries()) {
      assert.equal(fields[i * 2], name);
      if (typeof value === 'string') assert.equal(fields[i * 2 + 1], value);
      else assert.match(fields[i * 2 + 1] ?? '', value);
    }
    assert.equal(fields[fields.indexOf('x-request-id') + 1], requestId);
    assert.equal(trace.exec(fields[fields.indexOf('traceparent') + 1] ?? '')?.[1], requestId);
  });

  it('X-Forwarded-For grows by the caller, its lines joined into one', () => {
    const { values, fields } = forward(
      ['X-Forwarded-For', '10.0.0.1', 'a', 'b', 'x-forwarded-for', '10.0.0.2, 10.0.0.3', 'c', 'd'],
      { from: '192.0.2.9' },
    );
    assert.deepEqual(values('x-forwarded-for'), ['10.0.0.1, 10.0.0.2, 10.0.0.3, 192.0.2.9']);
    assert.deepEqual(fields.slice(0, 6), ['X-Forwarded-For', values('x-forwarded-for')[0], 'a', 'b', 'c', 'd']);
  });

  it('the application on this machine is believed, any other caller is not', () => {
    const claimed = [
      ...['X-Forwarded-Proto', 'https', 'X-Forwarded-Host', 'shop.example', 'x-forwarded-host', 'twice'],
      ...['X-Forwarded-Port', '443', 'X-Real-IP', '198.51.100.7', 'X-Forwarded-Client-Cert', 'By=x'],
    ];
    for (const from of ['127.0.0.1', '127.8.8.8', '::1']) {
      const { values } = forward(claimed, { from });
      assert.deepEqual(values('x-forwarded-proto'), ['https']);
      assert.deepEqual(values('x-forwarded-host'), ['shop.example', 'twice']);
      assert.deepEqual(values('x-forwarded-port'), ['443']);
      assert.deepEqual(values('x-real-ip'), ['198.51.100.7']);
      assert.deepEqual(values('x-forwarded-client-cert'), ['By=x']);
    }
    const { values, fields } = forward(['q', '1', ...claimed, 'z', '2'], { from: '192.0.2.1' });
    assert.deepEqual(values('x-forwarded-proto'), ['http']);
    assert.deepEqual(values('x-forwarded-host'), ['svc:80']);
    assert.deepEqual(values('x-forwarded-port'), ['8080']);
    assert.deepEqual(values('x-real-ip'), ['192.0.2.1']);
    assert.deepEqual(values('x-forwarded-client-cert'), []);
    assert.deepEqual(fields.slice(0, 4), ['q', '1', 'z', '2']);
  });

  it('an HTTP/1.0 request without Host gains no X-Forwarded-Host', () => {
    const { values } = forward([], { authority: '', version: 10 });
    assert.deepEqual(values('x-forwarded-host'), []);
    assert.deepEqual(values('via'), [`1.0 ${PSEUDONYM}`]);
  });

  it('x-request-id and traceparent are kept', () => {
    const kept = forward(['X-Request-Id', 'mine', 'Traceparent', '00-aa-bb-01']);
    assert.equal(kept.requestId, 'mine');
    assert.deepEqual(kept.values('x-request-id'), ['mine']);
    assert.deepEqual(kept.values('traceparent'), ['00-aa-bb-01']);
    const half = forward(['x-request-id', 'mine']);
    assert.equal(half.requestId, 'mine');
    assert.equal(half.values('traceparent').length, 1);
  });

  it('an empty x-request-id counts as none, and of two the first stays', () => {
    const empty = forward(['x-request-id', '', 'a', 'b']);
    assert.match(empty.requestId, /^[0-9a-f]{32}$/);
    assert.deepEqual(empty.values('x-request-id'), [empty.requestId]);
    const two = forward(['x-request-id', 'one', 'a', 'b', 'x-request-id', 'two']);
    assert.deepEqual(two.values('x-request-id'), ['one']);
    assert.equal(two.requestId, 'one');
  });

  it('Via grows at its end, in its last line, by the version of the request', () => {
    const { values, loops } = forward(['Via', '1.0 a', 'via', '1.1 b'], { version: 20 });
    assert.deepEqual(values('via'), ['1.0 a', `1.1 b, 2.0 ${PSEUDONYM}`]);
    assert.equal(loops, false);
  });

  it('a request that has come through here three times loops', () => {
    const own = `1.1 ${PSEUDONYM}`;
    assert.equal(forward(['via', `${own}, 1.1 other, ${own}`]).loops, false);
    assert.equal(forward(['via', `${own}, 1.1 other, ${own}, ${own}`]).loops, true);
    assert.equal(forward(['via', own, 'x', 'y', 'via', own, 'Via', own]).loops, true);
    assert.equal(
      forward(['via', '1.1 outrigger-ffffffff, 1.1 outrigger-ffffffff, 1.1 outrigger-ffffffff']).loops,
      false,
    );
  });
});
