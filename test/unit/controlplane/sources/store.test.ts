import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { readApisixObject } from '../../../../src/controlplane/apisix/read-apisix-object.ts';
import type { NativeObject } from '../../../../src/controlplane/source.ts';
import { StoreSource } from '../../../../src/controlplane/sources/store.ts';
import { FileStore } from '../../../../src/controlplane/store/file-store.ts';
import { EntryReader } from '../../../../src/controlplane/store/read-entries.ts';
import type { JsonObject } from '../../../../src/controlplane/store/store.ts';
import { Consumer } from '../../../../src/gen/outrigger/config/v1/gateway.ts';
import { Route } from '../../../../src/gen/outrigger/config/v1/gateway.ts';

interface Scene {
  readonly source: StoreSource;
  /** Values read so far. */
  readonly reads: string[];
  readonly changes: () => number;
  put(key: string, value: JsonObject): Promise<void>;
  remove(...keys: string[]): Promise<void>;
  names(): string[];
  native(name: string): NativeObject | undefined;
}

async function start(context: TestContext, before: Readonly<Record<string, JsonObject>> = {}): Promise<Scene> {
  const directory = mkdtempSync(join(tmpdir(), 'outrigger-source-'));
  const store = new FileStore({ directory });
  const reads: string[] = [];
  const reader = new EntryReader((id, value) => {
    reads.push(id.id);
    return readApisixObject(id, value);
  });
  const source = new StoreSource({ store, reader });
  await store.start((keys) => source.onChanged(keys));
  context.after(async () => {
    await store.stop();
    rmSync(directory, { recursive: true, force: true });
  });
  for (const [key, value] of Object.entries(before)) await store.write([{ op: 'put', key, value }]);
  let changes = 0;
  await source.start(() => changes++);
  const natives = (): NativeObject[] => source.objects().filter((object) => object.kind === 'native');
  return {
    source,
    reads,
    changes: () => changes,
    put: async (key, value) => void (await store.write([{ op: 'put', key, value }])),
    remove: async (...keys) => void (await store.write(keys.map((key) => ({ op: 'delete', key })))),
    names: () =>
      natives()
        .map(({ resourceKind, name }) => `${resourceKind} ${name}`)
        .sort(),
    native: (name) => natives().find(({ resourceKind, name: own }) => `${resourceKind} ${own}` === name),
  };
}

const UPSTREAM = { nodes: { '127.0.0.1:80': 1 } };

test('stored objects are resources, whether they were there at start or come later', async (context) => {
  const { names, put, remove, changes, native } = await start(context, {
    '/apisix/routes/1': { uri: '/a', upstream: UPSTREAM },
  });
  assert.deepEqual(names(), ['Route 1', 'Upstream routes/1']);
  assert.deepEqual(native('Route 1')?.origin, { file: '/apisix/routes/1', line: 1, column: 1 });
  assert.equal(native('Upstream routes/1')?.madeOf, 'Admin API');
  await put('/apisix/upstreams/u', UPSTREAM);
  await put('/apisix/routes/1', { uri: '/a', upstream_id: 'u' });
  assert.deepEqual(names(), ['Route 1', 'Upstream u']);
  await remove('/apisix/routes/1', '/apisix/upstreams/u');
  assert.deepEqual(names(), []);
  assert.equal(changes(), 3);
});

test('what does not change stays the same object and is not read again', async (context) => {
  const { put, native, reads, source } = await start(context);
  for (let i = 0; i < 50; i++) await put(`/apisix/upstreams/${i}`, UPSTREAM);
  const before = source.objects();
  const read = reads.length;
  await put('/apisix/upstreams/7', { ...UPSTREAM, retries: 1 });
  assert.equal(reads.length, read + 1);
  const changed = source.objects().filter((object) => !before.includes(object));
  assert.deepEqual(changed, [native('Upstream 7')]);
  assert.equal(source.objects(), source.objects());
});

test('a consumer and its credentials are one resource', async (context) => {
  const { put, remove, names, native } = await start(context);
  const keys = (): string[] => {
    const { plugins, credentials } = Consumer.decode(native('Consumer jack')?.bytes ?? new Uint8Array());
    return [plugins?.keyAuth?.key ?? '', ...credentials.map(({ id, keyAuth: auth }) => `${id}=${auth?.key}`)];
  };
  // Order doesn't matter: a database may give them in any.
  await put('/apisix/consumers/jack/credentials/two', { plugins: { 'key-auth': { key: 'b' } } });
  assert.deepEqual(names(), []);
  await put('/apisix/consumers/jack', { username: 'jack', plugins: { 'key-auth': { key: 'k' } } });
  assert.deepEqual(keys(), ['k', 'two=b']);
  await put('/apisix/consumers/jack/credentials/one', { plugins: { 'key-auth': { key: 'a' } } });
  assert.deepEqual(keys(), ['k', 'one=a', 'two=b']);
  await remove('/apisix/consumers/jack/credentials/two');
  assert.deepEqual(keys(), ['k', 'one=a']);
  await remove('/apisix/consumers/jack', '/apisix/consumers/jack/credentials/one');
  assert.deepEqual(names(), []);
});

test('a route that cannot be read guards on: its requests are answered 503 and fall to no other', async (context) => {
  const { source } = await start(context, {
    '/apisix/routes/guard': {
      ...{ uri: '/guard/*', hosts: ['a.org'], priority: 7, labels: { team: '' } },
      ...{ plugins: { 'key-auth': {} }, upstream: UPSTREAM },
    },
    '/apisix/routes/off': { uri: '/off', status: 0, from_the_future: true, upstream: UPSTREAM },
    '/apisix/routes/lost': { uri: 5, upstream: UPSTREAM },
  });
  const routes = source.objects().flatMap((object) => (object.kind === 'native' ? [Route.decode(object.bytes)] : []));
  assert.deepEqual(
    routes.map(({ name, uris, hosts, priority }) => ({ name, uris, hosts, priority })),
    [{ name: 'guard', uris: ['/guard/*'], hosts: ['a.org'], priority: 7 }],
  );
  assert.match(routes[0]?.pluginConfigId ?? '', /unreadable/);
});

test('what this version cannot read is told and disturbs nothing else', async (context) => {
  const { source, names, put } = await start(context, {
    '/apisix/routes/1': { uri: '/a', from_the_future: true, upstream: UPSTREAM },
    '/apisix/upstreams/1': UPSTREAM,
    '/apisix/stream_routes/1': {},
    '/apisix/consumers/jack': { username: 'jack' },
    '/apisix/consumers/jack/credentials/one': { plugins: {} },
  });
  assert.deepEqual(names(), ['Consumer jack', 'Route 1', 'Upstream 1']);
  const findings = source.findings();
  assert.deepEqual([...new Set(findings.map(({ file }) => file))].sort(), [
    '/apisix/consumers/jack/credentials/one',
    '/apisix/routes/1',
    '/apisix/stream_routes/1',
  ]);
  assert.equal(findings.find(({ file }) => file === '/apisix/routes/1')?.path, 'from_the_future');
  await put('/apisix/routes/1', { uri: '/a', upstream: UPSTREAM });
  assert.ok(!source.findings().some(({ file }) => file === '/apisix/routes/1'));
});
