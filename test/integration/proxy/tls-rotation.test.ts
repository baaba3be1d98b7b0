// Certificates and authorities that are replaced under load, by way of Secrets, on either side.
import assert from 'node:assert/strict';
import { Agent, createServer as createHttpServer, type IncomingMessage, type ServerResponse } from 'node:http';
import {
  connect as connectHttp2,
  createSecureServer,
  type Http2ServerRequest,
  type Http2ServerResponse,
} from 'node:http2';
import { Agent as HttpsAgent, createServer as createHttpsServer } from 'node:https';
import type { AddressInfo, Server, Socket } from 'node:net';
import { after, before, describe, it } from 'node:test';
import type { TLSSocket } from 'node:tls';
import { DEFAULT_KEEPALIVE } from '../../../src/model/defaults.ts';
import type { AuthoritiesSource, CertificateSource } from '../../../src/model/tls.ts';
import {
  issueAuthority,
  issueCertificate,
  type TestAuthority,
  type TestCertificate,
} from '../../support/certificates.ts';
import { startDataPlane, type TestDataPlane } from '../../support/data-plane.ts';
import { httpCall } from '../../support/http-call.ts';
import {
  commonName,
  httpsCall,
  listenerTls,
  secrets,
  speakTls,
  told,
  until,
  upstreamTls,
} from '../../support/tls-peer.ts';

const SECRET = { kind: 'secret', name: 'shop/web' } as const satisfies CertificateSource & AuthoritiesSource;

const closers: (() => void)[] = [];
after(() => {
  for (const close of closers) close();
});

let authority: TestAuthority;
before(async () => {
  authority = await issueAuthority();
});

async function listen(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => sockets.add(socket));
  closers.push(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return (server.address() as AddressInfo).port;
}

describe('the certificate of a listener', () => {
  /** A listener whose certificate comes from a Secret, in front of an endpoint that answers when `release` is called. */
  async function start(first: TestCertificate): Promise<{
    plane: TestDataPlane;
    rotate: (next: TestCertificate) => void;
    release: () => void;
    held: () => number;
  }> {
    const waiting: (() => void)[] = [];
    const port = await listen(
      createHttpServer((request, response) => {
        if (request.url === '/hold') waiting.push(() => response.end('held'));
        else response.end('ok');
      }),
    );
    const plane = await startDataPlane([port], {}, { ...listenerTls([]), certificates: [SECRET] });
    closers.push(() => plane.close());
    const rotate = (certificate: TestCertificate): void =>
      plane.credentials.setSecrets(secrets({ name: SECRET.name, certificate }));
    rotate(first);
    await until(() => plane.config.listeners.get('outbound/80')?.error === '', 'TLS');
    return {
      plane,
      rotate,
      release: () => waiting.splice(0).forEach((answer) => answer()),
      held: () => waiting.length,
    };
  }

  it('swapped every 20 ms fails none of 300 handshakes, and the last is seen', async () => {
    const certificates = await Promise.all(
      Array.from({ length: 8 }, (_, i) =>
        issueCertificate(authority, { commonName: `number ${i}`, dns: ['localhost'] }),
      ),
    );
    const [first] = certificates;
    assert.ok(first);
    const { plane, rotate } = await start(first);
    let swaps = 0;
    const timer = setInterval(() => rotate(certificates[++swaps % certificates.length] ?? first), 20);
    const seen = new Set<string>();
    let resumed = 0;
    for (let i = 0; i < 30; i++) {
      let session: Buffer | undefined;
      await Promise.all(
        Array.from({ length: 9 }, async (_, n) => {
          const maxVersion = n % 2 === 0 ? 'TLSv1.3' : 'TLSv1.2';
          const got = await speakTls(plane.port, { ca: authority.certificatePem, maxVersion });
          assert.match(got.text, /^HTTP\/1\.1 200 /, got.error);
          seen.add(got.certificate);
          if (n === 0) ({ session } = got);
        }),
      );
      const again = await speakTls(plane.port, { ca: authority.certificatePem, ...(session && { session }) });
      assert.match(again.text, /^HTTP\/1\.1 200 /, again.error);
      if (again.reused) resumed++;
    }
    clearInterval(timer);
    assert.ok(swaps >= 5 && seen.size >= 5, `${swaps} swaps, ${seen.size} certificates seen`);
    assert.equal(resumed, 30, 'a swap costs no session');
    assert.deepEqual(plane.refusals, []);
    const last = await issueCertificate(authority, { commonName: 'the last', dns: ['localhost'] });
    rotate(last);
    await told();
    const { certificate } = await speakTls(plane.port, { ca: authority.certificatePem });
    assert.equal(certificate, 'the last');
  });

  it('open connections go on with the old one', async () => {
    const [old, next] = await Promise.all(
      ['old', 'next'].map((commonName) => issueCertificate(authority, { commonName, dns: ['localhost'] })),
    );
    assert.ok(old && next);
    const { plane, rotate, release, held } = await start(old);
    const agent = new HttpsAgent({ keepAlive: true, maxSockets: 1, maxCachedSessions: 0 });
    const trusted = { ca: authority.certificatePem };
    const session = connectHttp2(`https://localhost:${plane.port}`, trusted);
    closers.push(() => (agent.destroy(), session.destroy()));
    const stream = (path: string): Promise<string> =>
      new Promise((resolve, reject) => {
        let body = '';
        session
          .request({ ':path': path })
          .on('data', (chunk: Buffer) => (body += chunk.toString()))
          .on('error', reject)
          .on('end', () => resolve(body));
      });
    const keptAlive = await Promise.all([httpsCall(plane.port, { ...trusted, agent }), stream('/')]);
    assert.deepEqual([keptAlive[0].body, keptAlive[1]], ['ok', 'ok']);
    const inFlight = [stream('/hold'), stream('/hold')];
    await until(() => held() === 2, 'two calls in flight');
    const connections = plane.config.listeners.get('outbound/80')?.bound?.connectionCount;

    rotate(next);
    await told();
    assert.equal((await speakTls(plane.port, trusted)).certificate, 'next');
    assert.equal((await httpsCall(plane.port, { ...trusted, agent })).body, 'ok');
    assert.equal(await stream('/'), 'ok');
    release();
    assert.deepEqual(await Promise.all(inFlight), ['held', 'held']);
    assert.equal(commonName(session.socket as TLSSocket), 'old');
    await until(
      () => plane.config.listeners.get('outbound/80')?.bound?.connectionCount === connections,
      'no connection was made anew',
    );
  });
});

/** A request that waits for its answer. */
interface Held {
  readonly caller: string;
  readonly resumed: boolean;
  answer(): void;
}

describe('the identity towards endpoints', () => {
  /** An endpoint that asks for a certificate, and holds what comes to `/hold`. */
  async function startEndpoint(
    isHttp2: boolean,
    certificate: TestCertificate,
    version: 'TLSv1.2' | 'TLSv1.3',
  ): Promise<{ port: number; held: Held[]; server: Server }> {
    const held: Held[] = [];
    const connections = new Map<number | undefined, TLSSocket>();
    const options = {
      cert: certificate.chain,
      key: certificate.keyPem,
      ca: authority.certificatePem,
      requestCert: true,
      rejectUnauthorized: true,
      minVersion: version,
      maxVersion: version,
    };
    const handle = (
      request: IncomingMessage | Http2ServerRequest,
      response: ServerResponse | Http2ServerResponse,
    ): void => {
      const { remotePort } = 'stream' in request ? (request.stream.session?.socket ?? {}) : request.socket;
      const connection = connections.get(remotePort);
      assert.ok(connection);
      const [caller, resumed] = [commonName(connection), connection.isSessionReused()];
      const answer = (): void => {
        (response as ServerResponse).end(`${caller} ${resumed ? 'resumed' : 'full'}`);
      };
      if (request.url === '/hold') held.push({ caller, resumed, answer });
      else answer();
    };
    const server: Server = isHttp2
      ? createSecureServer(options, handle).on('session', (session) => closers.push(() => session.destroy()))
      : createHttpsServer(options, handle as (request: IncomingMessage, response: ServerResponse) => void);
    server.on('secureConnection', (socket: TLSSocket) => connections.set(socket.remotePort, socket));
    return { port: await listen(server), held, server };
  }

  for (const [isHttp2, version] of [
    [true, 'TLSv1.3'],
    [true, 'TLSv1.2'],
    [false, 'TLSv1.3'],
  ] as const) {
    it(`is replaced under 200 calls in flight, ${isHttp2 ? 'HTTP/2' : 'HTTP/1.1'}, ${version}`, async () => {
      const successor = await issueAuthority({ commonName: 'successor' });
      const [serving, old, next] = await Promise.all([
        issueCertificate(authority, { dns: ['localhost'] }),
        issueCertificate(authority, { commonName: 'old' }),
        issueCertificate(authority, { commonName: 'next' }),
      ]);
      const { port, held } = await startEndpoint(isHttp2, serving, version);
      const plane = await startDataPlane([port], {
        scheme: 'https',
        tls: upstreamTls(authority, { ca: SECRET, clientCertificate: SECRET, serverName: 'localhost' }),
        keepalivePool: { ...DEFAULT_KEEPALIVE, idleTimeoutMs: 0 }, // each call that ends ends its connection
      });
      const agent = new Agent({ keepAlive: true });
      closers.push(() => (plane.close(), agent.destroy()));
      const ask = async (path = '/'): Promise<string> => {
        const { status, body } = await httpCall(plane.port, { path, agent });
        return `${status} ${body.toString().split('\n')[0]}`;
      };
      const rotate = async (certificate: TestCertificate, ...authorities: TestAuthority[]): Promise<void> => {
        const before = [...plane.cluster.list()][0]?.pools;
        plane.credentials.setSecrets(secrets({ name: SECRET.name, certificate, authorities }));
        await until(() => [...plane.cluster.list()][0]?.pools !== before, 'it is used');
      };
      await rotate(old, authority);
      assert.equal(await ask(), '200 old full');
      assert.equal(await ask(), '200 old resumed');
      const calls = Array.from({ length: 200 }, () => ask('/hold'));
      await until(() => held.length === 200, '200 calls in flight');

      await rotate(next, authority, successor);
      assert.equal(await ask(), '200 next full', 'no session of the old identity is resumed');
      assert.equal(await ask(), '200 next resumed');
      await rotate(next, successor);
      assert.match(await ask(), /^502 no trusted authority signed/, 'what is no longer trusted is no longer called');
      await rotate(old, authority);
      assert.equal(await ask(), '200 old full', 'nor is one of the time before');

      assert.equal(held.length, 200);
      assert.deepEqual([...new Set(held.map(({ caller }) => caller))], ['old']);
      for (const { answer } of held) answer();
      const answers = await Promise.all(calls);
      assert.deepEqual([...new Set(answers.map((text) => text.replace(/full|resumed/, '')))], ['200 old ']);
      assert.equal(plane.records.filter(({ error }) => error !== undefined).length, 1);
    });
  }

  it('is replaced while calls wait for a connection: they get one', async () => {
    const [serving, old, next] = await Promise.all([
      issueCertificate(authority, { dns: ['localhost'] }),
      issueCertificate(authority, { commonName: 'old' }),
      issueCertificate(authority, { commonName: 'next' }),
    ]);
    const { port } = await startEndpoint(false, serving, 'TLSv1.3');
    const plane = await startDataPlane([port], {
      scheme: 'https',
      tls: upstreamTls(authority, { ca: SECRET, clientCertificate: SECRET, serverName: 'localhost' }),
      keepalivePool: { ...DEFAULT_KEEPALIVE, idleTimeoutMs: 0 },
    });
    closers.push(() => plane.close());
    const rotate = (certificate: TestCertificate): void =>
      plane.credentials.setSecrets(secrets({ name: SECRET.name, certificate, authorities: [authority] }));
    rotate(old);
    await until(() => plane.cluster.tls?.error === '', 'TLS');
    let swaps = 0;
    const timer = setInterval(() => rotate(++swaps % 2 === 0 ? old : next), 5);
    const callers = new Set<string>();
    for (let i = 0; i < 8; i++) {
      const answers = await Promise.all(Array.from({ length: 20 }, () => httpCall(plane.port)));
      for (const { status, body } of answers) {
        assert.equal(status, 200, body.toString());
        callers.add(body.toString().split(' ')[0] ?? '');
      }
    }
    clearInterval(timer);
    assert.ok(swaps >= 5, `${swaps} swaps`);
    assert.deepEqual([...callers].toSorted(), ['next', 'old']);
  });
});
