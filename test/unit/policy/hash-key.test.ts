import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { BalancerPolicy } from '../../../src/model/policy.ts';
import { createHashKey, type HashedRequest } from '../../../src/policy/hash-key.ts';
import { hashedRequest } from '../../support/hashed-request.ts';

function keyOf(hashOn: BalancerPolicy['hashOn'], key: string, request: HashedRequest): string | undefined {
  return createHashKey({ type: 'chash', hashOn, key })(request);
}

test('only chash has a key', () => {
  for (const type of ['roundrobin', 'ewma', 'least_conn'] as const) {
    assert.equal(createHashKey({ type, hashOn: 'vars', key: 'remote_addr' })(hashedRequest()), undefined);
  }
  assert.equal(keyOf('vars', 'remote_addr', hashedRequest()), '10.0.0.9');
});

test('vars', () => {
  assert.equal(keyOf('vars', 'arg_device_id', hashedRequest()), '7');
  assert.equal(keyOf('vars', 'arg_device_id', hashedRequest({ path: '/?device_id=' })), '');
  assert.equal(keyOf('vars', 'arg_device_id', hashedRequest({ path: '/' })), undefined);
  assert.equal(keyOf('vars', 'not_support', hashedRequest()), undefined);
});

test('APISIX row 18: a header is the key; without it there is none, so that remote_addr is hashed', () => {
  const custom = hashedRequest({ fields: ['custom_header', 'custom-one'] });
  assert.equal(keyOf('header', 'custom_header', custom), 'custom-one');
  assert.equal(keyOf('header', 'custom_header', hashedRequest({ fields: ['miss-custom-header', 'x'] })), undefined);
  assert.equal(keyOf('header', 'custom_header', hashedRequest({ fields: ['custom_header', ''] })), '');
});

test('APISIX row 20: hash_on header finds X-Sessionid in any case', () => {
  for (let i = 1; i <= 6; i++) {
    for (const name of ['X-Sessionid', 'x-sessionid', 'X-SESSIONID']) {
      const request = hashedRequest({ fields: ['accept', '*/*', name, `chash_val_${i}`] });
      assert.equal(keyOf('header', 'X-Sessionid', request), `chash_val_${i}`);
    }
  }
});

test('APISIX row 21: variables together; where none has a value there is no key', () => {
  const template = '$http_custom_header-$http_custom_header_second';
  const rows: [fields: string[], key: string | undefined][] = [
    [['custom_header', 'custom-one', 'custom_header_second', 'custom-two'], 'custom-one-custom-two'],
    [['custom-header', 'custom-one', 'Custom-Header-Second', 'custom-two'], 'custom-one-custom-two'],
    [['custom-header', 'custom-one'], 'custom-one-'],
    [['custom-header-second', 'custom-two'], '-custom-two'],
    [['custom-header', ''], '-'],
    [[], undefined],
  ];
  for (const [fields, key] of rows) assert.equal(keyOf('vars_combinations', template, hashedRequest({ fields })), key);
});

test('templates', () => {
  const rows: [template: string, key: string | undefined][] = [
    ['$remote_addr$uri', '10.0.0.9/cart'],
    ['${ remote_addr }:${remote_port}', '10.0.0.9:51000'],
    ['no variable', undefined],
    ['\\$remote_addr', undefined],
    ['\\$x$uri', '\\$x/cart'],
    ['$unknown', undefined],
    ['$unknown$uri', '/cart'],
    ['${arg_none ?? guest}', 'guest'],
    ['${arg_device_id ?? guest}', '7'],
    ['${http_x ??}', ''],
    ['${cookie_sid}-${arg_device_id}', '-7'],
    ['$consumer_name', undefined],
    ['$request_method $scheme $host $server_protocol', 'GET http web.example HTTP/1.1'],
    ['café-$uri', 'caf\u00c3\u00a9-/cart'],
  ];
  for (const [template, key] of rows)
    assert.equal(keyOf('vars_combinations', template, hashedRequest()), key, template);
});

test('cookie and consumer', () => {
  const request = hashedRequest({ fields: ['cookie', 'a=1; custom-cookie=c'] }, { consumer: 'jack' });
  assert.equal(keyOf('cookie', 'custom-cookie', request), 'c');
  assert.equal(keyOf('cookie', 'Custom-Cookie', request), undefined);
  for (const key of ['', 'anything']) {
    assert.equal(keyOf('consumer', key, request), 'jack');
    assert.equal(keyOf('consumer', key, hashedRequest()), undefined);
  }
});

test('a reader keeps nothing from one request to the next', () => {
  const read = createHashKey({ type: 'chash', hashOn: 'vars_combinations', key: '$http_a-$arg_b' });
  assert.equal(read(hashedRequest({ fields: ['a', '1'], path: '/?b=2' })), '1-2');
  assert.equal(read(hashedRequest()), undefined);
  assert.equal(read(hashedRequest({ path: '/?b=3' })), '-3');
});
