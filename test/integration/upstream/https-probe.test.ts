import assert from 'node:assert/strict';
import { once } from 'node:events';
import http2, { type Http2ServerRequest, type Http2ServerResponse } from 'node:http2';
import https from 'node:https';
import net, { type AddressInfo, type Server, type Socket } from 'node:net';
import tls from 'node:tls';
import { before, describe, it } from 'node:test';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { silentLogger } from '../../../src/base/log.ts';
import type { ProbeOutcome } from '../../../src/health/evidence.ts';
import type { ActivePolicy } from '../../../src/model/policy.ts';
import type { TlsConnector } from '../../../src/net/tls.ts';
import { probeHttps } from '../../../src/upstream/https-probe.ts';
import {
  issueAuthority,
  issueCertificate,
  type TestAuthority,
  type TestCertificate,
} from '../../support/certificates.ts';
import { FakeClock } from '../../support/fake-clock.ts';

const POLICY: ActivePolicy = {
  type: 'https',
  verifyCertificate: undefined,
  timeoutMs: 1000,
  concurrency: 10,
  host: undefined,
  port: undefined,
  httpPath: '/health?deep=1',
  httpMethod: 'GET',
  requestFields: [],
  grpcService: '',
  httpBody: '',
  start: 'healthy',
  healthy: { intervalMs: 1000, statuses: [200], successes: 1 },
  unhealthy: { intervalMs: 1000, statuses: [500], httpFailures: 1, tcpFailures: 1, timeouts: 1 },
};
const ANSWERED: ProbeOutcome = { kind: 'answered', status: 204 };
const FAILED: ProbeOutcome = { kind: 'failed' };
const MALFORMED: ProbeOutcome = { kind: 'malformed' };
/** An HTTP/2 server's empty SETTINGS. */
const SETTINGS = '000000040000000000';

let authority: TestAuthority;
let certificate: TestCertificate;

before(async () => {
  authority = await issueAuthority();
  certificate = await issueCertificate(authority, { ips: ['127.0.0.1', '::1'], dns: ['web.example'] });
});

function identity(): { cert: string; key: string } {
  return { cert: certificate.certificatePem, key: certificate.keyPem };
}

function connectorWith(options: {
  alpn?: readonly string[];
  serverName?: string;
  ca?: string;
  identity?: { cert: string; key: string };
}): TlsConnector {
  return {
    context: tls.createSecureContext({ ca: options.ca ?? authority.certificatePem, ...options.identity }),
    serverName: options.serverName ?? '',
    alpn: options.alpn ?? ['h2', 'http/1.1'],
    session: undefined,
    keepSession: () => assert.fail('a probe keeps no session'),
    forgetSession: () => undefined,
    refusal: (_, verifyCode) =>
      verifyCode === undefined ? undefined : { kind: 'upstream_certificate_untrusted', detail: 'not trusted' },
  };
}

async function listen(server: Server, host = '127.0.0.1', port = 0): Promise<number> {
  server.listen(port, host);
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

/** Probes once; afterwards neither a timer nor a connection is left, else the server would never close. */
async function probeOnce(
  server: Server,
  options: { connector?: TlsConnector; policy?: Partial<ActivePolicy>; host?: string; port?: number } = {},
): Promise<ProbeOutcome> {
  const { host = '127.0.0.1' } = options;
  const port = await listen(server, host, options.port);
  const clock = new FakeClock();
  const outcomes: ProbeOutcome[] = [];
  await new Promise<void>((resolve) => {
    probeHttps(
      { address: host, port, host: '' },
      { ...POLICY, ...options.policy },
      options.connector ?? connectorWith({}),
      { clock, logger: silentLogger },
      (outcome) => {
        outcomes.push(outcome);
        resolve();
      },
    );
  });
  server.close();
  await once(server, 'close');
  assert.equal(clock.waiting, 0);
  assert.equal(outcomes.length, 1);
  const [outcome] = outcomes;
  assert.ok(outcome);
  return outcome;
}

/** What SNI asked for; false for nothing. The types don't know it. */
function serverNameOf(socket: Socket): unknown {
  return 'servername' in socket ? socket.servername : undefined;
}

type Seen = (request: IncomingMessage | Http2ServerRequest) => void;

function answer(seen: Seen = () => undefined) {
  return (request: IncomingMessage | Http2ServerRequest, response: ServerResponse | Http2ServerResponse): void => {
    seen(request);
    response.statusCode = 204;
    response.end();
  };
}

/** A TLS server that answers each connection with the same bytes. */
function scripted(alpn: readonly string[], bytes: string | Buffer): Server {
  return tls.createServer({ ...identity(), ALPNProtocols: [...alpn] }, (socket) => {
    socket.on('error', () => undefined).resume();
    socket.write(bytes);
  });
}

function withSockets(server: Server, each: (socket: Socket) => void): Server {
  return server.on('connection', (socket: Socket) => {
    socket.on('error', () => undefined);
    each(socket);
  });
}

describe('a probe over TLS', () => {
  it('takes HTTP/2 where both are offered, and HTTP/1.1 where that is all there is', async () => {
    const versions: string[] = [];
    const note: Seen = (request) => versions.push(request.httpVersion);
    assert.deepEqual(
      await probeOnce(http2.createSecureServer({ ...identity(), allowHTTP1: true }, answer(note))),
      ANSWERED,
    );
    assert.deepEqual(await probeOnce(http2.createSecureServer(identity(), answer(note))), ANSWERED);
    assert.deepEqual(await probeOnce(https.createServer(identity(), answer(note))), ANSWERED);
    assert.deepEqual(versions, ['2.0', '2.0', '1.1']);
  });

  it('speaks HTTP/1.1 to a server without ALPN, unless only HTTP/2 is offered', async () => {
    const make = (): Server =>
      tls.createServer(identity(), (socket) => {
        socket.on('error', () => undefined).resume();
        socket.write('HTTP/1.1 103 Early\r\n\r\nHTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n');
      });
    assert.deepEqual(await probeOnce(make()), { kind: 'answered', status: 503 });
    assert.deepEqual(await probeOnce(make(), { connector: connectorWith({ alpn: ['h2'] }) }), {
      kind: 'failed',
      detail: 'the endpoint chose nothing by ALPN',
    });
  });

  it('remembers no version: the next server at that port may speak another', async () => {
    const first = http2.createSecureServer(identity(), answer());
    const port = await listen(first);
    first.close();
    await once(first, 'close');
    const versions: string[] = [];
    const note: Seen = (request) => versions.push(request.httpVersion);
    const servers = [
      http2.createSecureServer(identity(), answer(note)),
      https.createServer(identity(), answer(note)),
      http2.createSecureServer(identity(), answer(note)),
    ];
    for (const server of servers) assert.deepEqual(await probeOnce(server, { port }), ANSWERED);
    assert.deepEqual(versions, ['2.0', '1.1', '2.0']);
  });

  for (const version of ['1.1', '2.0'] as const) {
    const make = (handler: ReturnType<typeof answer>): Server =>
      version === '2.0' ? http2.createSecureServer(identity(), handler) : https.createServer(identity(), handler);

    it(`asks over HTTP/${version} as the policy says`, async () => {
      const requests: Record<string, unknown>[] = [];
      const note: Seen = ({ method, url, headers, socket }) => {
        const { ':authority': authority, host = authority, 'x-a': a, cookie, 'user-agent': agent } = headers;
        const servername = serverNameOf(socket);
        requests.push({ method, url, host, a, cookie, agent, servername });
      };
      const policy = {
        httpMethod: 'HEAD',
        host: 'web.example:8443',
        requestFields: [
          'x-a',
          '1',
          'X-A',
          'é',
          'cookie',
          'a=1',
          'cookie',
          'b=2',
          'user-agent',
          'one',
          'user-agent',
          'two',
        ],
      };
      await probeOnce(make(answer(note)), { policy, connector: connectorWith({ serverName: 'web.example' }) });
      assert.deepEqual(requests, [
        {
          method: 'HEAD',
          url: '/health?deep=1',
          host: 'web.example:8443',
          a: '1, é',
          cookie: 'a=1; b=2',
          agent: 'one, two',
          servername: 'web.example',
        },
      ]);
    });

    it(`sends a body over HTTP/${version}, with its length, whatever the method`, async () => {
      const seen: unknown[] = [];
      const receive: ReturnType<typeof answer> = (request, response) => {
        const chunks: Buffer[] = [];
        request.on('data', (chunk: Buffer) => chunks.push(chunk));
        request.on('end', () => {
          const { 'content-length': length, 'transfer-encoding': coding } = request.headers;
          seen.push([request.method, length, coding, Buffer.concat(chunks).toString()]);
          response.statusCode = 204;
          response.end();
        });
      };
      for (const httpMethod of ['GET', 'POST', 'PUT', 'DELETE', 'PATCH', 'HEAD', 'OPTIONS', 'PURGE']) {
        const server =
          version === '2.0' ? http2.createSecureServer(identity(), receive) : https.createServer(identity(), receive);
        assert.deepEqual(await probeOnce(server, { policy: { httpMethod, httpBody: 'é=1' } }), ANSWERED);
        assert.deepEqual(seen.pop(), [httpMethod, '4', undefined, 'é=1']);
      }
      const big = 'x'.repeat(65_536);
      const server =
        version === '2.0' ? http2.createSecureServer(identity(), receive) : https.createServer(identity(), receive);
      assert.deepEqual(await probeOnce(server, { policy: { httpMethod: 'POST', httpBody: big } }), ANSWERED);
      assert.deepEqual(seen.pop(), ['POST', '65536', undefined, big]);
      const traced = make(answer(({ method, headers }) => seen.push([method, headers['content-length']])));
      assert.deepEqual(await probeOnce(traced, { policy: { httpMethod: 'TRACE', httpBody: 'x' } }), ANSWERED);
      assert.deepEqual(seen.pop(), ['TRACE', undefined]);
    });

    it(`asks over HTTP/${version} by CONNECT for a tunnel, and takes the status of the answer`, async () => {
      for (const status of [200, 503]) {
        const seen: unknown[] = [];
        const server =
          version === '2.0'
            ? http2.createSecureServer(identity()).on('stream', (stream, headers) => {
                const { ':authority': at, ':path': path, ':scheme': scheme, 'content-length': length } = headers;
                seen.push(headers[':method'], at, path, scheme, length);
                stream.respond({ ':status': status });
                stream.on('error', () => undefined);
              })
            : https.createServer(identity()).on('connect', ({ method, url, headers }, socket) => {
                seen.push(method, url, headers.host === url ? undefined : headers.host, undefined);
                seen.push(headers['content-length']);
                socket.write(`HTTP/1.1 ${status} Whatever\r\n\r\n`);
              });
        const policy = { httpMethod: 'CONNECT', httpBody: 'none', host: 'web.example:8443' };
        assert.deepEqual(await probeOnce(server, { policy }), { kind: 'answered', status });
        assert.deepEqual(seen, ['CONNECT', 'web.example:8443', undefined, undefined, undefined]);
      }
    });

    it(`asks over HTTP/${version} at an IPv6 address`, async () => {
      const hosts: unknown[] = [];
      const note: Seen = ({ headers, socket }) => {
        hosts.push(headers.host ?? headers[':authority'], serverNameOf(socket), headers['user-agent']);
      };
      const server = make(answer(note));
      assert.deepEqual(await probeOnce(server, { host: '::1' }), ANSWERED);
      assert.match(String(hosts[0]), /^\[::1\]:\d+$/);
      assert.deepEqual(hosts.slice(1), [false, 'outrigger-health-check']);
    });
  }

  it('probes the port of the policy where it has one', async () => {
    const server = https.createServer(identity(), answer());
    const port = await listen(server);
    const outcome = await new Promise<ProbeOutcome>((resolve) => {
      const context = { clock: new FakeClock(), logger: silentLogger };
      probeHttps({ address: '127.0.0.1', port: 1, host: '' }, { ...POLICY, port }, connectorWith({}), context, resolve);
    });
    assert.deepEqual(outcome, ANSWERED);
    server.close();
  });

  it('shows its certificate to a server that requires one', async () => {
    const options = { ...identity(), requestCert: true, ca: authority.certificatePem };
    const own = await issueCertificate(authority, { usage: ['client'] });
    const connector = connectorWith({ identity: { cert: own.certificatePem, key: own.keyPem } });
    const make = [
      () => http2.createSecureServer(options, answer()),
      () => https.createServer({ ...options, rejectUnauthorized: true }, answer()),
    ];
    for (const server of make) {
      assert.deepEqual(await probeOnce(server(), { connector }), ANSWERED);
      assert.deepEqual(await probeOnce(server()), {
        kind: 'failed',
        detail: 'the endpoint requires a client certificate: give tls.client_cert, or a Secret with one',
      });
    }
  });

  it('asks nothing of a server that the connector refuses', async () => {
    const other = await issueAuthority({ commonName: 'another' });
    const connector = connectorWith({ ca: other.certificatePem });
    const never: Seen = () => assert.fail('it was asked');
    const servers = [
      http2.createSecureServer(identity(), answer(never)),
      https.createServer(identity(), answer(never)),
    ];
    const expected: ProbeOutcome = { kind: 'failed', detail: 'not trusted' };
    for (const server of servers) assert.deepEqual(await probeOnce(server, { connector }), expected);
  });

  it('leaves it to the connector which name the certificate must have', async () => {
    const connector = connectorWith({ serverName: 'not.in.the.certificate' });
    assert.deepEqual(await probeOnce(https.createServer(identity(), answer()), { connector }), ANSWERED);
  });

  it('takes no protocol that it does not speak', async () => {
    const connector = connectorWith({ alpn: ['spdy/3', 'h2'] });
    assert.deepEqual(await probeOnce(scripted(['spdy/3'], 'HTTP/1.1 200 OK\r\n\r\n'), { connector }), {
      kind: 'failed',
      detail: 'the endpoint chose "spdy/3" by ALPN',
    });
  });
});

describe('a probe over TLS that gets no answer', () => {
  it('fails at a plaintext server, a reset, a close and a closed port', async () => {
    const plaintext = net.createServer((socket) => {
      socket.on('error', () => undefined).resume();
      socket.write('HTTP/1.1 400 Bad Request\r\n\r\n');
    });
    assert.deepEqual(await probeOnce(plaintext), {
      kind: 'failed',
      detail: 'the endpoint answered without TLS: set scheme http or grpc, or give the endpoint TLS',
    });
    const resets = withSockets(net.createServer(), (socket) => socket.resetAndDestroy());
    assert.deepEqual(await probeOnce(resets), FAILED);
    const ends = withSockets(net.createServer(), (socket) => socket.resume().end());
    assert.deepEqual(await probeOnce(ends), FAILED);
    const port = await listen(ends);
    ends.close();
    await once(ends, 'close');
    const outcome = await new Promise<ProbeOutcome>((resolve) => {
      const context = { clock: new FakeClock(), logger: silentLogger };
      probeHttps({ address: '127.0.0.1', port, host: '' }, POLICY, connectorWith({}), context, resolve);
    });
    assert.deepEqual(outcome, FAILED);
  });

  it('fails where the connection ends before the answer', async () => {
    for (const alpn of ['h2', 'http/1.1']) {
      for (const end of ['end', 'destroy'] as const) {
        const server = tls.createServer({ ...identity(), ALPNProtocols: [alpn] }, (socket) => {
          socket.on('error', () => undefined).resume();
          socket[end]();
        });
        assert.deepEqual(await probeOnce(server), FAILED, `${alpn} ${end}`);
      }
    }
    const half = tls.createServer(identity(), (socket) => {
      socket.on('error', () => undefined).resume();
      socket.end('HTTP/1.1 20');
    });
    assert.deepEqual(await probeOnce(half), FAILED);
    const long = `HTTP/1.1 200 OK\r\nx: ${'x'.repeat(100_000)}\r\n\r\n`;
    assert.deepEqual(await probeOnce(scripted(['http/1.1'], long)), FAILED);
    const refused = Buffer.from(`${SETTINGS}0000040300 00000001 00000007`.replaceAll(' ', ''), 'hex');
    assert.deepEqual(await probeOnce(scripted(['h2'], refused)), FAILED);
    const goesAway = Buffer.from(`${SETTINGS}0000080700 00000000 00000000 00000001`.replaceAll(' ', ''), 'hex');
    assert.deepEqual(await probeOnce(scripted(['h2'], goesAway)), FAILED);
  });

  it('tells an answer that is none', async () => {
    assert.deepEqual(await probeOnce(scripted(['http/1.1'], 'SSH-2.0-OpenSSH_9.2p1\r\n\r\n')), MALFORMED);
    assert.deepEqual(await probeOnce(scripted(['h2'], 'HTTP/1.1 400 Bad Request\r\n\r\n')), MALFORMED);
    // HEADERS with an empty block: no :status.
    const noStatus = Buffer.from(`${SETTINGS}0000000105 00000001`.replaceAll(' ', ''), 'hex');
    assert.deepEqual(await probeOnce(scripted(['h2'], noStatus)), MALFORMED);
    const switching = [
      'HTTP/1.1 101 Switching Protocols\r\n\r\n',
      'HTTP/1.1 101 x\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n',
    ];
    for (const head of switching) assert.deepEqual(await probeOnce(scripted(['http/1.1'], head)), MALFORMED);
  });

  /** Servers that fall silent, and when. */
  const SILENT: Record<string, (silent: () => void) => Server> = {
    'before the handshake': (silent) =>
      net.createServer((socket) => {
        socket.on('error', () => undefined).resume();
        silent();
      }),
    'over HTTP/1.1': (silent) => https.createServer(identity(), silent),
    'over HTTP/2': (silent) => http2.createSecureServer(identity(), silent),
    'in the middle of a head': (silent) =>
      tls.createServer(identity(), (socket) => {
        socket.on('error', () => undefined);
        socket.write('HTTP/1.1 200 OK\r\n');
        socket.once('data', silent);
      }),
  };

  for (const [when, make] of Object.entries(SILENT)) {
    it(`ends in time at a server that falls silent ${when}, and silently when cancelled`, async () => {
      for (const cancels of [false, true]) {
        const clock = new FakeClock();
        const outcomes: ProbeOutcome[] = [];
        let cancel: () => void = () => undefined;
        let server: Server | undefined;
        await new Promise<void>((resolve) => {
          const made = make(resolve);
          server = made;
          void listen(made).then((port) => {
            const context = { clock, logger: silentLogger };
            const target = { address: '127.0.0.1', port, host: '' };
            cancel = probeHttps(target, POLICY, connectorWith({}), context, (outcome) => outcomes.push(outcome));
          });
        });
        assert.ok(server);
        if (cancels) cancel();
        clock.advance(POLICY.timeoutMs - 1);
        assert.deepEqual(outcomes, []);
        clock.advance(1);
        const expected: ProbeOutcome[] = cancels ? [] : [{ kind: 'timeout' }];
        assert.deepEqual(outcomes, expected);
        assert.equal(clock.waiting, 0);
        server.close();
        await once(server, 'close');
        cancel();
        assert.deepEqual(outcomes, expected);
      }
    });
  }

  it('opens nothing when it is cancelled at once', async () => {
    let accepted = 0;
    const server = withSockets(net.createServer(), (socket) => {
      accepted++;
      socket.destroy();
    });
    const port = await listen(server);
    const clock = new FakeClock();
    const never = (): void => assert.fail('it was cancelled');
    const context = { clock, logger: silentLogger };
    probeHttps({ address: '127.0.0.1', port, host: '' }, POLICY, connectorWith({}), context, never)();
    assert.equal(clock.waiting, 0);
    await import('http2-wrapper'); // what the probe waited for, too
    // Connections are accepted in the order they were made.
    const later = net.connect(port, '127.0.0.1').on('error', () => undefined);
    later.resume();
    await once(later, 'close');
    assert.equal(accepted, 1);
    server.close();
    await once(server, 'close');
  });
});
