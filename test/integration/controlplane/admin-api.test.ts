// The Admin API of the real program, over HTTP.
import assert from 'node:assert/strict';
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { Agent } from 'node:http';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { type ClientDuplexStream, credentials } from '@grpc/grpc-js';
import { AggregatedDiscoveryServiceClient } from '../../../src/gen/envoy/service/discovery/v3/ads.ts';
import type {
  DeltaDiscoveryRequest,
  DeltaDiscoveryResponse,
} from '../../../src/gen/envoy/service/discovery/v3/discovery.ts';
import { DeltaDiscoveryRequest as Request } from '../../../src/gen/envoy/service/discovery/v3/discovery.ts';
import { typeUrl, type Kind } from '../../../src/config/resource.ts';
import { type AdminCall, type AdminReply, callAdminApi, DOCUMENT_KEY } from '../../support/admin-api.ts';
import { portOf, type Program, type ReadyLine, runProgram, startProgram } from '../../support/program.ts';

interface Scene {
  readonly directory: string;
  readonly program: Program;
  readonly port: number;
  call(method: string, path: string, body?: string, more?: Partial<AdminCall>): Promise<AdminReply>;
}

function makeDirectory(context: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'outrigger-admin-api-'));
  context.after(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

async function start(context: TestContext, directory: string, flags: readonly string[] = []): Promise<Scene> {
  const key = flags.includes('--admin-key') ? [] : ['--admin-key', DOCUMENT_KEY];
  const store = join(directory, 'store');
  const args = ['control', '--admin-api', '0', '--ads', '0', '--store', store, ...key, ...flags];
  const program = await startProgram(args);
  context.after(() => program.kill());
  const port = portOf((program.ready as ReadyLine & { adminApi?: string }).adminApi);
  return {
    directory: store,
    program,
    port,
    call: (method, path, body, more = {}) =>
      callAdminApi({
        port,
        method,
        path: `/apisix/admin${path}`,
        key: DOCUMENT_KEY,
        ...(body === undefined ? {} : { body }),
        ...more,
      }),
  };
}

/** A sidecar as far as ADS goes. */
class Subscriber {
  readonly names = new Map<string, Buffer | Uint8Array>();
  refusal: string | undefined;
  private readonly client: AggregatedDiscoveryServiceClient;
  private readonly stream: ClientDuplexStream<DeltaDiscoveryRequest, DeltaDiscoveryResponse>;
  private wake: () => void = () => undefined;

  constructor(context: TestContext, address: string, id: string, kinds: readonly Kind[]) {
    this.client = new AggregatedDiscoveryServiceClient(address, credentials.createInsecure());
    this.stream = this.client.deltaAggregatedResources();
    this.stream.on('error', () => undefined);
    this.stream.on('data', (response: DeltaDiscoveryResponse) => this.onResponse(response));
    for (const kind of kinds) {
      const subscription = { node: { id }, typeUrl: typeUrl(kind), resourceNamesSubscribe: ['*'] };
      this.stream.write(Request.fromPartial(subscription));
    }
    context.after(() => {
      this.stream.cancel();
      this.client.close();
    });
  }

  async until(done: () => boolean): Promise<void> {
    while (!done()) await new Promise<void>((resolve) => (this.wake = resolve));
  }

  private onResponse({ typeUrl: url, nonce, resources, removedResources: removed }: DeltaDiscoveryResponse): void {
    const kind = url.slice(url.lastIndexOf('.') + 1);
    for (const { name, resource } of resources) this.names.set(`${kind} ${name}`, resource?.value ?? Buffer.alloc(0));
    for (const name of removed) this.names.delete(`${kind} ${name}`);
    const error = this.refusal === undefined ? {} : { errorDetail: { code: 3, message: this.refusal } };
    this.stream.write(Request.fromPartial({ typeUrl: url, responseNonce: nonce, ...error }));
    this.wake();
  }
}

test("the Upstream document's objects are written as they are printed", async (context) => {
  const { call } = await start(context, makeDirectory(context));
  const upstream = await call(
    'PUT',
    '/upstreams/1',
    '\n{\n    "type": "chash",\n    "key": "remote_addr",\n    "nodes": {\n        "127.0.0.1:80": 1,\n        "foo.com:80": 2\n    }\n}',
  );
  assert.equal(upstream.status, 201, upstream.text);
  assert.equal(upstream.body['key'], '/apisix/upstreams/1');
  const route = await call('PUT', '/routes/1', '\n{\n    "uri": "/index.html",\n    "upstream_id": 1\n}');
  assert.equal(route.status, 201, route.text);
  const limited =
    '\n{\n    "uri": "/index.html",\n    "plugins": {\n        "limit-count": {\n            "count": 2,\n            "time_window": 60,\n            "rejected_code": 503,\n            "key": "remote_addr"\n        }\n    },\n    "upstream": {\n        "type": "roundrobin",\n        "nodes": {\n            "39.97.63.215:80": 1\n        }\n    }\n}';
  assert.equal((await call('PUT', '/routes/1', limited)).status, 200);
  // The comma that the document lacks belongs behind the brace that closes `nodes`.
  const checked = limited
    .replace('"type": "roundrobin",\n        "nodes"', '"nodes"')
    .replace('"39.97.63.215:80": 1\n        }', '"39.97.63.215:80": 1\n        }\n        "type": "roundrobin"');
  const refused = await call('PUT', '/routes/1', checked);
  assert.equal(refused.status, 400);
  assert.match(
    String(refused.body['error_msg']),
    /line 15, column 10: a comma is missing, after .*"39\.97\.63\.215:80": … \}, before "…": "…"/,
  );
  const jack = await call(
    'PUT',
    '/consumers',
    '\n{\n    "username": "jack",\n    "plugins": {\n       "key-auth": {\n            "key": "auth-jack"\n        }\n    }\n}',
  );
  assert.deepEqual([jack.status, jack.body['key']], [201, '/apisix/consumers/jack']);
  const blanks =
    '\n{\n    "uri": "/hash_on_cookie",\n    "upstream": {\n        "key": "sid",\n        "type ": "chash",\n        "hash_on ": "cookie",\n        "nodes ": {\n            "127.0.0.1:1980": 1,\n            "127.0.0.1:1981": 1\n        }\n    }\n}';
  const warned = await call('PUT', '/routes/2', blanks);
  assert.equal(warned.status, 201, warned.text);
  assert.equal((warned.body['warnings'] as string[]).length, 3);
});

test('only the key opens it, and no key is logged', async (context) => {
  const { call, program } = await start(context, makeDirectory(context), ['--log-level', 'trace']);
  for (const key of [undefined, '', 'wrong', DOCUMENT_KEY.slice(1), `${DOCUMENT_KEY}x`]) {
    const { status, body } = await call('GET', '/routes', undefined, { key });
    assert.deepEqual([status, body['error_msg']], [401, 'failed to check token']);
    assert.match(String(body['description']), key === undefined ? /^missing apikey/ : /^(wrong|missing) apikey/);
  }
  assert.equal((await call('GET', `/routes?api_key=${DOCUMENT_KEY}`, undefined, { key: undefined })).status, 401);
  assert.equal((await call('GET', '/routes')).status, 200);
  // A proxy that adds the key to one that is there.
  const twice = (key: string): Promise<AdminReply> =>
    call('GET', '/routes', undefined, { key: undefined, headers: { 'X-API-KEY': [DOCUMENT_KEY, key] } });
  assert.equal((await twice(DOCUMENT_KEY)).status, 200);
  const other = await twice('wrong');
  assert.deepEqual([other.status, other.body['description']], [401, 'wrong apikey: X-API-KEY is there 2 times']);
  await call('PUT', '/consumers', '{"username": "jack", "plugins": {"key-auth": {"key": "very-secret"}}}');
  assert.equal(await program.stop(), 0);
  assert.match(program.log(), /"method":"GET","path":"\/apisix\/admin\/routes","status":401/);
  assert.match(program.log(), /"method":"PUT","path":"\/apisix\/admin\/consumers","status":201/);
  assert.ok(!program.log().includes(DOCUMENT_KEY));
  assert.ok(!program.log().includes('very-secret'));
});

test('a key is made at the first start, kept, and told once', async (context) => {
  const directory = makeDirectory(context);
  const args = ['control', '--admin-api', '0', '--ads', '0', '--store', join(directory, 'store')];
  const first = await startProgram(args);
  context.after(() => first.kill());
  const key = /Made a key for the Admin API: ([0-9a-f]{32})\n/.exec(first.log())?.[1];
  assert.ok(key !== undefined, first.log());
  assert.equal(statSync(join(directory, 'store', 'admin-key')).mode & 0o777, 0o600);
  const list = async (program: Program): Promise<number> => {
    const port = portOf((program.ready as ReadyLine & { adminApi?: string }).adminApi);
    return (await callAdminApi({ port, method: 'GET', path: '/apisix/admin/routes', key })).status;
  };
  assert.equal(await list(first), 200);
  assert.equal(await first.stop(), 0);
  const second = await startProgram(args);
  context.after(() => second.kill());
  assert.equal(await list(second), 200);
  assert.ok(!second.log().includes(key));
});

test('what is asked for wrongly is said', async (context) => {
  const directory = makeDirectory(context);
  const { program, port } = await start(context, directory);
  const store = join(directory, 'store');
  const other = join(directory, 'other');
  writeFileSync(join(directory, 'file'), '');
  const rows: [string[], NodeJS.ProcessEnv, number, RegExp][] = [
    [[], {}, 2, /--dir DIR or --admin-api \[HOST:\]PORT is needed/],
    [['--dir', directory, '--store', store], {}, 2, /--store needs --admin-api/],
    [['--dir', directory, '--admin-key', 'k'], {}, 2, /--admin-key needs --admin-api/],
    [['--admin-api', '99999'], {}, 2, /--admin-api: port '99999'/],
    [['--admin-key', 'k'], { OUTRIGGER_ADMIN_API: 'x:y:z' }, 2, /OUTRIGGER_ADMIN_API: /],
    [['--admin-api', '0', '--admin-key', 'a b'], {}, 2, /--admin-key: the key must be .* without blanks/],
    [['--admin-api', '0', '--admin-key', ''], {}, 2, /--admin-key: the key must be/],
    [['--admin-api', '0'], { OUTRIGGER_ADMIN_KEY: 'ä' }, 2, /OUTRIGGER_ADMIN_KEY: the key must be/],
    [
      ['--admin-api', '0', '--ads', '0', '--admin-key', 'k'],
      { OUTRIGGER_STORE: store },
      1,
      new RegExp(`in use by process ${program.process.pid}`),
    ],
    [
      ['--admin-api', '0', '--store', join(directory, 'file', 'x')],
      {},
      1,
      /can't have the admin key .*\/file is a file; name a directory/,
    ],
    [
      ['--admin-api', '0', '--store', join(directory, 'file'), '--admin-key', 'k'],
      {},
      1,
      /file is a file; name a directory/,
    ],
    [
      ['--admin-api', String(port), '--store', other, '--admin-key', 'k'],
      {},
      1,
      /can't bind the Admin API address 127\.0\.0\.1:\d+: .*EADDRINUSE.*--admin-api/,
    ],
  ];
  if (existsSync('/proc/self')) {
    const args = ['--admin-api', '0', '--store', '/proc/x/y', '--admin-key', 'k'];
    rows.push([args, {}, 1, /can't use the store \/proc\/x\/y: \/proc takes no new folder/]);
  }
  for (const [args, environment, status, expected] of rows) {
    const ended = await runProgram(['control', ...args], { ...process.env, ...environment });
    assert.equal(ended.status, status, `${args.join(' ')}: ${ended.log}`);
    assert.match(ended.log, expected);
    assert.ok(!ended.log.includes('bug:'), ended.log);
  }
});

test('a write is on the streams as soon as it is answered', async (context) => {
  const directory = makeDirectory(context);
  const yaml =
    'apiVersion: outrigger.config/v1\nkind: Upstream\nmetadata: {name: of-file}\nspec: {nodes: [{host: 127.0.0.1, port: 80, weight: 1}]}\n';
  writeFileSync(join(directory, 'a.yaml'), yaml);
  const { call, program } = await start(context, directory, ['--dir', directory]);
  const sidecar = new Subscriber(context, program.ready.ads ?? '', 'web-1', ['Sidecar', 'Route', 'Upstream']);
  await sidecar.until(() => sidecar.names.size > 0);
  const body = '{"uri": "/a", "upstream": {"nodes": {"127.0.0.1:80": 1}}}';
  const made = await call('PUT', '/routes/1?wait=applied', body);
  assert.deepEqual([made.status, made.body['applied']], [201, { acknowledged: ['web-1'], refused: [], pending: [] }]);
  assert.ok(sidecar.names.has('Route 1'));
  sidecar.refusal = 'no such thing';
  const refused = await call('PUT', '/routes/2?wait=applied', body);
  assert.equal(refused.status, 201);
  const { refused: by } = refused.body['applied'] as { refused: { node: string; reason: string }[] };
  assert.equal(by[0]?.node, 'web-1');
  assert.match(by[0]?.reason ?? '', /no such thing/);
  sidecar.refusal = undefined;
  const deleted = await call('DELETE', '/routes/1?wait=applied');
  assert.equal(deleted.status, 200);
  assert.ok(!sidecar.names.has('Route 1'));
});

test('what is too large, too deep or no HTTP is refused, and the next request works', async (context) => {
  const { call, port } = await start(context, makeDirectory(context));
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  context.after(() => agent.destroy());
  const large = await call('PUT', '/routes/1', 'x'.repeat(10 * 1024 * 1024 + 1), { agent });
  assert.equal(large.status, 413);
  assert.match(String(large.body['error_msg']), /larger than 10485760 bytes/);
  const chunked = await call('PUT', '/routes/1', 'x'.repeat(11 * 1024 * 1024), {
    agent,
    headers: { 'transfer-encoding': 'chunked' },
  });
  assert.equal(chunked.status, 413);
  const deep = await call('PUT', '/routes/1', '['.repeat(10 * 1024 * 1024), { agent });
  assert.equal(deep.status, 400);
  assert.match(String(deep.body['error_msg']), /nested more than 100 levels/);
  // Large, and good.
  const uris = Array.from({ length: 1000 }, (_, i) => `/${'x'.repeat(1000)}${i}`);
  const good = await call('POST', '/schema/validate/routes', JSON.stringify({ uris, plugins: {} }), { agent });
  assert.ok(good.status === 200 || good.status === 400, good.text);
  assert.equal((await call('DELETE', '/routes', undefined, { agent })).headers['allow'], 'GET, HEAD, PUT, POST');
  const head = await call('HEAD', '/routes', undefined, { agent });
  assert.deepEqual([head.status, head.text], [200, '']);
  assert.equal(
    Number(head.headers['content-length']),
    (await call('GET', '/routes', undefined, { agent })).text.length,
  );
  assert.equal((await call('GET', '/%ff', undefined, { agent })).status, 400);
  assert.equal((await call('HEAD', '', undefined, { agent })).status, 200);
  const text = await new Promise<string>((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => socket.write('nonsense\r\n\r\n'));
    let got = '';
    socket.on('data', (chunk: Buffer) => (got += chunk.toString()));
    socket.on('close', () => resolve(got));
    socket.on('error', reject);
  });
  assert.match(text, /^HTTP\/1\.1 400 /);
});

test('SIGTERM answers what is under way, and what was written stays', async (context) => {
  const directory = makeDirectory(context);
  const { call, program } = await start(context, directory);
  const agent = new Agent({ keepAlive: true });
  context.after(() => agent.destroy());
  const upstream = '{"nodes": {"127.0.0.1:80": 1}}';
  await call('PUT', '/upstreams/0', upstream, { agent });
  const replies = Array.from({ length: 20 }, (_, i) =>
    call('PUT', `/upstreams/${i + 1}`, upstream, { agent }).catch(() => undefined),
  );
  const status = program.stop();
  const acknowledged = (await Promise.all(replies)).flatMap((reply, i) =>
    reply?.status === 201 ? [String(i + 1)] : [],
  );
  assert.equal(await status, 0);
  const again = await start(context, directory);
  const { list } = (await again.call('GET', '/upstreams')).body as { list: { value: { id: string } }[] };
  const there = new Set(list.map(({ value }) => value.id));
  for (const id of ['0', ...acknowledged]) assert.ok(there.has(id), id);
});

test('a damaged store is told with file and line, and what cannot be read disturbs nothing', async (context) => {
  const directory = makeDirectory(context);
  const first = await start(context, directory);
  await first.call('PUT', '/upstreams/1', '{"nodes": {"127.0.0.1:80": 1}}');
  await first.call('PUT', '/upstreams/2', '{"nodes": {"127.0.0.1:80": 1}}');
  await first.program.stop();
  const [name = ''] = readdirSync(first.directory).filter((file) => file.startsWith('log-'));
  const path = join(first.directory, name);
  writeFileSync(path, readFileSync(path, 'utf8').replace('127.0.0.1', '127.0.0.2'));
  const args = ['control', '--admin-api', '0', '--ads', '0', '--store', first.directory, '--admin-key', 'k'];
  const { status, log } = await runProgram(args);
  assert.equal(status, 1);
  assert.match(log, /can't use the store .*\.jsonl:2: the write 1 is damaged; restore it from a backup, or cut it/);
});

test(
  'a store that cannot be written is told',
  { skip: process.getuid?.() === 0 && 'root may write anywhere' },
  async (context) => {
    const directory = makeDirectory(context);
    chmodSync(directory, 0o500);
    const args = ['control', '--admin-api', '0', '--ads', '0', '--store', join(directory, 'store'), '--admin-key', 'k'];
    const { status, log } = await runProgram(args);
    assert.equal(status, 1);
    assert.match(log, /can't use the store .*EACCES/);
  },
);
