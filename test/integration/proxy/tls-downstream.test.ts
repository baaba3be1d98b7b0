// Callers that speak TLS, in front of the real data plane: Node's own clients, grpc-js, openssl and curl where they are
// installed, and raw sockets that misbehave.
import assert from 'node:assert/strict';
import { execFile, spawnSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { connect as connectHttp2, type ClientHttp2Session } from 'node:http2';
import { request as requestHttps } from 'node:https';
import { connect as connectTcp, type AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { connect as connectTls, createSecureContext, type ConnectionOptions, type TLSSocket } from 'node:tls';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { credentials as grpcCredentials, Metadata } from '@grpc/grpc-js';
import { systemClock } from '../../../src/base/clock.ts';
import type { ErrorKind } from '../../../src/base/error.ts';
import type { ClientCertificateMode, ListenerTlsSpec } from '../../../src/model/tls.ts';
import type { ServingListener } from '../../../src/runtime/live-config.ts';
import { CounterCell } from '../../../src/telemetry/counters.ts';
import {
  issueAuthority,
  issueCertificate,
  selfSigned,
  type TestAuthority,
  type TestCertificate,
} from '../../support/certificates.ts';
import { startDataPlane, type TestDataPlane } from '../../support/data-plane.ts';
import { assertStreams, GREETER, greeterClient, startGreeter } from '../../support/greeter.ts';
import { startRawServer } from '../../support/raw-server.ts';
import { authoritiesSource, httpsCall, listenerTls, secrets, speakTls, told, until } from '../../support/tls-peer.ts';

const HOUR_MS = 3_600_000;
const VERSIONS = ['TLSv1.2', 'TLSv1.3'] as const;
const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';

const closers: (() => void)[] = [];
after(() => {
  for (const close of closers) close();
});

let authority: TestAuthority;
let stranger: TestAuthority;
let server: TestCertificate;
let backend: number;

before(async () => {
  [authority, stranger] = await Promise.all([issueAuthority(), issueAuthority({ commonName: 'stranger' })]);
  server = await issueCertificate(authority, { commonName: 'default', dns: ['localhost'], ips: ['127.0.0.1'] });
  backend = await startBackend(answer);
});

async function startBackend(handler: (request: IncomingMessage, response: ServerResponse) => void): Promise<number> {
  const http = createServer(handler);
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
  closers.push(() => {
    http.close();
    http.closeAllConnections();
  });
  return (http.address() as AddressInfo).port;
}

/** Answers with what came: scheme as told, and the body's hash. */
function answer(request: IncomingMessage, response: ServerResponse): void {
  const hash = createHash('sha256');
  request.on('data', (chunk: Buffer) => hash.update(chunk));
  request.on('end', () => {
    response.setHeader('x-scheme', String(request.headers['x-forwarded-proto']));
    response.setHeader('x-sha256', hash.digest('hex'));
    response.end('hello');
  });
}

async function plane(
  tls: ListenerTlsSpec | undefined,
  options: Parameters<typeof startDataPlane>[3] = {},
  endpoint = backend,
): Promise<TestDataPlane> {
  const started = await startDataPlane([endpoint], {}, tls, options);
  closers.push(() => started.close());
  return started;
}

/** A listener with the usual certificate. */
function secure(
  overrides: Partial<ListenerTlsSpec> = {},
  options: Parameters<typeof startDataPlane>[3] = {},
): Promise<TestDataPlane> {
  return plane(listenerTls([server], overrides), options);
}

function listenerOf({ config }: TestDataPlane): ServingListener {
  const bound = config.listeners.get('outbound/80')?.bound;
  assert.ok(bound);
  return bound;
}

/** Applies another TLS spec to the only listener. */
async function changeTls({ config }: TestDataPlane, tls: ListenerTlsSpec): Promise<void> {
  const { snapshot } = config;
  const listeners = new Map([...snapshot.listeners].map(([name, spec]) => [name, { ...spec, tls }]));
  await config.apply({ ...snapshot, number: snapshot.number + 1, listeners });
}

const trusting = (): ConnectionOptions => ({ ca: authority.certificatePem });

function shows({ chain, keyPem }: TestCertificate): ConnectionOptions {
  return { cert: chain, key: keyPem };
}

/** What a raw connection gets until it ends. */
function sayRaw(port: number, ...pieces: (Buffer | string)[]): Promise<string> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    const socket = connectTcp(port, '127.0.0.1', () => {
      for (const piece of pieces) socket.write(piece);
    });
    socket.on('data', (chunk: Buffer) => chunks.push(chunk));
    socket.on('error', () => undefined);
    socket.on('close', () => resolve(Buffer.concat(chunks).toString('latin1')));
  });
}

function http2Get(
  session: ClientHttp2Session,
): Promise<{ status: number; headers: Record<string, unknown>; body: string }> {
  return new Promise((resolve, reject) => {
    session.on('error', reject);
    const stream = session.request({ ':path': '/' });
    let headers: Record<string, unknown> = {};
    let body = '';
    stream.on('response', (fields) => (headers = fields));
    stream.on('data', (chunk: Buffer) => (body += chunk.toString()));
    stream.on('error', reject);
    stream.on('end', () => {
      session.close();
      resolve({ status: Number(headers[':status']), headers, body });
    });
  });
}

describe('versions and protocols', () => {
  for (const version of VERSIONS) {
    it(`HTTP/1.1 over ${version}`, async () => {
      const { port, counters } = await secure();
      const { status, headers, body, ...got } = await httpsCall(port, {
        ...trusting(),
        minVersion: version,
        maxVersion: version,
      });
      assert.deepEqual([status, body, got.version], [200, 'hello', version]);
      assert.equal(headers['x-scheme'], 'https');
      assert.equal(counters.total(CounterCell.DownstreamHandshakes), 1);
    });

    it(`HTTP/2 over ${version}`, async () => {
      const { port } = await secure();
      const options = { ...trusting(), minVersion: version, maxVersion: version };
      const session = connectHttp2(`https://localhost:${port}`, options);
      const { status, headers, body } = await http2Get(session);
      assert.deepEqual([status, body, headers['x-scheme']], [200, 'hello', 'https']);
      assert.equal((session.socket as TLSSocket | undefined)?.alpnProtocol ?? 'h2', 'h2');
    });

    it(`all four kinds of gRPC call over ${version}`, async () => {
      const { port: greeterPort, server: greeter } = await startGreeter(GREETER);
      closers.push(() => greeter.forceShutdown());
      const started = await startDataPlane([greeterPort], { scheme: 'grpc' }, listenerTls([server]));
      closers.push(() => started.close());
      const context = createSecureContext({ ca: authority.certificatePem, minVersion: version, maxVersion: version });
      const client = greeterClient(started.port, grpcCredentials.createFromSecureContext(context), {
        'grpc.ssl_target_name_override': 'localhost',
      });
      closers.push(() => client.close());
      assert.equal(
        await new Promise((resolve, reject) =>
          client.greet({ name: 'x' }, new Metadata(), {}, (error, response) =>
            error ? reject(error) : resolve(response?.message),
          ),
        ),
        'hello x',
      );
      await assertStreams(client);
    });
  }

  it('ALPN chooses, HTTP/2 first', async () => {
    const { port } = await secure();
    const chosen = async (ALPNProtocols?: string[]): Promise<[string, boolean]> => {
      const isHttp2 = ALPNProtocols?.[0] === 'h2' || ALPNProtocols?.[1] === 'h2';
      const got = await speakTls(port, { ...trusting(), ...(ALPNProtocols && { ALPNProtocols }) }, isHttp2 ? 'x' : GET);
      // An HTTP/2 session answers what is no preface with its SETTINGS and a GOAWAY.
      return [got.alpn, isHttp2 ? got.text.charCodeAt(3) === 4 : got.text.startsWith('HTTP/1.1 200')];
    };
    assert.deepEqual(await chosen(['h2', 'http/1.1']), ['h2', true]);
    assert.deepEqual(await chosen(['http/1.1', 'h2']), ['h2', true]);
    assert.deepEqual(await chosen(['http/1.1']), ['http/1.1', true]);
    assert.deepEqual(await chosen(), ['', true]);
  });

  it('without ALPN the preface decides', async () => {
    const { port } = await secure();
    const socket = connectTls({ host: '127.0.0.1', port, servername: 'localhost', ...trusting() });
    const session = connectHttp2('https://localhost', { createConnection: () => socket });
    assert.equal((await http2Get(session)).status, 200);
    assert.equal(socket.alpnProtocol, false);
  });

  it('no protocol in common is told by an alert', async () => {
    const { port, refusals } = await secure();
    const { error, text } = await speakTls(port, { ...trusting(), ALPNProtocols: ['spdy/3', 'http/1.0'] });
    assert.deepEqual([error, text], ['ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL', '']);
    await until(() => refusals.length === 1, 'a refusal');
    assert.deepEqual(refusals[0]?.slice(0, 2), [
      'tls_handshake_failure',
      'the caller offers neither h2 nor http/1.1 by ALPN, as far as this listener takes them',
    ]);
  });

  it('protocols narrows what ALPN offers', async () => {
    for (const [protocols, own, other] of [
      ['http1', 'http/1.1', 'h2'],
      ['http2', 'h2', 'http/1.1'],
    ] as const) {
      const { port } = await secure({}, { protocols });
      const both = await speakTls(port, { ...trusting(), ALPNProtocols: ['h2', 'http/1.1'] });
      assert.equal(both.alpn, own);
      assert.equal(both.text.startsWith('HTTP/1.1 200'), protocols === 'http1');
      const wrong = await speakTls(port, { ...trusting(), ALPNProtocols: [other] });
      assert.equal(wrong.error, 'ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL');
    }
    const { port } = await secure({}, { protocols: 'http2' });
    assert.equal((await http2Get(connectHttp2(`https://localhost:${port}`, trusting()))).status, 200);
  });

  it('TLS 1.1 is refused', async () => {
    const { port, refusals } = await secure();
    const { error } = await speakTls(port, {
      ...trusting(),
      minVersion: 'TLSv1',
      maxVersion: 'TLSv1.1',
      ciphers: 'DEFAULT@SECLEVEL=0',
    });
    assert.equal(error, 'ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION');
    await until(() => refusals.length === 1, 'a refusal');
    assert.deepEqual(refusals[0]?.slice(0, 2), [
      'tls_handshake_failure',
      'the caller speaks neither TLS 1.2 nor 1.3: raise its versions',
    ]);
  });

  it('a suite without forward secrecy is refused', async () => {
    const { port, refusals } = await secure();
    const { error } = await speakTls(port, { ...trusting(), maxVersion: 'TLSv1.2', ciphers: 'AES128-GCM-SHA256' });
    assert.match(error, /HANDSHAKE_FAILURE$/);
    await until(() => refusals.length === 1, 'a refusal');
    assert.match(refusals[0]?.[1] ?? '', /no cipher suite in common/);
  });

  it('a large finite field group is not computed for anybody', async () => {
    const { port, refusals } = await secure();
    for (const ecdhCurve of ['ffdhe8192', 'ffdhe4096']) {
      const { error } = await speakTls(port, { ...trusting(), minVersion: 'TLSv1.3', ecdhCurve });
      assert.match(error, /HANDSHAKE_FAILURE$/, ecdhCurve);
    }
    await until(() => refusals.length === 2, 'two refusals');
    for (const ecdhCurve of ['X25519', 'P-256', 'P-384', 'P-521']) {
      const { text } = await speakTls(port, { ...trusting(), ecdhCurve });
      assert.match(text, /hello$/, ecdhCurve);
    }
  });

  it('nothing is renegotiated, and who asks for it harms nobody', async () => {
    const started = await secure();
    const options = { ...trusting(), maxVersion: 'TLSv1.2' } as const;
    const socket = connectTls({ host: '127.0.0.1', port: started.port, servername: 'localhost', ...options });
    await new Promise((resolve) => socket.once('secureConnect', resolve));
    const outcome = await new Promise((resolve) => {
      socket.once('error', ({ code }: NodeJS.ErrnoException) => resolve(code));
      socket.renegotiate({}, () => resolve('renegotiated'));
    });
    assert.equal(outcome, 'ERR_SSL_NO_RENEGOTIATION');
    assert.equal(listenerOf(started).connectionCount, 1, 'to the listener it is a connection that says nothing');
    socket.destroy();
    assert.equal((await httpsCall(started.port, trusting())).status, 200);
    await until(() => listenerOf(started).connectionCount === 0, 'all connections closed');
  });
});

const GET = 'GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n';

describe('tickets', () => {
  /** Gets a session from `port` and tells whether it is resumed at `again`. */
  async function isResumed(port: number, options: ConnectionOptions, again = port): Promise<boolean> {
    const first = await speakTls(port, options);
    assert.match(first.text, /^HTTP\/1.1 200/);
    return isTaken(again, options, first.session);
  }

  async function isTaken(port: number, options: ConnectionOptions, session: Buffer | undefined): Promise<boolean> {
    assert.ok(session);
    const next = await speakTls(port, { ...options, session });
    assert.match(next.text, /^HTTP\/1.1 200/, 'a session that is not resumed costs a handshake, not the call');
    return next.reused;
  }

  for (const version of VERSIONS) {
    describe(version, () => {
      const only = { minVersion: version, maxVersion: version };

      it('resume', async () => {
        const { port, counters } = await secure();
        assert.equal(await isResumed(port, { ...trusting(), ...only }), true);
        assert.equal(counters.total(CounterCell.DownstreamHandshakes), 1);
        assert.equal(counters.total(CounterCell.DownstreamHandshakesResumed), 1);
      });

      it('resume with a required certificate, whose names are looked at again', async () => {
        const { port } = await secure({
          clientCertificate: 'required',
          clientCa: authoritiesSource(authority),
          clientNames: [{ type: 'dns', value: 'caller' }],
        });
        const caller = await issueCertificate(authority, { dns: ['caller'] });
        assert.equal(await isResumed(port, { ...trusting(), ...shows(caller), ...only }), true);
      });

      it('are of one listener alone', async () => {
        const [one, other] = await Promise.all([secure(), secure()]);
        assert.equal(await isResumed(one.port, { ...trusting(), ...only }, other.port), false);
      });

      it('end with the names of callers that were allowed', async () => {
        const spec = { clientCertificate: 'required', clientCa: authoritiesSource(authority) } as const;
        const started = await secure({ ...spec, clientNames: [{ type: 'dns', value: 'caller' }] });
        const caller = await issueCertificate(authority, { dns: ['caller', 'other'] });
        const options = { ...trusting(), ...shows(caller), ...only };
        const { session } = await speakTls(started.port, options);
        await changeTls(started, listenerTls([server], { ...spec, clientNames: [{ type: 'dns', value: 'other' }] }));
        assert.equal(await isTaken(started.port, options, session), false);
        await changeTls(started, listenerTls([server], { ...spec, clientNames: [{ type: 'dns', value: 'nobody' }] }));
        assert.equal((await speakTls(started.port, { ...options, session })).text, '');
      });

      it('end with the authority of callers', async () => {
        const started = await secure({
          clientCertificate: 'required',
          clientCa: { kind: 'secret', name: 'default/callers' },
        });
        started.credentials.setSecrets(secrets({ name: 'default/callers', authorities: [authority] }));
        const options = { ...trusting(), ...shows(await issueCertificate(authority)), ...only };
        let session: Buffer | undefined;
        await until(() => started.config.listeners.get('outbound/80')?.error === '', 'TLS');
        ({ session } = await speakTls(started.port, options));
        assert.equal(await isTaken(started.port, options, session), true);
        ({ session } = await speakTls(started.port, options));
        started.credentials.setSecrets(secrets({ name: 'default/callers', authorities: [stranger, authority] }));
        await told();
        assert.equal(await isTaken(started.port, options, session), false);
        ({ session } = await speakTls(started.port, options));
        started.credentials.setSecrets(secrets({ name: 'default/callers', authorities: [stranger] }));
        await told();
        const refused = await speakTls(started.port, { ...options, session });
        assert.equal(refused.text, '', 'no ticket outlives the trust that it was given for');
      });

      it('last over a renewed certificate', async () => {
        const spec: ListenerTlsSpec = { ...listenerTls([]), certificates: [{ kind: 'secret', name: 'default/web' }] };
        const started = await plane(spec);
        started.credentials.setSecrets(secrets({ name: 'default/web', certificate: server }));
        await until(() => started.config.listeners.get('outbound/80')?.error === '', 'TLS');
        const options = { ...trusting(), ...only };
        const { session } = await speakTls(started.port, options);
        const renewed = await issueCertificate(authority, { dns: ['localhost'] });
        started.credentials.setSecrets(secrets({ name: 'default/web', certificate: renewed }));
        await told();
        assert.equal(await isTaken(started.port, options, session), true);
      });
    });
  }
});

describe('certificates of callers', () => {
  type Shown =
    | 'none'
    | 'good'
    | 'intermediate chain'
    | 'wrong authority'
    | 'self-signed'
    | 'self-signed without a subject'
    | 'expired'
    | 'not yet valid'
    | 'for servers only'
    | 'chain without its intermediate';
  const shown = new Map<Shown, ConnectionOptions>();

  before(async () => {
    const nowMs = Date.now();
    const intermediate = await issueAuthority({ commonName: 'intermediate', parent: authority });
    const below = await issueCertificate(intermediate);
    const past = { notBeforeMs: nowMs - 2 * HOUR_MS, notAfterMs: nowMs - 60_000 };
    const future = { notBeforeMs: nowMs + HOUR_MS, notAfterMs: nowMs + 2 * HOUR_MS };
    shown.set('none', {});
    shown.set('good', shows(await issueCertificate(authority, { usage: ['client'] })));
    shown.set('intermediate chain', shows(below));
    shown.set('wrong authority', shows(await issueCertificate(stranger)));
    shown.set('self-signed', shows(await selfSigned()));
    shown.set('self-signed without a subject', shows(await selfSigned({ commonName: '' })));
    shown.set('expired', shows(await issueCertificate(authority, past)));
    shown.set('not yet valid', shows(await issueCertificate(authority, future)));
    shown.set('for servers only', shows(await issueCertificate(authority, { usage: ['server'] })));
    shown.set('chain without its intermediate', { cert: below.certificatePem, key: below.keyPem });
  });

  const MISSING = /issuer is not among the trusted authorities/;
  const BAD: readonly (readonly [Shown, RegExp])[] = [
    ['wrong authority', MISSING],
    ['self-signed', /it is self-signed/],
    ['self-signed without a subject', /it is self-signed.*\(it has no subject\)$/],
    ['expired', /it has expired/],
    ['not yet valid', /it is not valid yet/],
    ['for servers only', /extended key usage.*clientAuth/],
    ['chain without its intermediate', MISSING],
  ];
  type Case = readonly [mode: ClientCertificateMode, shown: Shown, refusal: RegExp | undefined];
  const cases: readonly Case[] = [
    ...(['none', 'optional'] as const).map((mode): Case => [mode, 'none', undefined]),
    ['required', 'none', /showed? no certificate/],
    ...(['none', 'optional', 'required'] as const).flatMap((mode): Case[] => [
      [mode, 'good', undefined],
      [mode, 'intermediate chain', undefined],
      ...BAD.map(([kind, refusal]): Case => [mode, kind, mode === 'none' ? undefined : refusal]),
    ]),
  ];
  for (const version of VERSIONS) {
    it(`${version}: ${cases.length} cases`, async () => {
      const planes = new Map<ClientCertificateMode, TestDataPlane>();
      for (const mode of ['none', 'optional', 'required'] as const) {
        const clientCa = mode === 'none' ? undefined : authoritiesSource(authority);
        planes.set(mode, await secure({ clientCertificate: mode, clientCa }));
      }
      for (const [mode, kind, refusal] of cases) {
        const started = planes.get(mode);
        assert.ok(started);
        const before = started.refusals.length;
        const options = { ...trusting(), ...shown.get(kind), minVersion: version, maxVersion: version };
        const { text } = await speakTls(started.port, options);
        const what = `${mode}, ${kind}`;
        assert.equal(text.startsWith('HTTP/1.1 200'), refusal === undefined, what);
        if (refusal === undefined) {
          assert.equal(started.refusals.length, before, what);
          continue;
        }
        assert.equal(text, '', what);
        await until(() => started.refusals.length > before, `a refusal: ${what}`);
        const [reason, detail, address] = started.refusals[before] ?? [];
        assert.match(detail ?? '', refusal, what);
        assert.doesNotMatch(detail ?? '', /\n/, what);
        assert.equal(address, '127.0.0.1', what);
        const expected: ErrorKind = kind === 'none' ? 'tls_handshake_failure' : 'client_certificate_refused';
        assert.equal(reason, expected, what);
        assert.equal(started.refusals.length, before + 1, what);
      }
      for (const started of planes.values()) {
        await until(() => listenerOf(started).connectionCount === 0, 'all connections closed');
      }
    });
  }

  it('with a list of names only callers with one of them pass', async () => {
    const { port, refusals } = await secure({
      clientCertificate: 'optional',
      clientCa: authoritiesSource(authority),
      clientNames: [
        { type: 'uri', value: 'spiffe://mesh/ns/shop/sa/cart' },
        { type: 'dns', value: 'cart.shop' },
      ],
    });
    const passes = async (names: { uris?: string[]; dns?: string[]; commonName?: string }): Promise<boolean> => {
      const options = { ...trusting(), ...shows(await issueCertificate(authority, names)) };
      return (await speakTls(port, options)).text.startsWith('HTTP/1.1 200');
    };
    assert.equal(await passes({ uris: ['spiffe://mesh/ns/shop/sa/cart'] }), true);
    assert.equal(await passes({ dns: ['other', 'cart.shop'] }), true);
    assert.equal(refusals.length, 0);
    assert.equal(await passes({ uris: ['spiffe://mesh/ns/shop/sa/cartx'] }), false);
    assert.equal(await passes({ uris: ['spiffe://mesh/ns/shop/sa/cart', 'spiffe://mesh/other'] }), false);
    assert.equal(await passes({ dns: ['CART.shop'] }), false);
    assert.equal(await passes({ commonName: 'cart.shop' }), false);
    await until(() => refusals.length === 4, 'four refusals');
    assert.deepEqual([...new Set(refusals.map(([kind]) => kind))], ['client_certificate_refused']);
    assert.match(refusals[2]?.[1] ?? '', /none of its names is allowed here \(it has "CART\.shop"\)/);
    assert.match(refusals[3]?.[1] ?? '', /\(it has none\)/);
    assert.match((await speakTls(port, trusting())).text, /^HTTP\/1.1 200/, 'optional: none at all passes');
  });
});

describe('server names', () => {
  it('choose the certificate', async () => {
    const [exact, wildcard] = await Promise.all([
      issueCertificate(authority, { commonName: 'exact', dns: ['a.example', 'x.b.example'] }),
      issueCertificate(authority, { commonName: 'wildcard', dns: ['*.b.example'] }),
    ]);
    const { port } = await plane(listenerTls([server, wildcard, exact]));
    const chosen = async (servername: string): Promise<string> => {
      const options = { ...trusting(), servername, checkServerIdentity: () => undefined };
      const { certificate, text } = await speakTls(port, options);
      assert.match(text, /^HTTP\/1.1 200/, servername);
      return certificate;
    };
    assert.equal(await chosen('a.example'), 'exact');
    assert.equal(await chosen('A.Example'), 'exact');
    assert.equal(await chosen('y.b.example'), 'wildcard');
    assert.equal(await chosen('Y.B.EXAMPLE'), 'wildcard');
    assert.equal(await chosen('x.b.example'), 'exact', 'an exact name stands above a wildcard');
    assert.equal(await chosen('z.y.b.example'), 'default', 'a wildcard is one label');
    assert.equal(await chosen('b.example'), 'default');
    assert.equal(await chosen('nobody.example'), 'default');
    assert.equal(await chosen(''), 'default', 'none at all');
    assert.equal(await chosen('*.b.example'), 'wildcard');
  });

  it('that are none end the connection or get the first certificate', async () => {
    const other = await issueCertificate(authority, { commonName: 'other', dns: ['other.example'] });
    const started = await plane(listenerTls([server, other]), { limits: { handshakeMs: 1000 } });
    const names = ['a\0b', '\0', 'x'.repeat(300), '', '.', '..', '*', '[::1]', 'é'.repeat(40), 'a'.repeat(255), 'a b'];
    const answers = await Promise.all(
      names.map(
        (name) =>
          new Promise<string>((resolve) => {
            const socket = connectTcp(started.port, '127.0.0.1', () => socket.write(clientHello(name)));
            // A ServerHello or an alert; nothing is a connection that was closed.
            socket.once('data', (bytes: Buffer) => {
              resolve(bytes[0] === 0x16 ? 'hello' : bytes[0] === 0x15 ? 'alert' : 'other');
              socket.destroy();
            });
            socket.on('error', () => undefined);
            socket.on('close', () => resolve('closed'));
          }),
      ),
    );
    for (const [i, got] of answers.entries()) {
      assert.notEqual(got, 'other', JSON.stringify(names[i]));
    }
    assert.ok(answers.includes('hello'), 'the handshakes are good ones but for the name');
    await until(() => listenerOf(started).connectionCount === 0, 'all connections closed');
    assert.equal((await httpsCall(started.port, trusting())).status, 200);
  });
});

/** A TLS 1.2 ClientHello that asks for `name`, whatever bytes it has. */
function clientHello(name: string): Buffer {
  const host = Buffer.from(name, 'latin1');
  const serverName = Buffer.concat([u16(host.length + 3), Buffer.from([0]), u16(host.length), host]);
  const extensions = Buffer.concat([
    extension(0, serverName),
    extension(10, Buffer.from('00020017', 'hex')), // secp256r1
    extension(11, Buffer.from('0100', 'hex')),
    extension(13, Buffer.from('00020403', 'hex')), // ecdsa_secp256r1_sha256
  ]);
  const body = Buffer.concat([
    Buffer.from('0303', 'hex'),
    randomBytes(32),
    Buffer.from([0]),
    Buffer.from('0002c02b', 'hex'), // ECDHE-ECDSA-AES128-GCM-SHA256
    Buffer.from('0100', 'hex'),
    u16(extensions.length),
    extensions,
  ]);
  const handshake = Buffer.concat([Buffer.from([1, 0]), u16(body.length), body]);
  return Buffer.concat([Buffer.from('160301', 'hex'), u16(handshake.length), handshake]);
}

function extension(type: number, contents: Buffer): Buffer {
  return Buffer.concat([u16(type), u16(contents.length), contents]);
}

function u16(value: number): Buffer {
  return Buffer.from([value >> 8, value & 0xff]);
}

describe('who speaks something else', () => {
  it('plain HTTP/1 gets an answer that it can read', async () => {
    const { port, refusals } = await secure();
    const text = await sayRaw(port, 'GET / HTTP/1.1\r\nhost: x\r\n\r\n');
    assert.match(text, /^HTTP\/1\.1 400 Bad Request\r\n/);
    assert.match(text, /\r\nx-outrigger-reason: plaintext_to_tls\r\n/);
    assert.match(text, /\r\n\r\nthis port speaks TLS: call it with https\n$/);
    assert.deepEqual(refusals, [['plaintext_to_tls', 'this port speaks TLS: call it with https', '127.0.0.1']]);
  });

  it('a big plain request gets it too', async () => {
    const { port } = await secure();
    const text = await sayRaw(
      port,
      'POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 200000\r\n\r\n',
      'x'.repeat(200_000),
    );
    assert.match(text, /^HTTP\/1\.1 400 .*plaintext_to_tls/s);
  });

  it('so do a plain HTTP/2 preface and garbage', async () => {
    const started = await secure();
    assert.match(await sayRaw(started.port, PREFACE, '\0\0\0\x04\0\0\0\0\0'), /^HTTP\/1\.1 400 /);
    assert.match(await sayRaw(started.port, Buffer.alloc(5000, 0xa5)), /^HTTP\/1\.1 400 /);
    assert.match(await sayRaw(started.port, '\0'), /^HTTP\/1\.1 400 /);
    await until(() => listenerOf(started).connectionCount === 0, 'all connections closed');
  });

  it('garbage that begins like a handshake ends it', async () => {
    const started = await secure();
    for (const bytes of [
      Buffer.concat([Buffer.from('1603010200', 'hex'), Buffer.alloc(512, 0x5a)]),
      Buffer.from('16030100040e000000', 'hex'),
      Buffer.alloc(2000, 0x16),
    ]) {
      assert.doesNotMatch(await sayRaw(started.port, bytes), /HTTP/);
    }
    await until(() => started.refusals.length === 3, 'three refusals');
    assert.deepEqual([...new Set(started.refusals.map(([kind]) => kind))], ['tls_handshake_failure']);
    await until(() => listenerOf(started).connectionCount === 0, 'all connections closed');
  });

  it('a handshake that does not go on is cut', async () => {
    const started = await secure({}, { limits: { handshakeMs: 60 } });
    const hello = clientHello('localhost');
    await Promise.all([
      sayRaw(started.port),
      sayRaw(started.port, Buffer.from([0x16])),
      sayRaw(started.port, hello.subarray(0, 40)),
      sayRaw(started.port, hello), // and no answer to the ServerHello
    ]);
    await until(() => listenerOf(started).connectionCount === 0, 'all connections closed');
    assert.deepEqual(
      started.refusals.map(([kind, detail]) => [kind, detail]),
      Array.from({ length: 4 }, () => ['tls_handshake_failure', 'it was not done after 0.06 s']),
    );
    assert.equal(started.counters.total(CounterCell.DownstreamHandshakesFailed), 4);
  });

  it('who goes away in the middle of a handshake is no failure that takes time', async () => {
    const started = await secure({}, { limits: { handshakeMs: 3_600_000 } });
    for (const count of [0, 1, 40, 1000]) {
      const socket = connectTcp(started.port, '127.0.0.1');
      socket.end(clientHello('localhost').subarray(0, count));
      socket.resume();
      await new Promise((resolve) => socket.once('close', resolve));
    }
    await until(() => listenerOf(started).connectionCount === 0, 'all connections closed');
  });

  it('a handshake in progress does not hold a drain up, nor destroy', async () => {
    for (const way of ['drain', 'destroy'] as const) {
      const started = await secure({}, { limits: { handshakeMs: 3_600_000 } });
      const listener = listenerOf(started);
      const ended = [sayRaw(started.port), sayRaw(started.port, clientHello('localhost').subarray(0, 50))];
      await until(() => listener.connectionCount === 2, 'two connections');
      if (way === 'drain') await listener.drain();
      else listener.destroy();
      await Promise.all(ended);
      await until(() => listener.connectionCount === 0, 'all connections closed');
    }
  });

  it('a handshake that is finished while the listener drains is served', async () => {
    const started = await secure();
    const listener = listenerOf(started);
    const socket = connectTcp(started.port, '127.0.0.1');
    await until(() => listener.connectionCount === 1, 'a connection');
    const drained = listener.drain();
    const secured = connectTls({ socket, servername: 'localhost', ...trusting(), ALPNProtocols: ['http/1.1'] });
    let text = '';
    secured.on('data', (chunk: Buffer) => (text += chunk.toString()));
    secured.write('GET / HTTP/1.1\r\nhost: localhost\r\n\r\n');
    await drained;
    await until(() => text.endsWith('hello'), 'the answer');
    assert.match(text, /\r\nconnection: close\r\n/i);
  });

  it('TLS on a plaintext port gets the reason, whatever protocols says', async () => {
    for (const protocols of ['auto', 'http1', 'http2'] as const) {
      const started = await plane(undefined, { protocols });
      const text = await sayRaw(started.port, clientHello('localhost'));
      assert.match(text, /^HTTP\/1\.1 400 .*\r\nx-outrigger-reason: tls_to_plaintext\r\n/s, protocols);
      assert.deepEqual(
        started.refusals.map(([kind]) => kind),
        ['tls_to_plaintext'],
      );
      const { error } = await speakTls(started.port, trusting());
      assert.match(error, /WRONG_VERSION_NUMBER|PACKET_LENGTH_TOO_LONG/, 'what its library says');
      await until(() => listenerOf(started).connectionCount === 0, 'all connections closed');
    }
  });

  it('a ClientHello may come byte by byte', async () => {
    const { port } = await secure();
    const between = await startRawServer((caller) => {
      const onward = connectTcp({ port, host: '127.0.0.1', noDelay: true });
      onward.pipe(caller);
      const bytes: number[] = [];
      let sent = 0;
      caller.on('data', (chunk: Buffer) => bytes.push(...chunk));
      const next = (): void => {
        const byte = bytes.shift();
        if (byte !== undefined && ++sent > 600) onward.write(Buffer.from([byte, ...bytes.splice(0)]));
        else if (byte !== undefined) onward.write(Buffer.from([byte]));
        if (!onward.destroyed) setImmediate(next);
      };
      onward.once('connect', next);
    });
    closers.push(() => between.close());
    assert.match((await speakTls(between.port, trusting())).text, /^HTTP\/1.1 200 .*hello$/s);
  });
});

describe('bodies', () => {
  const BIG = 32 << 20;

  it('of 32 MiB go up and come down unharmed, over HTTP/1.1 and HTTP/2', async () => {
    const body = randomBytes(BIG);
    const hash = createHash('sha256').update(body).digest('hex');
    const endpoint = await startBackend((request, response) => void request.pipe(response));
    const { port } = await plane(listenerTls([server]), {}, endpoint);
    const overHttp1 = new Promise<string>((resolve, reject) => {
      const call = requestHttps(
        { host: '127.0.0.1', port, servername: 'localhost', method: 'POST', agent: false, ...trusting() },
        (response) => void hashOf(response).then(resolve, reject),
      );
      call.on('error', reject);
      call.end(body);
    });
    assert.equal(await overHttp1, hash);
    const session = connectHttp2(`https://localhost:${port}`, trusting());
    const stream = session.request({ ':method': 'POST', ':path': '/' });
    Readable.from(pieces(body)).pipe(stream);
    assert.equal(await hashOf(stream), hash);
    session.close();
  });

  it('to a slow reader are held back at the endpoint', async () => {
    let produced = 0;
    const total = 48 << 20;
    const chunk = randomBytes(64 * 1024);
    const expected = createHash('sha256');
    const endpoint = await startBackend((_request, response) => {
      const more = (): void => {
        while (produced < total) {
          produced += chunk.length;
          expected.update(chunk);
          if (!response.write(chunk)) return void response.once('drain', more);
        }
        response.end();
      };
      more();
    });
    const { port } = await plane(listenerTls([server]), {}, endpoint);
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      requestHttps({ host: '127.0.0.1', port, servername: 'localhost', agent: false, ...trusting() }, resolve)
        .on('error', reject)
        .end();
    });
    // Until nothing moves any more: all that is between is full.
    for (let last = -1; last !== produced;) {
      last = produced;
      await new Promise<void>((resolve) => systemClock().after(100, resolve));
    }
    assert.ok(produced < 36 << 20, `${produced} bytes are on their way`);
    assert.equal(await hashOf(response), expected.digest('hex'));
  });

  it('are answered after a half-close', async () => {
    for (const version of VERSIONS) {
      const { port } = await secure();
      const options = { ...trusting(), minVersion: version, maxVersion: version, allowHalfOpen: true } as const;
      const text = await new Promise<string>((resolve, reject) => {
        const socket = connectTls({ host: '127.0.0.1', port, servername: 'localhost', ...options });
        let got = '';
        socket.end('POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 3\r\n\r\nabc');
        socket.on('data', (bytes: Buffer) => (got += bytes.toString()));
        socket.on('error', reject);
        socket.on('end', () => resolve(got));
      });
      assert.match(text, /^HTTP\/1\.1 200 .*hello$/s, version);
    }
  });

  it('that a caller breaks off are broken off at the endpoint', async () => {
    let aborted = false;
    let arrived = false;
    const endpoint = await startBackend((request) => {
      request.once('data', () => (arrived = true));
      request.once('aborted', () => (aborted = true));
      request.on('error', () => undefined);
    });
    const started = await plane(listenerTls([server]), {}, endpoint);
    const socket = connectTls({ host: '127.0.0.1', port: started.port, servername: 'localhost', ...trusting() });
    socket.write('POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000000\r\n\r\nabc');
    await until(() => arrived, 'the body');
    socket.destroy();
    await until(() => aborted, 'the end at the endpoint');
    await until(() => listenerOf(started).connectionCount === 0 && started.records.length === 1, 'the end');
    assert.equal(started.records[0]?.error, 'downstream_reset');
  });

  it('that a caller resets as it says the first thing are broken off too', async () => {
    const endpoint = await startBackend(() => undefined);
    const started = await plane(listenerTls([server]), {}, endpoint);
    const sent = Array.from({ length: 100 }, async () => {
      const raw = connectTcp(started.port, '127.0.0.1');
      const socket = connectTls({ socket: raw, servername: 'localhost', ...trusting() }, () => {
        socket.write('GET / HTTP/1.1\r\nhost: localhost\r\n\r\n');
        setImmediate(() => raw.resetAndDestroy());
      });
      socket.on('error', () => undefined);
      await new Promise((resolve) => socket.once('close', resolve));
    });
    await Promise.all(sent);
    await until(() => listenerOf(started).connectionCount === 0, 'all connections closed');
    assert.equal(started.config.active, 0);
  });

  it('that an endpoint breaks off break the connection, which is forgotten', async () => {
    const endpoint = await startBackend((_request, response) => {
      response.writeHead(200, { 'content-length': 1000 });
      response.write('abc', () => response.destroy());
    });
    const started = await plane(listenerTls([server]), {}, endpoint);
    const { text, error } = await speakTls(started.port, trusting());
    assert.match(text, /abc$/);
    assert.equal(error, 'ECONNRESET', 'not a clean end');
    await until(() => listenerOf(started).connectionCount === 0, 'all connections closed');
  });
});

function* pieces(body: Buffer): Iterable<Buffer> {
  for (let at = 0; at < body.length; at += 65_536) yield body.subarray(at, at + 65_536);
}

function hashOf(stream: NodeJS.ReadableStream): Promise<string> {
  return new Promise((resolve, reject) => {
    const hash = createHash('sha256');
    stream.on('data', (chunk: Buffer) => hash.update(chunk));
    stream.on('end', () => resolve(hash.digest('hex')));
    stream.on('error', reject);
  });
}

describe('many handshakes', () => {
  it('leave nothing behind', async () => {
    const started = await secure();
    const secureContext = createSecureContext({ ca: authority.certificatePem });
    const shake = async (count: number): Promise<void> => {
      for (let i = 0; i < count; i += 10) {
        await Promise.all(Array.from({ length: 10 }, () => speakTls(started.port, { secureContext })));
      }
      await until(() => listenerOf(started).connectionCount === 0, 'all connections closed');
    };
    await shake(50);
    const before = usedBytes();
    await shake(500);
    const grown = usedBytes() - before;
    assert.ok(grown < 4 << 20, `grown by ${grown} bytes`);
    assert.equal(started.counters.total(CounterCell.DownstreamHandshakes), 550);
  });
});

function usedBytes(): number {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  collect();
  collect();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

describe('other people’s clients', () => {
  const folder = mkdtempSync(join(tmpdir(), 'outrigger-tls-'));
  const ca = join(folder, 'ca.pem');
  before(() => writeFileSync(ca, authority.certificatePem));
  after(() => rmSync(folder, { recursive: true }));
  const missing = (program: string): string | false =>
    spawnSync(program, ['version']).error ? `${program} is not installed` : false;

  /** Runs a program to its end; nothing is said to it. */
  function run(program: string, args: readonly string[]): Promise<string> {
    return new Promise((resolve) => {
      const child = execFile(program, args, { timeout: 5000 }, (_error, stdout, stderr) => resolve(stdout + stderr));
      child.stdin?.end();
    });
  }

  it('curl', { skip: missing('curl') }, async () => {
    const { port } = await secure();
    const url = `https://localhost:${port}/`;
    const resolve = ['--resolve', `localhost:${port}:127.0.0.1`, '--noproxy', '*'];
    const format = ['-sS', '-w', ' %{http_version} %{ssl_verify_result}', '--cacert', ca];
    assert.match(await run('curl', [...format, ...resolve, '--http1.1', url]), /hello 1\.1 0$/);
    assert.match(await run('curl', [...format, ...resolve, url]), /hello (2|1\.1) 0$/);
  });

  it('openssl s_client', { skip: missing('openssl') }, async () => {
    const { port } = await secure();
    const common = ['s_client', '-connect', `127.0.0.1:${port}`, '-servername', 'localhost', '-CAfile', ca];
    const modern = await run('openssl', [...common, '-alpn', 'h2', '-verify_return_error']);
    assert.match(modern, /ALPN protocol: h2/);
    assert.match(modern, /Verify return code: 0 \(ok\)/);
    const session = join(folder, 'session.pem');
    await run('openssl', [...common, '-tls1_2', '-sess_out', session]);
    const resumed = await run('openssl', [...common, '-tls1_2', '-sess_in', session]);
    assert.match(resumed, /^Reused, TLSv1\.2/m);
  });
});
