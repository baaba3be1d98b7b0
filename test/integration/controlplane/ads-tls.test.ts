// Real sockets, real certificates: ADS over TLS and mTLS, as sidecars and as mistaken callers meet it.
import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { connect as connectTcp, type Socket } from 'node:net';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { connect as connectTls } from 'node:tls';
import { type ClientDuplexStream, credentials, type ServiceError, status } from '@grpc/grpc-js';
import { type Clock, systemClock } from '../../../src/base/clock.ts';
import type { Logger } from '../../../src/base/log.ts';
import { AdsServer } from '../../../src/controlplane/ads-server.ts';
import { type AdsTlsFiles, type ControlPlane, createControlPlane } from '../../../src/controlplane/control-plane.ts';
import { SnapshotCache } from '../../../src/controlplane/snapshot-cache.ts';
import { AggregatedDiscoveryServiceClient } from '../../../src/gen/envoy/service/discovery/v3/ads.ts';
import {
  DeltaDiscoveryRequest,
  type DeltaDiscoveryResponse,
} from '../../../src/gen/envoy/service/discovery/v3/discovery.ts';
import { Secret } from '../../../src/gen/outrigger/config/v1/secret.ts';
import { createCredentials } from '../../../src/identity/live-credentials.ts';
import {
  issueAuthority,
  issueCertificate,
  type TestAuthority,
  type TestCertificate,
} from '../../support/certificates.ts';
import { FakeClock } from '../../support/fake-clock.ts';

const PREFIX = 'type.googleapis.com/outrigger.config.v1.';
const ID = 'spiffe://example.org/ns/default/sa/web';

const authority = await issueAuthority({ commonName: 'mesh' });
const strangers = await issueAuthority({ commonName: 'strangers' });
const issueServer = (by: TestAuthority = authority): Promise<TestCertificate> =>
  issueCertificate(by, { dns: ['localhost'], ips: ['127.0.0.1'], usage: ['server'] });
const issueClient = (uris: readonly string[], by: TestAuthority = authority): Promise<TestCertificate> =>
  issueCertificate(by, { uris, usage: ['client'] });
const server = await issueServer();
const client = await issueClient([ID]);

/** Lines of the log, each `level message {fields}`. */
function logTo(lines: string[]): Logger {
  return {
    level: 'trace',
    isOn: () => true,
    log: (level, fields, message) => lines.push(`${level} ${message} ${JSON.stringify(fields)}`),
  };
}

function directory(context: TestContext): { path: string; write: (name: string, text: string) => string } {
  const path = mkdtempSync(join(tmpdir(), 'outrigger-ads-tls-'));
  context.after(() => rmSync(path, { recursive: true, force: true }));
  return {
    path,
    write(name, text) {
      writeFileSync(join(path, `.${name}`), text);
      renameSync(join(path, `.${name}`), join(path, name));
      return join(path, name);
    },
  };
}

interface Identity {
  readonly ca?: string;
  readonly pair?: TestCertificate | undefined;
  /** Default: as `pair` and `ca` say. */
  readonly plaintext?: boolean;
}

/** A sidecar as far as these tests go. */
class Caller {
  readonly held = new Map<string, Buffer>();
  readonly removed: string[] = [];
  readonly ended: Promise<ServiceError>;
  private readonly client: AggregatedDiscoveryServiceClient;
  private readonly stream: ClientDuplexStream<DeltaDiscoveryRequest, DeltaDiscoveryResponse>;
  private wake: () => void = () => undefined;

  constructor(context: TestContext, address: string, { ca = authority.certificatePem, pair, plaintext }: Identity) {
    const own = pair && [Buffer.from(pair.keyPem), Buffer.from(pair.chain)];
    const secure =
      plaintext === true
        ? credentials.createInsecure()
        : credentials.createSsl(Buffer.from(ca), own?.[0] ?? null, own?.[1] ?? null);
    this.client = new AggregatedDiscoveryServiceClient(address, secure, {
      'grpc.use_local_subchannel_pool': 1,
      // grpc-js would ask for the address, which Node from 25 on refuses.
      'grpc.ssl_target_name_override': 'localhost',
    });
    this.stream = this.client.deltaAggregatedResources();
    this.ended = new Promise((resolve) => this.stream.on('error', (error: ServiceError) => resolve(error)));
    this.stream.on('data', ({ typeUrl, nonce, resources, removedResources }: DeltaDiscoveryResponse) => {
      const kind = typeUrl.slice(PREFIX.length);
      for (const { name, resource } of resources) this.held.set(`${kind} ${name}`, Buffer.from(resource?.value ?? []));
      for (const name of removedResources) this.removed.push(`${kind} ${name}`);
      this.stream.write(DeltaDiscoveryRequest.fromPartial({ typeUrl, responseNonce: nonce }));
      this.wake();
    });
    context.after(() => this.close());
  }

  ask(id: string | undefined, kind: string, ...names: string[]): void {
    this.stream.write(
      DeltaDiscoveryRequest.fromPartial({
        ...(id === undefined ? {} : { node: { id } }),
        typeUrl: PREFIX + kind,
        resourceNamesSubscribe: names,
      }),
    );
  }

  /** Waits until `done`, for at most three seconds. */
  async until(done: () => boolean): Promise<void> {
    const clock = systemClock();
    const start = clock.nowMs;
    while (!done()) {
      assert.ok(
        clock.refresh() - start < 3_000,
        `held: ${[...this.held.keys()].join()} removed: ${this.removed.join()}`,
      );
      await new Promise<void>((resolve) => {
        this.wake = resolve;
        clock.after(20, resolve);
      });
    }
  }

  close(): void {
    this.stream.cancel();
    this.client.close();
  }
}

const RESOURCES = {
  'foo.yaml': `apiVersion: v1
kind: Service
metadata: {name: foo}
spec: {ports: [{name: p, port: 7000}]}
---
apiVersion: apisix.apache.org/v2
kind: ApisixUpstream
metadata: {name: foo}
spec: {scheme: https, tlsSecret: {name: used, namespace: default}}
`,
  ...Object.fromEntries(
    ['used', 'other'].map((name) => {
      const stringData = { 'tls.crt': client.certificatePem, 'tls.key': client.keyPem };
      return [`${name}.json`, JSON.stringify({ apiVersion: 'v1', kind: 'Secret', metadata: { name }, stringData })];
    }),
  ),
};

interface Fixture {
  readonly controlPlane: ControlPlane;
  readonly address: string;
  readonly logged: string[];
}

async function start(
  context: TestContext,
  adsTls: Partial<AdsTlsFiles> | undefined,
  host = '127.0.0.1',
): Promise<Fixture> {
  const resources = directory(context);
  for (const [name, text] of Object.entries(RESOURCES)) resources.write(name, text);
  const files = directory(context);
  const logged: string[] = [];
  const controlPlane = createControlPlane({
    dirs: [resources.path],
    ads: { host, port: 0 },
    adsTls: adsTls && {
      certificateFile: files.write('tls.crt', server.chain),
      keyFile: files.write('tls.key', server.keyPem),
      clientCaFile: files.write('ca.crt', authority.certificatePem),
      bindNodeId: false,
      ...adsTls,
    },
    clock: systemClock(),
    logger: logTo(logged),
  });
  const { adsAddress: address } = await controlPlane.start();
  context.after(() => controlPlane.stop());
  return { controlPlane, address, logged };
}

test('over mTLS a sidecar gets the Secrets that it needs, and is shown with its SPIFFE id', async (context) => {
  const { controlPlane, address, logged } = await start(context, {});
  const caller = new Caller(context, address, { pair: client });
  caller.ask('n1', 'Sidecar', 'n1', 'default');
  caller.ask('n1', 'Secret', 'default/used', 'default/other');
  await caller.until(() => caller.held.has('Secret default/used') && caller.removed.includes('Secret default/other'));
  const secret = Secret.decode(caller.held.get('Secret default/used') ?? Buffer.alloc(0));
  assert.equal(Buffer.from(secret.privateKey).toString(), client.keyPem);
  assert.equal(caller.held.has('Secret default/other'), false);

  const all = new Caller(context, address, { pair: client });
  all.ask('n2', 'Secret', '*');
  await all.until(() => all.held.size > 0);
  assert.deepEqual([...all.held.keys()], ['Secret default/used']);

  const [shown] = controlPlane.sidecars();
  assert.deepEqual([shown?.nodeId, shown?.tls, shown?.spiffeId], ['n1', true, ID]);
  assert.match(shown?.peer ?? '', /^127\.0\.0\.1:\d+$/);
  const body = client.keyPem.split('\n')[1] ?? '';
  assert.ok(body.length > 40 && logged.every((line) => !line.includes(body) && !line.includes('PRIVATE')));
});

test('without client certificates asked for, any sidecar may come, and secrets go over TLS alone', async (context) => {
  const { controlPlane, address } = await start(context, { clientCaFile: undefined });
  const caller = new Caller(context, address, {});
  caller.ask('n1', 'Secret', 'default/used');
  await caller.until(() => caller.held.has('Secret default/used'));
  const [shown] = controlPlane.sidecars();
  assert.deepEqual([shown?.tls, shown?.spiffeId], [true, undefined]);
});

test('who shows no certificate, or one of strangers, gets nothing, and the log says why', async (context) => {
  const { controlPlane, address, logged } = await start(context, {});
  const expired = await issueCertificate(authority, { uris: [ID], notAfterMs: systemClock().wallMs() - 60_000 });
  const cases: [TestCertificate | undefined, RegExp][] = [
    [undefined, /it shows no certificate: start the sidecar with --control-cert and --control-key/],
    [
      await issueClient([ID], strangers),
      /its certificate is not accepted: its issuer is not among the trusted authorities/,
    ],
    [expired, /its certificate is not accepted: it has expired/],
    [server, /its certificate is not accepted: its extended key usage/],
  ];
  for (const [pair, expected] of cases) {
    const caller = new Caller(context, address, { pair });
    caller.ask('n1', 'Sidecar', 'default');
    assert.equal((await caller.ended).code, status.UNAVAILABLE);
    await caller.until(() => logged.some((line) => expected.test(line)));
    assert.equal(caller.held.size, 0);
  }
  assert.equal(controlPlane.sidecars().length, 0);
  assert.ok(logged.every((line) => !line.startsWith('warn') || line.includes('"peer":"127.0.0.1"')));
});

test('TLS below 1.2 is refused', async (context) => {
  const { address } = await start(context, { clientCaFile: undefined });
  const handshake = async (version: 'TLSv1.1' | 'TLSv1.2' | 'TLSv1.3'): Promise<string> => {
    const socket = connectTls({
      port: portOf(address),
      ca: authority.certificatePem,
      ALPNProtocols: ['h2'],
      minVersion: version,
      maxVersion: version,
      ciphers: 'DEFAULT@SECLEVEL=0',
    });
    const result = await Promise.race([
      once(socket, 'secureConnect').then(() => socket.getProtocol() ?? ''),
      once(socket, 'error').then(([error]: NodeJS.ErrnoException[]) => error?.code ?? ''),
    ]).catch((error: NodeJS.ErrnoException) => error.code ?? '');
    socket.destroy();
    return result;
  };
  assert.match(await handshake('TLSv1.1'), /^ERR_SSL_/);
  assert.equal(await handshake('TLSv1.2'), 'TLSv1.2');
  assert.equal(await handshake('TLSv1.3'), 'TLSv1.3');
});

test('a node id bound to the certificate: its SPIFFE id, or PERMISSION_DENIED with both', async (context) => {
  const { controlPlane, address, logged } = await start(context, { bindNodeId: true });
  const cases: [string | undefined, TestCertificate, RegExp][] = [
    ['web', client, /^the node id "web" is not the SPIFFE id "spiffe:\/\/example\.org\/ns\/default\/sa\/web"/],
    [undefined, client, /^the node id "" is not the SPIFFE id/],
    [ID, await issueClient(['spiffe://example.org/ns/default/sa/other']), /is not the SPIFFE id ".*other"/],
    [ID, await issueClient([ID, 'spiffe://example.org/other']), /^the client certificate has several URI names/],
    [ID, await issueClient([]), /^the client certificate has no SPIFFE id/],
  ];
  for (const [nodeId, pair, expected] of cases) {
    const caller = new Caller(context, address, { pair });
    caller.ask(nodeId, 'Secret', '*');
    const error = await caller.ended;
    assert.equal(error.code, status.PERMISSION_DENIED);
    assert.match(error.details, expected);
    assert.equal(caller.held.size, 0);
  }
  assert.equal(logged.filter((line) => line.startsWith('warn sidecar refused')).length, cases.length);
  assert.equal(controlPlane.sidecars().length, 0);

  const caller = new Caller(context, address, { pair: client });
  caller.ask(ID, 'Sidecar', ID, 'default');
  await caller.until(() => caller.held.has('Sidecar default'));
  // Who was let in as one can't become another.
  caller.ask('other', 'Sidecar', 'other');
  await caller.until(() => caller.removed.includes('Sidecar other'));
  assert.equal(controlPlane.sidecars()[0]?.nodeId, ID);
});

test('what can not be served is told before anything is bound', async (context) => {
  const files = directory(context);
  const other = files.write('other.key', client.keyPem);
  await assert.rejects(start(context, { keyFile: other }), /can't serve ADS over TLS: .*does not fit the certificate/);
  await assert.rejects(
    start(context, { certificateFile: join(files.path, 'none') }),
    /can't serve ADS over TLS: .*none/,
  );
  await assert.rejects(start(context, { clientCaFile: other }), /can't serve ADS over TLS: /);
  await assert.rejects(
    start(context, { clientCaFile: undefined, bindNodeId: true }),
    /give their authorities too \(--ads-client-ca\)/,
  );
});

test('each kind of caller at the wrong port is closed, and told once with the fix', async (context) => {
  const secure = await start(context, {});
  for (let i = 0; i < 3; i++) {
    const caller = new Caller(context, secure.address, { plaintext: true });
    caller.ask('n1', 'Sidecar', 'default');
    assert.equal((await caller.ended).code, status.UNAVAILABLE);
  }
  const told = (lines: readonly string[]) => lines.filter((line) => line.startsWith('warn a caller speaks'));
  assert.equal(told(secure.logged).length, 1);
  assert.match(
    told(secure.logged)[0] ?? '',
    /plaintext to the TLS port of ADS: start the sidecar with --control-ca .*"peer":"127\.0\.0\.1"/,
  );

  const plain = await start(context, undefined);
  for (let i = 0; i < 3; i++) {
    const socket = connectTls({ port: portOf(plain.address), ALPNProtocols: ['h2'], rejectUnauthorized: false });
    const [error] = (await once(socket, 'error')) as [NodeJS.ErrnoException];
    assert.ok(error.code === 'ECONNRESET' || error.code?.startsWith('ERR_SSL_') === true, error.code);
  }
  assert.equal(told(plain.logged).length, 1);
  assert.match(told(plain.logged)[0] ?? '', /TLS to the plaintext ADS port: serve ADS over TLS with --ads-cert/);
  // Both still serve.
  for (const [{ address }, identity] of [
    [secure, { pair: client }],
    [plain, { plaintext: true }],
  ] as const) {
    const caller = new Caller(context, address, identity);
    caller.ask('n1', 'Sidecar', 'default');
    await caller.until(() => caller.held.has('Sidecar default'));
  }
});

const outside = Object.values(networkInterfaces())
  .flatMap((addresses) => addresses ?? [])
  .find(({ family, internal }) => family === 'IPv4' && !internal)?.address;

test(
  'over plaintext secrets go to loopback alone',
  { skip: outside === undefined ? 'no address but loopback' : false },
  async (context) => {
    const { controlPlane, address, logged } = await start(context, undefined, '0.0.0.0');
    const remote = new Caller(context, `${outside}:${portOf(address)}`, { plaintext: true });
    remote.ask('far', 'Secret', 'default/used');
    remote.ask('far', 'Upstream', 'default/foo');
    await remote.until(() => remote.held.has('Upstream default/foo') && remote.removed.length > 0);
    assert.deepEqual(remote.removed, ['Secret default/used']);
    remote.ask('far', 'Secret', '*');
    remote.ask('far', 'Sidecar', 'default');
    await remote.until(() => remote.held.has('Sidecar default'));
    assert.equal(remote.held.has('Secret default/used'), false);
    const told = logged.filter((line) => line.startsWith('warn a resource with secrets is not sent'));
    assert.equal(told.length, 1);
    assert.match(told[0] ?? '', /--ads-cert.*"node":"far".*"resource":"Secret default\/used"/);

    const near = new Caller(context, `127.0.0.1:${portOf(address)}`, { plaintext: true });
    near.ask('near', 'Secret', 'default/used');
    await near.until(() => near.held.has('Secret default/used'));
    const shown = controlPlane.sidecars().map(({ nodeId, tls, spiffeId }) => [nodeId, tls, spiffeId]);
    assert.deepEqual(shown, [
      ['far', false, undefined],
      ['near', false, undefined],
    ]);
  },
);

interface Bare {
  readonly address: string;
  /** Looks at the files and tells who uses them. */
  readonly look: () => Promise<void>;
  readonly ads: AdsServer;
  readonly write: (name: string, text: string) => string;
  readonly logged: string[];
}

/** An ADS server with an empty snapshot, whose files are looked at when the test says so. */
async function startBare(context: TestContext, clock: Clock): Promise<Bare> {
  const { write } = directory(context);
  const logged: string[] = [];
  const logger = logTo(logged);
  const storeClock = new FakeClock();
  const store = createCredentials({ clock: storeClock, logger });
  const ads = new AdsServer({
    host: '127.0.0.1',
    port: 0,
    tls: {
      credentials: store,
      certificate: {
        kind: 'files',
        certificateFile: write('tls.crt', server.chain),
        keyFile: write('tls.key', server.keyPem),
      },
      clientCa: { kind: 'file', file: write('ca.crt', authority.certificatePem) },
      bindNodeId: false,
    },
    cache: new SnapshotCache(),
    clock,
    logger,
  });
  const address = await ads.start();
  context.after(async () => {
    store.stop();
    const stopped = ads.stop();
    if (clock instanceof FakeClock) clock.advance(1_000);
    await stopped;
  });
  const look = async (): Promise<void> => {
    await store.poll();
    storeClock.advance(0);
  };
  return { address, look, ads, write, logged };
}

/** What an HTTP/2 client begins with: the preface and empty settings. */
const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\u0004\0\0\0\0\0';

/** One handshake as a sidecar does it; the serial number of what was shown, or the error. */
function handshake(address: string, pair: TestCertificate = client): Promise<string> {
  const socket = connectTls({
    port: portOf(address),
    ca: [authority.certificatePem],
    cert: pair.chain,
    key: pair.keyPem,
    ALPNProtocols: ['h2'],
  });
  return new Promise((resolve) => {
    // Whoever is refused learns so only after the handshake of TLS 1.3: the settings of HTTP/2 show that it was not.
    socket.on('secureConnect', () => socket.write(PREFACE, 'latin1'));
    socket.on('data', () => {
      resolve(socket.getPeerX509Certificate()?.serialNumber ?? '');
      socket.destroy();
    });
    socket.on('error', (error) => resolve(error.message));
    socket.on('close', () => resolve('closed'));
  });
}

const serial = ({ certificatePem }: TestCertificate): string => new X509Certificate(certificatePem).serialNumber;

test('certificates rotate under load: no handshake fails, no stream ends, and a bad pair keeps the old', async (context) => {
  const { address, look, ads, write, logged } = await startBare(context, systemClock());
  const caller = new Caller(context, address, { pair: client });
  caller.ask('n1', 'Sidecar', 'default');
  await caller.until(() => caller.held.has('Sidecar default'));

  const pairs = [server, ...(await Promise.all([issueServer(), issueServer(), issueServer()]))];
  const seen = new Map<string, number>();
  let swaps = 0;
  let stopped = false;
  const load = Array.from({ length: 8 }, async () => {
    for (let i = 0; i < 40; i++) {
      const shown = await handshake(address);
      seen.set(shown, (seen.get(shown) ?? 0) + 1);
    }
  });
  const swapping = (async () => {
    while (!stopped) {
      const pair = pairs[++swaps % pairs.length] ?? server;
      write('tls.crt', pair.chain);
      // Between the two files they don't fit each other.
      await look();
      write('tls.key', pair.keyPem);
      await look();
      await new Promise((resolve) => setImmediate(resolve));
    }
  })();
  await Promise.all(load);
  stopped = true;
  await swapping;
  assert.equal(
    [...seen.values()].reduce((sum, count) => sum + count, 0),
    320,
  );
  assert.deepEqual(
    [...seen.keys()].filter((shown) => !pairs.map(serial).includes(shown)),
    [],
  );
  assert.ok(seen.size > 1 && swaps > 4, `${seen.size} certificates seen in ${swaps} swaps`);

  const last = pairs[swaps % pairs.length] ?? server;
  assert.equal(await handshake(address), serial(last));
  write('tls.key', client.keyPem);
  for (let i = 0; i < 4; i++) await look();
  assert.equal(await handshake(address), serial(last));
  assert.ok(logged.some((line) => /does not fit/.test(line)));
  caller.ask('n1', 'Sidecar', 'more');
  await caller.until(() => caller.removed.includes('Sidecar more'));
  assert.equal(ads.status().length, 1);
});

test('new authorities count from the next handshake on', async (context) => {
  const { address, look, write } = await startBare(context, systemClock());
  const stranger = await issueClient([ID], strangers);
  assert.equal(await handshake(address), serial(server));
  assert.notEqual(await handshake(address, stranger), serial(server));
  write('ca.crt', strangers.certificatePem);
  await look();
  assert.equal(await handshake(address, stranger), serial(server));
  assert.notEqual(await handshake(address), serial(server));
});

test('a caller that is silent, or leaves the handshake open, is closed after ten seconds', async (context) => {
  const clock = new FakeClock();
  const { address } = await startBare(context, clock);
  const open = async (...bytes: number[]): Promise<{ socket: Socket; closed: Promise<unknown> }> => {
    const before = clock.waiting;
    const socket = connectTcp(portOf(address), '127.0.0.1');
    socket.on('error', () => undefined);
    const closed = new Promise((resolve) => socket.on('close', resolve));
    await once(socket, 'connect');
    if (bytes.length > 0) socket.write(Buffer.from(bytes));
    socket.resume();
    while (clock.waiting === before) await new Promise((resolve) => setImmediate(resolve));
    return { socket, closed };
  };
  const callers = [await open(), await open(0x16), await open(0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3)];
  clock.advance(9_999);
  await new Promise((resolve) => setImmediate(resolve));
  assert.ok(callers.every(({ socket }) => !socket.destroyed));
  clock.advance(1);
  await Promise.all(callers.map(({ closed }) => closed));
  // One that was done in time stays.
  const done = connectTls({
    port: portOf(address),
    ca: [authority.certificatePem],
    cert: client.chain,
    key: client.keyPem,
    ALPNProtocols: ['h2'],
  });
  await once(done, 'secureConnect');
  done.write(PREFACE, 'latin1');
  await once(done, 'data');
  clock.advance(60_000);
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(done.destroyed, false);
  done.destroy();
});

function portOf(address: string): number {
  return Number(address.slice(address.lastIndexOf(':') + 1));
}
