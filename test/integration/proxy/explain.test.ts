// Explain beside the real data plane: what it says of a request is what the same request then meets, and asking counts
// nothing.
import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import type { ExplainRequest } from '../../../src/gen/outrigger/admin/v1/admin.ts';
import { PortCell } from '../../../src/model/cells.ts';
import { issueAuthority, issueCertificate } from '../../support/certificates.ts';
import { endpointAt, startDataPlane, type TestPolicy } from '../../support/data-plane.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { callFields, connectGrpc, message } from '../../support/grpc-peer.ts';
import { rawCaller } from '../../support/raw-caller.ts';
import { authoritiesSource, httpsCall, listenerTls, upstreamTls } from '../../support/tls-peer.ts';
import { ScenePlane, UpstreamScene, type HeldCall } from '../../support/upstream-scene.ts';

const scene = new UpstreamScene();
afterEach(() => scene.close());

/** The request as its caller writes it, in UTF-8, and as Explain is asked about it. */
interface Asked extends Partial<Pick<ExplainRequest, 'path' | 'authority' | 'httpMethod'>> {
  readonly headers?: readonly string[];
}

/** Sends it over a connection of its own: the whole answer. */
async function send({ plane }: ScenePlane, { path = '/', authority = 'a', httpMethod = 'GET', headers = [] }: Asked) {
  const caller = await rawCaller(plane.port);
  const lines = [`${httpMethod} ${path} HTTP/1.1`, `Host: ${authority}`, ...headers, 'Connection: close'];
  caller.send(Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'utf8'));
  await caller.ended();
  const { text } = caller;
  caller.close();
  return {
    status: Number(text.slice(9, 12)),
    reason: /^x-outrigger-reason: (.*)\r$/im.exec(text)?.[1] ?? '',
    body: text.slice(text.indexOf('\r\n\r\n') + 4),
  };
}

function ask(one: ScenePlane, { headers = [], ...asked }: Asked) {
  return one.explain({ authority: 'a', ...asked, headers: [...headers] });
}

/** Asks, sends, and compares; returns what was said. */
async function sameForBoth(one: ScenePlane, asked: Asked) {
  const before = totals(one);
  const said = ask(one, asked);
  assert.deepEqual(totals(one), before, 'asking counts nothing');
  const answer = await send(one, asked);
  assert.equal(said.refused, answer.reason, JSON.stringify({ said, answer }));
  if (said.refused === '') assert.equal(said.pick, `127.0.0.1:${answer.body}`);
  else assert.equal(said.pick, '');
  return { said, answer };
}

function totals({ plane: { cluster, refusals } }: ScenePlane): number[] {
  const words = [
    PortCell.Requests,
    PortCell.HashFallbacks,
    PortCell.OverflowRequests,
    PortCell.OverflowPending,
    PortCell.OverflowConnections,
    PortCell.OverflowEndpoints,
  ];
  const levels = [PortCell.InFlight, PortCell.Pending, PortCell.Connections, PortCell.Cursor];
  return [refusals.length, ...words.map((word) => cluster.total(word)), ...levels.map((word) => cluster.level(word))];
}

describe('Explain and a request that the session refuses', () => {
  const wide = Array.from({ length: 101 }, (_, i) => `x-${i}: v`);
  const rows: readonly (readonly [string, Asked, number])[] = [
    ['CONNECT', { httpMethod: 'CONNECT' }, 405],
    ['TRACE', { httpMethod: 'TRACE' }, 405],
    ['a blank in the path', { path: '/a b' }, 400],
    ['a fragment', { path: '/a#b' }, 400],
    ['a path beyond ASCII', { path: '/é' }, 400],
    ['a path above its root', { path: '/../a' }, 400],
    ['* for GET', { path: '*' }, 400],
    ['a blank in the authority', { authority: 'a b' }, 400],
    ['userinfo', { authority: 'a@b' }, 400],
    ['a path in the authority', { authority: 'a/b' }, 400],
    ['an authority beyond ASCII', { authority: 'bücher' }, 400],
    ['a control character', { headers: ['x-a: b\u0001'] }, 400],
    ['DEL', { headers: ['x-a: \u007fb'] }, 400],
    ['two Hosts', { headers: ['host: a', 'host: b'] }, 400],
    ['two lengths', { headers: ['content-length: 0', 'content-length: 0'] }, 400],
    ['an expectation', { headers: ['expect: foo'] }, 417],
    ['a transfer coding', { headers: ['transfer-encoding: gzip, chunked'] }, 501],
    ['too many fields', { headers: wide }, 431],
    ['a large head', { headers: [`x-a: ${'v'.repeat(17_000)}`] }, 431],
    ['a long path', { path: `/${'a'.repeat(9000)}` }, 414],
    ['a websocket without a key', { headers: ['connection: upgrade', 'upgrade: websocket'] }, 400],
  ];
  for (const [what, asked, status] of rows) {
    it(`${what}: ${status}`, async () => {
      const one = await scene.plane([await scene.endpoint()]);
      const before = totals(one);
      const said = ask(one, asked);
      assert.deepEqual(totals(one), before);
      const { headers = [], ...rest } = asked;
      // The one Host that Explain takes for the authority is written as such.
      const sent = headers[0] === 'host: a' ? headers.slice(1) : headers;
      const answer = await send(one, { ...rest, headers: sent });
      assert.equal(answer.status, status);
      assert.equal(said.refused, answer.reason);
      assert.notEqual(said.refused, '');
      assert.equal(said.pick, '');
    });
  }

  it('what is odd and allowed goes through', async () => {
    const one = await scene.plane([await scene.endpoint()]);
    for (const asked of [
      { path: '*', httpMethod: 'OPTIONS' },
      { path: '/%61/./b?x=' },
      { headers: ['x-a: ü€😀', 'x-b:'] },
      { authority: '[::1]:80' },
      { headers: ['expect: 100-continue'] },
    ]) {
      const { said } = await sameForBoth(one, asked);
      assert.equal(said.refused, '');
    }
  });

  it('a gRPC call: malformed head, long path, malformed deadline, no HTTP/2', async () => {
    const plane = await scene.plane([await scene.endpoint()], { scheme: 'grpc' });
    const method = '/test.Service/Call';
    const caller = await connectGrpc(plane.plane.port);
    scene.closers.push(() => caller.socket.destroy());
    const call = caller.call(callFields(method, ['grpc-timeout', 'soon']), message('?'));
    await call.over();
    assert.equal(call.field('x-outrigger-reason'), 'bad_request');
    assert.equal(plane.explain({ method, headers: ['grpc-timeout: soon'] }).refused, 'bad_request');
    const long = `/test.Service/${'C'.repeat(9000)}`;
    const longCall = caller.call(callFields(long), message('?'));
    await longCall.over();
    assert.equal(longCall.field('x-outrigger-reason'), 'uri_too_long');
    assert.equal(plane.explain({ method: long }).refused, 'uri_too_long');
    assert.equal(plane.explain({ method, headers: ['connection: close'] }).refused, 'bad_request');
    assert.equal(plane.explain({ method, headers: ['grpc-timeout: 1S'] }).refused, '');
    const old = await scene.plane([await scene.endpoint()], { scheme: 'grpc' }, { protocols: 'http1' });
    assert.equal(old.explain({ method }).refused, 'bad_request');
  });

  it('what is a gRPC call is told by the content-type, also over HTTP/1.1', async () => {
    const one = await scene.plane([await scene.endpoint()]);
    const headers = ['content-type: application/grpc'];
    assert.equal(ask(one, { httpMethod: 'POST', headers }).refused, 'unsupported_bridge');
    assert.equal(ask(one, { httpMethod: 'PUT', headers }).refused, '');
    const caller = await rawCaller(one.plane.port);
    scene.closers.push(() => caller.close());
    caller.send('POST / HTTP/1.1\r\nHost: a\r\ncontent-type: application/grpc\r\n\r\n');
    await caller.until('x-outrigger-reason: unsupported_bridge');
  });
});

describe('Explain and limits', () => {
  const held: HeldCall[] = [];
  const hold = (call: HeldCall): void => void held.push(call);
  afterEach(() => void held.splice(0));

  it('max_requests', async () => {
    const endpoint = await scene.endpoint(hold);
    const one = await scene.plane([endpoint], { circuitBreakers: { maxRequests: 1 } });
    assert.equal(ask(one, {}).refused, '');
    await scene.caller(one);
    await one.until(() => held.length === 1, 'the first call');
    const { said, answer } = await sameForBoth(one, {});
    assert.equal(answer.status, 503);
    assert.equal(said.refused, 'overflow');
    assert.equal(said.refusedDetail, 'too many requests wait: max_requests is 1');
    assert.equal(said.endpoints[0]?.endpoint, endpoint.id);
    held[0]?.reply(200);
    await one.reaches({ requests: 0 });
    assert.equal(ask(one, {}).refused, '');
  });

  it('max_connections lets it wait, and max_pending_requests lets nobody wait besides', async () => {
    const one = await scene.plane([await scene.endpoint(hold)], {
      circuitBreakers: { maxConnections: 1, maxPendingRequests: 1 },
    });
    await scene.caller(one);
    await one.until(() => held.length === 1, 'the first call');
    const waits = ask(one, {});
    assert.equal(waits.refused, '');
    assert.match(waits.pickReason, /; it waits for a connection: max_connections is 1$/);
    await scene.caller(one);
    await one.reaches({ pending: 1 });
    const { said } = await sameForBoth(one, {});
    assert.equal(said.refused, 'overflow');
    assert.equal(said.refusedDetail, 'too many requests wait: max_pending_requests is 1');
  });

  it('an idle connection of another endpoint gives way', async () => {
    const endpoints = await scene.endpoints(2);
    const one = await scene.plane(endpoints, { circuitBreakers: { maxConnections: 1, maxPendingRequests: 1 } });
    for (let i = 0; i < 4; i++) {
      const { said } = await sameForBoth(one, {});
      assert.doesNotMatch(said.pickReason, /waits/);
    }
  });

  it('the bound of chash counts the request itself, as its pick does', async () => {
    const endpoints = await scene.endpoints(3, hold);
    const one = await scene.plane(endpoints, {
      balancer: { type: 'chash', hashOn: 'header', key: 'x-key', hashBalanceFactor: 150 },
    });
    for (let i = 1; i <= 9; i++) {
      const { pick } = ask(one, { headers: ['x-key: same'] });
      await scene.caller(one, 'GET / HTTP/1.1\r\nhost: a\r\nx-key: same\r\n\r\n');
      await one.until(() => held.length === i, `call ${i}`);
      const last = endpoints.find(({ calls }) => calls.at(-1) === held.at(-1));
      assert.equal(pick, last?.id, `call ${i}`);
    }
  });
});

describe('Explain and TLS', () => {
  const missing = { kind: 'secret', name: 'shop/web' } as const;

  it('a client certificate that is missing: secret_missing, and nothing else is tried', async () => {
    const tls = upstreamTls(await issueAuthority(), { clientCertificate: missing });
    const one = await scene.plane(await scene.endpoints(2), { scheme: 'https', tls });
    const { said, answer } = await sameForBoth(one, {});
    assert.equal(answer.status, 503);
    assert.equal(said.refused, 'secret_missing');
    assert.match(said.refusedDetail, /^a certificate for the upstream is missing: .*shop\/web/);
    assert.deepEqual(said.onFailure, []);
  });

  it('a host that no certificate can name is tried everywhere', async () => {
    const tls = upstreamTls(await issueAuthority());
    const one = await scene.plane(await scene.endpoints(3), { scheme: 'https', tls });
    const { said } = await sameForBoth(one, { authority: 'a!b' });
    assert.equal(said.refused, 'upstream_certificate_name_mismatch');
  });

  it('a listener that speaks TLS: the scheme is https; without a certificate nobody gets in', async () => {
    const authority = await issueAuthority();
    const certificate = await issueCertificate(authority, { dns: ['localhost'] });
    const clock = new FakeClock();
    const endpoints = await scene.endpoints(5);
    const balancer = { type: 'chash', hashOn: 'vars', key: 'scheme' } as const;
    const ports = endpoints.map(({ port }) => port);
    const plane = await startDataPlane(ports, { balancer }, listenerTls([certificate]), { clock });
    scene.closers.push(() => plane.close());
    const said = new ScenePlane(plane, clock).explain();
    assert.equal(said.hashKey, '"https" (vars scheme)');
    const { body } = await httpsCall(plane.port, { ca: authority.certificatePem });
    assert.equal(said.pick, `127.0.0.1:${body}`);

    const spec = { ...listenerTls([]), certificates: [missing], clientCa: authoritiesSource(authority) };
    const closed = await startDataPlane(ports, {}, spec, { clock });
    scene.closers.push(() => closed.close());
    const refused = new ScenePlane(closed, clock).explain();
    assert.equal(refused.refused, 'tls_handshake_failure');
    assert.match(refused.refusedDetail, /shop\/web/);
    await assert.rejects(httpsCall(closed.port, { ca: authority.certificatePem }));
  });
});

describe('Explain and hash keys', () => {
  const chash = (hashOn: 'vars' | 'header' | 'vars_combinations' | 'cookie', key: string): TestPolicy => ({
    balancer: { type: 'chash', hashOn, key },
  });

  it('a value beyond ASCII is hashed as its bytes and shown as text', async () => {
    const one = await scene.plane(await scene.endpoints(5), chash('header', 'x-user'));
    for (const user of ['ü', 'Zoë', '日本', '€ 5', '😀', 'plain']) {
      const { said } = await sameForBoth(one, { headers: [`x-user: ${user}`] });
      assert.equal(said.hashKey, `${JSON.stringify(user)} (header x-user)`);
    }
  });

  it('bytes that are no UTF-8 are shown as bytes', async () => {
    const one = await scene.plane(await scene.endpoints(5), chash('vars', 'arg_q'));
    const { said } = await sameForBoth(one, { path: '/?q=caf%E9' });
    assert.equal(said.hashKey, '"caf\\xE9" (vars arg_q)');
  });

  it('Host among the fields is the authority', async () => {
    for (const policy of [chash('vars', 'host'), chash('header', 'host'), chash('vars', 'http_host')]) {
      const one = await scene.plane(await scene.endpoints(5), policy);
      for (const host of ['one', 'two.example', 'three:8080', 'four']) {
        const said = one.explain({ headers: [`Host: ${host}`] });
        const { body } = await send(one, { authority: host });
        assert.equal(said.pick, `127.0.0.1:${body}`, host);
      }
    }
  });

  it('says what of a connection is assumed where the key depends on it, and nowhere else', async () => {
    const one = await scene.plane(await scene.endpoints(2), chash('vars_combinations', '${remote_port}/$uri'));
    assert.equal(
      one.explain().hashKey,
      `"40000//" (vars_combinations \${remote_port}/$uri; assumed: the caller's port 40000, which is another for each connection)`,
    );
    const [listener] = one.plane.config.listeners.values();
    assert.ok(listener);
    await one.plane.update([], chash('vars', 'server_addr'));
    assert.equal(one.explain().hashKey, '"127.0.0.1" (vars server_addr)');
    for (const [address, remoteAddress, assumed] of [
      ['0.0.0.0', '', '127.0.0.1'],
      ['::', '', '127.0.0.1'],
      ['::', '::1', '::1'],
    ] as const) {
      Object.defineProperty(listener, 'address', { value: address, configurable: true });
      assert.equal(
        one.explain({ remoteAddress }).hashKey,
        `"${assumed}" (vars server_addr; assumed: the address called, ${assumed}, since the listener has all)`,
      );
    }
    await one.plane.update([], chash('vars', 'uri'));
    assert.equal(one.explain().hashKey, '"/" (vars uri)');
    await one.plane.update([], chash('cookie', 'x'));
    assert.equal(one.explain().hashKey, '"127.0.0.1" (remote_addr, since cookie x has no value)');
  });
});

describe('Explain and endpoints', () => {
  const crowd = Array.from({ length: 1200 }, (_, i) => endpointAt(80, { address: `10.0.${i >> 8}.${i & 255}` }));

  it('beyond 1,000 the pick and those of further attempts come first, and the rest is counted', async () => {
    for (const type of ['roundrobin', 'chash', 'ewma', 'least_conn'] as const) {
      const balancer = { type, ...(type === 'chash' ? ({ hashOn: 'header', key: 'x-key' } as const) : {}) };
      const one = await scene.plane(crowd, { balancer });
      for (let i = 0; i < 8; i++) {
        const said = one.explain({ headers: [`x-key: ${i}`] });
        const named = said.onFailure.flatMap((line) => /^attempt \d+: (\S+)$/.exec(line)?.[1] ?? []);
        assert.equal(named.length, 9);
        assert.deepEqual(
          said.endpoints.slice(0, 10).map(({ endpoint }) => endpoint),
          [said.pick, ...named],
        );
        assert.ok(said.endpoints.slice(0, 10).every(({ usable, score }) => usable && score !== ''));
        assert.equal(new Set(said.endpoints.map(({ endpoint }) => endpoint)).size, 1000);
        assert.equal(said.endpointsLeftOut, 200);
      }
    }
  });

  it('of 1,000 and fewer none is left out, and those that are out come last', async () => {
    const specs = [
      endpointAt(1, { weight: 0 }),
      endpointAt(2, { priority: -1 }),
      endpointAt(3),
      endpointAt(4, { draining: true }),
    ];
    const one = await scene.plane(specs);
    const { endpoints, endpointsLeftOut } = one.explain();
    assert.equal(endpointsLeftOut, 0);
    assert.deepEqual(
      endpoints.map(({ endpoint, usable }) => [Number(endpoint.slice(10)), usable]),
      [
        [3, true],
        [2, false],
        [1, false],
        [4, false],
      ],
    );
  });

  it('where every weight is 0, chash refuses and says why of each; the others serve', async () => {
    const endpoints = await scene.endpoints(2);
    const specs = endpoints.map(({ port }) => endpointAt(port, { weight: 0 }));
    for (const type of ['roundrobin', 'ewma', 'least_conn'] as const) {
      const one = await scene.plane(specs, { balancer: { type } });
      const said = one.explain();
      assert.equal(said.refused, '', type);
      assert.ok(said.endpoints.every(({ usable }) => usable));
      assert.equal((await send(one, {})).status, 200);
    }
    const chash = { type: 'chash', hashOn: 'vars', key: 'uri' } as const;
    const one = await scene.plane(specs, { balancer: chash });
    const { said, answer } = await sameForBoth(one, {});
    assert.equal(answer.status, 503);
    assert.equal(said.refused, 'no_endpoints');
    assert.match(said.refusedDetail, /every weight is 0$/);
    for (const { usable, reason } of said.endpoints) {
      assert.deepEqual([usable, reason], [false, 'weight 0: chash has no point for it on the ring']);
    }
    // A single endpoint is used without a ring.
    const [alone] = specs;
    assert.ok(alone);
    const single = await scene.plane([alone], { balancer: chash });
    const found = await sameForBoth(single, {});
    assert.deepEqual([found.said.refused, found.said.endpoints[0]?.usable], ['', true]);
    assert.equal(found.said.pickReason, 'chash: the only endpoint');
  });
});

describe('Explain and chance', () => {
  it('least_conn: says how many are equal, and only where some are', async () => {
    const held: HeldCall[] = [];
    const endpoints = await scene.endpoints(3, (call) => held.push(call));
    const specs = endpoints.map(({ port }, i) => endpointAt(port, { weight: i === 0 ? 2 : 1 }));
    const one = await scene.plane(specs, { balancer: { type: 'least_conn' } });
    assert.equal(one.explain().pickReason, 'least_conn: fewest calls in flight for its weight');
    // 1/2 against 1 and 1; then 2/2 against them, and the heavier goes first; then two are left.
    for (let i = 1; i <= 2; i++) {
      await scene.caller(one);
      await one.until(() => held.length === i, `call ${i}`);
      assert.equal(endpoints[0]?.calls.length, i);
    }
    const seen = new Set<string>();
    for (let i = 0; i < 40; i++) {
      const { pick, pickReason } = one.explain();
      seen.add(pick);
      assert.equal(
        pickReason,
        'least_conn: fewest calls in flight for its weight; 2 are equal in that, and one of them is drawn by chance: another draw may give another',
      );
    }
    assert.deepEqual(
      [...seen].sort(),
      endpoints
        .slice(1)
        .map(({ id }) => id)
        .sort(),
    );
  });

  it('of further attempts: drawn by chance but with chash, and where only one is left', async () => {
    const drawn = (one: ScenePlane): boolean => one.explain().onFailure.some((line) => /by chance/.test(line));
    for (const [count, type, expected] of [
      [3, 'roundrobin', true],
      [2, 'roundrobin', false],
      [3, 'ewma', true],
      [3, 'least_conn', true],
      [3, 'chash', false],
    ] as const) {
      const balancer = { type, ...(type === 'chash' ? ({ hashOn: 'vars', key: 'uri' } as const) : {}) };
      assert.equal(drawn(await scene.plane(someEndpoints(count), { balancer })), expected, `${count} ${type}`);
    }
  });

  it('roundrobin: says so where one is at its limit', async () => {
    const held: HeldCall[] = [];
    const endpoints = await scene.endpoints(3, (call) => held.push(call));
    const one = await scene.plane(endpoints, { circuitBreakers: { maxRequestsPerEndpoint: 1 } });
    assert.equal(one.explain().pickReason, 'roundrobin: next in the rotation');
    await scene.caller(one);
    await one.until(() => held.length === 1, 'a call');
    assert.match(one.explain().pickReason, /as many calls as it may another is drawn by chance$/);
  });
});

function someEndpoints(count: number) {
  return Array.from({ length: count }, (_, i) => endpointAt(i + 1));
}

describe('Explain and a listener', () => {
  it('that is not bound takes nothing', async () => {
    const one = await scene.plane([await scene.endpoint()]);
    const { port } = one.plane;
    const [listener] = one.plane.config.listeners.values();
    assert.ok(listener);
    listener.release();
    listener.bindError = 'the port is taken';
    Object.defineProperty(listener, 'port', { value: port });
    const { refused, refusedDetail, pick } = one.explain();
    assert.deepEqual([refused, refusedDetail, pick], ['not_listening', 'the port is taken', '']);
  });
});
