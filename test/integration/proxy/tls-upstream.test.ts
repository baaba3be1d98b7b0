// Endpoints that speak TLS, of each kind and with each thing that can be wrong with a certificate, behind the real data
// plane. Callers come over plaintext.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer as createHttpServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createSecureServer, type Http2ServerRequest, type Http2ServerResponse } from 'node:http2';
import { createServer as createHttpsServer } from 'node:https';
import { createServer as createTcpServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { createSecureContext, createServer as createTlsServer, TLSSocket, type TlsOptions } from 'node:tls';
import { Metadata, ServerCredentials, status, type ServiceError } from '@grpc/grpc-js';
import type { ErrorKind } from '../../../src/base/error.ts';
import { DEFAULT_ACTIVE, DEFAULT_KEEPALIVE, DEFAULT_PASSIVE, DEFAULT_TIMEOUT } from '../../../src/model/defaults.ts';
import type { ActivePolicy, PortPolicy } from '../../../src/model/policy.ts';
import type { UpstreamTlsPolicy } from '../../../src/model/tls.ts';
import { CounterCell } from '../../../src/telemetry/counters.ts';
import {
  issueAuthority,
  issueCertificate,
  selfSigned,
  type TestAuthority,
  type TestCertificate,
  type TestCertificateOptions,
} from '../../support/certificates.ts';
import { startDataPlane, type TestDataPlane } from '../../support/data-plane.ts';
import { assertStreams, GREETER, greeterClient, startGreeter, type GreeterClient } from '../../support/greeter.ts';
import { httpCall } from '../../support/http-call.ts';
import { startRawServer } from '../../support/raw-server.ts';
import {
  authoritiesSource,
  certificateSource,
  commonName,
  secrets,
  until,
  upstreamTls,
} from '../../support/tls-peer.ts';

const VERSIONS = ['TLSv1.2', 'TLSv1.3'] as const;
const HOUR_MS = 3_600_000;
const NO_OPENSSL = spawnSync('openssl', ['version']).error ? 'openssl is not installed' : false;

const closers: (() => void)[] = [];
after(() => {
  for (const close of closers) close();
});

let authority: TestAuthority;
let stranger: TestAuthority;
/** Of an endpoint with nothing wrong: `localhost`, `127.0.0.1` and two hosts. */
let good: TestCertificate;

before(async () => {
  [authority, stranger] = await Promise.all([issueAuthority(), issueAuthority({ commonName: 'stranger' })]);
  const dns = ['localhost', 'a.example', 'b.example', 'web.example'];
  good = await issueCertificate(authority, { commonName: 'good', dns, ips: ['127.0.0.1'] });
});

type Kind = 'HTTP/1.1 only' | 'HTTP/2 only' | 'both' | 'no ALPN';

interface Endpoint {
  readonly port: number;
  readonly server: Server;
  /** TLS connections whose handshake was done. */
  readonly connections: TLSSocket[];
  readonly requests: Seen[];
}

/** A request as the endpoint saw it. */
interface Seen {
  readonly version: string;
  readonly host: string;
  readonly scheme: string;
  readonly serverName: string;
  readonly resumed: boolean;
  /** Common name of the client certificate. */
  readonly caller: string;
  readonly connection: TLSSocket;
}

function identity({ chain, keyPem }: TestCertificate): TlsOptions {
  return { cert: chain, key: keyPem };
}

/** Starts an endpoint that notes what it sees and answers `ok`. */
async function startEndpoint(kind: Kind, options: TlsOptions = identity(good)): Promise<Endpoint> {
  const connections: TLSSocket[] = [];
  const requests: Seen[] = [];
  const handle = (
    request: IncomingMessage | Http2ServerRequest,
    response: ServerResponse | Http2ServerResponse,
  ): void => {
    const isHttp2 = 'stream' in request;
    const socket = (isHttp2 ? request.stream.session?.socket : request.socket) as TLSSocket;
    const connection = connections.find(({ remotePort }) => remotePort === socket.remotePort);
    assert.ok(connection);
    requests.push({
      version: request.httpVersion,
      host: String(isHttp2 ? request.headers[':authority'] : request.headers.host),
      scheme: String(request.headers[':scheme'] ?? ''),
      serverName: (connection as { servername?: string | false }).servername || '',
      resumed: connection.isSessionReused(),
      caller: commonName(connection),
      connection,
    });
    (response as ServerResponse).setHeader('x-version', request.httpVersion);
    if (request.method === 'GET') (response as ServerResponse).end('ok');
    else (request as IncomingMessage).pipe(response as ServerResponse);
  };
  const server = createEndpoint(kind, options, handle);
  server.on('secureConnection', (socket: TLSSocket) => {
    connections.push(socket);
    socket.on('error', () => undefined);
  });
  return { port: await listen(server), server, connections, requests };
}

function createEndpoint(
  kind: Kind,
  options: TlsOptions,
  handle: (request: IncomingMessage & Http2ServerRequest, response: ServerResponse & Http2ServerResponse) => void,
): Server {
  if (kind === 'HTTP/1.1 only') return createHttpsServer(options, handle as (a: IncomingMessage) => void);
  if (kind === 'HTTP/2 only' || kind === 'both') {
    const server = createSecureServer(
      { ...options, allowHTTP1: kind === 'both' },
      handle as (a: Http2ServerRequest) => void,
    );
    server.on('session', (session) => closers.push(() => session.destroy()));
    return server;
  }
  const http = createHttpServer(handle as (a: IncomingMessage) => void);
  return createTlsServer(options, (socket) => http.emit('connection', socket));
}

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

async function plane(
  ports: readonly number[],
  tls: Partial<UpstreamTlsPolicy> = {},
  policy: Partial<PortPolicy> = {},
): Promise<TestDataPlane> {
  const started = await startDataPlane(ports, { scheme: 'https', tls: upstreamTls(authority, tls), ...policy });
  closers.push(() => started.close());
  return started;
}

interface Answer {
  readonly status: number;
  readonly reason: string | undefined;
  readonly body: string;
}

/** A GET, or a POST of `body`. */
async function call(port: number, host = 'localhost', body?: string): Promise<Answer> {
  const method = body === undefined ? 'GET' : 'POST';
  const answer = await httpCall(port, { method, headers: { host }, ...(body !== undefined && { body }) });
  const reason = answer.headers['x-outrigger-reason'];
  return {
    status: answer.status,
    reason: typeof reason === 'string' ? reason : undefined,
    body: answer.body.toString(),
  };
}

/** A unary call; the error that it ends with. */
function greet(client: GreeterClient): Promise<{ error: ServiceError | undefined; message: string }> {
  return new Promise((resolve) => {
    client.greet({ name: 'x' }, new Metadata(), { deadline: Date.now() + 5000 }, (error, response) =>
      resolve({ error: error ?? undefined, message: response?.message ?? '' }),
    );
  });
}

function clientOf({ port }: TestDataPlane): GreeterClient {
  const client = greeterClient(port, undefined, { 'grpc.default_authority': 'localhost' });
  closers.push(() => client.close());
  return client;
}

describe('https', () => {
  const VERSION: Readonly<Record<Kind, string>> = {
    'HTTP/1.1 only': '1.1',
    'HTTP/2 only': '2.0',
    both: '2.0',
    'no ALPN': '1.1',
  };
  for (const [kind, version] of Object.entries(VERSION) as [Kind, string][]) {
    for (const tlsVersion of VERSIONS) {
      it(`to an endpoint that speaks ${kind}, over ${tlsVersion}`, async () => {
        const endpoint = await startEndpoint(kind, {
          ...identity(good),
          minVersion: tlsVersion,
          maxVersion: tlsVersion,
        });
        const started = await plane([endpoint.port]);
        for (let i = 0; i < 3; i++) assert.deepEqual(await call(started.port), ANSWERED);
        assert.equal((await call(started.port, 'localhost', 'x'.repeat(100_000))).body.length, 100_000);
        assert.equal(endpoint.connections.length, 1, 'one connection carries them all');
        const [first] = endpoint.requests;
        assert.equal(first?.version, version);
        assert.equal(first.host, 'localhost');
        assert.equal(first.serverName, 'localhost');
        assert.equal(first.scheme, version === '2.0' ? 'https' : '');
        assert.equal(started.records[0]?.head.authority, 'localhost');
        const [live] = started.cluster.list();
        assert.equal(live?.lastHandshake?.version, tlsVersion);
        assert.equal(live.lastHandshake.alpn, kind === 'no ALPN' ? '' : version === '2.0' ? 'h2' : 'http/1.1');
      });
    }
  }

  it('chooses anew for each connection, and many that wait are answered once each', async () => {
    // ALPN of the connections in order; then HTTP/1.1 for good.
    const order: Kind[] = ['HTTP/2 only', 'HTTP/1.1 only', 'HTTP/2 only', 'HTTP/1.1 only', 'HTTP/1.1 only'];
    const answers = new Map<string, number>();
    const sockets = new Set<Socket>();
    const handle = (request: IncomingMessage, response: ServerResponse): void => {
      const id = String(request.url);
      answers.set(id, (answers.get(id) ?? 0) + 1);
      response.end(id);
    };
    const servers = new Map<Kind, Server>(
      (['HTTP/2 only', 'HTTP/1.1 only'] as const).map((kind) => [kind, createEndpoint(kind, identity(good), handle)]),
    );
    let connections = 0;
    const front = createTcpServer((socket) => {
      sockets.add(socket);
      servers.get(order[connections++] ?? 'HTTP/1.1 only')?.emit('connection', socket);
    });
    const started = await plane([await listen(front)]);
    let round = 0;
    for (const count of [1, 60, 60]) {
      const wanted = Array.from({ length: count }, (_, i) => `/${round}/${i}`);
      const got = await Promise.all(
        wanted.map((path) => httpCall(started.port, { path, headers: { host: 'localhost' } })),
      );
      assert.deepEqual(
        got.map(({ status: code, body }) => `${code} ${body.toString()}`),
        wanted.map((path) => `200 ${path}`),
      );
      round++;
      // The next round needs new connections. Some that this one asked for may come when nobody waits any more.
      await until(() => {
        for (const socket of sockets) socket.destroy();
        return [...started.cluster.list()].every(({ pools }) => pools.connections === 0);
      }, 'none is left');
    }
    assert.equal(answers.size, 121);
    assert.deepEqual([...new Set(answers.values())], [1]);
  });
});

const ANSWERED: Answer = { status: 200, reason: undefined, body: 'ok' };

async function startSecureGreeter(certificate: TestCertificate, callers?: TestAuthority): Promise<number> {
  const pair = { private_key: Buffer.from(certificate.keyPem), cert_chain: Buffer.from(certificate.chain) };
  const root = callers ? Buffer.from(callers.certificatePem) : null;
  const { port, server } = await startGreeter(
    GREETER,
    0,
    ServerCredentials.createSsl(root, [pair], callers !== undefined),
  );
  closers.push(() => server.forceShutdown());
  return port;
}

describe('grpcs', () => {
  it('all four kinds of call, also with a client certificate', async () => {
    const caller = await issueCertificate(authority, { usage: ['client'] });
    for (const required of [false, true]) {
      const port = await startSecureGreeter(good, required ? authority : undefined);
      const clientCertificate = required ? certificateSource(caller) : undefined;
      const client = clientOf(await plane([port], { clientCertificate }, { scheme: 'grpcs' }));
      assert.deepEqual(await greet(client), { error: undefined, message: 'hello x' });
      await assertStreams(client);
    }
  });

  it('needs HTTP/2', async () => {
    const { port } = await startEndpoint('HTTP/1.1 only');
    const { error } = await greet(clientOf(await plane([port], {}, { scheme: 'grpcs' })));
    assert.equal(error?.code, status.UNAVAILABLE);
    assert.match(error.details, /no protocol in common \(ALPN\): grpcs needs HTTP\/2/);
    assert.deepEqual(error.metadata.get('x-outrigger-reason'), ['upstream_tls_failure']);
  });
});

/** What is wrong with an endpoint, and what is said of it. */
interface Fault {
  readonly what: string;
  readonly certificate: TestCertificateOptions & { readonly by?: 'authority' | 'stranger' | 'itself' };
  readonly tls?: Partial<UpstreamTlsPolicy>;
  readonly host?: string;
  readonly reason: ErrorKind | undefined;
  readonly detail?: RegExp;
}

const LOCAL: TestCertificateOptions = { dns: ['localhost'], ips: ['127.0.0.1'] };
const nowMs = Date.now();
const UNTRUSTED = 'upstream_certificate_untrusted';
const MISMATCH = 'upstream_certificate_name_mismatch';
const SPIFFE = 'spiffe://mesh/ns/shop/sa/web';

const FAULTS: readonly Fault[] = [
  { what: 'nothing', certificate: LOCAL, reason: undefined },
  {
    what: 'another authority',
    certificate: { ...LOCAL, by: 'stranger' },
    reason: UNTRUSTED,
    detail: /issuer is not among the trusted authorities: add that authority/,
  },
  { what: 'self-signed', certificate: { ...LOCAL, by: 'itself' }, reason: UNTRUSTED, detail: /it is self-signed/ },
  {
    what: 'expired',
    certificate: { ...LOCAL, notBeforeMs: nowMs - 2 * HOUR_MS, notAfterMs: nowMs - 60_000 },
    reason: 'upstream_certificate_expired',
    detail: /it has expired: renew it/,
  },
  {
    what: 'not yet valid',
    certificate: { ...LOCAL, notBeforeMs: nowMs + HOUR_MS, notAfterMs: nowMs + 2 * HOUR_MS },
    reason: 'upstream_certificate_expired',
    detail: /it is not valid yet: check the clocks/,
  },
  {
    what: 'for clients only',
    certificate: { ...LOCAL, usage: ['client'] },
    reason: UNTRUSTED,
    detail: /extended key usage.*serverAuth for a server/,
  },
  {
    what: 'another host',
    certificate: { dns: ['other.example'] },
    reason: MISMATCH,
    detail: /it is for "other\.example", not for localhost: set tls\.server_name/,
  },
  { what: 'a host below', certificate: { dns: ['*.localhost'] }, reason: MISMATCH },
  { what: 'another address', certificate: { ips: ['127.0.0.2'] }, host: '127.0.0.1:80', reason: MISMATCH },
  { what: 'the address', certificate: { ips: ['127.0.0.1'] }, host: '127.0.0.1:80', reason: undefined },
  { what: 'an address as a DNS name', certificate: { dns: ['127.0.0.1'] }, host: '127.0.0.1', reason: MISMATCH },
  {
    what: 'a common name alone',
    certificate: { commonName: 'localhost' },
    reason: MISMATCH,
    detail: /for no name at all/,
  },
  { what: 'a wildcard', certificate: { dns: ['*.web.example'] }, host: 'A.web.example:8443', reason: undefined },
  { what: 'a wildcard of one label', certificate: { dns: ['*.example'] }, host: 'a.web.example', reason: MISMATCH },
  { what: 'part of a label', certificate: { dns: ['a*.example'] }, host: 'ab.example', reason: MISMATCH },
  {
    what: 'a host that is no name',
    certificate: LOCAL,
    host: 'a..b',
    reason: MISMATCH,
    detail: /"a\.\.b" is no server name: set tls\.server_name/,
  },
  {
    what: 'server_name instead of the host',
    certificate: { dns: ['inner.example'] },
    tls: { serverName: 'inner.example' },
    host: 'outer.example',
    reason: undefined,
  },
  {
    what: 'a server_name that it has not',
    certificate: LOCAL,
    tls: { serverName: 'inner.example' },
    reason: MISMATCH,
    detail: /not for inner\.example/,
  },
  {
    what: 'an address as server_name',
    certificate: { ips: ['192.0.2.7'] },
    tls: { serverName: '192.0.2.7' },
    reason: undefined,
  },
  {
    what: 'server_names, and one is there',
    certificate: { uris: [SPIFFE] },
    tls: {
      serverNames: [
        { type: 'uri', value: 'spiffe://mesh/other' },
        { type: 'uri', value: SPIFFE },
      ],
    },
    reason: undefined,
  },
  {
    what: 'server_names, and none is there',
    certificate: { ...LOCAL, uris: [SPIFFE] },
    tls: { serverNames: [{ type: 'uri', value: `${SPIFFE}x` }] },
    reason: MISMATCH,
    detail: /has none of tls\.server_names; it is for "spiffe:\/\/mesh\/ns\/shop\/sa\/web", "localhost"/,
  },
  {
    what: 'server_names of a stranger',
    certificate: { uris: [SPIFFE], by: 'stranger' },
    tls: { serverNames: [{ type: 'uri', value: SPIFFE }] },
    reason: UNTRUSTED,
  },
  ...(['stranger', 'itself'] as const).map((by) => ({
    what: `${by}, unverified`,
    certificate: { by, notAfterMs: nowMs - 60_000, notBeforeMs: nowMs - HOUR_MS },
    tls: { verify: false },
    reason: undefined,
  })),
];

describe('verification', () => {
  for (const { what, certificate: options, tls, host = 'localhost', reason, detail = /./ } of FAULTS) {
    it(`${what}: ${reason ?? 'passes'}`, async () => {
      const { by = 'authority', ...rest } = options;
      const issuer = { authority, stranger, itself: undefined }[by];
      const certificate = await (issuer ? issueCertificate(issuer, rest) : selfSigned(rest));
      const endpoint = await startEndpoint('both', identity(certificate));
      const over = await plane([endpoint.port], tls);
      const answer = await call(over.port, host);
      if (reason === undefined) assert.deepEqual(answer, ANSWERED);
      else {
        assert.deepEqual([answer.status, answer.reason], [502, reason]);
        assert.match(answer.body, detail);
        assert.equal(endpoint.requests.length, 0, 'nothing was sent');
        await until(() => [...over.cluster.list()].every(({ pools }) => pools.connections === 0), 'it is closed');
      }
    });
  }

  it('a gRPC caller hears of it by status and message', async () => {
    const certificate = await selfSigned(LOCAL);
    const { error } = await greet(
      clientOf(await plane([await startSecureGreeter(certificate)], {}, { scheme: 'grpcs' })),
    );
    assert.equal(error?.code, status.UNAVAILABLE);
    assert.match(
      error.details,
      /^no trusted authority signed the upstream's certificate: .*CN=test certificate.*self-signed/,
    );
    assert.deepEqual(error.metadata.get('x-outrigger-reason'), [UNTRUSTED]);
  });

  it('which may have no subject at all', async () => {
    const certificate = await selfSigned({ ...LOCAL, commonName: '' });
    const { error } = await greet(
      clientOf(await plane([await startSecureGreeter(certificate)], {}, { scheme: 'grpcs' })),
    );
    assert.match(
      error?.details ?? '',
      /^no trusted authority signed the upstream's certificate: .*\(it has no subject\).*self-signed/,
    );
  });

  it('what was refused once is looked at again when the endpoint has a better certificate', async () => {
    for (const version of VERSIONS) {
      const ticketKeys = Buffer.alloc(48, 7); // old sessions would be resumed
      const bad = await issueCertificate(authority, { dns: ['other.example'] });
      const options = { minVersion: version, maxVersion: version, ticketKeys };
      const endpoint = await startEndpoint('HTTP/1.1 only', { ...identity(bad), ...options });
      const { port } = await plane([endpoint.port]);
      for (let i = 0; i < 2; i++) assert.equal((await call(port)).reason, MISMATCH);
      (endpoint.server as ReturnType<typeof createTlsServer>).setSecureContext({ ...identity(good), ...options });
      assert.deepEqual(await call(port), ANSWERED, version);
    }
  });

  it('a name that a caller made up is no evidence against the endpoint', async () => {
    const endpoint = await startEndpoint('HTTP/1.1 only');
    const passive = { ...DEFAULT_PASSIVE, tcpFailures: 1 };
    const other = await startEndpoint('HTTP/1.1 only');
    const started = await plane([endpoint.port, other.port], {}, { checks: { active: undefined, passive } });
    for (let i = 0; i < 5; i++) assert.equal((await call(started.port, 'made-up.example')).reason, MISMATCH);
    assert.deepEqual(
      [...started.cluster.list()].map(({ cause }) => cause),
      ['', ''],
    );
    assert.deepEqual(await call(started.port), ANSWERED);
    const named = await plane(
      [endpoint.port, other.port],
      { serverName: 'made-up.example' },
      { checks: { active: undefined, passive } },
    );
    assert.equal((await call(named.port)).reason, MISMATCH);
    assert.match(
      [...named.cluster.list()][0]?.cause ?? '',
      /upstream_certificate_name_mismatch/,
      'a configured one is',
    );
  });
});

describe('client certificates', () => {
  for (const version of VERSIONS) {
    it(`that the endpoint requires, over ${version}`, async () => {
      const caller = await issueCertificate(authority, { commonName: 'caller', usage: ['client'] });
      const options: TlsOptions = {
        ...identity(good),
        ca: authority.certificatePem,
        requestCert: true,
        minVersion: version,
        maxVersion: version,
      };
      for (const kind of ['HTTP/1.1 only', 'HTTP/2 only'] as const) {
        const endpoint = await startEndpoint(kind, { ...options, rejectUnauthorized: true });
        const shown = async (certificate: TestCertificate | undefined, body?: string): Promise<Answer> => {
          const clientCertificate = certificate && certificateSource(certificate);
          return call((await plane([endpoint.port], { clientCertificate })).port, 'localhost', body);
        };
        assert.deepEqual(await shown(caller), ANSWERED);
        assert.equal(endpoint.requests[0]?.caller, 'caller');
        for (const body of [undefined, 'x'.repeat(1000)]) {
          const none = await shown(undefined, body);
          assert.deepEqual([none.status, none.reason], [502, 'upstream_tls_failure'], `${kind} ${none.body}`);
          assert.match(none.body, /requires a client certificate/);
        }
        assert.equal(endpoint.requests.length, 1);
      }
    });
  }

  for (const version of VERSIONS) {
    // Node's servers look at a certificate when the handshake is done, and just close; most others send an alert.
    it(`that a server over OpenSSL refuses, over ${version}`, { skip: NO_OPENSSL }, async () => {
      const [wrong, expired] = await Promise.all([
        issueCertificate(stranger, { usage: ['client'] }),
        issueCertificate(authority, { notBeforeMs: nowMs - 2 * HOUR_MS, notAfterMs: nowMs - 60_000 }),
      ]);
      const strict = await startOpenssl(version);
      const healthy = await startEndpoint('both');
      for (const [certificate, detail] of [
        [wrong, /didn't accept the client certificate: it doesn't trust its authority/],
        [expired, /didn't accept the client certificate: it has expired/],
        [undefined, /requires a client certificate/],
      ] as const) {
        const identified = { clientCertificate: certificate && certificateSource(certificate) };
        const alone = await plane([strict], identified);
        for (const body of [undefined, 'body']) {
          const answer = await call(alone.port, 'localhost', body);
          assert.deepEqual([answer.status, answer.reason], [502, 'upstream_tls_failure'], answer.body);
          assert.match(answer.body, detail);
        }
        assert.equal(alone.counters.total(CounterCell.UpstreamHandshakesFailed), 2);
        const both = await plane([strict, healthy.port], identified);
        for (let i = 0; i < 2; i++) {
          assert.deepEqual(await call(both.port, 'localhost', 'body'), { ...ANSWERED, body: 'body' });
        }
        assert.equal(both.records.flatMap(({ attempts }) => attempts).length, 3, 'the other endpoint was tried');
      }
    });
  }

  it('that the endpoint refuses by an alert after the handshake', async () => {
    // What a server that requires one says in TLS 1.3, to all of the calls that wait for the connection.
    const port = await startSecureGreeter(good, authority);
    const client = clientOf(await plane([port], {}, { scheme: 'grpcs' }));
    for (const { error } of await Promise.all([greet(client), greet(client), greet(client)])) {
      assert.equal(error?.code, status.UNAVAILABLE);
      assert.match(error.details, /requires a client certificate: give tls\.client_cert/);
    }
  });
});

/** Starts OpenSSL's own server, which requires a certificate; resolves with its port. */
async function startOpenssl(version: (typeof VERSIONS)[number]): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), 'outrigger-tls-'));
  const write = (name: string, text: string): string => {
    const path = join(folder, name);
    writeFileSync(path, text, { mode: 0o600 });
    return path;
  };
  const [cert, key, ca] = [
    write('cert.pem', good.chain),
    write('key.pem', good.keyPem),
    write('ca.pem', authority.certificatePem),
  ];
  const only = version === 'TLSv1.2' ? '-tls1_2' : '-tls1_3';
  const child = spawn(
    'openssl',
    [
      ...['s_server', '-accept', '127.0.0.1:0', only, '-cert', cert, '-key', key, '-CAfile', ca],
      ...['-Verify', '1', '-verify_return_error', '-www'],
    ],
    { stdio: ['ignore', 'pipe', 'ignore'] },
  );
  closers.push(() => {
    child.kill();
    rmSync(folder, { recursive: true });
  });
  let text = '';
  child.stdout.on('data', (chunk: Buffer) => (text += chunk.toString()));
  await until(() => /^ACCEPT .*:\d+$/m.test(text), 'openssl');
  return Number(/^ACCEPT .*:(\d+)$/m.exec(text)?.[1]);
}

describe('handshakes that fail', () => {
  interface Broken {
    readonly what: string;
    readonly start: () => Promise<number>;
    readonly status: number;
    readonly reason: ErrorKind;
    readonly detail: RegExp;
  }
  const raw = async (script: (socket: Socket) => void): Promise<number> => {
    const server = await startRawServer(script);
    closers.push(() => server.close());
    return server.port;
  };
  const FAILURE = { status: 502, reason: 'upstream_tls_failure' } as const;
  const BROKEN: readonly Broken[] = [
    {
      what: 'an endpoint without TLS',
      start: async () => listen(createHttpServer((_request, response) => response.end('plain'))),
      ...FAILURE,
      detail: /the endpoint answered without TLS: set scheme http or grpc, or give the endpoint TLS/,
    },
    {
      what: 'an endpoint of TLS 1.1',
      start: async () =>
        listen(
          createTlsServer({
            ...identity(good),
            minVersion: 'TLSv1',
            maxVersion: 'TLSv1.1',
            ciphers: 'DEFAULT@SECLEVEL=0',
          }),
        ),
      ...FAILURE,
      detail: /speaks neither TLS 1\.2 nor 1\.3/,
    },
    {
      what: 'an endpoint with other suites',
      start: async () =>
        listen(createTlsServer({ ...identity(good), maxVersion: 'TLSv1.2', ciphers: 'ECDHE-ECDSA-AES128-SHA256' })),
      ...FAILURE,
      detail: /no TLS version or cipher suite in common/,
    },
    {
      what: 'an endpoint that closes at the ClientHello',
      start: () => raw((socket) => socket.once('data', () => socket.destroy())),
      ...FAILURE,
      detail: /the connection was closed during the handshake/,
    },
    {
      what: 'an endpoint that ends at once',
      start: () => raw((socket) => socket.end()),
      ...FAILURE,
      detail: /the connection was closed during the handshake/,
    },
    {
      what: 'an endpoint that resets at the ClientHello',
      start: () => raw((socket) => socket.once('data', () => socket.resetAndDestroy())),
      ...FAILURE,
      detail: /the connection was closed during the handshake/,
    },
    {
      what: 'an endpoint that sends half a record and ends',
      start: () => raw((socket) => socket.once('data', () => socket.end(Buffer.from('160303007a0200', 'hex')))),
      ...FAILURE,
      detail: /the connection was closed during the handshake/,
    },
    {
      what: 'an endpoint that sends garbage',
      start: () => raw((socket) => socket.once('data', () => socket.write(Buffer.alloc(500, 0x16)))),
      ...FAILURE,
      detail: /./,
    },
    {
      what: 'an endpoint that says nothing',
      start: () => raw((socket) => socket.resume()),
      status: 504,
      reason: 'connect_timeout',
      detail: /./,
    },
    {
      what: 'an endpoint that asks for another name',
      start: async () =>
        listen(
          createTlsServer({
            ...identity(good),
            SNICallback: (_name, done) => done(new Error('unrecognized')),
          }).on('tlsClientError', () => undefined),
        ),
      ...FAILURE,
      detail: /./,
    },
  ];
  for (const { what, start, status: code, reason, detail } of BROKEN) {
    it(`${what}: ${reason}, and another endpoint is tried, whatever the method`, async () => {
      const timeout = { ...DEFAULT_TIMEOUT, connectMs: 80 };
      const broken = await start();
      const alone = await plane([broken], {}, { timeout });
      const answer = await call(alone.port);
      assert.deepEqual([answer.status, answer.reason], [code, reason]);
      assert.match(answer.body, detail);
      assert.equal(alone.counters.total(CounterCell.UpstreamConnectFailed), 1);
      const inTls = reason === 'upstream_tls_failure' ? 1 : 0;
      assert.equal(alone.counters.total(CounterCell.UpstreamHandshakesFailed), inTls);

      const healthy = await startEndpoint('both');
      const both = await plane([broken, healthy.port], {}, { timeout });
      assert.deepEqual(await call(both.port), ANSWERED);
      assert.deepEqual(await call(both.port), ANSWERED);
      for (let i = 0; i < 2; i++) {
        assert.deepEqual(await call(both.port, 'localhost', 'body'), { ...ANSWERED, body: 'body' });
      }
      const failed = both.records.flatMap(({ attempts }) => attempts.flatMap(({ error }) => error ?? []));
      assert.ok(failed.length > 0 && failed.every((error) => error === reason), String(failed));

      const { error } = await greet(clientOf(await plane([broken], {}, { scheme: 'grpcs', timeout })));
      assert.equal(error?.code, status.UNAVAILABLE);
      assert.deepEqual(error.metadata.get('x-outrigger-reason'), [reason]);
    });
  }

  it('a certificate that is refused is a failed connect too', async () => {
    const bad = await startEndpoint('both', identity(await selfSigned(LOCAL)));
    const healthy = await startEndpoint('both');
    const { port, records } = await plane([bad.port, healthy.port]);
    for (let i = 0; i < 4; i++) {
      assert.deepEqual(await call(port, 'localhost', 'body'), { ...ANSWERED, body: 'body' });
    }
    const failed = records.flatMap(({ attempts }) => attempts.flatMap(({ error }) => error ?? []));
    assert.deepEqual([...new Set(failed)], [UNTRUSTED]);
  });
});

describe('sessions', () => {
  /** No connection is kept. */
  const ONCE = { keepalivePool: { ...DEFAULT_KEEPALIVE, idleTimeoutMs: 0 } };

  for (const version of VERSIONS) {
    it(`are resumed, over ${version}`, async () => {
      const only = { minVersion: version, maxVersion: version };
      const caller = await issueCertificate(authority, { commonName: 'caller', usage: ['client'] });
      const asking = { requestCert: true, rejectUnauthorized: true, ca: authority.certificatePem };
      for (const kind of ['HTTP/1.1 only', 'HTTP/2 only'] as const) {
        const endpoint = await startEndpoint(kind, { ...identity(good), ...only, ...asking });
        const started = await plane([endpoint.port], { clientCertificate: certificateSource(caller) }, ONCE);
        for (let i = 0; i < 3; i++) assert.deepEqual(await call(started.port), ANSWERED);
        assert.equal(endpoint.connections.length, 3);
        assert.deepEqual(
          endpoint.requests.map(({ resumed, caller: name }) => [resumed, name]),
          [
            [false, 'caller'],
            [true, 'caller'],
            [true, 'caller'],
          ],
          kind,
        );
        assert.equal(started.counters.total(CounterCell.UpstreamHandshakes), 1);
        assert.equal(started.counters.total(CounterCell.UpstreamHandshakesResumed), 2);
      }
    });

    it(`that make the endpoint fail are given up, over ${version}`, async () => {
      // A server over OpenSSL that asks for a certificate and has no session id context ends a handshake that resumes.
      const caller = await issueCertificate(authority, { commonName: 'caller', usage: ['client'] });
      const only = { minVersion: version, maxVersion: version };
      const secureContext = createSecureContext({ ...identity(good), ...only, ca: authority.certificatePem });
      const http = createHttpServer((_request, response) => response.end('ok'));
      const server = createTcpServer((raw) => {
        raw.on('error', () => undefined);
        const socket = new TLSSocket(raw, {
          isServer: true,
          secureContext,
          requestCert: true,
          rejectUnauthorized: true,
        });
        socket.on('error', () => raw.destroy());
        socket.once('secure', () => http.emit('connection', socket));
      });
      const { port } = await plane([await listen(server)], { clientCertificate: certificateSource(caller) }, ONCE);
      const reasons: (string | undefined)[] = [];
      for (let i = 0; i < 6; i++) reasons.push((await call(port)).reason);
      assert.deepEqual(reasons, [undefined, 'upstream_tls_failure', undefined, undefined, undefined, undefined]);
    });

    it(`of one name are not those of another, over ${version}`, async () => {
      const endpoint = await startEndpoint('HTTP/1.1 only', {
        ...identity(good),
        minVersion: version,
        maxVersion: version,
      });
      const { port } = await plane([endpoint.port], {}, ONCE);
      for (const host of ['a.example', 'b.example', 'a.example']) assert.deepEqual(await call(port, host), ANSWERED);
      assert.deepEqual(
        endpoint.requests.map(({ resumed }) => resumed),
        [false, false, true],
      );
      assert.equal((await call(port, 'made-up.example')).reason, MISMATCH, 'a resumed session is judged too');
    });
  }
});

describe('hosts', () => {
  it('that differ never share a connection where the caller names the host', async () => {
    for (const kind of ['HTTP/1.1 only', 'HTTP/2 only'] as const) {
      const endpoint = await startEndpoint(kind);
      const { port, records } = await plane([endpoint.port]);
      const hosts = ['a.example', 'b.example', 'web.example', '127.0.0.1'];
      await Promise.all(
        Array.from({ length: 40 }, async (_, i) => {
          assert.deepEqual(await call(port, hosts[i % hosts.length]), ANSWERED);
        }),
      );
      assert.equal(endpoint.requests.length, 40);
      for (const { host, serverName } of endpoint.requests) {
        assert.equal(serverName, host === '127.0.0.1' ? '' : host, 'an address is never sent as a server name');
      }
      const byConnection = new Map<TLSSocket, Set<string>>();
      for (const { connection, host } of endpoint.requests) {
        byConnection.set(connection, (byConnection.get(connection) ?? new Set()).add(host));
      }
      assert.deepEqual([...new Set([...byConnection.values()].map(({ size }) => size))], [1]);
      if (kind === 'HTTP/2 only') assert.equal(byConnection.size, hosts.length);
      assert.equal(records.filter(({ head }) => head.authority === 'a.example').length, 10);
    }
  });

  it('that are one name but for port, case and a final dot share one', async () => {
    const endpoint = await startEndpoint('HTTP/2 only');
    const { port } = await plane([endpoint.port]);
    for (const host of ['a.example', 'A.example:8443', 'a.EXAMPLE.', 'a.example:1']) {
      assert.deepEqual(await call(port, host), ANSWERED);
    }
    assert.equal(endpoint.connections.length, 1);
    assert.deepEqual(
      endpoint.requests.map(({ host }) => host),
      ['a.example', 'A.example:8443', 'a.EXAMPLE.', 'a.example:1'],
    );
  });

  it('share one where server_name says the name', async () => {
    const endpoint = await startEndpoint('HTTP/2 only');
    const { port } = await plane([endpoint.port], { serverName: 'web.example' });
    for (const host of ['a.example', 'anything', '-..-']) assert.deepEqual(await call(port, host), ANSWERED);
    assert.equal(endpoint.connections.length, 1);
    assert.deepEqual(
      endpoint.requests.map(({ host, serverName }) => [host, serverName]),
      [
        ['a.example', 'web.example'],
        ['anything', 'web.example'],
        ['-..-', 'web.example'],
      ],
    );
  });

  it('pass_host node sends the address and no server name', async () => {
    for (const kind of ['HTTP/1.1 only', 'HTTP/2 only'] as const) {
      const endpoint = await startEndpoint(kind);
      const { port, records } = await plane([endpoint.port], {}, { host: { passHost: 'node', upstreamHost: '' } });
      for (const host of ['caller.example', 'other.example']) assert.deepEqual(await call(port, host), ANSWERED);
      assert.equal(endpoint.connections.length, 1);
      const [first] = endpoint.requests;
      assert.deepEqual([first?.host, first?.serverName], [`127.0.0.1:${endpoint.port}`, '']);
      assert.deepEqual(
        records.map(({ head }) => head.authority),
        ['caller.example', 'other.example'],
        'the record tells what the caller asked for',
      );
    }
  });

  it('pass_host rewrite sends the host, and its name', async () => {
    for (const kind of ['HTTP/1.1 only', 'HTTP/2 only'] as const) {
      const endpoint = await startEndpoint(kind);
      const host = { passHost: 'rewrite', upstreamHost: 'web.example:8443' } as const;
      const { port, records } = await plane([endpoint.port], {}, { host });
      assert.deepEqual(await call(port, 'caller.example'), ANSWERED);
      assert.deepEqual(await call(port, 'other.example'), ANSWERED);
      const [first] = endpoint.requests;
      assert.deepEqual([first?.host, first?.serverName], ['web.example:8443', 'web.example']);
      assert.equal(endpoint.connections.length, 1);
      assert.deepEqual(
        records.map(({ head }) => head.authority),
        ['caller.example', 'other.example'],
      );
    }
  });

  it('of the endpoint that is tried next are its own', async () => {
    const bad = await startEndpoint('both', identity(await selfSigned(LOCAL)));
    const healthy = await startEndpoint('HTTP/1.1 only');
    const host = { passHost: 'node', upstreamHost: '' } as const;
    const { port } = await plane([bad.port, healthy.port], {}, { host });
    for (let i = 0; i < 2; i++) assert.deepEqual(await call(port), ANSWERED);
    for (const seen of healthy.requests) assert.equal(seen.host, `127.0.0.1:${healthy.port}`);
  });
});

describe('secrets that are missing', () => {
  const SECRET = { kind: 'secret', name: 'shop/web' } as const;

  it('are told, and what comes is used', async () => {
    const caller = await issueCertificate(authority, { commonName: 'caller' });
    const asking = { requestCert: true, rejectUnauthorized: true, ca: authority.certificatePem };
    const endpoint = await startEndpoint('both', { ...identity(good), ...asking });
    const checks = {
      active: { ...QUICK, type: 'https' },
      passive: { ...DEFAULT_PASSIVE, tcpFailures: 1, httpFailures: 1, timeouts: 1 },
    } as const;
    const started = await plane([endpoint.port], { ca: SECRET, clientCertificate: SECRET }, { checks });
    const answer = await call(started.port);
    assert.deepEqual([answer.status, answer.reason], [503, 'secret_missing']);
    assert.match(answer.body, /shop\/web/);
    const [live] = started.cluster.list();
    assert.equal(live?.cause, '', 'neither calls nor probes say anything of the endpoint');
    started.credentials.setSecrets(secrets({ name: SECRET.name, certificate: caller }));
    assert.equal((await call(started.port)).reason, 'secret_missing', 'half of it is not enough');
    started.credentials.setSecrets(secrets({ name: SECRET.name, certificate: caller, authorities: [authority] }));
    await until(() => started.cluster.tls?.error === '', 'it is used');
    assert.deepEqual(await call(started.port), ANSWERED);
    assert.equal(live.usable, true);
    started.credentials.setSecrets(new Map());
    await until(() => endpoint.connections.length > 3, 'probes go on');
    assert.deepEqual(await call(started.port), ANSWERED, 'what was there stays in force');
  });

  it('are told to gRPC callers', async () => {
    const { error } = await greet(
      clientOf(await plane([await startSecureGreeter(good)], { clientCertificate: SECRET }, { scheme: 'grpcs' })),
    );
    assert.equal(error?.code, status.UNAVAILABLE);
    assert.deepEqual(error.metadata.get('x-outrigger-reason'), ['secret_missing']);
  });
});

const QUICK: ActivePolicy = {
  ...DEFAULT_ACTIVE,
  timeoutMs: 500,
  healthy: { ...DEFAULT_ACTIVE.healthy, intervalMs: 15 },
  unhealthy: { ...DEFAULT_ACTIVE.unhealthy, intervalMs: 15, httpFailures: 2, tcpFailures: 2, timeouts: 2 },
};

describe('active checks', () => {
  /** Two endpoints of which the first is in question; resolves with whether it is used once both were probed often. */
  async function judged(
    inQuestion: Endpoint,
    active: Partial<ActivePolicy>,
    tls: Partial<UpstreamTlsPolicy> = {},
    policy: Partial<PortPolicy> = {},
  ): Promise<boolean> {
    const before = inQuestion.connections.length + inQuestion.requests.length;
    const checks = { active: { ...QUICK, ...active }, passive: undefined };
    const started = await plane([inQuestion.port], tls, { checks, ...policy });
    const [live] = started.cluster.list();
    await until(
      () =>
        /\((\d+) of \1\)/.test(live?.cause ?? '') ||
        inQuestion.connections.length + inQuestion.requests.length > before + 3,
      'judged',
    );
    const isDown = /(failed|malformed|timeout|not serving|status 5).*\(2 of 2\)/.test(live?.cause ?? '');
    started.close();
    return !isDown;
  }

  it('go over TLS wherever the calls do, and verify as they do', async () => {
    for (const type of ['http', 'https'] as const) {
      for (const kind of ['HTTP/1.1 only', 'HTTP/2 only', 'no ALPN'] as const) {
        const endpoint = await startEndpoint(kind);
        assert.equal(await judged(endpoint, { type }), true, `${type} ${kind}`);
        assert.equal(endpoint.requests[0]?.host, `127.0.0.1:${endpoint.port}`);
      }
      const bad = await startEndpoint('both', identity(await selfSigned(LOCAL)));
      assert.equal(await judged(bad, { type }), false);
      assert.equal(bad.requests.length, 0);
      assert.equal(await judged(bad, { type, verifyCertificate: false }), true, 'unless they are told not to');
      assert.equal(await judged(bad, { type }, { verify: false }), true);
      assert.equal(await judged(bad, { type, verifyCertificate: true }, { verify: false }), false);
      const verified = { type, verifyCertificate: true } as const;
      assert.equal(await judged(await startEndpoint('both'), verified, { verify: false }), true, 'by the authorities');
    }
  });

  it('look for a name only where one is known without a caller', async () => {
    const onlyDns = identity(await issueCertificate(authority, { dns: ['web.example'] }));
    const judge = async (active: Partial<ActivePolicy>, policy: Partial<PortPolicy> = {}): Promise<boolean> =>
      judged(await startEndpoint('both', onlyDns), { type: 'https', ...active }, {}, policy);
    assert.equal(await judge({}), true, 'the name comes with each call');
    assert.equal(await judge({ host: 'web.example' }), true);
    assert.equal(await judge({ host: 'other.example' }), false);
    assert.equal(
      await judge({}, { host: { passHost: 'node', upstreamHost: '' } }),
      false,
      'it is called by its address',
    );
  });

  it('of type https go over TLS also where calls do not', async () => {
    const endpoint = await startEndpoint('both');
    assert.equal(await judged(endpoint, { type: 'https' }, {}, { scheme: 'http' }), true);
    assert.ok(endpoint.requests.length > 0);
  });

  it('show the client certificate and ask for the server name', async () => {
    const caller = await issueCertificate(authority, { commonName: 'caller' });
    const asking = { requestCert: true, rejectUnauthorized: true, ca: authority.certificatePem };
    const endpoint = await startEndpoint('both', { ...identity(good), ...asking });
    const clientCertificate = certificateSource(caller);
    assert.equal(await judged(endpoint, { type: 'https' }), false);
    assert.equal(await judged(endpoint, { type: 'https', host: 'b.example' }, { clientCertificate }), true);
    const [first] = endpoint.requests;
    assert.deepEqual([first?.caller, first?.serverName, first?.host], ['caller', 'b.example', 'b.example']);
    const named = await startEndpoint('both', { ...identity(good), ...asking });
    assert.equal(await judged(named, { type: 'https' }, { clientCertificate, serverName: 'web.example' }), true);
    assert.equal(named.requests[0]?.serverName, 'web.example');
  });

  it('of type tcp look at the connection only', async () => {
    let connections = 0;
    const server = await startRawServer(() => connections++);
    closers.push(() => server.close());
    const active = { ...QUICK, type: 'tcp' } as const;
    const started = await plane([server.port], {}, { checks: { active, passive: undefined } });
    await until(() => connections > 3, 'probed');
    assert.deepEqual(
      [...started.cluster.list()].map(({ cause }) => /failed|timeout/.test(cause)),
      [false],
    );
  });

  it('of type grpc ask over TLS', async () => {
    let serving = 1;
    const seen = new Set<string>();
    const server = createSecureServer(identity(good) as { cert: string; key: string });
    server.on('stream', (stream, headers) => {
      seen.add(`${headers[':scheme']} ${headers[':path']}`);
      stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
      stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
      stream.on('error', () => undefined);
      stream.end(Buffer.from([0, 0, 0, 0, 2, 8, serving]));
    });
    server.on('session', (session) => closers.push(() => session.destroy()));
    const port = await listen(server);
    const active = { ...QUICK, type: 'grpc' } as const;
    const started = await plane([port], {}, { scheme: 'grpcs', checks: { active, passive: undefined } });
    const [live] = started.cluster.list();
    await until(() => seen.size > 0, 'probed');
    assert.deepEqual([...seen], ['https /grpc.health.v1.Health/Check']);
    serving = 2;
    await until(() => /not serving \(2 of 2\)/.test(live?.cause ?? ''), 'out');
    serving = 1;
    await until(() => /active grpc: serving/.test(live?.cause ?? ''), 'back');
    started.close();
    const unverified = await plane(
      [port],
      { ca: authoritiesSource(stranger) },
      {
        scheme: 'grpcs',
        checks: { active, passive: undefined },
      },
    );
    const [refused] = unverified.cluster.list();
    await until(() => /connection failed \(2 of 2\)/.test(refused?.cause ?? ''), 'out');
  });
});
