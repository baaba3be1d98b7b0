// The stream to the control plane over TLS: real sockets, real certificates. Every wait is for an event.
import assert from 'node:assert/strict';
import { createServer, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer, type TlsOptions, type TLSSocket } from 'node:tls';
import { before, describe, it, type TestContext } from 'node:test';
import { ServerCredentials } from '@grpc/grpc-js';
import { systemClock } from '../../../src/base/clock.ts';
import { silentLogger } from '../../../src/base/log.ts';
import { seededRng } from '../../../src/base/rng.ts';
import { decodeResource } from '../../../src/config/decode/decode.ts';
import type { Resources } from '../../../src/config/resource.ts';
import { wantedNames } from '../../../src/config/tree.ts';
import type { ControlCredentials } from '../../../src/control/channel-security.ts';
import type { NodeIdentity } from '../../../src/control/ads-stream.ts';
import { adsStreamOpener } from '../../../src/control/ads-stream.ts';
import type { XdsClient, XdsClientOptions } from '../../../src/control/xds-client.ts';
import { createXdsClient } from '../../../src/control/xds-client.ts';
import type { TestAuthority, TestCertificate } from '../../support/certificates.ts';
import { issueAuthority, issueCertificate } from '../../support/certificates.ts';
import type { Push, ScriptedStream } from '../../support/scripted-ads.ts';
import { ScriptedAds } from '../../support/scripted-ads.ts';

const HOUR_MS = 3_600_000;
const NODE: NodeIdentity = { id: 'me', podIp: undefined, services: [], version: '1.2.3' };
const HERE = { dns: ['localhost'], ips: ['127.0.0.1', '::1'] };

let authority: TestAuthority;
let other: TestAuthority;
let good: TestCertificate;
let client: TestCertificate;
before(async () => {
  authority = await issueAuthority({ commonName: 'mesh' });
  other = await issueAuthority({ commonName: 'another' });
  good = await issueCertificate(authority, { ...HERE, usage: ['server'] });
  client = await issueCertificate(authority, { usage: ['client'] });
});

/** What a server shows, and whose certificates it asks for. */
function shows({ chain, keyPem }: TestCertificate, clientCa?: TestAuthority): ServerCredentials {
  const pair = { cert_chain: Buffer.from(chain), private_key: Buffer.from(keyPem) };
  const ca = clientCa === undefined ? null : Buffer.from(clientCa.certificatePem);
  return ServerCredentials.createSsl(ca, [pair], clientCa !== undefined);
}

function trusting(ca: TestAuthority | undefined, own?: TestCertificate): ControlCredentials {
  return {
    ca: ca === undefined ? undefined : Buffer.from(ca.certificatePem),
    certificate: own === undefined ? undefined : Buffer.from(own.chain),
    key: own === undefined ? undefined : Buffer.from(own.keyPem),
  };
}

interface Sidecarlike {
  readonly client: XdsClient;
  readonly updates: Resources[];
  /** Resolves with the error of the first try that fails. */
  readonly failure: Promise<string>;
  readonly connected: Promise<void>;
  update(matches: (resources: Resources) => boolean): Promise<void>;
}

function sidecar(
  t: TestContext,
  servers: XdsClientOptions['servers'],
  credentials: ControlCredentials | undefined | (() => ControlCredentials | string | undefined),
  more: Partial<XdsClientOptions> = {},
): Sidecarlike {
  const updates: Resources[] = [];
  let wake = (): void => undefined;
  let failed: (error: string) => void = () => undefined;
  let connect = (): void => undefined;
  const failure = new Promise<string>((resolve) => (failed = resolve));
  const connected = new Promise<void>((resolve) => (connect = resolve));
  const xds = createXdsClient({
    servers,
    flavour: 'delta',
    node: NODE,
    clock: systemClock(),
    rng: seededRng(5),
    logger: silentLogger,
    decode: decodeResource,
    wanted: (resources) => wantedNames('me', resources),
    credentials: typeof credentials === 'function' ? credentials : () => credentials,
    onUpdate: (resources) => {
      updates.push(resources);
      wake();
    },
    onState: ({ state, lastError }) => {
      if (state === 'waiting') failed(lastError);
      if (state === 'connected') connect();
    },
    ...more,
  });
  xds.start();
  t.after(() => xds.stop());
  return {
    client: xds,
    updates,
    failure,
    connected,
    update: (matches) =>
      new Promise((resolve, reject) => {
        const timer = setTimeout(() => reject(new Error(`no such update; ${xds.status().lastError}`)), 5_000);
        wake = () => {
          const resources = updates.at(-1);
          if (resources === undefined || !matches(resources)) return;
          clearTimeout(timer);
          resolve();
        };
        wake();
      }),
  };
}

async function server(t: TestContext, credentials: ServerCredentials, port = 0): Promise<ScriptedAds> {
  const ads = await ScriptedAds.start(port, credentials);
  t.after(() => ads.kill());
  return ads;
}

const SIDECAR: Push = { name: 'default', message: { listeners: ['l/1'] } };
const LISTENER: Push = {
  name: 'l/1',
  message: {
    port: 7443,
    targets: [{ upstream: 'x/a', service_port: 80 }],
    tls: { certificates: [{ secret: 'x/cert' }] },
  },
};
const UPSTREAM: Push = { name: 'x/a', message: { nodes: [{ host: '10.0.0.1', port: 80 }] } };
const secret = ({ chain, keyPem }: TestCertificate): Push => ({
  name: 'x/cert',
  message: { certificate: Buffer.from(chain), private_key: Buffer.from(keyPem) },
});

/** Serves a tree with a TLS Listener as it is asked for. */
async function serveTree(stream: ScriptedStream, certificate: TestCertificate | undefined): Promise<void> {
  await stream.expect('Sidecar');
  stream.push('Sidecar', [SIDECAR], stream.flavour === 'delta' ? { removed: ['me'] } : {});
  await stream.expect('Listener');
  stream.push('Listener', [LISTENER]);
  await stream.expect('Upstream');
  const nonce = stream.push('Upstream', [UPSTREAM]);
  await stream.expectAck('Upstream', nonce);
  if (certificate === undefined) return;
  await stream.expect('Secret');
  await stream.expectAck('Secret', stream.push('Secret', [secret(certificate)]));
}

const hasSecret =
  ({ keyPem }: TestCertificate) =>
  (resources: Resources): boolean =>
    String(resources.get('Secret', 'x/cert')?.message.privateKey) === keyPem;

describe('XdsClient over TLS', () => {
  for (const flavour of ['delta', 'sotw'] as const) {
    it(`${flavour}: both sides show a certificate, and Secrets come`, async (t) => {
      const ads = await server(t, shows(good, authority));
      const me = sidecar(t, [ads.address], trusting(authority, client), { flavour });
      await serveTree(await ads.stream(), client);
      await me.update(hasSecret(client));
      assert.equal(me.updates.length, 1);
      assert.deepEqual(me.client.status().lastError, '');
    });
  }

  it('verifies a name by name and an address by address, and asks for no address by SNI', async (t) => {
    const warnings: string[] = [];
    const onWarning = (warning: Error): void => void warnings.push(String(warning));
    process.on('warning', onWarning);
    t.after(() => process.off('warning', onWarning));
    for (const [host, asked] of [
      ['localhost', 'localhost'],
      ['127.0.0.1', 'control-plane'],
    ] as const) {
      // A server for each: it may be asked once more as the client stops.
      const names = new Set<unknown>();
      const tls = await tlsServer(t, { key: good.keyPem, cert: good.chain, ALPNProtocols: ['h2'] }, (socket) => {
        names.add((socket as TLSSocket & { servername?: string | false }).servername);
        assert.equal(socket.getProtocol(), 'TLSv1.3');
        socket.destroy();
      });
      const me = sidecar(t, [{ host, port: tls }], trusting(authority));
      assert.match(await me.failure, /after the TLS handshake/);
      await me.client.stop();
      assert.deepEqual([...names], [asked]);
    }
    assert.deepEqual(warnings, []);
  });

  it('says what is wrong with a certificate, and where to look', async (t) => {
    const nowMs = systemClock().wallMs();
    const cases: [string, ControlCredentials, TestCertificate, string, RegExp][] = [
      ['wrong authority', trusting(other), good, '127.0.0.1', /not signed by a trusted authority: check --control-ca$/],
      [
        'no authority',
        trusting(undefined),
        good,
        'localhost',
        /use --control-ca, since .* that Node brings are trusted$/,
      ],
      [
        'expired',
        trusting(authority),
        await issueCertificate(authority, {
          ...HERE,
          notBeforeMs: nowMs - 2 * HOUR_MS,
          notAfterMs: nowMs - HOUR_MS,
        }),
        '127.0.0.1',
        /certificate has expired: renew/,
      ],
      [
        'another name',
        trusting(authority),
        await issueCertificate(authority, { dns: ['control.example'], ips: ['127.0.0.1'] }),
        'localhost',
        /DNS:control\.example.*: call the control plane by a name of its certificate/,
      ],
      [
        'another address',
        trusting(authority),
        await issueCertificate(authority, { dns: ['localhost', '127.0.0.1', 'control-plane'], ips: ['10.0.0.1'] }),
        '127.0.0.1',
        /IP: 127\.0\.0\.1 is not among .*IP Address:10\.0\.0\.1: call the control plane by/,
      ],
      [
        'for clients only',
        trusting(authority),
        await issueCertificate(authority, { ...HERE, usage: ['client'] }),
        '127.0.0.1',
        /not one for servers$/,
      ],
    ];
    for (const [what, credentials, certificate, host, expected] of cases) {
      const ads = await server(t, shows(certificate));
      const me = sidecar(t, [{ host, port: ads.port }], credentials);
      assert.match(await me.failure, expected, what);
      assert.equal(me.client.status().state, 'waiting');
      await me.client.stop();
      ads.kill();
    }
  });

  it('says that the control plane wants another client certificate, or one at all', async (t) => {
    const ads = await server(t, shows(good, authority));
    const none = sidecar(t, [ads.address], trusting(authority));
    assert.match(await none.failure, /client certificate: use --control-cert and --control-key$/);
    await none.client.stop();
    const strange = await issueCertificate(other, { usage: ['client'] });
    const wrong = sidecar(t, [ads.address], trusting(authority, strange));
    assert.match(await wrong.failure, /client certificate.* check --control-cert$/);
  });

  it('says that one side speaks TLS and the other plaintext', async (t) => {
    const plain = await server(t, ServerCredentials.createInsecure());
    const me = sidecar(t, [plain.address], trusting(authority));
    assert.match(await me.failure, /does not speak TLS there: use its port for TLS/);
    const tls = await server(t, shows(good));
    const you = sidecar(t, [tls.address], undefined);
    assert.match(await you.failure, /if the control plane speaks TLS there, use --control-ca$/);
  });

  it('refuses TLS 1.1, and a port of another kind', async (t) => {
    const ciphers = 'DEFAULT@SECLEVEL=0';
    const options: TlsOptions = {
      key: good.keyPem,
      cert: good.chain,
      minVersion: 'TLSv1',
      maxVersion: 'TLSv1.1',
      ciphers,
    };
    const old = sidecar(t, [{ host: '127.0.0.1', port: await tlsServer(t, options) }], trusting(authority));
    assert.match(await old.failure, /must speak TLS 1\.2 or 1\.3$/);
    const web: TlsOptions = { key: good.keyPem, cert: good.chain, ALPNProtocols: ['http/1.1'] };
    const not = sidecar(t, [{ host: '127.0.0.1', port: await tlsServer(t, web) }], trusting(authority));
    assert.match(await not.failure, /no HTTP\/2 there/);
    const port = await listen(
      t,
      createServer((socket) => socket.destroy()),
    );
    const gone = sidecar(t, [{ host: '127.0.0.1', port }], trusting(authority));
    assert.match(await gone.failure, /is there TLS on that port/);
  });

  it('says that a certificate or its key cannot be used, without showing any of it', async (t) => {
    const ads = await server(t, shows(good));
    const broken = { ...trusting(authority, client), key: Buffer.from('no key: 5e3a') };
    const me = sidecar(t, [ads.address], broken);
    const error = await me.failure;
    assert.match(error, /: check --control-ca, --control-cert and --control-key$/);
    assert.ok(!error.includes('5e3a'));
    const mixed = sidecar(t, [ads.address], { ...trusting(authority, client), key: Buffer.from(good.keyPem) });
    assert.match(await mixed.failure, /key values mismatch: check --control-ca, --control-cert and --control-key$/);
  });

  it('uses rotated certificates and authorities with the next stream, and loses nothing meanwhile', async (t) => {
    let now: ControlCredentials | string = trusting(authority, client);
    const ads = await server(t, shows(good, authority));
    const me = sidecar(t, [ads.address], () => now);
    const stream = await ads.stream();
    await serveTree(stream, client);
    await me.update(hasSecret(client));

    // Both sides get certificates of another authority. A stream that is open is not cut by that.
    const renewed = await issueCertificate(other, { usage: ['client'] });
    now = trusting(other, renewed);
    await stream.expectAck('Secret', stream.push('Secret', [secret(renewed)]));
    await me.update(hasSecret(renewed));
    assert.equal(stream.cancelled, false);
    ads.kill();
    now = '/etc/outrigger/ca.pem: no such file';
    const again = await server(t, shows(await issueCertificate(other, HERE), other), ads.port);
    await until(() => me.client.status().lastError === now);
    assert.equal(me.updates.length, 2);

    now = trusting(other, renewed);
    const second = await again.stream();
    assert.deepEqual(Object.keys((await second.expect('Secret')).initial_resource_versions), ['x/cert']);
    await second.expectAck('Secret', second.push('Secret', [secret(client)]));
    await me.update(hasSecret(client));
    assert.equal(me.updates.length, 3);
  });
});

describe('XdsClient over plaintext to another machine', () => {
  for (const flavour of ['delta', 'sotw'] as const) {
    it(`${flavour}: asks for no Secret and takes no private key, and the rest serves`, async (t) => {
      const ads = await server(t, ServerCredentials.createInsecure());
      const open = adsStreamOpener(flavour, NODE);
      // The name is what counts: it may lead anywhere.
      const me = sidecar(t, [{ host: 'control.example', port: ads.port }], undefined, {
        flavour,
        openStream: (_, events, credentials) => open(ads.address, events, credentials),
      });
      const stream = await ads.stream();
      await serveTree(stream, undefined);
      await me.update((resources) => resources.get('Listener', 'l/1') !== undefined);
      const tls = { client_cert: client.chain, client_key: client.keyPem };
      const keyed: Push = { name: 'x/a', version: '2', message: { ...UPSTREAM.message, scheme: 'https', tls } };
      const { error } = await stream.expectNack('Upstream', stream.push('Upstream', [keyed]));
      const fix = 'use --control-ca (and --control-cert), or a control plane on loopback';
      const place = `control.example:${ads.port}`;
      assert.equal(error, `Upstream x/a: a private key is not taken over plaintext from ${place}: ${fix}`);
      // An answer would ask for all of the type; what is sent after it shows that none came.
      const unasked = stream.push('Secret', [secret(client)]);
      await stream.expectAck('Upstream', stream.push('Upstream', [{ ...UPSTREAM, version: '3' }]));
      assert.equal(stream.answersTo(unasked), 0);
      assert.ok(stream.requests.every(({ type_url }) => !type_url.endsWith('.Secret')));
      const view = [...me.client.resourceViews()].find(({ kind }) => kind === 'Secret');
      assert.equal(view?.state, 'nacked');
      assert.equal(view.error, `a Secret is not asked for over plaintext to ${place}: ${fix}`);
      assert.equal(me.updates.length, 1);
    });
  }
});

/** Resolves when it is so; looked at with each turn of the event loop, for 5 s. */
async function until(condition: () => boolean): Promise<void> {
  const endMs = systemClock().refresh() + 5_000;
  while (!condition()) {
    assert.ok(systemClock().refresh() < endMs, 'it did not become so within 5 s');
    await new Promise((resolve) => setImmediate(resolve));
  }
}

function tlsServer(t: TestContext, options: TlsOptions, onSocket?: (socket: TLSSocket) => void): Promise<number> {
  const made = createTlsServer(options, (socket) => {
    socket.on('error', () => undefined);
    onSocket?.(socket);
  });
  made.on('tlsClientError', () => undefined);
  return listen(t, made);
}

function listen(t: TestContext, made: Server): Promise<number> {
  const sockets = new Set<Socket>();
  made.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
  });
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    made.close();
  });
  return new Promise((resolve) => {
    made.listen(0, '127.0.0.1', () => {
      const address = made.address();
      resolve(typeof address === 'object' && address !== null ? address.port : 0);
    });
  });
}
