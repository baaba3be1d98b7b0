// Real time: what is tested is that a changed file reaches a sidecar within a second, through fs.watch and a socket.
import assert from 'node:assert/strict';
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test, type TestContext } from 'node:test';
import {
  type Client,
  type ClientDuplexStream,
  credentials,
  type GrpcObject,
  loadPackageDefinition,
  type ServiceClientConstructor,
  type ServiceError,
  status,
} from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { systemClock } from '../../../src/base/clock.ts';
import type { Logger } from '../../../src/base/log.ts';
import { type ControlPlane, createControlPlane } from '../../../src/controlplane/control-plane.ts';
import { formatFinding } from '../../../src/controlplane/finding.ts';
import { Endpoints } from '../../../src/gen/outrigger/config/v1/endpoints.ts';
import { Listener } from '../../../src/gen/outrigger/config/v1/listener.ts';
import { Sidecar } from '../../../src/gen/outrigger/config/v1/sidecar.ts';
import { Upstream } from '../../../src/gen/outrigger/config/v1/upstream.ts';

interface DeltaResponse {
  readonly type_url: string;
  readonly nonce: string;
  readonly resources: readonly {
    readonly name: string;
    readonly version: string;
    readonly resource: { readonly value: Buffer };
  }[];
  readonly removed_resources: readonly string[];
}

interface AdsClient extends Client {
  deltaAggregatedResources(): ClientDuplexStream<unknown, DeltaResponse>;
  streamAggregatedResources(): ClientDuplexStream<unknown, unknown>;
}

const PREFIX = 'type.googleapis.com/outrigger.config.v1.';
const definition = loadSync('envoy/service/discovery/v3/ads.proto', {
  includeDirs: ['proto'],
  keepCase: true,
  defaults: true,
});
const discovery = ['envoy', 'service', 'discovery', 'v3'].reduce(
  (packages, name) => packages[name] as GrpcObject,
  loadPackageDefinition(definition),
);
const AdsClientConstructor = discovery['AggregatedDiscoveryService'] as ServiceClientConstructor;

/** A sidecar as far as ADS goes: it answers each response and keeps what it was told. */
class Sidecarlike {
  readonly received: string[] = [];
  readonly held = new Map<string, { version: string; bytes: Buffer }>();
  refuse: string | undefined;
  private readonly client: AdsClient;
  private readonly stream: ClientDuplexStream<unknown, DeltaResponse>;
  private wake: () => void = () => undefined;

  constructor(address: string, id: string, metadata: Record<string, unknown> = {}) {
    this.client = new AdsClientConstructor(address, credentials.createInsecure()) as unknown as AdsClient;
    this.stream = this.client.deltaAggregatedResources();
    this.node = { id, metadata: struct(metadata) };
    this.stream.on('error', () => undefined);
    this.stream.on('data', (response: DeltaResponse) => this.onResponse(response));
  }

  private readonly node: unknown;

  subscribe(kind: string, names: readonly string[], initial: Record<string, string> = {}): void {
    this.stream.write({
      node: this.node,
      type_url: PREFIX + kind,
      resource_names_subscribe: names,
      initial_resource_versions: initial,
    });
  }

  /** Waits until `done`, for at most a second. */
  async until(done: () => boolean): Promise<void> {
    const limit = systemClock();
    const start = limit.nowMs;
    while (!done()) {
      assert.ok(limit.refresh() - start < 1_000, `a second went by; received: ${this.received.join(' | ')}`);
      await new Promise<void>((resolve) => {
        this.wake = resolve;
        limit.after(50, resolve);
      });
    }
  }

  close(): void {
    this.stream.cancel();
    this.client.close();
  }

  private onResponse(response: DeltaResponse): void {
    const kind = response.type_url.slice(PREFIX.length);
    for (const { name, version, resource } of response.resources) {
      this.received.push(`${kind} +${name}`);
      this.held.set(`${kind} ${name}`, { version, bytes: resource.value });
    }
    for (const name of response.removed_resources) {
      this.received.push(`${kind} -${name}`);
      this.held.delete(`${kind} ${name}`);
    }
    const error = this.refuse === undefined ? {} : { error_detail: { code: 3, message: this.refuse } };
    this.stream.write({ type_url: response.type_url, response_nonce: response.nonce, ...error });
    this.wake();
  }
}

function struct(plain: Record<string, unknown>): unknown {
  const value = (one: unknown): unknown =>
    Array.isArray(one) ? { listValue: { values: one.map(value) } } : { stringValue: String(one) };
  return { fields: Object.fromEntries(Object.entries(plain).map(([key, one]) => [key, value(one)])) };
}

const service = (name: string, port: number): string =>
  `apiVersion: v1\nkind: Service\nmetadata: {name: ${name}}\nspec: {ports: [{name: p, port: ${port}}]}\n`;
const slice = (name: string, ...addresses: string[]): string =>
  `apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: ${name}-1, labels: {kubernetes.io/service-name: ${name}}}\nports: [{name: p, port: 8080}]\nendpoints: [${addresses.map((address) => `{addresses: [${address}]}`).join()}]\n`;
const apisix = (name: string, spec: string): string =>
  `apiVersion: apisix.apache.org/v2\nkind: ApisixUpstream\nmetadata: {name: ${name}}\nspec: ${spec}\n`;

interface Fixture {
  readonly controlPlane: ControlPlane;
  readonly address: string;
  readonly directory: string;
  readonly logged: string[];
  readonly reports: string[][];
  write(name: string, text: string): void;
  connect(id: string, metadata?: Record<string, unknown>): Sidecarlike;
}

async function start(context: TestContext, files: Record<string, string>): Promise<Fixture> {
  const directory = mkdtempSync(join(tmpdir(), 'outrigger-ads-'));
  const write = (name: string, text: string): void => {
    writeFileSync(join(directory, `.${name}`), text);
    renameSync(join(directory, `.${name}`), join(directory, name));
  };
  for (const [name, text] of Object.entries(files)) write(name, text);
  const logged: string[] = [];
  const reports: string[][] = [];
  const logger: Logger = {
    level: 'info',
    isOn: () => true,
    log: (level, fields, message) => logged.push(`${level} ${message} ${JSON.stringify(fields)}`),
  };
  const controlPlane = createControlPlane({
    dirs: [directory],
    ads: { host: '127.0.0.1', port: 0 },
    clock: systemClock(),
    logger,
    onFindings: (findings) => reports.push(findings.map(formatFinding)),
  });
  const { adsAddress: address } = await controlPlane.start();
  const clients: Sidecarlike[] = [];
  context.after(async () => {
    for (const client of clients) client.close();
    await controlPlane.stop();
    rmSync(directory, { recursive: true, force: true });
  });
  const connect = (id: string, metadata?: Record<string, unknown>): Sidecarlike => {
    const client = new Sidecarlike(address, id, metadata);
    clients.push(client);
    return client;
  };
  return { controlPlane, address, directory, logged, reports, write, connect };
}

/** Walks the tree as a sidecar does. */
async function walk(sidecar: Sidecarlike, id: string): Promise<void> {
  sidecar.subscribe('Sidecar', [id, 'default']);
  await sidecar.until(() => sidecar.held.has('Sidecar default'));
  const root = sidecar.held.get('Sidecar default');
  assert.ok(root);
  const { listeners } = Sidecar.decode(root.bytes);
  sidecar.subscribe('Listener', listeners);
  await sidecar.until(() => listeners.every((name) => sidecar.held.has(`Listener ${name}`)));
  const targets = listeners.flatMap(
    (name) => Listener.decode(sidecar.held.get(`Listener ${name}`)?.bytes ?? Buffer.alloc(0)).targets,
  );
  sidecar.subscribe(
    'Upstream',
    targets.map((target) => target.upstream),
  );
  sidecar.subscribe(
    'Endpoints',
    targets.map((target) => `${target.upstream}/${target.servicePort}`),
  );
  await sidecar.until(() => sidecar.received.filter((text) => text.startsWith('Endpoints')).length >= targets.length);
  await sidecar.until(() => sidecar.received.filter((text) => text.startsWith('Upstream')).length >= targets.length);
}

const FILES = {
  'a.yaml': service('a', 7000),
  'a-slice.yaml': slice('a', '10.0.0.1', '10.0.0.2'),
  'a-upstream.yaml': apisix('a', '{scheme: grpc, retries: 3}'),
  'b.yaml': service('b', 7001),
  'b-slice.yaml': slice('b', '10.0.0.3'),
};

test('a sidecar walks the tree, and gets of a change only what changed', async (context) => {
  const fixture = await start(context, FILES);
  const sidecar = fixture.connect('n1');
  await walk(sidecar, 'n1');
  assert.deepEqual([...sidecar.received].sort(), [
    'Endpoints +default/a/7000',
    'Endpoints +default/b/7001',
    'Listener +outbound/7000',
    'Listener +outbound/7001',
    'Sidecar +default',
    'Sidecar -n1',
    'Upstream +default/a',
    'Upstream +default/b',
  ]);
  const upstream = Upstream.decode(sidecar.held.get('Upstream default/a')?.bytes ?? Buffer.alloc(0));
  assert.deepEqual([upstream.scheme, upstream.maxAttempts], ['grpc', 3]);
  sidecar.received.length = 0;

  fixture.write('a-slice.yaml', slice('a', '10.0.0.1', '10.0.0.9'));
  await sidecar.until(() => sidecar.received.length > 0);
  assert.deepEqual(sidecar.received, ['Endpoints +default/a/7000']);
  const { endpoints } = Endpoints.decode(sidecar.held.get('Endpoints default/a/7000')?.bytes ?? Buffer.alloc(0));
  assert.deepEqual(
    endpoints.map(({ address, port }) => `${address}:${port}`),
    ['10.0.0.1:8080', '10.0.0.9:8080'],
  );

  sidecar.received.length = 0;
  rmSync(join(fixture.directory, 'b.yaml'));
  await sidecar.until(() => sidecar.received.length >= 4);
  assert.deepEqual(sidecar.received, [
    'Sidecar +default',
    'Listener -outbound/7001',
    'Upstream -default/b',
    'Endpoints -default/b/7001',
  ]);
});

test('after a reconnect nothing is sent again that is held, and what changed meanwhile is', async (context) => {
  const fixture = await start(context, FILES);
  const first = fixture.connect('n1');
  await walk(first, 'n1');
  first.close();
  const versions = (kind: string): Record<string, string> =>
    Object.fromEntries(
      [...first.held]
        .filter(([key]) => key.startsWith(`${kind} `))
        .map(([key, { version }]) => [key.slice(kind.length + 1), version]),
    );
  const second = fixture.connect('n1');
  for (const kind of ['Listener', 'Upstream', 'Endpoints'])
    second.subscribe(kind, Object.keys(versions(kind)), versions(kind));
  // The answer about a name that nobody has shows that the requests before it were read.
  second.subscribe('Sidecar', ['n1', 'default'], versions('Sidecar'));
  await second.until(() => second.received.length > 0);
  assert.deepEqual(second.received, ['Sidecar -n1']);
  fixture.write('a-upstream.yaml', apisix('a', '{scheme: grpc, retries: 5}'));
  await second.until(() => second.received.length > 1);
  assert.deepEqual(second.received, ['Sidecar -n1', 'Upstream +default/a']);
});

test('a broken edit changes nothing and is reported once; mended it is told resolved', async (context) => {
  const fixture = await start(context, FILES);
  const sidecar = fixture.connect('n1');
  await walk(sidecar, 'n1');
  sidecar.received.length = 0;
  assert.equal(fixture.reports.length, 0);
  fixture.write('a-upstream.yaml', apisix('a', '{scheme: grcp, retries: 1}'));
  await sidecar.until(() => fixture.reports.length > 0);
  const errors = (fixture.reports[0] ?? []).filter((text) => text.includes('error'));
  assert.equal(errors.length, 1);
  assert.match(
    errors[0] ?? '',
    /a-upstream\.yaml:4:16: error: ApisixUpstream default\/a: spec\.scheme: 'grcp' .*did you mean 'grpc'\?/,
  );
  assert.equal(fixture.logged.filter((line) => line.startsWith('error ')).length, 1);
  // The good change of another file arrives; of the broken one nothing has.
  fixture.write('b-slice.yaml', slice('b', '10.0.0.4'));
  await sidecar.until(() => sidecar.received.length > 0);
  assert.deepEqual(sidecar.received, ['Endpoints +default/b/7001']);
  assert.equal(fixture.reports.length, 1);
  fixture.write('a-upstream.yaml', apisix('a', '{scheme: http, retries: 3}'));
  await sidecar.until(() => sidecar.received.length > 1);
  assert.deepEqual(sidecar.received, ['Endpoints +default/b/7001', 'Upstream +default/a']);
  assert.deepEqual(fixture.reports[1], []);
  assert.ok(fixture.logged.some((line) => line.startsWith('info resolved: ')));
});

test('sidecars see their own view, and a refusal is logged with node and reason and shown', async (context) => {
  const fixture = await start(context, FILES);
  const own = fixture.connect('pod-a', { pod_ip: '10.0.0.1' });
  const some = fixture.connect('some', { services: ['a'] });
  await walk(own, 'pod-a');
  await walk(some, 'some');
  assert.deepEqual(
    [...own.held.keys()].filter((key) => key.startsWith('Listener')),
    ['Listener outbound/7001'],
  );
  assert.deepEqual(
    [...some.held.keys()].filter((key) => key.startsWith('Listener')),
    ['Listener outbound/7000'],
  );
  some.refuse = 'default/a: scheme: not supported yet';
  fixture.write('a-upstream.yaml', apisix('a', '{scheme: https}'));
  await some.until(() => fixture.logged.some((line) => line.startsWith('warn sidecar refused')));
  const line = fixture.logged.find((text) => text.startsWith('warn sidecar refused'));
  assert.match(line ?? '', /"node":"some".*"reason":"default\/a: scheme: not supported yet"/);
  const shown = fixture.controlPlane.sidecars().find((one) => one.nodeId === 'some');
  const refused = shown?.types.find((type) => type.typeUrl.endsWith('Upstream'))?.refused;
  assert.deepEqual(
    refused?.map(({ name, reason }) => [name, reason]),
    [['default/a', some.refuse]],
  );
  assert.equal(fixture.controlPlane.sidecars().length, 2);
});

test('the state-of-the-world method is refused with the fix', async (context) => {
  const { address } = await start(context, {});
  const client = new AdsClientConstructor(address, credentials.createInsecure()) as unknown as AdsClient;
  after(() => client.close());
  const stream = client.streamAggregatedResources();
  const error = await new Promise<ServiceError>((resolve) => stream.on('error', resolve));
  assert.equal(error.code, status.UNIMPLEMENTED);
  assert.match(error.details, /use --xds delta/);
});

test('a taken port and a missing directory are clear errors', async (context) => {
  const fixture = await start(context, {});
  const port = Number(fixture.address.split(':')[1]);
  const logger: Logger = { level: 'fatal', isOn: () => false, log: () => undefined };
  const other = (dirs: string[], ads: { host: string; port: number }) =>
    createControlPlane({ dirs, ads, clock: systemClock(), logger }).start();
  await assert.rejects(
    other([fixture.directory], { host: '127.0.0.1', port }),
    /can't bind the ADS address 127\.0\.0\.1:\d+/,
  );
  await assert.rejects(other([join(fixture.directory, 'none')], { host: '127.0.0.1', port: 0 }), /it does not exist/);
});

test('a service that a sidecar lists and that is not there is told in the log', async (context) => {
  const fixture = await start(context, FILES);
  const typo = fixture.connect('n1', { services: ['default/a', 'default/aa'] });
  await walk(typo, 'n1');
  const fine = fixture.connect('n2', { services: ['default/b'] });
  await walk(fine, 'n2');
  assert.deepEqual(
    fixture.logged.filter((line) => line.startsWith('warn')),
    ['warn sidecar lists services that are not there {"node":"n1","services":["default/aa"]}'],
  );
});
