// Calls through the data plane while DNS changes and fails: a real resolver and DNS server, with the time of the name
// table moved by hand.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { Agent, createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { silentLogger } from '../../../src/base/log.ts';
import { seededRng } from '../../../src/base/rng.ts';
import { canonicalIp } from '../../../src/base/ip-address.ts';
import type { LookupResult } from '../../../src/discovery/answer.ts';
import { createNameTable } from '../../../src/discovery/name-table.ts';
import { activeNamesOf } from '../../../src/discovery/port-endpoints.ts';
import { createNameResolver } from '../../../src/discovery/resolver.ts';
import type { EndpointSpec, NameSpec, Snapshot } from '../../../src/model/snapshot.ts';
import { issueAuthority, issueCertificate } from '../../support/certificates.ts';
import { startDataPlane, type TestPolicy } from '../../support/data-plane.ts';
import { nameSpec } from '../../support/dns-names.ts';
import { startDnsServer, type Fault } from '../../support/dns-server.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { httpCall } from '../../support/http-call.ts';
import { upstreamTls } from '../../support/tls-peer.ts';

/** Longer than any time to live here and any wait after a failure. */
const NEXT_LOOKUP_MS = 100_000;
const STEP_MS = 20_000;

/** HTTP servers on one port of several addresses; each answers with its address. */
async function startServers(t: TestContext, addresses: readonly string[]) {
  const served = new Map<string, number>(addresses.map((address) => [address, 0]));
  const servers: Server[] = [];
  const listen = async (address: string, port: number): Promise<number> => {
    const server = createServer((_request, response) => {
      served.set(address, (served.get(address) ?? 0) + 1);
      response.end(address);
    });
    await new Promise<void>((resolve, reject) => server.once('error', reject).listen(port, address, resolve));
    servers.push(server);
    return (server.address() as AddressInfo).port;
  };
  t.after(() => {
    for (const server of servers) server.close().closeAllConnections();
  });
  const [first = '127.0.0.1', ...others] = addresses;
  const port = await listen(first, 0);
  for (const address of others) await listen(address, port);
  return { port, served };
}

interface Scene {
  readonly policy?: TestPolicy;
  /** Text of resolv.conf. */
  readonly conf?: string;
  /** Whether the machine has IPv6. */
  readonly ipv6?: boolean;
}

async function setUp(t: TestContext, addresses: readonly string[], { policy, conf = '', ipv6 = true }: Scene = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'dns-plane-'));
  t.after(() => rmSync(folder, { recursive: true }));
  writeFileSync(join(folder, 'resolv.conf'), conf);
  const servers = await startServers(t, addresses);
  const dns = await startDnsServer();
  const plane = await startDataPlane([], policy);
  const clock = new FakeClock();
  const resolver = createNameResolver({
    canonicalIp,
    servers: [dns.address],
    hostsPath: '/nonexistent/hosts',
    resolvConfPath: join(folder, 'resolv.conf'),
    timeoutMs: 250,
    tries: 1,
  });
  const inFlight = new Set<Promise<LookupResult>>();
  let applied: Promise<void> = Promise.resolve();
  let raw: Snapshot = plane.config.snapshot;
  const apply = (): void => {
    applied = plane.config.apply(table.expand(raw, plane.config.snapshot));
  };
  const table = createNameTable({
    clock,
    rng: seededRng(1),
    logger: silentLogger,
    lookup(query) {
      const result = resolver.lookup(query);
      inFlight.add(result);
      void result.finally(() => inFlight.delete(result));
      return result;
    },
    families: () => ({ ipv4: true, ipv6 }),
    onChange: apply,
  });
  const agent = new Agent({ keepAlive: true });
  t.after(async () => {
    agent.destroy();
    table.stop();
    resolver.stop();
    plane.close();
    await dns.close();
  });
  /** Waits for the look-ups in flight, and what comes of them. */
  const settle = async (): Promise<void> => {
    while (inFlight.size > 0) await Promise.all(inFlight);
    await new Promise((resolve) => setImmediate(resolve));
    clock.advance(10);
    await applied;
  };
  return {
    ...servers,
    dns,
    plane,
    table,
    /** These are the nodes from now on; resolves when all names were looked up. */
    async configure(names: readonly NameSpec[], endpoints: readonly EndpointSpec[] = []): Promise<void> {
      const ports = [...raw.ports].map(([key, port]) => [key, { ...port, names, endpoints }] as const);
      raw = { ...raw, number: raw.number + 1, ports: new Map(ports) };
      table.want(activeNamesOf(raw));
      apply();
      await table.settled();
      await settle();
    },
    /** Every name is looked up again, at least once. */
    async lookUpAgain(): Promise<void> {
      for (let ms = 0; ms < NEXT_LOOKUP_MS; ms += STEP_MS) {
        clock.advance(STEP_MS);
        await settle();
      }
    },
    call: () => httpCall(plane.port, { agent }),
    endpointsNow: () => [...plane.config.snapshot.ports.values()].flatMap(({ endpoints }) => endpoints),
  };
}

test('APISIX row 62, P-011: 200, 200, 200 through every fault of DNS after one good answer', async (t) => {
  const { dns, port, configure, call, lookUpAgain, plane } = await setUp(t, ['127.0.0.1']);
  dns.set('web.x', ['A 127.0.0.1'], 1);
  await configure([nameSpec('web.x', { port })]);
  const { snapshot } = plane.config;
  const faults: readonly Fault[] = ['NXDOMAIN', 'SERVFAIL', 'REFUSED', 'malformed', 'silent'];
  for (const fault of [undefined, ...faults, undefined]) {
    dns.fail('web.x', fault);
    const before = dns.asked.length;
    await lookUpAgain();
    assert.ok(dns.asked.length > before);
    assert.equal((await call()).status, 200, fault);
  }
  assert.equal(plane.config.snapshot, snapshot, 'nothing was applied again');
});

test('APISIX row 63, P-011: a name alone that cannot be found is 503 with the reason, and comes back', async (t) => {
  const { dns, port, configure, call, lookUpAgain, table } = await setUp(t, ['127.0.0.1']);
  const name = nameSpec('web.x', { port });
  await configure([name]);
  const refused = await call();
  assert.equal(refused.status, 503);
  assert.equal(refused.headers['x-outrigger-reason'], 'no_endpoints');
  assert.equal(table.statuses([name])[0]?.error, 'no such name (NXDOMAIN)');
  dns.set('web.x', ['A 127.0.0.1']);
  await lookUpAgain();
  assert.equal((await call()).status, 200);
});

test('APISIX row 63: a name that cannot be found, or of weight 0, beside a live address is 200', async (t) => {
  const { dns, port, configure, call } = await setUp(t, ['127.0.0.1', '127.0.0.2']);
  const live: EndpointSpec = {
    address: '127.0.0.1',
    port,
    weight: 1,
    priority: 0,
    draining: false,
    labels: new Map(),
    host: '',
  };
  dns.set('zero.x', ['A 127.0.0.2']);
  await configure([nameSpec('gone.x', { port }), nameSpec('zero.x', { port, weight: 0 })], [live]);
  for (let i = 0; i < 4; i++) {
    const { status, body } = await call();
    assert.equal(status, 200);
    assert.equal(body.toString(), '127.0.0.1');
  }
  assert.ok(!dns.asked.some((question) => question.startsWith('zero.x')));
});

test('APISIX row 72: an address in IPv6 is called, and the same again is not a change', async (t) => {
  const { dns, port, configure, call, lookUpAgain, plane } = await setUp(t, ['::1']);
  dns.set('six.x', ['AAAA ::1'], 1);
  await configure([nameSpec('six.x', { kind: 'service', port })]);
  const { snapshot } = plane.config;
  for (let i = 0; i < 2; i++) {
    const { status, body } = await call();
    assert.equal(status, 200);
    assert.equal(body.toString(), '::1');
    await lookUpAgain();
  }
  assert.equal(plane.config.snapshot, snapshot);
});

test('without IPv6, a fault of A alone changes nothing, and the AAAA records beside it are not called', async (t) => {
  const { dns, port, configure, call, lookUpAgain, plane, table } = await setUp(t, ['127.0.0.1'], { ipv6: false });
  const name = nameSpec('web.x', { port });
  dns.set('web.x', ['A 127.0.0.1', 'AAAA 2001:db8::1'], 1);
  await configure([name]);
  const { snapshot } = plane.config;
  dns.fail('web.x', 'SERVFAIL', 'A');
  await lookUpAgain();
  assert.match(table.statuses([name])[0]?.error ?? '', /^web\.x A: .*SERVFAIL/);
  assert.deepEqual(table.statuses([name])[0]?.addresses, ['127.0.0.1']);
  assert.deepEqual(table.statuses([name])[0]?.leftOut, ['2001:db8::1']);
  assert.equal(plane.config.snapshot, snapshot);
  for (let i = 0; i < 4; i++) assert.equal((await call()).status, 200);
});

test('APISIX row 102: from two addresses to one, and the zone emptied', async (t) => {
  const { dns, port, configure, call, lookUpAgain, endpointsNow, served } = await setUp(t, ['127.0.0.1', '127.0.0.2']);
  dns.set('web.x', ['A 127.0.0.1', 'A 127.0.0.2'], 1);
  await configure([nameSpec('web.x', { port })]);
  for (let i = 0; i < 4; i++) await call();
  assert.deepEqual([...served.values()], [2, 2], 'all addresses take calls');
  dns.set('web.x', ['A 127.0.0.2'], 1);
  await lookUpAgain();
  for (let i = 0; i < 4; i++) await call();
  assert.deepEqual([...served.values()], [2, 6]);
  dns.set('web.x', [], 1);
  await lookUpAgain();
  assert.equal(endpointsNow().length, 1);
  assert.equal((await call()).status, 200);
});

test('P-012: addresses swapped under load: none lost, the new ones take over', async (t) => {
  const all = ['127.0.0.1', '127.0.0.2', '127.0.0.3', '127.0.0.4'];
  const { dns, port, configure, call, lookUpAgain, served } = await setUp(t, all);
  dns.set('web.x', ['A 127.0.0.1', 'A 127.0.0.2'], 1);
  await configure([nameSpec('web.x', { port })]);
  let running = true;
  const answers: Promise<number[]>[] = Array.from({ length: 8 }, async () => {
    const statuses: number[] = [];
    while (running) statuses.push((await call()).status);
    return statuses;
  });
  for (let swap = 0; swap < 12; swap++) {
    const first = swap % 4;
    dns.set('web.x', [`A ${all[first]}`, `A ${all[(first + 1) % 4]}`], 1);
    await lookUpAgain();
    await call();
  }
  running = false;
  const statuses = (await Promise.all(answers)).flat();
  assert.ok(statuses.length > 100, `${statuses.length} calls`);
  assert.deepEqual(new Set(statuses), new Set([200]));
  const before = new Map(served);
  for (let i = 0; i < 4; i++) await call();
  const grown = all.filter((address) => served.get(address) !== before.get(address));
  assert.deepEqual(grown, ['127.0.0.1', '127.0.0.4'], 'only those of the last answer');
});

const POD_CONF = 'search ns.svc.cluster.local svc.cluster.local cluster.local\noptions ndots:5';

test('a final dot: only the name itself is asked for, and the endpoint hears it without the dot', async (t) => {
  const hosts: (string | undefined)[] = [];
  const server = createServer((request, response) => {
    hosts.push(request.headers.host);
    response.end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => server.close().closeAllConnections());
  const { port } = server.address() as AddressInfo;
  const { dns, configure, call, table } = await setUp(t, [], {
    policy: { host: { passHost: 'node', upstreamHost: '' } },
    conf: POD_CONF,
  });
  dns.set('one.test', ['A 127.0.0.1']);
  dns.set('one.test.svc.cluster.local', ['A 127.0.0.9']);
  const name = nameSpec('one.test.', { port });
  await configure([name]);
  assert.deepEqual(dns.asked.toSorted(), ['one.test A', 'one.test AAAA']);
  assert.equal((await call()).status, 200);
  assert.deepEqual(hosts, [`one.test:${port}`]);
  assert.deepEqual(
    table.statuses([name]).map(({ name: shown, addresses }) => [shown, addresses]),
    [['one.test.', ['127.0.0.1']]],
  );
});

test('a final dot is in neither the SNI nor the name that a certificate is looked at for', async (t) => {
  const authority = await issueAuthority();
  const { chain, keyPem } = await issueCertificate(authority, { dns: ['one.test'] });
  const names: string[] = [];
  const seen = (request: IncomingMessage, response: ServerResponse): void => {
    names.push(String((request.socket as { servername?: string | false }).servername));
    response.end();
  };
  const server = createHttpsServer({ cert: chain, key: keyPem }, seen);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => server.close().closeAllConnections());
  const { port } = server.address() as AddressInfo;
  const { dns, configure, call } = await setUp(t, [], {
    policy: { scheme: 'https', tls: upstreamTls(authority), host: { passHost: 'node', upstreamHost: '' } },
    conf: POD_CONF,
  });
  dns.set('one.test', ['A 127.0.0.1']);
  await configure([nameSpec('one.test.', { port })]);
  assert.equal((await call()).status, 200);
  assert.deepEqual(names, ['one.test']);
});
