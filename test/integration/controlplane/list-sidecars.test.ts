// ControlPlane/ListSidecars on the port of ADS: grpcurl, callers from elsewhere, TLS; and what awaitApplied says of the same
// streams. The sidecars are streams of this test, so that they refuse when it wants.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { homedir, networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { promisify } from 'node:util';
import { type ChannelCredentials, credentials, Metadata, type ServiceError, status } from '@grpc/grpc-js';
import { systemClock } from '../../../src/base/clock.ts';
import { type Kind, typeUrl } from '../../../src/config/resource.ts';
import { AdsServer } from '../../../src/controlplane/ads-server.ts';
import { SnapshotCache } from '../../../src/controlplane/snapshot-cache.ts';
import type { NativeObject } from '../../../src/controlplane/source.ts';
import { Translator } from '../../../src/controlplane/translate/translator.ts';
import { AggregatedDiscoveryServiceClient } from '../../../src/gen/envoy/service/discovery/v3/ads.ts';
import {
  DeltaDiscoveryRequest,
  type DeltaDiscoveryResponse,
} from '../../../src/gen/envoy/service/discovery/v3/discovery.ts';
import { ServerReflectionClient } from '../../../src/gen/grpc/reflection/v1/reflection.ts';
import {
  ControlPlaneClient,
  type ListSidecarsResponse,
  SyncState,
} from '../../../src/gen/outrigger/admin/v1/control_plane.ts';
import { Consumer, Route } from '../../../src/gen/outrigger/config/v1/gateway.ts';
import { Upstream } from '../../../src/gen/outrigger/config/v1/upstream.ts';
import { createCredentials } from '../../../src/identity/live-credentials.ts';
import { issueAuthority, issueCertificate } from '../../support/certificates.ts';

const GRPCURL = join(homedir(), '.cache/outrigger-tools/bin/grpcurl');
const grpcurlMissing = existsSync(GRPCURL) ? false : `${GRPCURL} is not installed`;
const outside = Object.values(networkInterfaces())
  .flatMap((all) => all ?? [])
  .find(({ family, internal }) => family === 'IPv4' && !internal)?.address;
const silent = { level: 'fatal' as const, isOn: () => false, log: () => undefined };

const native = (resourceKind: 'Route' | 'Upstream' | 'Consumer', name: string, bytes: Uint8Array): NativeObject => {
  return { kind: 'native', resourceKind, name, bytes, origin: { file: 'store', line: 1, column: 1 } };
};
const route = (name: string, uri: string): NativeObject =>
  native('Route', name, Route.encode(Route.fromPartial({ name, uris: [uri], upstreamId: `routes/${name}` })).finish());
const upstream = (name: string): NativeObject =>
  native('Upstream', name, Upstream.encode(Upstream.fromPartial({ name, nodes: [{ host: '10.0.0.1' }] })).finish());

interface Scene {
  readonly server: AdsServer;
  readonly port: number;
  readonly put: (...objects: NativeObject[]) => void;
}

async function start(
  context: TestContext,
  host = '127.0.0.1',
  tls?: { certificateFile: string; keyFile: string },
): Promise<Scene> {
  const cache = new SnapshotCache();
  const translator = new Translator();
  const clock = systemClock();
  const live = createCredentials({ clock, logger: silent });
  const adsTls = tls && {
    credentials: live,
    certificate: { kind: 'files' as const, ...tls },
    clientCa: undefined,
    bindNodeId: false,
  };
  const server = new AdsServer({ host, port: 0, tls: adsTls, cache, clock, logger: silent });
  const address = await server.start();
  context.after(async () => {
    await server.stop();
    live.stop();
  });
  const put = (...objects: NativeObject[]): void => cache.put(translator.translate(objects));
  return { server, put, port: Number(address.slice(address.lastIndexOf(':') + 1)) };
}

/** A gateway: asks for all Routes, and for the Upstream of each that it takes. */
class Gateway {
  readonly held: string[] = [];
  refuse: (name: string) => string | undefined = () => undefined;
  private readonly client: AggregatedDiscoveryServiceClient;
  private readonly stream;
  private wake: () => void = () => undefined;

  constructor(
    context: TestContext,
    port: number,
    id: string,
    secure: ChannelCredentials = credentials.createInsecure(),
    { host = '127.0.0.1', kinds = ['Route'] }: { host?: string | undefined; kinds?: readonly Kind[] } = {},
  ) {
    this.client = new AggregatedDiscoveryServiceClient(`${host}:${port}`, secure, {
      'grpc.use_local_subchannel_pool': 1,
    });
    this.stream = this.client.deltaAggregatedResources();
    this.stream.on('error', () => undefined);
    this.stream.on('data', (response: DeltaDiscoveryResponse) => this.onResponse(response));
    const node = { id, userAgentName: 'gateway', userAgentVersion: '7' };
    for (const kind of kinds) {
      const request = { node, typeUrl: typeUrl(kind), resourceNamesSubscribe: ['*'] };
      this.stream.write(DeltaDiscoveryRequest.fromPartial(request));
    }
    context.after(() => this.close());
  }

  async until(done: () => boolean): Promise<void> {
    const clock = systemClock();
    const start = clock.nowMs;
    while (!done()) {
      assert.ok(clock.refresh() - start < 5_000, `it has ${this.held.join()}`);
      await new Promise<void>((resolve) => {
        this.wake = resolve;
        clock.after(50, resolve);
      });
    }
  }

  close(): void {
    this.stream.cancel();
    this.client.close();
  }

  private onResponse({ typeUrl: type, nonce, resources }: DeltaDiscoveryResponse): void {
    const kind = type.slice(type.lastIndexOf('.') + 1);
    const problems = resources.map(({ name }) => this.refuse(name)).filter((reason) => reason !== undefined);
    const good = resources.filter(({ name }) => this.refuse(name) === undefined);
    this.held.push(...good.map(({ name }) => `${kind} ${name}`));
    const errorDetail = problems.length === 0 ? undefined : { code: 3, message: problems.join('; ') };
    this.stream.write(
      DeltaDiscoveryRequest.fromPartial({ typeUrl: type, responseNonce: nonce, ...(errorDetail && { errorDetail }) }),
    );
    if (kind === 'Route' && good.length > 0) {
      const resourceNamesSubscribe = good.map(({ name }) => `routes/${name}`);
      this.stream.write(DeltaDiscoveryRequest.fromPartial({ typeUrl: typeUrl('Upstream'), resourceNamesSubscribe }));
    }
    this.wake();
  }
}

function listSidecars(
  context: TestContext,
  address: string,
  secure: ChannelCredentials = credentials.createInsecure(),
): Promise<ListSidecarsResponse> {
  const client = new ControlPlaneClient(address, secure);
  context.after(() => client.close());
  return new Promise((resolve, reject) => {
    const request = { nodeIdPrefix: '', pageSize: 0, pageToken: '' };
    client.listSidecars(request, new Metadata(), (error, response) =>
      error === null ? resolve(response) : reject(error),
    );
  });
}

test('a sidecar that refuses is shown by its name with the reason, and awaitApplied tells the same', async (context) => {
  const { server, port, put } = await start(context);
  put(route('r1', '/a'), upstream('routes/r1'));
  const [good, bad] = [new Gateway(context, port, 'good'), new Gateway(context, port, 'bad')];
  for (const gateway of [good, bad]) await gateway.until(() => gateway.held.includes('Upstream routes/r1'));
  bad.refuse = (name) => (name === 'r2' ? 'Route r2: uris[0]: not for me' : undefined);
  put(route('r1', '/a'), upstream('routes/r1'), route('r2', '/b'), upstream('routes/r2'));
  const names = [
    { kind: 'Route', name: 'r2' },
    { kind: 'Upstream', name: 'routes/r2' },
  ] as const;
  const applied = await server.awaitApplied(names, 5_000);
  assert.deepEqual(applied, {
    acknowledged: ['good'],
    refused: [{ nodeId: 'bad', reason: 'Route r2: uris[0]: not for me' }],
    pending: [],
  });
  assert.ok(good.held.includes('Upstream routes/r2'));
  const { sidecars } = await listSidecars(context, `127.0.0.1:${port}`);
  assert.deepEqual(
    sidecars.map(({ nodeId, version, state, flavour }) => [nodeId, version, state, flavour]),
    [
      ['bad', 'gateway/7', SyncState.REFUSED, 'delta'],
      ['good', 'gateway/7', SyncState.SYNCED, 'delta'],
    ],
  );
  const routes = sidecars[0]?.types.find(({ typeUrl: type }) => type === typeUrl('Route'));
  assert.deepEqual(
    routes?.refused.map(({ name, reason }) => [name, reason]),
    [['r2', 'Route r2: uris[0]: not for me']],
  );
  assert.deepEqual([routes?.wildcard, routes?.sent, routes?.acknowledged], [true, 2n, 1n]);
  // Gone again: both know it, and nothing is refused any more.
  put(route('r1', '/a'), upstream('routes/r1'));
  assert.deepEqual((await server.awaitApplied(names, 5_000)).acknowledged.toSorted(), ['bad', 'good']);
  assert.equal(
    server.status().every(({ types }) => types.every(({ refused }) => refused.length === 0)),
    true,
  );
  // One that leaves is waited for no more.
  bad.refuse = () => undefined;
  bad.close();
  put(route('r1', '/c'), upstream('routes/r1'));
  assert.deepEqual(await server.awaitApplied([{ kind: 'Route', name: 'r1' }], 5_000), {
    acknowledged: server.status().map(({ nodeId }) => nodeId),
    refused: [],
    pending: [],
  });
});

const consumer = (name: string): NativeObject =>
  native(
    'Consumer',
    name,
    Consumer.encode(Consumer.fromPartial({ name, plugins: { keyAuth: { key: `key-${name}` } } })).finish(),
  );

test(
  'Consumers that never arrive are not applied: where they are not asked for, and where they may not be sent',
  { skip: outside === undefined ? 'no address but loopback' : false },
  async (context) => {
    const { server, port, put } = await start(context, '0.0.0.0');
    const resources = [route('r1', '/a'), upstream('routes/r1')];
    put(...resources, consumer('jack'));
    const kinds: readonly Kind[] = ['Route', 'Consumer'];
    const near = new Gateway(context, port, 'near', credentials.createInsecure(), { kinds });
    const silent = new Gateway(context, port, 'silent');
    const far = new Gateway(context, port, 'far', credentials.createInsecure(), { host: outside, kinds });
    for (const gateway of [near, silent, far]) await gateway.until(() => gateway.held.includes('Upstream routes/r1'));
    await near.until(() => near.held.includes('Consumer jack'));
    const { acknowledged, refused, pending } = await server.awaitApplied([{ kind: 'Consumer', name: 'jack' }], 5_000);
    assert.deepEqual([acknowledged, pending], [['near'], []]);
    const reasons = [
      'far: a Consumer that holds a secret is not sent to it: over plaintext it is sent on loopback only',
      'silent: it does not ask for Consumers: over plaintext they are exchanged on loopback only',
    ];
    assert.deepEqual(refused.map(({ nodeId, reason }) => `${nodeId}: ${reason}`).sort(), reasons);
    const { sidecars } = await listSidecars(context, `127.0.0.1:${port}`);
    assert.deepEqual(
      sidecars.map(({ nodeId, state }) => [nodeId, state]),
      [
        ['far', SyncState.REFUSED],
        ['near', SyncState.SYNCED],
        ['silent', SyncState.REFUSED],
      ],
    );
    const shown = sidecars.flatMap(({ nodeId, types }) =>
      types.flatMap((type) => type.refused.map(({ name, reason }) => `${nodeId}: ${name}${reason}`)),
    );
    assert.deepEqual(shown, reasons);
    // Gone, nobody lacks it.
    put(...resources);
    const applied = await server.awaitApplied([{ kind: 'Consumer', name: 'jack' }], 5_000);
    assert.deepEqual([applied.acknowledged.toSorted(), applied.refused], [['far', 'near', 'silent'], []]);
  },
);

test('grpcurl lists, describes and calls it by reflection', { skip: grpcurlMissing }, async (context) => {
  const { port, put } = await start(context);
  put(route('r1', '/a'), upstream('routes/r1'));
  const gateway = new Gateway(context, port, 'gw');
  await gateway.until(() => gateway.held.length === 2);
  const grpcurl = async (...args: string[]): Promise<string> =>
    (await promisify(execFile)(GRPCURL, ['-plaintext', `127.0.0.1:${port}`, ...args], { timeout: 20_000 })).stdout;
  assert.deepEqual((await grpcurl('list')).trim().split('\n'), [
    'envoy.service.discovery.v3.AggregatedDiscoveryService',
    'grpc.reflection.v1.ServerReflection',
    'grpc.reflection.v1alpha.ServerReflection',
    'outrigger.admin.v1.ControlPlane',
  ]);
  assert.match(await grpcurl('describe', 'outrigger.admin.v1.ControlPlane'), /The sidecars that are connected/);
  const answer = JSON.parse(await grpcurl('outrigger.admin.v1.ControlPlane/ListSidecars')) as {
    sidecars: { nodeId: string; state: string }[];
  };
  assert.deepEqual(
    answer.sidecars.map(({ nodeId }) => nodeId),
    ['gw'],
  );
});

test(
  'a caller that does not come over loopback is refused with the reason, and sidecars are not',
  { skip: outside === undefined ? 'no address but loopback' : false },
  async (context) => {
    const { port } = await start(context, '0.0.0.0');
    const address = `${outside}:${port}`;
    const isDenied = (error: ServiceError): boolean => {
      assert.equal(error.code, status.PERMISSION_DENIED);
      assert.match(error.details, /callers over loopback only: call it on the machine of the control plane/);
      return true;
    };
    await assert.rejects(listSidecars(context, address), isDenied);
    const client = new ServerReflectionClient(address, credentials.createInsecure());
    context.after(() => client.close());
    const stream = client.serverReflectionInfo();
    const ended = new Promise<never>((_, reject) => stream.on('error', reject));
    stream.on('data', () => assert.fail('it was answered'));
    stream.write({ host: '', messageRequest: { $case: 'listServices', value: '' } });
    await assert.rejects(ended, isDenied);
    assert.deepEqual((await listSidecars(context, `127.0.0.1:${port}`)).sidecars, []);
  },
);

test('it is served over TLS too', async (context) => {
  const directory = mkdtempSync(join(tmpdir(), 'outrigger-list-'));
  context.after(() => rmSync(directory, { recursive: true, force: true }));
  const authority = await issueAuthority();
  const pair = await issueCertificate(authority, { dns: ['localhost'], ips: ['127.0.0.1'], usage: ['server'] });
  const [certificateFile, keyFile] = [join(directory, 'cert.pem'), join(directory, 'key.pem')];
  writeFileSync(certificateFile, pair.chain);
  writeFileSync(keyFile, pair.keyPem);
  const { port, put } = await start(context, '127.0.0.1', { certificateFile, keyFile });
  put(route('r1', '/a'), upstream('routes/r1'));
  const secure = credentials.createSsl(Buffer.from(authority.certificatePem));
  // By name: grpc-js would ask for an address as a server name, which Node from 25 on refuses.
  const gateway = new Gateway(context, port, 'gw', secure, { host: 'localhost' });
  await gateway.until(() => gateway.held.length === 2);
  const { sidecars } = await listSidecars(context, `localhost:${port}`, secure);
  assert.deepEqual(
    sidecars.map(({ nodeId, tls }) => [nodeId, tls]),
    [['gw', true]],
  );
});
