import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { AdminApi } from '../../../../src/controlplane/admin-api/admin-api.ts';
import type { ConcernedResource } from '../../../../src/controlplane/admin-api/apply-wait.ts';
import { readApisixObject } from '../../../../src/controlplane/apisix/read-apisix-object.ts';
import { FileClaims } from '../../../../src/controlplane/apisix/file-claims.ts';
import type { NativeObject } from '../../../../src/controlplane/source.ts';
import { openDurableFile } from '../../../../src/controlplane/store/durable-file.ts';
import { FileStore } from '../../../../src/controlplane/store/file-store.ts';
import { EntryReader } from '../../../../src/controlplane/store/read-entries.ts';
import { selfSigned } from '../../../support/certificates.ts';
import { FakeClock } from '../../../support/fake-clock.ts';

interface Reply {
  readonly status: number;
  readonly body: Readonly<Record<string, unknown>>;
  readonly headers: Readonly<Record<string, string>>;
}

interface Scene {
  readonly store: FileStore;
  readonly clock: FakeClock;
  readonly waited: [readonly ConcernedResource[], number][];
  /** Makes the disk refuse writes. */
  fail(isFailing: boolean): void;
  /** `path`: below `/apisix/admin`, or the decoded segments of the whole. */
  call(
    method: string,
    path: string | readonly string[],
    body?: unknown,
    headers?: Record<string, string>,
  ): Promise<Reply>;
}

async function start(context: TestContext, fileClaims?: FileClaims): Promise<Scene> {
  const directory = mkdtempSync(join(tmpdir(), 'outrigger-admin-'));
  let isFailing = false;
  const store = new FileStore({
    directory,
    openFile: async (path, isNew) => {
      const file = await openDurableFile(path, isNew);
      return { ...file, sync: () => (isFailing ? Promise.reject(new Error('EIO')) : file.sync()) };
    },
  });
  const clock = new FakeClock();
  const waited: Scene['waited'] = [];
  const reader = new EntryReader(readApisixObject);
  const api = new AdminApi({
    store,
    reader,
    clock,
    fileClaims,
    awaitApplied: (resources, timeoutMs) => {
      waited.push([resources, timeoutMs]);
      return Promise.resolve({ acknowledged: ['a'], refused: [{ nodeId: 'b', reason: 'no' }], pending: ['c'] });
    },
  });
  await store.start((keys) => api.onChanged(keys));
  api.load();
  context.after(async () => {
    await store.stop();
    rmSync(directory, { recursive: true, force: true });
  });
  return {
    store,
    clock,
    waited,
    fail: (wanted) => (isFailing = wanted),
    async call(method, path, body, headers = {}) {
      const [pathname = '', query] = typeof path === 'string' ? path.split('?') : [];
      const text = typeof body === 'string' ? body : JSON.stringify(body ?? '');
      const answer = await api.answer({
        method,
        segments: typeof path === 'string' ? `/apisix/admin${pathname}`.split('/').slice(1) : path,
        query: new URLSearchParams(query),
        headers,
        body: Buffer.from(body === undefined ? '' : text),
      });
      return {
        status: answer.status,
        body: (answer.body ?? {}) as Reply['body'],
        headers: answer.headers ?? {},
      };
    },
  };
}

const UPSTREAM = { type: 'roundrobin', nodes: { '127.0.0.1:80': 1 } };

async function expectRefusal(reply: Promise<Reply>, status: number, expected: RegExp): Promise<void> {
  const { body, status: got } = await reply;
  assert.match(String(body['error_msg'] ?? body['message']), expected);
  assert.equal(got, status);
}

test('an object is made, replaced, read and deleted in the shapes of APISIX', async (context) => {
  const { call, clock } = await start(context);
  const now = Math.floor(clock.wallMs() / 1000);
  const made = await call('PUT', '/upstreams/1', UPSTREAM);
  const value = { ...UPSTREAM, id: '1', create_time: now, update_time: now };
  assert.equal(made.status, 201);
  assert.deepEqual(made.body, { key: '/apisix/upstreams/1', value, createdIndex: 1, modifiedIndex: 1 });
  assert.equal(made.headers['etag'], '"1"');
  clock.advance(5_000);
  const replaced = await call('PUT', '/upstreams/1', { ...UPSTREAM, retries: 2, id: 1 });
  assert.equal(replaced.status, 200);
  const next = { ...UPSTREAM, retries: 2, id: '1', create_time: now, update_time: now + 5 };
  assert.deepEqual(replaced.body, { key: '/apisix/upstreams/1', value: next, createdIndex: 1, modifiedIndex: 2 });
  const got = await call('GET', '/upstreams/1');
  assert.deepEqual([got.status, got.body, got.headers['etag']], [200, replaced.body, '"2"']);
  assert.equal((await call('GET', '/upstreams/1', undefined, { 'if-none-match': '"2"' })).status, 304);
  const deleted = await call('DELETE', '/upstreams/1');
  assert.deepEqual([deleted.status, deleted.body], [200, { key: '/apisix/upstreams/1', deleted: '1' }]);
  for (const method of ['GET', 'DELETE', 'PATCH']) {
    const reply = await call(method, '/upstreams/1', {});
    assert.deepEqual([reply.status, reply.body], [404, { message: 'Key not found' }], method);
  }
});

test('POST makes an id as etcd does', async (context) => {
  const { call } = await start(context);
  await call('PUT', '/upstreams/1', UPSTREAM);
  await call('PUT', '/upstreams/00000000000000000002', UPSTREAM);
  const replies = await Promise.all([1, 2, 3].map(() => call('POST', '/upstreams', UPSTREAM)));
  assert.deepEqual(
    replies.map(({ status, body }) => [status, body['key'], (body['value'] as Record<string, unknown>)['id']]),
    ['3', '4', '5'].map((n) => [201, `/apisix/upstreams/${n.padStart(20, '0')}`, n.padStart(20, '0')]),
  );
  await expectRefusal(
    call('POST', '/upstreams', { id: 1, ...UPSTREAM }),
    400,
    /^wrong upstream id, do not need it.*line 1, column 2/,
  );
});

test('the id may stand in the path, in the body, or in both', async (context) => {
  const { call } = await start(context);
  assert.equal((await call('PUT', '/upstreams', { ...UPSTREAM, id: 7 })).body['key'], '/apisix/upstreams/7');
  await expectRefusal(call('PUT', '/upstreams', UPSTREAM), 400, /^missing upstream id/);
  await expectRefusal(
    call('PUT', '/upstreams/1', { id: 2, ...UPSTREAM }),
    400,
    /^id \(line 1, column 2\): must be '1'/,
  );
  await expectRefusal(call('PUT', '/upstreams/a b', UPSTREAM), 400, /^id: must be 1 to 64 of letters/);
  const jack = { username: 'jack', plugins: { 'key-auth': { key: 'k' } } };
  assert.equal((await call('PUT', '/consumers', jack)).body['key'], '/apisix/consumers/jack');
  assert.equal((await call('PUT', '/consumers/jack', jack)).status, 200);
  await expectRefusal(call('PUT', '/consumers/tom', jack), 400, /^username .*must be 'tom'/);
  await expectRefusal(call('PUT', '/consumers', { plugins: {} }), 400, /^missing consumer name/);
});

test('PATCH merges, and replaces one attribute by a sub-path', async (context) => {
  const { call } = await start(context);
  await call('PUT', '/routes/1', { uri: '/a', methods: ['GET'], labels: { a: '1', b: '2' }, upstream: UPSTREAM });
  const valueOf = async (reply: Promise<Reply>): Promise<Record<string, unknown>> => {
    const { status, body } = await reply;
    assert.equal(status, 200, JSON.stringify(body));
    return body['value'] as Record<string, unknown>;
  };
  const merged = await valueOf(
    call('PATCH', '/routes/1', { methods: ['PUT'], labels: { a: null, c: '3' }, desc: 'x' }),
  );
  assert.deepEqual(merged['methods'], ['PUT']);
  assert.deepEqual(merged['labels'], { b: '2', c: '3' });
  assert.equal(merged['uri'], '/a');
  assert.deepEqual((await valueOf(call('PATCH', '/routes/1/methods', ['POST'])))['methods'], ['POST']);
  const nodes = { '127.0.0.1:81': 1 };
  const patched = await valueOf(call('PATCH', '/routes/1/upstream/nodes', nodes));
  assert.deepEqual(patched['upstream'], { ...UPSTREAM, nodes });
  assert.equal((await valueOf(call('PATCH', '/routes/1/desc', 'null')))['desc'], undefined);
  // The result is checked as a whole, and what stands in the body has a place.
  await expectRefusal(call('PATCH', '/routes/1', { uri: null }), 400, /^uri( \(line 1, column 2\))?: required/);
  await expectRefusal(
    call('PATCH', '/routes/1', '{\n "methods": ["get"]}'),
    400,
    /^methods\[0\] \(line 2, column 14\): /,
  );
  await expectRefusal(call('PATCH', '/routes/1/methods/0', '"GET"'), 400, /^invalid sub-path/);
  await expectRefusal(call('PATCH', '/routes/1', [1]), 400, /must be an object/);
  await expectRefusal(call('PATCH', '/routes/1/id', '"2"'), 400, /^id/);
  await expectRefusal(call('PATCH', '/routes/1', { create_time: 1 }), 400, /the property is forbidden: create_time/);
});

test('a PATCH whose keys have blanks meets the keys of the object, and warns', async (context) => {
  const { call } = await start(context);
  await call('PUT', '/routes/1', { uri: '/a', upstream: UPSTREAM });
  const reply = await call('PATCH', '/routes/1', { 'upstream ': { 'type ': 'least_conn' } });
  assert.equal(reply.status, 200);
  assert.equal(
    ((reply.body['value'] as Record<string, unknown>)['upstream'] as Record<string, unknown>)['type'],
    'least_conn',
  );
  const warnings = reply.body['warnings'] as string[];
  assert.equal(warnings.length, 2);
  assert.match(warnings[0] ?? '', /^upstream \(line 1, column 2\): the key "upstream " has blanks/);
});

test('keys with stray blanks are trimmed, and the answer says so', async (context) => {
  const { call } = await start(context);
  const body =
    '{\n "uri": "/a",\n "upstream": {\n  "key": "sid", "type ": "chash", "hash_on ": "cookie",\n  "nodes ": {"127.0.0.1:1980": 1}}}';
  const { status, body: reply } = await call('PUT', '/routes/1', body);
  assert.equal(status, 201);
  assert.deepEqual((reply['value'] as Record<string, unknown>)['upstream'], {
    key: 'sid',
    type: 'chash',
    hash_on: 'cookie',
    nodes: { '127.0.0.1:1980': 1 },
  });
  const warnings = reply['warnings'] as string[];
  assert.deepEqual(
    warnings.map((text) => text.split(':')[0]),
    ['upstream.type (line 4, column 17)', 'upstream.hash_on (line 4, column 35)', 'upstream.nodes (line 5, column 3)'],
  );
});

test('everything that is wrong with a body is told at once, with places and suggestions', async (context) => {
  const { call, store } = await start(context);
  const body =
    '{\n "uri": "/a",\n "plugins": {"limit-conut": {}},\n "upstream": {"type": "rr",\n  "nodes": {"127.0.0.1:99999": 1}},\n "create_time": 1}';
  const { status, body: reply } = await call('PUT', '/routes/1', body);
  assert.equal(status, 400);
  const problems = String(reply['error_msg']).split('; ');
  const told = (expected: RegExp): void =>
    assert.ok(
      problems.some((text) => expected.test(text)),
      `${expected}: ${problems.join('\n')}`,
    );
  told(/^create_time \(line 6, column 2\): the property is forbidden: create_time/);
  told(/^plugins\.limit-conut \(line 3, column 14\): .*did you mean limit-count\?/);
  told(/^upstream\.nodes\["127\.0\.0\.1:99999"\] \(line 5, column 13\): /);
  told(/^upstream\.type \(line 4, column 15\): /);
  assert.equal(store.revision, 0);
});

test('an object must name what is there', async (context) => {
  const { call } = await start(context);
  const missing = call('PUT', '/routes/1', { uri: '/a', upstream_id: 1, service_id: 's', plugin_config_id: 'p' });
  const { status, body } = await missing;
  assert.equal(status, 400);
  const text = String(body['error_msg']);
  assert.match(
    text,
    /upstream_id \(line 1, column 13\): failed to fetch upstream info by upstream id \[1\], response code: 404/,
  );
  assert.match(text, /failed to fetch service info by service id \[s\], response code: 404/);
  assert.match(text, /failed to fetch plugin config info by plugin config id \[p\], response code: 404/);
  await expectRefusal(
    call('PUT', '/consumers/jack/credentials/one', { plugins: { 'key-auth': { key: 'k' } } }),
    404,
    /^consumer not found/,
  );
});

test('what is named is not deleted, but by force', async (context) => {
  const { call } = await start(context);
  await call('PUT', '/upstreams/1', UPSTREAM);
  await call('PUT', '/services/1', { upstream_id: '1' });
  await call('PUT', '/routes/1', { uri: '/a', service_id: 1 });
  await call('PUT', '/routes/2', { uri: '/b', upstream_id: 1 });
  await expectRefusal(
    call('DELETE', '/services/1'),
    400,
    /^can not delete this service directly, route \[1\] is still using it now/,
  );
  await expectRefusal(
    call('DELETE', '/upstreams/1?force=false'),
    400,
    /^can not delete this upstream, route \[2\], service \[1\] are still using it now/,
  );
  for (const force of ['1', 'yes', 'True', '']) {
    await expectRefusal(call('DELETE', `/upstreams/1?force=${force}`), 400, /^force must be true or false, not "/);
  }
  assert.equal((await call('DELETE', '/upstreams/1?force=true')).status, 200);
  await call('PUT', '/upstreams/1', UPSTREAM);
  await call('PUT', '/routes/2', { uri: '/b', upstream: UPSTREAM });
  await call('DELETE', '/routes/1');
  await call('DELETE', '/services/1');
  assert.equal((await call('DELETE', '/upstreams/1')).status, 200);
});

test('a consumer goes with its credentials in one write', async (context) => {
  const { call, store } = await start(context);
  const credential = (key: string): unknown => ({ plugins: { 'key-auth': { key } } });
  await call('PUT', '/consumers', { username: 'jack' });
  await call('PUT', '/consumers', { username: 'jack2' });
  await call('PUT', '/consumers/jack/credentials/one', credential('a'));
  await call('PUT', '/consumers/jack/credentials/two', credential('b'));
  await call('PUT', '/consumers/jack2/credentials/one', credential('c'));
  const list = await call('GET', '/consumers/jack/credentials');
  assert.equal(list.body['total'], 2);
  assert.equal((await call('GET', '/consumers')).body['total'], 2);
  const { revision } = store;
  assert.equal((await call('DELETE', '/consumers/jack')).status, 200);
  assert.equal(store.revision, revision + 1);
  assert.deepEqual(
    Array.from(store.entries(), ({ key }) => key),
    ['/apisix/consumers/jack2', '/apisix/consumers/jack2/credentials/one'],
  );
  // What they held is free again.
  assert.equal((await call('PUT', '/consumers/jack2/credentials/two', credential('a'))).status, 201);
});

test('no two have one key', async (context) => {
  const { call } = await start(context);
  const consumer = (username: string, key: string): unknown => ({ username, plugins: { 'key-auth': { key } } });
  await call('PUT', '/consumers', consumer('jack', 'k'));
  await expectRefusal(call('PUT', '/consumers', consumer('tom', 'k')), 400, /duplicate key found with consumer: jack/);
  assert.equal((await call('PUT', '/consumers', consumer('jack', 'k'))).status, 200);
  await call('PUT', '/consumers', consumer('tom', 't'));
  await expectRefusal(
    call('PUT', '/consumers/tom/credentials/1', { plugins: { 'key-auth': { key: 'k' } } }),
    400,
    /duplicate key/,
  );
  // Of two that come together only the first has it.
  const replies = await Promise.all([
    call('PUT', '/consumers', consumer('a', 'x')),
    call('PUT', '/consumers', consumer('b', 'x')),
  ]);
  assert.deepEqual(
    replies.map(({ status }) => status),
    [201, 400],
  );
});

test('APISIX row 117: the limits of a group are equal', async (context) => {
  const { call } = await start(context);
  const service = (count: number, more = {}): unknown => ({
    upstream: UPSTREAM,
    plugins: { 'limit-count': { count, time_window: 60, group: 'g', ...more } },
  });
  assert.equal((await call('PUT', '/services/1', service(2))).status, 201);
  await expectRefusal(
    call('PUT', '/services/2', service(3)),
    400,
    /failed to check the configuration of plugin limit-count err: group conf mismatched: \/apisix\/services\/1/,
  );
  assert.equal((await call('PUT', '/services/2', service(2, { rejected_code: 503 }))).status, 201);
  await expectRefusal(call('PUT', '/services/1', service(3)), 400, /group conf mismatched/);
  await call('DELETE', '/services/2');
  assert.equal((await call('PUT', '/services/1', service(3))).status, 200);
});

test('APISIX row 113: a limit of nothing is refused', async (context) => {
  const { call } = await start(context);
  for (const [limit, path] of [
    [{ count: 0, time_window: 60 }, 'count'],
    [{ count: -100, time_window: 60 }, 'count'],
    [{ time_window: 60 }, 'count'],
    [{ count: 2, time_window: 0 }, 'time_window'],
  ] as const) {
    const body = { uri: '/a', upstream: UPSTREAM, plugins: { 'limit-count': limit } };
    await expectRefusal(call('PUT', '/routes/1', body), 400, new RegExp(`plugins\\.limit-count\\.${path}`));
  }
});

test('APISIX row 114: a message of a refusal is a text that is not empty', async (context) => {
  const { call } = await start(context);
  for (const rejected_msg of ['', 7]) {
    const body = {
      uri: '/a',
      upstream: UPSTREAM,
      plugins: { 'limit-count': { count: 1, time_window: 60, rejected_msg } },
    };
    await expectRefusal(call('PUT', '/routes/1', body), 400, /plugins\.limit-count\.rejected_msg/);
  }
});

test('APISIX row 125: redis is refused by name', async (context) => {
  const { call } = await start(context);
  const body = {
    uri: '/a',
    upstream: UPSTREAM,
    plugins: { 'limit-count': { count: 1, time_window: 60, policy: 'redis' } },
  };
  await expectRefusal(call('PUT', '/routes/1', body), 400, /plugins\.limit-count\.policy .*not supported/);
});

test('conditional writes', async (context) => {
  const { call } = await start(context);
  assert.equal((await call('PUT', '/upstreams/1', UPSTREAM, { 'if-none-match': '*' })).status, 201);
  const taken = await call('PUT', '/upstreams/1', UPSTREAM, { 'if-none-match': '*' });
  assert.deepEqual([taken.status, taken.body['modifiedIndex']], [412, 1]);
  assert.equal((await call('PUT', '/upstreams/1', UPSTREAM, { 'if-match': '"1"' })).status, 200);
  assert.equal((await call('PATCH', '/upstreams/1?modifiedIndex=1', {})).status, 412);
  assert.equal((await call('DELETE', '/upstreams/1?modifiedIndex=1')).status, 412);
  // Of many that want to replace one version one does.
  const replies = await Promise.all(
    Array.from({ length: 20 }, () => call('PUT', '/upstreams/1', UPSTREAM, { 'if-match': '"2"' })),
  );
  const count = (wanted: number): number => replies.filter(({ status }) => status === wanted).length;
  assert.deepEqual([count(200), count(412)], [1, 19]);
  assert.equal((await call('DELETE', '/upstreams/1?modifiedIndex=3')).status, 200);
  await expectRefusal(call('PUT', '/upstreams/1', UPSTREAM, { 'if-match': '1' }), 400, /If-Match must be/);
});

test('many writes at once are serialised, and none is lost', async (context) => {
  const { call } = await start(context);
  await call('PUT', '/routes/1', { uri: '/a', upstream: UPSTREAM });
  await Promise.all(
    Array.from({ length: 100 }, (_, i) => call('PATCH', '/routes/1', { labels: { [`l${i}`]: String(i) } })),
  );
  const { body } = await call('GET', '/routes/1');
  assert.equal(Object.keys((body['value'] as Record<string, object>)['labels'] ?? {}).length, 100);
  assert.equal(body['modifiedIndex'], 101);
});

test('writes that come together see each other', async (context) => {
  const { call } = await start(context);
  await call('PUT', '/upstreams/1', UPSTREAM);
  const [named, deleted] = await Promise.all([
    call('PUT', '/routes/1', { uri: '/a', upstream_id: 1 }),
    call('DELETE', '/upstreams/1'),
  ]);
  assert.deepEqual([named.status, deleted.status], [201, 400]);
  await call('DELETE', '/routes/1');
  const [gone, late] = await Promise.all([
    call('DELETE', '/upstreams/1'),
    call('PUT', '/routes/1', { uri: '/a', upstream_id: 1 }),
  ]);
  assert.deepEqual([gone.status, late.status], [200, 400]);
  const [made, naming] = await Promise.all([
    call('PUT', '/upstreams/1', UPSTREAM),
    call('PUT', '/routes/1', { uri: '/a', upstream_id: 1 }),
  ]);
  assert.deepEqual([made.status, naming.status], [201, 201]);
});

test('a write that the disk refuses is answered 503 and leaves nothing behind', async (context) => {
  const { call, fail } = await start(context);
  const consumer = (username: string): unknown => ({ username, plugins: { 'key-auth': { key: 'k' } } });
  fail(true);
  await expectRefusal(call('PUT', '/upstreams/1', UPSTREAM), 503, /can't be written: EIO/);
  await expectRefusal(call('PUT', '/consumers', consumer('jack')), 503, /EIO/);
  fail(false);
  assert.equal((await call('GET', '/upstreams/1')).status, 404);
  await expectRefusal(call('PUT', '/routes/1', { uri: '/a', upstream_id: 1 }), 400, /failed to fetch upstream info/);
  assert.equal((await call('PUT', '/consumers', consumer('tom'))).status, 201);
  assert.equal((await call('PUT', '/upstreams/1', UPSTREAM)).status, 201);
});

test('lists have filters and pages', async (context) => {
  const { call } = await start(context);
  await call('PUT', '/upstreams/1', UPSTREAM);
  for (let i = 0; i < 25; i++) {
    const labels = i % 2 === 0 ? { even: 'yes' } : { odd: 'yes' };
    const body = {
      uri: `/svc/${i}`,
      name: `route-${i}`,
      labels,
      ...(i < 3 ? { upstream_id: 1 } : { upstream: UPSTREAM }),
    };
    await call('PUT', `/routes/${99 - i}`, body);
  }
  const list = async (query: string): Promise<[unknown, string[]]> => {
    const { status, body } = await call('GET', `/routes${query}`);
    assert.equal(status, 200, JSON.stringify(body));
    const entries = body['list'] as { value: { name: string }; createdIndex: number }[];
    return [body['total'], entries.map(({ value }) => value.name)];
  };
  assert.equal((await list(''))[1].length, 25);
  assert.deepEqual(await list('?page=3&page_size=10'), [
    25,
    ['route-20', 'route-21', 'route-22', 'route-23', 'route-24'],
  ]);
  assert.deepEqual(await list('?page=4&page_size=10'), [25, []]);
  // As in APISIX pages are made only where both are given.
  assert.equal((await list('?page=1'))[1].length, 25);
  assert.equal((await list('?page_size=10'))[1].length, 25);
  assert.deepEqual((await list('?name=route-2'))[0], 6);
  assert.deepEqual((await list('?label=even'))[0], 13);
  assert.deepEqual((await list('?label=even:yes&uri=/svc/2'))[1].sort(), [
    'route-2',
    'route-20',
    'route-22',
    'route-24',
  ]);
  assert.deepEqual((await list('?label=even:no'))[0], 0);
  assert.deepEqual((await list('?filter=upstream_id%3D1'))[0], 3);
  for (const query of [
    '?page_size=9',
    '?page_size=501',
    '?page=0&page_size=10',
    '?page=x',
    '?page=1e0&page_size=10',
    '?page=1&page_size=0x10',
    '?page=+1&page_size=10',
    '?filter=uri%3D1',
  ]) {
    assert.equal((await call('GET', `/routes${query}`)).status, 400, query);
  }
});

test('wait=applied tells what the sidecars made of it', async (context) => {
  const { call, waited } = await start(context);
  const reply = await call('PUT', '/routes/1?wait=applied&timeout=2.5', { uri: '/a', upstream: UPSTREAM });
  assert.equal(reply.status, 201);
  assert.deepEqual(reply.body['applied'], {
    acknowledged: ['a'],
    refused: [{ node: 'b', reason: 'no' }],
    pending: ['c'],
  });
  await call('PUT', '/upstreams/1', UPSTREAM);
  // The inline upstream goes and another one is asked for: both are part of the change.
  await call('PATCH', '/routes/1?wait=applied', { upstream: null, upstream_id: 1 });
  await call('PUT', '/consumers', { username: 'jack' });
  await call('PUT', '/consumers/jack/credentials/1?wait=applied', { plugins: { 'key-auth': { key: 'k' } } });
  await call('DELETE', '/routes/1?wait=applied');
  const inline = [
    { kind: 'Route', name: '1' },
    { kind: 'Upstream', name: 'routes/1' },
  ];
  const consumer = { kind: 'Consumer', name: 'jack' };
  assert.deepEqual(waited, [
    [inline, 2_500],
    [[...inline, { kind: 'Upstream', name: '1' }], 10_000],
    [[consumer], 10_000],
    [[{ kind: 'Route', name: '1' }], 10_000],
  ]);
  for (const query of [
    'wait=all',
    'wait=applied&timeout=0',
    'wait=applied&timeout=61',
    'wait=applied&timeout=x',
    'wait=applied&timeout=1e1',
    'wait=applied&timeout=0x1',
    'ttl=1',
  ]) {
    assert.equal((await call('PUT', `/routes/1?${query}`, { uri: '/a', upstream: UPSTREAM })).status, 400, query);
  }
});

test('an object can be checked without being written', async (context) => {
  const { call, store } = await start(context);
  assert.deepEqual(await call('POST', '/schema/validate/routes', { uri: '/a', upstream_id: 9 }), {
    status: 200,
    body: {},
    headers: {},
  });
  assert.equal((await call('POST', '/schema/validate/consumers', { username: 'jack' })).status, 200);
  assert.equal(
    (await call('POST', '/schema/validate/credentials', { plugins: { 'key-auth': { key: 'k' } } })).status,
    200,
  );
  const blank = await call('POST', '/schema/validate/upstreams', { 'nodes ': { '127.0.0.1:1': 1 } });
  assert.deepEqual([blank.status, (blank.body['warnings'] as string[]).length], [200, 1]);
  await expectRefusal(call('POST', '/schema/validate/upstreams', { type: 'rr' }), 400, /type \(line 1, column 2\)/);
  await expectRefusal(call('POST', '/schema/validate/foo', {}), 404, /Unsupported resource type: foo/);
  assert.equal(store.revision, 0);
});

test('plugins are listed', async (context) => {
  const { call } = await start(context);
  assert.deepEqual((await call('GET', '/plugins/list')).body, ['key-auth', 'limit-count']);
});

test('private keys are never shown', async (context) => {
  const { call, store } = await start(context);
  const { certificatePem: certificate, keyPem: key } = await selfSigned({ dns: ['test.com'] });
  const made = await call('PUT', '/ssls/1', { cert: certificate, key, snis: ['test.com'] });
  assert.equal(made.status, 201, JSON.stringify(made.body));
  const tls = { client_cert: certificate, client_key: key };
  await call('PUT', '/upstreams/1', { ...UPSTREAM, scheme: 'https', tls });
  const texts = await Promise.all(
    ['/ssls/1', '/ssls', '/upstreams/1', '/upstreams'].map(async (path) =>
      JSON.stringify((await call('GET', path)).body),
    ),
  );
  for (const text of [...texts, JSON.stringify(made.body)]) assert.ok(!text.includes('PRIVATE KEY'), text);
  assert.equal(store.get('/apisix/ssls/1')?.value['key'], key);
});

test('of writes of one key that come together each is told when the object came to be', async (context) => {
  const { call } = await start(context);
  const replies = await Promise.all(
    Array.from({ length: 200 }, (_, i) =>
      i % 4 === 3 ? call('DELETE', '/upstreams/1') : call('PUT', '/upstreams/1', { ...UPSTREAM, retries: i }),
    ),
  );
  for (const [i, { status, body }] of replies.entries()) {
    if (i % 4 === 3) {
      assert.equal(status, 200);
      continue;
    }
    assert.equal(status, i % 4 === 0 ? 201 : 200);
    assert.deepEqual([body['createdIndex'], body['modifiedIndex']], [i + 1 - (i % 4), i + 1]);
  }
});

test('a client certificate must be one, and stays one while it is used', async (context) => {
  const { call } = await start(context);
  const { certificatePem: cert, keyPem: key } = await selfSigned({ dns: ['a.b'] });
  const tls = { client_cert_id: 1 };
  const upstream = (): Promise<Reply> => call('PUT', '/upstreams/1', { ...UPSTREAM, scheme: 'https', tls });
  await expectRefusal(
    upstream(),
    400,
    /^tls\.client_cert_id .*failed to fetch ssl info by ssl id \[1\], response code: 404/,
  );
  await call('PUT', '/ssls/1', { cert, key, snis: ['a.b'] });
  await expectRefusal(
    upstream(),
    400,
    /^tls\.client_cert_id .*ssl id \[1\], wrong type: it must be client, not "server"/,
  );
  await call('PUT', '/ssls/1', { cert, key, type: 'client', status: 0 });
  await expectRefusal(upstream(), 400, /^tls\.client_cert_id .*ssl id \[1\], it is switched off: its status must be 1/);
  assert.equal((await call('PUT', '/ssls/1', { cert, key, type: 'client' })).status, 200);
  assert.equal((await upstream()).status, 201);
  const server = { cert, key, snis: ['a.b'] };
  await expectRefusal(call('PUT', '/ssls/1', server), 400, /^type .*must be client: upstream \[1\] is still using it/);
  await expectRefusal(
    call('PATCH', '/ssls/1', { status: 0 }),
    400,
    /^status \(line 1, column 2\): must be 1: upstream \[1\] is still using it as client certificate/,
  );
  await expectRefusal(call('PATCH', '/ssls/1/status', '0'), 400, /^status \(line 1, column 1\): must be 1/);
  assert.equal((await call('PATCH', '/ssls/1', { desc: 'x' })).status, 200);
  await call('DELETE', '/upstreams/1');
  assert.equal((await call('PUT', '/ssls/1', server)).status, 200);
});

test('a PATCH of a sub-path tells places in its body, and meets its names without blanks', async (context) => {
  const { call } = await start(context);
  await call('PUT', '/routes/1', { uri: '/a', labels: { a: '1' }, upstream: UPSTREAM });
  await expectRefusal(
    call('PATCH', '/routes/1/upstream/nodes', '{\n "127.0.0.1:80": 1,\n "127.0.0.1:81": -1}'),
    400,
    /^upstream\.nodes\["127\.0\.0\.1:81"\] \(line 3, column 2\): /,
  );
  await expectRefusal(
    call('PATCH', '/routes/1/methods', '["GET",\n"get"]'),
    400,
    /^methods\[1\] \(line 2, column 1\): /,
  );
  await expectRefusal(call('PATCH', '/routes/1/upstream/type', ' "rr"'), 400, /^upstream\.type \(line 1, column 2\): /);
  const blank = await call('PATCH', '/routes/1/ desc', '"hi"');
  assert.equal((blank.body['value'] as Record<string, unknown>)['desc'], 'hi');
  assert.deepEqual(blank.body['warnings'], ['the name " desc" in the path has blanks around it: they are taken off']);
  // The keys of labels are the user's own.
  const labels = await call('PATCH', '/routes/1/labels/ a', '"2"');
  assert.deepEqual((labels.body['value'] as Record<string, unknown>)['labels'], { a: '1', ' a': '2' });
  await expectRefusal(call('PATCH', '/routes/1/ /x', '1'), 400, /^invalid sub-path: .*a name in it is empty/);
});

test('a PATCH does not repeat warnings about what is not in its body', async (context) => {
  const { call } = await start(context);
  await call('PUT', '/upstreams/1', UPSTREAM);
  const made = await call('PUT', '/routes/1', { uri: '/a', upstream: UPSTREAM, upstream_id: 1 });
  assert.equal((made.body['warnings'] as string[]).length, 1);
  assert.equal((await call('PATCH', '/routes/1', { desc: 'x' })).body['warnings'], undefined);
  assert.equal((await call('PATCH', '/routes/1/desc', '"y"')).body['warnings'], undefined);
  const again = await call('PATCH', '/routes/1', { upstream: { ...UPSTREAM, retries: 1 } });
  assert.match(String(again.body['warnings']), /^upstream \(line 1, column 2\): has no effect/);
  // What the body brings about is told, though it stands elsewhere.
  await call('PUT', '/routes/2', { uri: '/a', upstream: UPSTREAM });
  const brought = await call('PATCH', '/routes/2', { upstream_id: 1 });
  assert.match(String(brought.body['warnings']), /^upstream: has no effect/);
});

test('ids are told by their names and bounds', async (context) => {
  const { call, store } = await start(context);
  await expectRefusal(
    call('PUT', '/consumers', { username: 'a b' }),
    400,
    /^username \(line 1, column 2\): 'a b' must be/,
  );
  await expectRefusal(
    call('PUT', '/consumers', { username: 7 }),
    400,
    /^username \(line 1, column 2\): must be a string/,
  );
  await expectRefusal(call('PUT', '/consumers/a b', { username: 'a b' }), 400, /^username: 'a b' must be/);
  for (const id of ['0', '-1', '0.5']) {
    const expected = new RegExp(`^id \\(line 1, column 2\\): must be 1 or more, or a text, not ${id}$`);
    await expectRefusal(call('PUT', '/upstreams', `{"id":${id},"nodes":{}}`), 400, expected);
    await expectRefusal(call('PUT', '/upstreams/1', `{"id":${id},"nodes":{}}`), 400, expected);
  }
  await expectRefusal(
    call('PUT', '/upstreams', '{"id":9007199254740993,"nodes":{}}'),
    400,
    /^id \(line 1, column 2\): must be at most 9007199254740991, or a text$/,
  );
  await call('PUT', '/consumers', { username: 'jack' });
  await call('PUT', '/consumers/jack/credentials/one', { plugins: { 'key-auth': { key: 'k' } } });
  for (const method of ['GET', 'HEAD', 'DELETE', 'PATCH', 'PUT']) {
    // As decoded from jack%2Fcredentials%2Fone.
    const segments = ['apisix', 'admin', 'consumers', 'jack/credentials/one'];
    await expectRefusal(call(method, segments, {}), 400, /^username: 'jack\/credentials\/one' must be/);
  }
  assert.ok(store.get('/apisix/consumers/jack/credentials/one') !== undefined);
  await expectRefusal(call('GET', '/routes//1'), 400, /^the id is empty$/);
  await expectRefusal(
    call('PUT', '/upstreams', { ...UPSTREAM, id: '' }),
    400,
    /^id \(line 1, column 30\)|^id .*: must not be empty/,
  );
});

test('what another version has stored can be deleted', async (context) => {
  const { call, store } = await start(context);
  const keys = ['/apisix/stream_routes/1', '/apisix/secrets/vault/1', '/apisix/routes/a b'];
  for (const key of keys) await store.write([{ op: 'put', key, value: {} }]);
  await expectRefusal(call('GET', '/stream_routes/1'), 404, /Unsupported resource type: stream_routes/);
  await expectRefusal(call('DELETE', '/stream_routes/1?modifiedIndex=9'), 412, /nothing was written/);
  for (const key of keys) {
    const path = key.slice('/apisix'.length);
    assert.deepEqual((await call('DELETE', path)).body, { key, deleted: '1' });
    assert.equal(store.get(key), undefined);
    assert.ok([400, 404].includes((await call('DELETE', path)).status));
  }
});

test('bounds are told as they are, and counts are true', async (context) => {
  const { call } = await start(context);
  await expectRefusal(
    call('PUT', '/routes/1', { uri: '/a', labels: { a: '' }, upstream: { ...UPSTREAM, labels: { b: '' } } }),
    400,
    /^labels\.a \(.*\): must have 1 to 256 characters; upstream\.labels\.b \(.*\): must have 1 to 256 characters$/,
  );
  for (const count of [-1, 255, 300, 1.5]) {
    const checks = { active: {}, passive: { unhealthy: { http_failures: count } } };
    await expectRefusal(
      call('PUT', '/upstreams/1', { ...UPSTREAM, checks }),
      400,
      /^checks\.passive\.unhealthy\.http_failures \(.*\): must be a whole number between 0 and 254, not [-\d.]+$/,
    );
  }
  await expectRefusal(
    call('PUT', '/upstreams/1', '{"nodes":{"a:80":1e400}}'),
    400,
    /line 1, column 18: this number is too large/,
  );
  await expectRefusal(
    call('PUT', '/upstreams/1', { discovery_type: 'dns', service_name: '' }),
    400,
    /^service_name \(.*\): must not be empty$/,
  );
  const unknown = Object.fromEntries(Array.from({ length: 250 }, (_, i) => [`k${i}`, 1]));
  await expectRefusal(call('PUT', '/upstreams/1', { ...UPSTREAM, ...unknown }), 400, /; and 150 further problems$/);
  const blanks = Object.fromEntries(Array.from({ length: 350 }, (_, i) => [`10.0.0.${i % 250}:${8000 + i} `, 1]));
  const { status, body } = await call('PUT', '/upstreams/1', { nodes: blanks });
  assert.equal(status, 201, JSON.stringify(body));
  assert.equal((body['warnings'] as string[]).at(-1), 'and 250 further warnings');
});

test('a write that contradicts what a file has is refused, but where it stands in its place', async (context) => {
  const limited = (count: number): object => ({ 'limit-count': { count, time_window: 60, group: 'g' } });
  const consumer = { username: 'jack', plugins: { 'key-auth': { key: 'k' } } };
  const route = { uri: '/a', plugins: limited(1) };
  const ofFiles = [
    ['consumers', 'jack', consumer],
    ['routes', '7', route],
  ] as const;
  const natives = ofFiles.flatMap(([type, id, value]): NativeObject[] => {
    const read = readApisixObject({ type, id }, value);
    assert.ok(read.ok);
    return read.object.resources.map(({ kind, name, bytes }) => {
      return { kind: 'native', resourceKind: kind, name, bytes, origin: { file: 'a.yaml', line: 3, column: 1 } };
    });
  });
  const { call } = await start(context, new FileClaims(() => natives));
  const jill = { ...consumer, username: 'jill' };
  await expectRefusal(
    call('PUT', '/consumers', jill),
    400,
    /^plugins\.key-auth\.key \(.*\): duplicate key found with consumer: jack, which stands in a\.yaml:3$/,
  );
  await expectRefusal(
    call('PUT', '/services/1', { plugins: limited(2) }),
    400,
    /group conf mismatched: Route 7 in a\.yaml:3 has other limits in the group "g"$/,
  );
  assert.equal((await call('PUT', '/services/1', { plugins: limited(1) })).status, 201);
  await call('DELETE', '/services/1');
  // It takes the place of the file's, whose limit and key are no more.
  assert.equal((await call('PUT', '/routes/7', { uri: '/a', plugins: limited(2) })).status, 201);
  assert.equal((await call('PUT', '/services/1', { plugins: limited(2) })).status, 201);
  assert.equal((await call('PUT', '/consumers', { username: 'jack' })).status, 201);
  assert.equal((await call('PUT', '/consumers', jill)).status, 201);
});
