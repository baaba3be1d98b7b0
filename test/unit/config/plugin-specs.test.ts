import assert from 'node:assert/strict';
import { test } from 'node:test';
import { consumerPluginSpecs, pluginSpecs, type PluginSource, sharePlugins } from '../../../src/config/plugin-specs.ts';
import { LimitCount, Plugins } from '../../../src/gen/outrigger/config/v1/gateway.ts';
import type { PluginSpec } from '../../../src/model/gateway.ts';
import type { DeepPartial } from '../../support/resources.ts';

function from(collection: PluginSource['collection'], plugins: DeepPartial<Plugins> | undefined): PluginSource {
  return { collection, name: '1', plugins: plugins && Plugins.fromPartial(plugins as never) };
}

function owners(specs: readonly PluginSpec[]): string[] {
  return specs.map(({ name, owner }) => `${name} of ${owner}`);
}

const limitCount = { count: '2', timeWindow: '60' };

test('defaults are those of APISIX', () => {
  assert.deepEqual(pluginSpecs(from('routes', { keyAuth: {}, limitCount })), [
    {
      name: 'key-auth',
      owner: 'routes/1',
      policy: {
        header: 'apikey',
        query: 'apikey',
        hidesCredentials: false,
        realm: 'key',
        anonymousConsumer: undefined,
      },
    },
    {
      name: 'limit-count',
      owner: 'routes/1',
      policy: {
        limits: [{ count: '2', windowS: '60', keyType: 'var', key: 'remote_addr', headerPrefix: undefined }],
        areRules: false,
        windowType: 'fixed',
        rejectedCode: 503,
        rejectedMsg: undefined,
        group: '',
        showsQuota: true,
        allowsDegradation: false,
      },
    },
  ]);
});

test('every field', () => {
  const specs = pluginSpecs(
    from('services', {
      keyAuth: { header: 'X-Key', query: 'K', hideCredentials: true, realm: 'r', anonymousConsumer: 'guest' },
      limitCount: {
        ...limitCount,
        keyType: 'constant',
        key: 'all',
        windowType: 'sliding',
        rejectedCode: 429,
        rejectedMsg: 'no',
        group: 'g',
        showLimitQuotaHeader: false,
        allowDegradation: true,
      },
    }),
  );
  assert.deepEqual(
    specs.map(({ policy }) => policy),
    [
      { header: 'x-key', query: 'K', hidesCredentials: true, realm: 'r', anonymousConsumer: 'guest' },
      {
        limits: [{ count: '2', windowS: '60', keyType: 'constant', key: 'all', headerPrefix: undefined }],
        areRules: false,
        windowType: 'sliding',
        rejectedCode: 429,
        rejectedMsg: 'no',
        group: 'g',
        showsQuota: false,
        allowsDegradation: true,
      },
    ],
  );
});

test('rules are limits by templates, called by their number where they have no prefix', () => {
  const rules = [
    { key: '$remote_addr', count: '2', timeWindow: '2', headerPrefix: 'a' },
    { key: '$uri', count: '$http_quota', timeWindow: '5' },
  ];
  const [spec] = pluginSpecs(from('routes', { limitCount: { rules } }));
  assert.ok(spec?.name === 'limit-count');
  assert.equal(spec.policy.areRules, true);
  assert.deepEqual(spec.policy.limits, [
    { count: '2', windowS: '2', keyType: 'var_combination', key: '$remote_addr', headerPrefix: 'a' },
    { count: '$http_quota', windowS: '5', keyType: 'var_combination', key: '$uri', headerPrefix: '2' },
  ]);
});

test('whole plugin replaces whole plugin: Route, then PluginConfig, then Service', () => {
  const own = (plugins: DeepPartial<Plugins>): PluginSource => from('routes', plugins);
  const config = from('plugin_configs', { limitCount: { count: '3', timeWindow: '1' } });
  const service = from('services', { keyAuth: {}, limitCount: { ...limitCount, rejectedCode: 429 } });
  assert.deepEqual(owners(pluginSpecs(own({}), config, service)), [
    'key-auth of services/1',
    'limit-count of plugin_configs/1',
  ]);
  const specs = pluginSpecs(own({ limitCount }), config, service);
  assert.deepEqual(owners(specs), ['key-auth of services/1', 'limit-count of routes/1']);
  assert.equal(specs[1]?.name === 'limit-count' && specs[1].policy.rejectedCode, 503);
  assert.deepEqual(owners(pluginSpecs(undefined, undefined, service)).length, 2);
  assert.deepEqual(pluginSpecs(undefined, own({})), []);
});

test('one that is switched off removes the inherited one, unless something above switches it on', () => {
  const service = from('services', { keyAuth: {}, limitCount });
  const off = { disabled: true };
  assert.deepEqual(owners(pluginSpecs(from('routes', { limitCount: off }), undefined, service)), [
    'key-auth of services/1',
  ]);
  assert.deepEqual(pluginSpecs(from('routes', { limitCount: off, keyAuth: off }), service), []);
  const config = from('plugin_configs', { limitCount: off });
  assert.deepEqual(owners(pluginSpecs(from('routes', { limitCount }), config, service)), [
    'key-auth of services/1',
    'limit-count of routes/1',
  ]);
  assert.deepEqual(owners(pluginSpecs(from('routes', {}), config, service)), ['key-auth of services/1']);
});

test('the same message gives the same objects, and equal ones are taken from the list before', () => {
  const service = from('services', { keyAuth: {}, limitCount });
  const first = pluginSpecs(undefined, service);
  assert.equal(pluginSpecs(from('routes', {}), service), first);
  const again = pluginSpecs(from('services', { keyAuth: {}, limitCount }));
  assert.notEqual(again, first);
  assert.equal(sharePlugins(again, first), first);
  const changed = sharePlugins(
    pluginSpecs(from('services', { keyAuth: {}, limitCount: { ...limitCount, count: '3' } })),
    first,
  );
  assert.equal(changed[0], first[0]);
  assert.notEqual(changed[1], first[1]);
  assert.deepEqual(sharePlugins([], first), []);
});

test("a Consumer's limit, and one that switches the route's off: it has no limits then", () => {
  const specs = (plugin: DeepPartial<LimitCount>): readonly PluginSpec[] =>
    consumerPluginSpecs(LimitCount.fromPartial(plugin as never), 'consumers/jack');
  assert.deepEqual(owners(specs(limitCount)), ['limit-count of consumers/jack']);
  const [off] = specs({ disabled: true });
  assert.ok(off?.name === 'limit-count');
  assert.deepEqual([off.policy.limits, off.policy.areRules, off.policy.allowsDegradation], [[], false, false]);
  assert.deepEqual(consumerPluginSpecs(undefined, 'consumers/jack'), []);
});
