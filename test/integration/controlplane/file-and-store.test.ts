// Files and the Admin API side by side: what one has is known where the other is checked.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { silentLogger } from '../../../src/base/log.ts';
import { createControlPlane } from '../../../src/controlplane/control-plane.ts';
import { formatFinding } from '../../../src/controlplane/finding.ts';
import { FileStore } from '../../../src/controlplane/store/file-store.ts';
import { type AdminReply, callAdminApi } from '../../support/admin-api.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { portOf } from '../../support/program.ts';

interface Scene {
  readonly directory: string;
  readonly store: FileStore;
  call(method: string, path: string, body?: object): Promise<AdminReply>;
  /** Findings, without the folder's name. */
  findings(): string[];
  /** Looks at the files anew. */
  poll(): void;
}

async function start(context: TestContext, files: Readonly<Record<string, string>>): Promise<Scene> {
  const directory = mkdtempSync(join(tmpdir(), 'outrigger-mixed-'));
  context.after(() => rmSync(directory, { recursive: true, force: true }));
  for (const [name, text] of Object.entries(files)) writeFileSync(join(directory, name), text);
  const storeDirectory = mkdtempSync(join(tmpdir(), 'outrigger-mixed-store-'));
  context.after(() => rmSync(storeDirectory, { recursive: true, force: true }));
  const store = new FileStore({ directory: storeDirectory });
  const clock = new FakeClock();
  const controlPlane = createControlPlane({
    dirs: [directory],
    ads: { host: '127.0.0.1', port: 0 },
    adminApi: { host: '127.0.0.1', port: 0, key: 'k', store },
    clock,
    logger: silentLogger,
  });
  const { adminApiAddress } = await controlPlane.start();
  context.after(() => controlPlane.stop());
  const port = portOf(adminApiAddress);
  return {
    directory,
    store,
    call: (method, path, body) =>
      callAdminApi({
        port,
        method,
        path: `/apisix/admin${path}`,
        key: 'k',
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      }),
    findings: () => controlPlane.findings().map((one) => formatFinding(one).replaceAll(`${directory}/`, '')),
    poll: () => clock.advance(10_000),
  };
}

const JACK = 'consumers:\n  - {username: jack, plugins: {key-auth: {key: secret}}}\n#END\n';

test('a key that a consumer of a file has is refused, and a file that brings one of the API is told', async (context) => {
  const { call, findings, directory, poll } = await start(context, { 'a.yaml': JACK });
  const consumer = (username: string, key: string): object => ({ username, plugins: { 'key-auth': { key } } });
  const refused = await call('PUT', '/consumers', consumer('jill', 'secret'));
  assert.equal(refused.status, 400);
  assert.match(
    String(refused.body['error_msg']),
    /^plugins\.key-auth\.key \(.*\): duplicate key found with consumer: jack, which stands in .*a\.yaml:2$/,
  );
  assert.equal((await call('PUT', '/consumers', consumer('jill', 'other'))).status, 201);
  assert.deepEqual(findings(), []);
  writeFileSync(join(directory, 'a.yaml'), JACK.replace('secret', 'other'));
  poll();
  assert.deepEqual(findings(), [
    '/apisix/consumers/jill:1:1: error: Consumer jill: Consumer jack (a.yaml:2) has the same key: only one of the two is known by it; give each its own',
  ]);
  // What files have now is what counts.
  assert.equal((await call('PUT', '/consumers', consumer('joe', 'secret'))).status, 201);
  assert.equal((await call('PUT', '/consumers', consumer('jack', 'third'))).status, 201);
  assert.match(
    findings().join('\n'),
    /^a\.yaml:2:5: warning: Consumer jack: has no effect: the object of the Admin API/,
  );
  assert.equal(findings().length, 1);
});

test('limits of one group differ from a file to the API', async (context) => {
  const limit = (count: number): object => ({ 'limit-count': { count, time_window: 60, group: 'g' } });
  const file = `routes:\n  - {id: 1, uri: /a, plugins: ${JSON.stringify(limit(1))}}\n#END\n`;
  const { call, findings, directory, poll } = await start(context, { 'a.yaml': file });
  const refused = await call('PUT', '/services/1', { plugins: limit(2) });
  assert.match(String(refused.body['error_msg']), /group conf mismatched: Route 1 in .*a\.yaml:2 has other limits/);
  assert.equal((await call('PUT', '/services/1', { plugins: limit(1) })).status, 201);
  writeFileSync(join(directory, 'a.yaml'), file.replace('"count":1', '"count":3'));
  poll();
  assert.match(
    findings().join('\n'),
    /^\/apisix\/services\/1:1:1: error: Service 1: its limit differs from that of Route 1 \(a\.yaml:2\)/,
  );
});

test('a file may name what the API has, and is told when that goes', async (context) => {
  const file = 'routes:\n  - {id: 1, uri: /a, upstream_id: u}\n#END\n';
  const { call, findings } = await start(context, { 'a.yaml': file, 'b.yaml': file.replaceAll('1,', '2,') });
  const missing = [
    "a.yaml:2:35: warning: routes/1: upstream_id: neither a file nor the Admin API has the Upstream 'u'",
    "b.yaml:2:35: warning: routes/2: upstream_id: neither a file nor the Admin API has the Upstream 'u'",
  ];
  const shown = (): string[] => findings().map((text) => text.replace(/: requests are answered.*/, ''));
  assert.deepEqual(shown(), missing);
  assert.equal((await call('PUT', '/upstreams/u', { nodes: { '127.0.0.1:80': 1 } })).status, 201);
  assert.deepEqual(shown(), []);
  assert.equal((await call('DELETE', '/upstreams/u')).status, 200);
  assert.deepEqual(shown(), missing);
});

test('what another version has stored is told with a fix that works', async (context) => {
  const { call, findings, store } = await start(context, { 'a.yaml': JACK });
  for (const key of ['/apisix/stream_routes/1', '/apisix/routes/a b', '/other/x']) {
    await store.write([{ op: 'put', key, value: {} }]);
  }
  assert.match(
    findings().join('\n'),
    /stream_routes\/1:1:1: error: is no object that this version knows; use the version that wrote it, or remove it: DELETE \/apisix\/admin\/stream_routes\/1\n/,
  );
  assert.match(findings().join('\n'), /or remove it: DELETE \/apisix\/admin\/routes\/a%20b\n/);
  assert.match(findings().join('\n'), /\/other\/x:1:1: error: .*; it disturbs nothing/);
  for (const path of ['/stream_routes/1', '/routes/a%20b']) assert.equal((await call('DELETE', path)).status, 200);
  assert.equal(findings().length, 1);
});
