// The admin port on a real socket: independent gRPC clients (proto-loader's codec, grpcurl) and plain HTTP beside them.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { get, request as httpRequest } from 'node:http';
import { connect, type Socket } from 'node:net';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import {
  credentials,
  loadPackageDefinition,
  status,
  type Client,
  type ClientDuplexStream,
  type ClientReadableStream,
  type GrpcObject,
  type ServiceClientConstructor,
  type ServiceError,
} from '@grpc/grpc-js';
import { loadFileDescriptorSetFromBuffer, loadSync } from '@grpc/proto-loader';
import { BinaryWriter } from '@bufbuild/protobuf/wire';
import { ADMIN_SERVICES } from '../../../src/admin/grpc-side.ts';
import { createAdminServer, type AdminServer } from '../../../src/admin/server.ts';
import { systemClock } from '../../../src/base/clock.ts';
import { silentLogger } from '../../../src/base/log.ts';
import { Upstream } from '../../../src/gen/outrigger/config/v1/upstream.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import {
  certificateView,
  endpointView,
  FakeSidecarView,
  portView,
  resourceView,
  SINCE_WALL_MS,
} from '../../support/fake-sidecar-view.ts';

// oxlint-disable-next-line typescript/no-explicit-any -- answers of a client without types
type Message = any;

const GRPCURL = join(homedir(), '.cache/outrigger-tools/bin/grpcurl');
const LOADING = { includeDirs: ['proto'], keepCase: true, enums: String, longs: Number, defaults: true, oneofs: true };
const protos = loadPackageDefinition(
  loadSync(
    [
      'outrigger/admin/v1/admin.proto',
      'grpc/health/v1/health.proto',
      'grpc/reflection/v1/reflection.proto',
      'grpc/reflection/v1alpha/reflection.proto',
    ],
    LOADING,
  ),
);

const view = new FakeSidecarView();
let server: AdminServer;
let port = 0;
const clients: Client[] = [];

function client(fullName: string): Client {
  let found: unknown = protos;
  for (const part of fullName.split('.')) found = (found as GrpcObject)[part];
  const made = new (found as ServiceClientConstructor)(`127.0.0.1:${port}`, credentials.createInsecure());
  clients.push(made);
  return made;
}

function call(fullName: string, method: string, request: object): Promise<Message> {
  const service = client(fullName) as Client & Record<string, (...args: unknown[]) => void>;
  return new Promise((resolve, reject) => {
    service[method]?.(request, (error: ServiceError | null, response: Message) =>
      error ? reject(error) : resolve(response),
    );
  });
}

function stream(fullName: string, method: string, request: object): ClientReadableStream<Message> {
  const service = client(fullName) as Client & Record<string, (request: object) => ClientReadableStream<Message>>;
  const opened = service[method]?.(request);
  assert.ok(opened);
  opened.on('error', () => undefined);
  return opened;
}

/** Hands out messages one by one. */
function reader(opened: ClientReadableStream<Message> | ClientDuplexStream<Message, Message>): () => Promise<Message> {
  const iterator = opened[Symbol.asyncIterator]();
  return async () => (await iterator.next()).value;
}

function invalid(field: string): (error: ServiceError) => boolean {
  return (error) => error.code === status.INVALID_ARGUMENT && error.details.startsWith(`${field}: `);
}

interface HttpAnswer {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  text: string;
}

function http(path: string, options: { method?: string; headers?: Record<string, string> } = {}): Promise<HttpAnswer> {
  return new Promise((resolve, reject) => {
    const request = httpRequest({ host: '127.0.0.1', port, path, agent: false, ...options }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (piece: string) => (text += piece));
      response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, text }));
    });
    request.on('error', reject);
    request.end();
  });
}

const ADMIN = 'outrigger.admin.v1.AdminService';
const HEALTH = 'grpc.health.v1.Health';

before(async () => {
  view.portList = [
    portView({ servicePort: 81, scheme: 'grpc' }, [endpointView({ port: 9000 })]),
    portView({ checks: { type: 'http', host: undefined } }, [
      endpointView({ address: '10.0.0.2', labels: new Map([['zone', 'a']]), attempts: 5_000_000_000, priority: -1 }),
      endpointView({
        address: '10.0.0.1',
        state: 'unhealthy',
        cause: 'active http: status 503 (2 of 2)',
        usable: false,
      }),
    ]),
    portView({ upstream: 'bank/ledger' }, [endpointView()]),
  ];
  view.resourceList = [
    resourceView({ kind: 'Secret', name: 'shop/tls', bytes: Buffer.from('PRIVATE KEY') }),
    resourceView({ bytes: Upstream.encode(Upstream.fromPartial({ name: 'shop/cart', retries: 2 })).finish() }),
    resourceView({
      name: 'bank/ledger',
      state: 'nacked',
      error: 'retries: no',
      refusedVersion: 'v2',
      bytes: undefined,
      version: '',
      appliedWallMs: undefined,
    }),
    resourceView({ kind: 'Sidecar', name: 'node-1' }),
  ];
  view.listenerList = [
    { name: 'outbound/80', address: '127.0.0.1:80', error: 'taken', connections: 2, clientCertificate: undefined },
    { name: 'outbound/81', address: '127.0.0.1:81', error: '', connections: 0, clientCertificate: 'required' },
  ];
  view.certificateList = [
    certificateView({ usedBy: ['Listener outbound/81', 'Upstream shop/cart'] }),
    certificateView({ name: 'ca.pem', kind: 'authorities', info: undefined, error: 'ca.pem: no such file' }),
  ];
  server = createAdminServer({ address: '127.0.0.1', port: 0, view, logger: silentLogger, clock: systemClock() });
  port = (await server.start()).port;
});

after(async () => {
  for (const each of clients) each.close();
  await server.stop(1000);
});

test('GetSnapshot: everything in order, bodies but for secrets, filters and pages', async () => {
  const all = await call(ADMIN, 'GetSnapshot', {});
  assert.equal(all.node_id, 'node-1');
  assert.equal(all.snapshot, 7);
  assert.equal(all.control.state, 'connected');
  assert.equal(all.control.since.seconds, 1_700_000_000);
  assert.deepEqual(all.listeners, [
    {
      name: 'outbound/80',
      address: '127.0.0.1:80',
      error: 'taken',
      connections: 2,
      tls: false,
      client_certificate: '',
    },
    {
      name: 'outbound/81',
      address: '127.0.0.1:81',
      error: '',
      connections: 0,
      tls: true,
      client_certificate: 'required',
    },
  ]);
  const names = all.resources.map((resource: Message) => `${resource.kind} ${resource.name}`);
  assert.deepEqual(names, ['Sidecar node-1', 'Upstream bank/ledger', 'Upstream shop/cart', 'Secret shop/tls']);
  const [, refused, cart, secret] = all.resources;
  assert.equal(refused.state, 'RESOURCE_STATE_NACKED');
  assert.equal(refused.error, 'retries: no');
  assert.equal(refused.resource, null);
  assert.equal(refused.applied_time, null);
  assert.equal(cart.resource.type_url, 'type.googleapis.com/outrigger.config.v1.Upstream');
  assert.equal(Upstream.decode(cart.resource.value).retries, 2);
  assert.equal(cart.applied_time.nanos, 5_000_000);
  assert.equal(secret.resource, null);

  const upstreams = await call(ADMIN, 'GetSnapshot', {
    kind: 'Upstream',
    name_prefix: 'shop/',
    exclude_resources: true,
  });
  assert.deepEqual(
    upstreams.resources.map((resource: Message) => [resource.name, resource.resource]),
    [['shop/cart', null]],
  );

  const paged: string[] = [];
  let token = '';
  do {
    const page = await call(ADMIN, 'GetSnapshot', { page_size: 1, page_token: token });
    assert.equal(page.listeners.length, token === '' ? 2 : 0);
    assert.equal(page.certificates.length, token === '' ? 2 : 0);
    paged.push(...page.resources.map((resource: Message) => `${resource.kind} ${resource.name}`));
    token = page.next_page_token;
  } while (token !== '');
  assert.deepEqual(paged, names);

  const first = await call(ADMIN, 'GetSnapshot', { page_size: 1 });
  await assert.rejects(call(ADMIN, 'GetSnapshot', { kind: 'Cluster' }), invalid('kind'));
  await assert.rejects(call(ADMIN, 'GetSnapshot', { page_size: 10_001 }), invalid('page_size'));
  await assert.rejects(call(ADMIN, 'GetSnapshot', { page_token: '!' }), invalid('page_token'));
  await assert.rejects(
    call(ADMIN, 'GetSnapshot', { kind: 'Secret', page_token: first.next_page_token }),
    invalid('page_token'),
  );
});

test('GetSnapshot: certificates with their time, names and users, and why one is missing', async () => {
  const [certificate, authorities] = (await call(ADMIN, 'GetSnapshot', { kind: 'Sidecar' })).certificates;
  assert.equal(certificate.name, 'Secret shop/tls');
  assert.deepEqual(certificate.used_by, ['Listener outbound/81', 'Upstream shop/cart']);
  assert.deepEqual(certificate.names, ['DNS:cart.shop', 'URI:spiffe://shop/cart', 'IP:10.0.0.1']);
  assert.equal(certificate.subject, 'CN=cart');
  assert.equal(certificate.not_after.seconds, SINCE_WALL_MS / 1000 + 86_400);
  assert.deepEqual(
    [authorities.kind, authorities.error, authorities.not_after],
    ['authorities', 'ca.pem: no such file', null],
  );
});

test('GetSnapshot: many certificates leave fewer resources on the first page, and none is lost', async () => {
  const [keptResources, keptCertificates] = [view.resourceList, view.certificateList];
  const { info } = certificateView();
  assert.ok(info);
  view.resourceList = Array.from({ length: 20 }, (_, i) =>
    resourceView({ name: `big/${String(i).padStart(2, '0')}`, bytes: Buffer.alloc(100_000) }),
  );
  view.certificateList = Array.from({ length: 1000 }, (_, i) =>
    certificateView({ name: `Secret shop/${i}`, info: { ...info, subject: `CN=${'x'.repeat(1000)}` } }),
  );
  try {
    const first = await call(ADMIN, 'GetSnapshot', {});
    assert.equal(first.certificates.length, 1000);
    assert.ok(first.resources.length > 0 && first.resources.length < 10, `${first.resources.length}`);
    const rest = await call(ADMIN, 'GetSnapshot', { page_token: first.next_page_token });
    assert.equal(first.resources.length + rest.resources.length, 20);
    assert.deepEqual(rest.certificates, []);
  } finally {
    view.resourceList = keptResources;
    view.certificateList = keptCertificates;
  }
});

test('GetSnapshot: a page of large bodies stays below what clients take', async () => {
  const kept = view.resourceList;
  const large = Buffer.alloc(900_000);
  view.resourceList = Array.from({ length: 10 }, (_, i) => resourceView({ name: `big/${i}`, bytes: large }));
  try {
    let count = 0;
    let token = '';
    do {
      const page = await call(ADMIN, 'GetSnapshot', { page_token: token });
      assert.ok(page.resources.length > 0 && page.resources.length <= 2);
      count += page.resources.length;
      token = page.next_page_token;
    } while (token !== '');
    assert.equal(count, 10);
  } finally {
    view.resourceList = kept;
  }
});

test('ListEndpoints: ordered, filtered, paged', async () => {
  const all = await call(ADMIN, 'ListEndpoints', {});
  const name = (endpoint: Message): string =>
    `${endpoint.upstream}:${endpoint.service_port} ${endpoint.address}:${endpoint.port}`;
  const names = [
    'bank/ledger:80 10.0.0.1:80',
    'shop/cart:80 10.0.0.1:80',
    'shop/cart:80 10.0.0.2:80',
    'shop/cart:81 10.0.0.1:9000',
  ];
  assert.deepEqual(all.endpoints.map(name), names);
  const [, down, up, grpc] = all.endpoints;
  assert.equal(down.state, 'unhealthy');
  assert.equal(down.cause, 'active http: status 503 (2 of 2)');
  assert.equal(down.usable, false);
  assert.equal(up.attempts, 5_000_000_000);
  assert.equal(up.priority, -1);
  assert.deepEqual(up.labels, { zone: 'a' });
  assert.equal(grpc.scheme, 'grpc');

  const paged: string[] = [];
  let token = '';
  do {
    const page = await call(ADMIN, 'ListEndpoints', { page_size: 1, page_token: token });
    assert.equal(page.endpoints.length, 1);
    paged.push(...page.endpoints.map(name));
    token = page.next_page_token;
  } while (token !== '');
  assert.deepEqual(paged, names);

  const cart = await call(ADMIN, 'ListEndpoints', { upstream: 'shop/cart', service_port: 81 });
  assert.deepEqual(cart.endpoints.map(name), names.slice(3));
  assert.deepEqual((await call(ADMIN, 'ListEndpoints', { upstream: 'no/such' })).endpoints, []);
  await assert.rejects(call(ADMIN, 'ListEndpoints', { service_port: 70_000 }), invalid('service_port'));
  await assert.rejects(call(ADMIN, 'ListEndpoints', { page_token: 'e30' }), invalid('page_token'));
});

test('ListEndpoints and WatchEndpoints show TLS towards an endpoint; without TLS there is nothing', async () => {
  const kept = view.portList;
  const tls = { verified: true, error: '', peer: undefined, clientNotAfterMs: undefined };
  const peer = { alpn: 'h2', version: 'TLSv1.3', subject: 'CN=cart', notAfterMs: SINCE_WALL_MS };
  const secure = portView({ scheme: 'https', tlsVerified: true }, [
    endpointView({ port: 1, tls }),
    endpointView({ port: 2, tls: { ...tls, peer, clientNotAfterMs: SINCE_WALL_MS + 1000 } }),
    endpointView({ port: 3, tls: { ...tls, verified: false, error: 'Secret shop/id is missing' } }),
  ]);
  view.portList = [secure, portView({ upstream: 'shop/plain' }, [endpointView()])];
  try {
    const { endpoints } = await call(ADMIN, 'ListEndpoints', {});
    const [fresh, used, broken, plain] = endpoints.map((endpoint: Message) => endpoint.tls);
    const none = { error: '', alpn: '', version: '', subject: '', not_after: null, client_not_after: null };
    assert.deepEqual(fresh, { ...none, unverified: false });
    assert.deepEqual([used.alpn, used.version, used.subject], ['h2', 'TLSv1.3', 'CN=cart']);
    assert.equal(used.not_after.seconds, SINCE_WALL_MS / 1000);
    assert.equal(used.client_not_after.seconds, SINCE_WALL_MS / 1000 + 1);
    assert.deepEqual(broken, { ...none, unverified: true, error: 'Secret shop/id is missing' });
    assert.equal(plain, null);

    const watching = stream(ADMIN, 'WatchEndpoints', { upstream: 'shop/cart' });
    const next = reader(watching);
    const initial = [await next(), await next(), await next()];
    assert.deepEqual(
      initial.map(({ endpoint }) => endpoint.tls.unverified),
      [false, false, true],
    );
    view.emit('updated', secure, endpointView({ port: 1, tls: { ...tls, peer } }));
    assert.equal((await next()).endpoint.tls.alpn, 'h2');
    watching.cancel();
    while (view.endpointWatchers.size > 0) await call(HEALTH, 'Check', {});
  } finally {
    view.portList = kept;
  }
});

test('WatchEndpoints: all, then changes, and the watch is given up with the stream', async () => {
  const watching = stream(ADMIN, 'WatchEndpoints', { upstream: 'shop/cart' });
  const next = reader(watching);
  const initial = [await next(), await next(), await next()];
  assert.ok(
    initial.every((message) => message.change === 'CHANGE_INITIAL' && message.endpoint.upstream === 'shop/cart'),
  );
  view.emit('updated', portView({ upstream: 'bank/ledger' }), endpointView());
  view.emit('updated', portView(), endpointView({ weight: 4 }));
  const updated = await next();
  assert.equal(updated.change, 'CHANGE_UPDATED');
  assert.equal(updated.endpoint.weight, 4);
  assert.equal(view.endpointWatchers.size, 1);
  watching.cancel();
  // The next call on another connection comes after the cancellation only by luck, so the view tells.
  while (view.endpointWatchers.size > 0) await call(HEALTH, 'Check', {});
  const refused = stream(ADMIN, 'WatchEndpoints', { service_port: 70_000 });
  const error = await new Promise<ServiceError>((resolve) => refused.on('error', resolve));
  assert.ok(invalid('service_port')(error));
});

test('WatchEndpoints: a reader that stops reading gets the newest when it goes on', async () => {
  const kept = view.portList;
  const big = 'x'.repeat(20_000);
  view.portList = [
    portView(
      {},
      Array.from({ length: 400 }, (_, i) => endpointView({ port: i + 1, cause: big })),
    ),
  ];
  try {
    const watching = stream(ADMIN, 'WatchEndpoints', {});
    watching.pause();
    while (view.endpointWatchers.size === 0) await call(HEALTH, 'Check', {});
    for (let weight = 1; weight <= 100; weight++) {
      view.emit('updated', portView(), endpointView({ port: 400, weight, cause: big }));
    }
    const next = reader(watching);
    const last = new Map<number, number>();
    for (let i = 0; i < 400; i++) {
      const message = await next();
      assert.equal(message.change, 'CHANGE_INITIAL');
      last.set(message.endpoint.port, message.endpoint.weight);
    }
    assert.equal(last.size, 400);
    assert.equal(last.get(400), 100);
    watching.cancel();
    while (view.endpointWatchers.size > 0) await call(HEALTH, 'Check', {});
  } finally {
    view.portList = kept;
  }
});

test('Drain and SetLogLevel', async () => {
  assert.equal((await call(ADMIN, 'Drain', { exit: true })).in_flight, 3);
  assert.deepEqual(view.drains, [true]);
  assert.equal((await call(ADMIN, 'SetLogLevel', { level: 'debug' })).previous_level, 'info');
  assert.equal(view.level, 'debug');
  await assert.rejects(call(ADMIN, 'SetLogLevel', { level: 'loud' }), (error: ServiceError) => {
    return invalid('level')(error) && error.details.endsWith('trace, debug, info, warn, error, fatal');
  });
  await assert.rejects(call(ADMIN, 'SetLogLevel', { level: 'constructor' }), invalid('level'));
  assert.equal(view.level, 'debug');
});

test('health: Check, Watch, and services that are not known', async () => {
  assert.equal((await call(HEALTH, 'Check', {})).status, 'SERVING');
  assert.equal((await call(HEALTH, 'Check', { service: ADMIN })).status, 'SERVING');
  await assert.rejects(
    call(HEALTH, 'Check', { service: 'no' }),
    (error: ServiceError) => error.code === status.NOT_FOUND,
  );
  const watching = stream(HEALTH, 'Watch', {});
  const next = reader(watching);
  assert.equal((await next()).status, 'SERVING');
  view.setReady({ ready: true, reason: 'still' });
  view.setReady({ ready: false, reason: 'draining' });
  assert.equal((await next()).status, 'NOT_SERVING');
  assert.equal((await call(HEALTH, 'Check', {})).status, 'NOT_SERVING');
  view.setReady({ ready: true, reason: 'ready' });
  assert.equal((await next()).status, 'SERVING');
  watching.cancel();
  while (view.readyWatchers.size > 0) await call(HEALTH, 'Check', {});
  const unknown = stream(HEALTH, 'Watch', { service: 'no' });
  let ended = false;
  unknown.on('end', () => (ended = true));
  assert.equal((await reader(unknown)()).status, 'SERVICE_UNKNOWN');
  await call(HEALTH, 'Check', {});
  assert.equal(ended, false);
  unknown.cancel();
});

for (const version of ['v1', 'v1alpha']) {
  test(`reflection ${version}: an independent client resolves every service from what it is given`, async () => {
    const reflection = client(`grpc.reflection.${version}.ServerReflection`) as Client &
      Record<string, () => ClientDuplexStream<Message, Message>>;
    const asking = reflection['ServerReflectionInfo']?.();
    assert.ok(asking);
    const next = reader(asking);
    asking.write({ list_services: '' });
    const services = (await next()).list_services_response.service.map((service: Message) => service.name);
    assert.deepEqual(services, [...ADMIN_SERVICES].sort());
    const set = new BinaryWriter();
    for (const service of services) {
      asking.write({ file_containing_symbol: service });
      const { file_descriptor_response: files } = await next();
      for (const bytes of files.file_descriptor_proto) set.uint32(10).bytes(bytes);
    }
    asking.write({ file_by_filename: 'no.proto' });
    assert.equal((await next()).error_response.error_code, status.NOT_FOUND);
    asking.end();
    assert.equal(await next(), undefined);
    // Throws unless every import and every type resolves.
    const loaded = loadFileDescriptorSetFromBuffer(Buffer.from(set.finish()), LOADING);
    for (const service of services) assert.ok(service in loaded, service);
    assert.ok('google.protobuf.Timestamp' in loaded);
  });
}

const grpcurlMissing = existsSync(GRPCURL) ? false : `${GRPCURL} is not installed`;

test('grpcurl lists, describes with comments, and shows resources decoded', { skip: grpcurlMissing }, async () => {
  const grpcurl = async (...args: string[]): Promise<string> =>
    (await promisify(execFile)(GRPCURL, ['-plaintext', ...args], { timeout: 20_000 })).stdout;
  const target = `127.0.0.1:${port}`;
  assert.deepEqual((await grpcurl(target, 'list')).trim().split('\n'), [...ADMIN_SERVICES].sort());
  const described = await grpcurl(target, 'describe', ADMIN);
  assert.match(described, /Starts the drain that SIGTERM starts/);
  assert.match(described, /rpc WatchEndpoints \( .*WatchEndpointsRequest \) returns \( stream /);
  const certificate = await grpcurl(target, 'describe', 'outrigger.admin.v1.CertificateStatus');
  assert.match(certificate, /Keys are never shown\.\nmessage CertificateStatus \{[^]*not_after = 7;/);
  assert.match(await grpcurl(target, 'describe', 'outrigger.admin.v1.EndpointTls'), /bool unverified = 1;/);
  const snapshot = JSON.parse(await grpcurl(target, `${ADMIN}/GetSnapshot`));
  assert.equal(snapshot.certificates[0].fingerprint, 'ab'.repeat(32));
  const cart = snapshot.resources.find((resource: Message) => resource.name === 'shop/cart');
  assert.deepEqual(cart.resource, {
    '@type': 'type.googleapis.com/outrigger.config.v1.Upstream',
    name: 'shop/cart',
    retries: 2,
  });
});

const BUF = 'node_modules/.bin/buf';
const bufMissing = existsSync(BUF) ? false : `${BUF} is not installed`;

test('buf curl calls through reflection', { skip: bufMissing }, async () => {
  const url = `http://127.0.0.1:${port}/${ADMIN}/ListEndpoints`;
  const args = ['curl', '--protocol', 'grpc', '--http2-prior-knowledge', '-d', '{"upstream":"bank/ledger"}', url];
  const { stdout } = await promisify(execFile)(BUF, args, { timeout: 20_000 });
  assert.equal(JSON.parse(stdout).endpoints[0].since, '2023-11-14T22:13:20Z');
});

test('HTTP: probes, index, metrics, health pages', async () => {
  assert.deepEqual([(await http('/ready')).status, (await http('/ready')).text], [200, 'ready\n']);
  view.setReady({ ready: false, reason: 'no configuration yet' });
  const notReady = await http('/ready?verbose');
  assert.deepEqual([notReady.status, notReady.text], [503, 'no configuration yet\n']);
  view.setReady({ ready: true, reason: 'ready' });
  assert.equal((await http('/live')).status, 200);
  assert.match((await http('/')).text, /\/v1\/healthcheck/);
  const metrics = await http('/metrics');
  assert.match(String(metrics.headers['content-type']), /^text\/plain; version=0\.0\.4/);
  assert.match(metrics.text, /^outrigger_ready 1$/m);
  const health = await http('/v1/healthcheck');
  assert.equal(health.headers['content-type'], 'application/json');
  assert.equal(JSON.parse(health.text)[0].nodes.length, 2);
  assert.match(
    (await http('/v1/healthcheck', { headers: { accept: 'text/html,*/*;q=0.8' } })).text,
    /^<!doctype html>/,
  );
  assert.equal((await http('/v1/healthcheck/upstreams/no/such/1')).status, 404);
  assert.equal((await http('/v1/healthcheck/nodes/1')).status, 400);
  for (const path of ['/v1/healthchecks', '/config_dump', '/ready/', '//'])
    assert.equal((await http(path)).status, 404, path);
});

test('HTTP: a page of many pieces comes whole', async () => {
  const kept = view.portList;
  const checks = { type: 'http' as const, host: undefined };
  view.portList = Array.from({ length: 400 }, (_, i) =>
    portView(
      { servicePort: i + 1, checks },
      Array.from({ length: 10 }, (_, e) => endpointView({ port: e + 1 })),
    ),
  );
  try {
    const listed = JSON.parse((await http('/v1/healthcheck')).text);
    assert.equal(listed.length, 400);
    assert.ok(listed.every((each: Message) => each.nodes.length === 10));
  } finally {
    view.portList = kept;
  }
});

test('HTTP: HEAD has no body, other methods are 405, foreign hosts 403', async () => {
  const head = await http('/v1/healthcheck', { method: 'HEAD' });
  assert.deepEqual([head.status, head.text], [200, '']);
  for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH']) {
    const answer = await http('/ready', { method });
    assert.equal(answer.status, 405, method);
    assert.equal(answer.headers['allow'], 'GET, HEAD');
  }
  assert.equal((await http('/ready', { headers: { host: 'evil.example' } })).status, 403);
  assert.equal((await http('/ready', { headers: { host: 'a b' } })).status, 400);
  assert.equal((await http('/ready', { headers: { host: 'localhost:1' } })).status, 200);
});

/** What the server sends on a connection until it ends it. */
function raw(atPort: number, pieces: readonly string[]): Promise<string> {
  return new Promise((resolve) => {
    let text = '';
    const socket: Socket = connect({ port: atPort, host: '127.0.0.1', noDelay: true });
    socket.on('data', (bytes) => (text += bytes.toString('latin1')));
    socket.on('error', () => undefined);
    socket.on('close', () => resolve(text));
    const send = (i: number): void => {
      const piece = pieces[i];
      if (piece !== undefined) socket.write(piece, () => setImmediate(send, i + 1));
    };
    send(0);
  });
}

test('requests are told apart however they are cut', async () => {
  const answer = await raw(port, 'POST / HTTP/1.0\r\n\r\n'.split(''));
  assert.match(answer, /^HTTP\/1\.1 405 /);
  assert.match(await raw(port, ['G', 'ET /live HTTP/1.0\r\n\r\n']), /^HTTP\/1\.1 200 OK[^]*live\n$/);
  // An HTTP/2 preface in pieces, an empty SETTINGS frame, and GOAWAY: the server answers with its own SETTINGS (type 4).
  const preface = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'.split('');
  const frames = await raw(port, [...preface, '\0\0\0\x04\0\0\0\0\0', '\0\0\x08\x07\0\0\0\0\0\0\0\0\0\0\0\0\0']);
  assert.equal(frames.charCodeAt(3), 4);
  assert.equal(await raw(port, ['PRI * HTTP/2.0\r\nX']).then((text) => /^HTTP\/1\.1|^$/.test(text)), true);
});

test('a request whose head doesn’t come, and one that says nothing, are closed after ten seconds', async () => {
  const clock = new FakeClock();
  const slow = createAdminServer({ address: '127.0.0.1', port: 0, view, logger: silentLogger, clock });
  const { port: slowPort } = await slow.start();
  const silent = raw(slowPort, []);
  const dripping = raw(slowPort, ['GET /ready HTTP/1.1\r\nHost: local']);
  while (clock.waiting < 2) await new Promise((resolve) => setImmediate(resolve));
  clock.advance(10_000);
  assert.deepEqual(await Promise.all([silent, dripping]), ['', '']);
  assert.equal(clock.waiting, 0);
  await slow.stop(1000);
});

test('stop ends watches with UNAVAILABLE and leaves nothing open', async () => {
  const own = createAdminServer({ address: '127.0.0.1', port: 0, view, logger: silentLogger, clock: systemClock() });
  const kept = port;
  port = (await own.start()).port;
  try {
    const watching = stream(ADMIN, 'WatchEndpoints', {});
    const health = stream(HEALTH, 'Watch', {});
    const failed = [watching, health].map((each) => new Promise<ServiceError>((resolve) => each.on('error', resolve)));
    await Promise.all([
      new Promise((resolve) => watching.once('data', resolve)),
      new Promise((resolve) => health.once('data', resolve)),
    ]);
    const idle = raw(port, []);
    await Promise.all([own.stop(5000), own.stop(5000)]);
    for (const error of await Promise.all(failed)) assert.equal(error.code, status.UNAVAILABLE);
    assert.equal(await idle, '');
    await assert.rejects(
      new Promise((resolve, reject) =>
        get({ port, host: '127.0.0.1', path: '/ready', agent: false }, resolve).on('error', reject),
      ),
      { code: 'ECONNREFUSED' },
    );
    assert.equal(view.endpointWatchers.size + view.readyWatchers.size, 0);
  } finally {
    port = kept;
  }
});

test('stop cuts a reader that takes nothing once its grace is over', async () => {
  const clock = new FakeClock();
  const own = createAdminServer({ address: '127.0.0.1', port: 0, view, logger: silentLogger, clock });
  const [kept, keptPorts] = [port, view.portList];
  const big = 'x'.repeat(20_000);
  view.portList = [
    portView(
      {},
      Array.from({ length: 400 }, (_, i) => endpointView({ port: i + 1, cause: big })),
    ),
  ];
  port = (await own.start()).port;
  try {
    const watching = stream(ADMIN, 'WatchEndpoints', {});
    watching.pause();
    while (view.endpointWatchers.size === 0) await call(HEALTH, 'Check', {});
    const stopped = own.stop(5000);
    let done = false;
    void stopped.then(() => (done = true));
    clock.advance(4999);
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(done, false);
    clock.advance(1);
    await stopped;
    assert.equal(view.endpointWatchers.size, 0);
  } finally {
    port = kept;
    view.portList = keptPorts;
  }
});

test('a taken port is an error at start', async () => {
  const second = createAdminServer({ address: '127.0.0.1', port, view, logger: silentLogger, clock: systemClock() });
  await assert.rejects(second.start(), { code: 'EADDRINUSE' });
});
