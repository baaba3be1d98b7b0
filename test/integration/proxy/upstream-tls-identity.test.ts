// Who an endpoint over TLS is asked for, and who the sidecar is to it: the server name, the Host and the client
// certificate, and that connections made for one are never used for another.
import assert from 'node:assert/strict';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createSecureServer, type Http2ServerRequest, type Http2ServerResponse } from 'node:http2';
import { createServer } from 'node:https';
import type { AddressInfo, Server, Socket } from 'node:net';
import { after, before, describe, it } from 'node:test';
import type { TLSSocket, TlsOptions } from 'node:tls';
import { DEFAULT_KEEPALIVE } from '../../../src/model/defaults.ts';
import type { HostPolicy, KeepalivePolicy } from '../../../src/model/policy.ts';
import {
  issueAuthority,
  issueCertificate,
  type TestAuthority,
  type TestCertificate,
} from '../../support/certificates.ts';
import { endpointAt, startDataPlane, type TestDataPlane } from '../../support/data-plane.ts';
import { httpCall } from '../../support/http-call.ts';
import { addListener, addUpstreamPort } from '../../support/port-table.ts';
import { certificateSource, commonName, upstreamTls } from '../../support/tls-peer.ts';

const closers: (() => void)[] = [];
after(() => {
  for (const close of closers.reverse()) close();
});

let authority: TestAuthority;
let stranger: TestAuthority;
let server: TestCertificate;
before(async () => {
  [authority, stranger] = await Promise.all([issueAuthority(), issueAuthority({ commonName: 'stranger' })]);
  server = await issueCertificate(authority, { dns: ['localhost', 'caller.example', 'www.test.com'] });
});

const PROTOCOLS = ['HTTP/1.1', 'HTTP/2'] as const;

interface Seen {
  readonly path: string;
  readonly host: string;
  readonly serverName: string;
  /** Common name of the client certificate; '' without one. */
  readonly caller: string;
  readonly resumed: boolean;
  /** Number of its connection. */
  readonly connection: number;
}

interface Endpoint {
  readonly port: number;
  readonly seen: Seen[];
}

/** Answers 200, or 400 where a client certificate is asked for and none came that the authority has signed. */
async function startEndpoint(protocol: (typeof PROTOCOLS)[number], options: TlsOptions = {}): Promise<Endpoint> {
  const seen: Seen[] = [];
  const connections: TLSSocket[] = [];
  const sockets = new Set<Socket>();
  const handle = (
    request: IncomingMessage | Http2ServerRequest,
    response: ServerResponse | Http2ServerResponse,
  ): void => {
    const { remotePort } = 'stream' in request ? (request.stream.session?.socket ?? {}) : request.socket;
    const connection = connections.findLastIndex((one) => one.remotePort === remotePort);
    const socket = connections[connection];
    assert.ok(socket);
    seen.push({
      path: request.url ?? '',
      host: String(request.headers[':authority'] ?? request.headers.host),
      serverName: (socket as { servername?: string | false }).servername || '',
      caller: commonName(socket),
      resumed: socket.isSessionReused(),
      connection,
    });
    // Node calls a session of TLS 1.3 that is resumed authorized also where it never saw a certificate.
    const refused = options.requestCert === true && !(socket.authorized && commonName(socket) !== '');
    (response as ServerResponse).writeHead(refused ? 400 : 200).end();
  };
  const tls = { cert: server.chain, key: server.keyPem, ...options };
  const listening: Server = protocol === 'HTTP/2' ? createSecureServer(tls, handle) : createServer(tls, handle);
  listening.on('connection', (socket: Socket) => sockets.add(socket.on('error', () => undefined)));
  listening.on('secureConnection', (socket: TLSSocket) => connections.push(socket));
  await new Promise<void>((resolve) => listening.listen(0, '127.0.0.1', resolve));
  closers.push(() => {
    listening.close();
    for (const socket of sockets) socket.destroy();
  });
  return { port: (listening.address() as AddressInfo).port, seen };
}

async function plane(...args: Parameters<typeof startDataPlane>): Promise<TestDataPlane> {
  const started = await startDataPlane(...args);
  closers.push(() => started.close());
  return started;
}

describe('the server name', () => {
  const CASES: readonly (readonly [host: HostPolicy, serverName: string, sent: (port: number) => string])[] = [
    [{ passHost: 'pass', upstreamHost: '' }, 'caller.example', () => 'caller.example:8443'],
    [{ passHost: 'rewrite', upstreamHost: 'www.test.com' }, 'www.test.com', () => 'www.test.com'],
    [{ passHost: 'node', upstreamHost: '' }, 'localhost', (port) => `localhost:${port}`],
  ];
  for (const protocol of PROTOCOLS) {
    for (const [host, serverName, sent] of CASES) {
      it(`APISIX row 68: with pass_host ${host.passHost} over ${protocol} it is ${serverName}, as the Host says`, async () => {
        const endpoint = await startEndpoint(protocol);
        const started = await plane([endpointAt(endpoint.port, { host: 'localhost' })], {
          scheme: 'https',
          host,
          tls: upstreamTls(authority),
        });
        for (let i = 0; i < 2; i++) {
          const { status } = await httpCall(started.port, { headers: { host: 'caller.example:8443' } });
          assert.equal(status, 200);
        }
        assert.deepEqual(
          endpoint.seen.map((seen) => [seen.host, seen.serverName, seen.connection]),
          Array.from({ length: 2 }, () => [sent(endpoint.port), serverName, 0]),
        );
      });
    }
  }

  it('is that of each attempt, where endpoints have names of their own', async () => {
    const endpoint = await startEndpoint('HTTP/1.1');
    const strange = await issueCertificate(stranger, { dns: ['other.example'] });
    const first = await startEndpoint('HTTP/1.1', { cert: strange.chain, key: strange.keyPem });
    const endpoints = [
      endpointAt(first.port, { host: 'other.example', priority: 1 }),
      endpointAt(endpoint.port, { host: 'localhost' }),
    ];
    const started = await plane(endpoints, {
      scheme: 'https',
      host: { passHost: 'node', upstreamHost: '' },
      tls: upstreamTls(authority),
    });
    assert.equal((await httpCall(started.port)).status, 200);
    assert.deepEqual(started.records[0]?.attempts.length, 2);
    assert.deepEqual(
      [endpoint.seen[0]?.host, endpoint.seen[0]?.serverName],
      [`localhost:${endpoint.port}`, 'localhost'],
    );
    assert.equal(first.seen.length, 0);
  });
});

describe('the client certificate', () => {
  const UPSTREAMS = ['none', 'valid', 'other'] as const;
  const WANTED = { none: 400, valid: 200, other: 400 } as const;

  /** Three upstreams with the same node: no certificate, one that the endpoint trusts, and one that it doesn't. */
  async function threeUpstreams(endpoint: Endpoint, keepalivePool: KeepalivePolicy) {
    const certificates = {
      none: undefined,
      valid: await issueCertificate(authority, { commonName: 'valid', usage: ['client'] }),
      other: await issueCertificate(stranger, { commonName: 'other', usage: ['client'] }),
    };
    const started = await plane([]);
    const ways = new Map<string, number>();
    for (const name of UPSTREAMS) {
      const certificate = certificates[name];
      const { port } = await addUpstreamPort(started, `test/${name}`, [endpoint.port], {
        scheme: 'https',
        keepalivePool,
        tls: upstreamTls(authority, { clientCertificate: certificate && certificateSource(certificate) }),
      });
      ways.set(name, await addListener(started, `outbound/${name}`, [[port.key]]));
    }
    const call = async (name: (typeof UPSTREAMS)[number]): Promise<number> =>
      (await httpCall(ways.get(name) ?? 0, { path: `/${name}`, headers: { host: 'localhost' } })).status;
    return { started, call };
  }

  /** What each connection of the endpoint was used for: the paths, and the certificates shown. */
  function assertNothingShared({ seen }: Endpoint): void {
    const paths = new Map<number, string>();
    for (const { path, caller, connection } of seen) {
      assert.equal(caller, path === '/none' ? '' : path.slice(1), 'the certificate of its upstream');
      assert.equal(paths.get(connection) ?? path, path, `connection ${connection} is of one upstream`);
      paths.set(connection, path);
    }
  }

  for (const protocol of PROTOCOLS) {
    for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
      const options = async (): Promise<TlsOptions> => ({
        requestCert: true,
        rejectUnauthorized: false,
        ca: authority.certificatePem,
        minVersion: version,
        maxVersion: version,
      });

      it(`APISIX row 80: three upstreams of one https node share no connection, ${protocol}, ${version}`, async () => {
        const endpoint = await startEndpoint(protocol, await options());
        const { call } = await threeUpstreams(endpoint, DEFAULT_KEEPALIVE);
        for (let i = 0; i < 12; i++) {
          const name = UPSTREAMS[i % 3]!;
          assert.equal(await call(name), WANTED[name], `${i} ${name}`);
        }
        assertNothingShared(endpoint);
        assert.equal(new Set(endpoint.seen.map(({ connection }) => connection)).size, 3, 'each kept its own');
        // And at once.
        const names = Array.from({ length: 30 }, (_, i) => UPSTREAMS[(i * 7) % 3]!);
        assert.deepEqual(
          await Promise.all(names.map(call)),
          names.map((name) => WANTED[name]),
        );
        assertNothingShared(endpoint);
      });

      it(`APISIX row 80: nor a session, where no connection is kept, ${protocol}, ${version}`, async () => {
        const endpoint = await startEndpoint(protocol, { ...(await options()), sessionIdContext: 'row-80' });
        const { call } = await threeUpstreams(endpoint, { ...DEFAULT_KEEPALIVE, size: 0 });
        for (let i = 0; i < 12; i++) {
          const name = UPSTREAMS[i % 3]!;
          assert.equal(await call(name), WANTED[name], `${i} ${name}`);
        }
        assertNothingShared(endpoint);
        assert.equal(new Set(endpoint.seen.map(({ connection }) => connection)).size, 12);
        assert.ok(endpoint.seen.some(({ path, resumed }) => path === '/valid' && resumed));
      });
    }
  }

  it('is not shown any more on connections that were made before it was taken out of the policy', async () => {
    const endpoint = await startEndpoint('HTTP/1.1', {
      requestCert: true,
      rejectUnauthorized: false,
      ca: authority.certificatePem,
    });
    const valid = await issueCertificate(authority, { commonName: 'valid', usage: ['client'] });
    const started = await plane([endpoint.port], {
      scheme: 'https',
      tls: upstreamTls(authority, { clientCertificate: certificateSource(valid) }),
    });
    const call = async (): Promise<number> => (await httpCall(started.port, { headers: { host: 'localhost' } })).status;
    assert.equal(await call(), 200);
    await started.update([endpoint.port], { tls: upstreamTls(authority) });
    assert.equal(await call(), 400);
    assert.deepEqual(
      endpoint.seen.map(({ caller, connection }) => [caller, connection]),
      [
        ['valid', 0],
        ['', 1],
      ],
    );
  });
});
