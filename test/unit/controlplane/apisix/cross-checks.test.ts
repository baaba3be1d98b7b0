import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeResource } from '../../../../src/config/decode/decode.ts';
import { crossFacts } from '../../../../src/controlplane/apisix/cross-checks.ts';
import { joinConsumer } from '../../../../src/controlplane/apisix/join-consumer.ts';
import type { ObjectId } from '../../../../src/controlplane/apisix/object-type.ts';
import { readApisixObject } from '../../../../src/controlplane/apisix/read-apisix-object.ts';
import type { ReadObject } from '../../../../src/controlplane/apisix/read-object.ts';
import { Consumer } from '../../../../src/gen/outrigger/config/v1/gateway.ts';

function read(id: ObjectId, value: object): ReadObject {
  const result = readApisixObject(id, value);
  assert.ok(result.ok, result.ok ? '' : JSON.stringify(result.problems));
  return result.object;
}

const route = (limit: object): ReadObject =>
  read({ type: 'routes', id: '1' }, { uri: '/a', plugins: { 'limit-count': limit } });
const credential = (id: string, key: string): ReadObject =>
  read({ type: 'credentials', id: `jack/${id}` }, { plugins: { 'key-auth': { key } }, desc: id });
const jack = read(
  { type: 'consumers', id: 'jack' },
  { username: 'jack', labels: { custom_id: 'c' }, plugins: { 'key-auth': { key: 'a' } } },
);

test('APISIX row 117: limits of a group are equal where they mean the same', () => {
  const textOf = (limit: object): string | undefined => crossFacts(route({ group: 'g', ...limit })).groups[0]?.limit;
  const text = textOf({ count: 2, time_window: 60 });
  assert.deepEqual(crossFacts(route({ group: 'g', count: 2, time_window: 60 })).groups, [
    { group: 'g', limit: text, path: 'plugins.limit-count.group' },
  ]);
  assert.equal(textOf({ time_window: '60', count: '2', policy: 'local', key: 'remote_addr' }), text);
  assert.equal(textOf({ count: 2, time_window: 60, rejected_code: 503, _meta: { disable: true } }), text);
  for (const different of [
    { count: 3, time_window: 60 },
    { count: 2, time_window: 61 },
    { count: 2, time_window: 60, rejected_code: 429 },
    { count: 2, time_window: 60, key: 'uri' },
    { count: 2, time_window: 60, key: 'remote_addr', key_type: 'constant' },
  ]) {
    assert.notEqual(textOf(different), text);
  }
  assert.deepEqual(crossFacts(route({ count: 2, time_window: 60 })).groups, []);
});

test('the same key has the same digest, whoever has it, and is not in it', () => {
  const [of] = crossFacts(jack).keys;
  assert.deepEqual(crossFacts(credential('one', 'a')).keys, [of]);
  assert.notEqual(crossFacts(credential('one', 'b')).keys[0]?.digest, of?.digest);
  assert.equal(of?.path, 'plugins.key-auth.key');
  const asked = read({ type: 'routes', id: '1' }, { uri: '/a', plugins: { 'key-auth': {} } });
  assert.deepEqual(crossFacts(asked), { groups: [], keys: [] });
});

test('a consumer with its credentials, in the order of their ids', () => {
  const joined = joinConsumer(jack, [credential('two', 'c'), credential('one', 'b')]);
  assert.deepEqual(joined.bytes, joinConsumer(jack, [credential('one', 'b'), credential('two', 'c')]).bytes);
  assert.ok(decodeResource('Consumer', 'jack', joined.bytes).ok);
  const { name, labels, plugins, credentials } = Consumer.decode(joined.bytes);
  assert.deepEqual([name, labels, plugins?.keyAuth?.key], ['jack', { custom_id: 'c' }, 'a']);
  assert.deepEqual(
    credentials.map(({ id, desc, keyAuth }) => [id, desc, keyAuth?.key]),
    [
      ['one', 'one', 'b'],
      ['two', 'two', 'c'],
    ],
  );
  assert.deepEqual(joinConsumer(jack, []).bytes, jack.resources[0]?.bytes);
});
