import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type FieldSchema, messageFields, messageSchema, requiredSchema } from '../../../src/config/schema.ts';
import { KINDS } from '../../../src/config/resource.ts';
import { Bootstrap } from '../../../src/gen/outrigger/config/v1/bootstrap.ts';
import { Upstream } from '../../../src/gen/outrigger/config/v1/upstream.ts';

function field(message: string, name: string): FieldSchema | undefined {
  return messageFields(`outrigger.config.v1.${message}`).find((one) => one.name === name);
}

test('fields with their types', () => {
  assert.deepEqual(field('Upstream', 'hash_on'), {
    name: 'hash_on',
    jsonName: 'hashOn',
    number: 11,
    type: 'string',
    typeName: '',
    repeated: false,
    map: false,
    presence: true,
    redact: false,
  });
  assert.equal(field('Upstream', 'name')?.presence, false);
  assert.equal(field('Upstream', 'timeout')?.typeName, 'outrigger.config.v1.Timeout');
  assert.equal(field('Upstream', 'timeout')?.presence, true);
  assert.deepEqual([field('Upstream', 'labels')?.map, field('Upstream', 'labels')?.repeated], [true, true]);
  assert.deepEqual([field('Upstream', 'nodes')?.map, field('Upstream', 'nodes')?.repeated], [false, true]);
  assert.equal(field('Timeout', 'read')?.type, 'double');
  assert.equal(requiredSchema('outrigger.config.v1.Upstream').byNumber.get(13)?.name, 'scheme');
  assert.equal(messageSchema('outrigger.config.v1.Nothing'), undefined);
  assert.deepEqual(messageFields('outrigger.config.v1.Nothing'), []);
  assert.ok(messageSchema('envoy.service.discovery.v3.DeltaDiscoveryRequest'));
});

test('fields that are never shown, and no others', () => {
  const marked: string[] = [];
  const walk = (name: string): void => {
    for (const one of requiredSchema(name).fields) {
      if (one.redact) marked.push(`${name.replace('outrigger.config.v1.', '')}.${one.name}`);
      if (one.type === 'message') walk(one.typeName);
    }
  };
  for (const kind of KINDS) walk(`outrigger.config.v1.${kind}`);
  assert.deepEqual(new Set(marked), new Set(['KeyAuthCredential.key', 'UpstreamTls.client_key', 'Secret.private_key']));
});

test('the schema has the properties of the generated messages, in both directions', () => {
  for (const [name, message] of [
    ['Upstream', Upstream.fromPartial({})],
    ['Bootstrap', Bootstrap.fromPartial({})],
  ] as const) {
    const properties = Object.keys(message).filter((key) => key !== '_unknownFields');
    const names = messageFields(`outrigger.config.v1.${name}`).map(({ jsonName }) => jsonName);
    assert.deepEqual(names.toSorted(), properties.toSorted());
  }
});

test('native messages use only the types that their reader knows, and none contains itself', () => {
  const known = ['double', 'bool', 'string', 'bytes', 'uint32', 'int32', 'message'];
  const walk = (name: string, above: readonly string[]): void => {
    assert.ok(!above.includes(name), `${name} contains itself`);
    for (const one of requiredSchema(name).fields) {
      // The reader takes PEM text for bytes, which is right where they hold PEM.
      if (one.type === 'bytes') assert.equal(name, 'outrigger.config.v1.Secret');
      assert.ok(known.includes(one.type), `${name}.${one.name} is ${one.type}`);
      if (one.type === 'message') walk(one.typeName, [...above, name]);
    }
  };
  for (const kind of [...KINDS, 'Bootstrap']) {
    walk(`outrigger.config.v1.${kind}`, []);
  }
});
