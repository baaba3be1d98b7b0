// Rows of APISIX's own tests of health checks, over real sockets. Time is moved by hand where a row is about calls alone:
// then no probe is sent before the test wants one.
import assert from 'node:assert/strict';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { after, describe, it } from 'node:test';
import type { TLSSocket } from 'node:tls';
import { healthCount, healthStateName } from '../../../src/health/machine.ts';
import { EndpointCell } from '../../../src/model/cells.ts';
import { DEFAULT_ACTIVE, DEFAULT_PASSIVE, TRANSPORT_ONLY_PASSIVE } from '../../../src/model/defaults.ts';
import type { ActivePolicy } from '../../../src/model/policy.ts';
import type { LiveEndpoint } from '../../../src/upstream/endpoint.ts';
import { issueAuthority, issueCertificate } from '../../support/certificates.ts';
import { endpointAt, startDataPlane, type TestDataPlane } from '../../support/data-plane.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { httpCall, type HttpAnswer } from '../../support/http-call.ts';
import { closedPort } from '../../support/raw-server.ts';
import { until, upstreamTls } from '../../support/tls-peer.ts';

const closers: (() => void)[] = [];
after(() => {
  for (const close of closers) close();
});

/** A probe every 20 ms; two failures take an endpoint out. */
const QUICK: ActivePolicy = {
  ...DEFAULT_ACTIVE,
  timeoutMs: 500,
  healthy: { ...DEFAULT_ACTIVE.healthy, intervalMs: 20 },
  unhealthy: { ...DEFAULT_ACTIVE.unhealthy, intervalMs: 20, httpFailures: 2, tcpFailures: 2 },
};

interface Backend {
  readonly port: number;
  /** Of requests, in order. */
  readonly paths: string[];
  readonly hosts: (string | undefined)[];
  readonly server: Server;
}

async function listen(server: Server, port: number): Promise<number> {
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  closers.push(() => {
    server.close();
    server.closeAllConnections();
  });
  return (server.address() as AddressInfo).port;
}

/** Answers every request with a status, 200 unless told otherwise. */
async function backend(
  answer: (request: IncomingMessage, response: ServerResponse) => void = (_, response) => response.end(),
): Promise<Backend> {
  const paths: string[] = [];
  const hosts: (string | undefined)[] = [];
  const server = createServer((request, response) => {
    paths.push(request.url ?? '');
    hosts.push(request.headers.host);
    answer(request, response);
  });
  return { port: await listen(server, 0), paths, hosts, server };
}

function statusOf(code: () => number) {
  return (_: IncomingMessage, response: ServerResponse): void => void response.writeHead(code()).end();
}

async function plane(...args: Parameters<typeof startDataPlane>): Promise<TestDataPlane> {
  const started = await startDataPlane(...args);
  closers.push(() => started.close());
  return started;
}

function endpointOf(started: TestDataPlane, port: number): LiveEndpoint {
  return [...started.cluster.list()].find(({ spec }) => spec.port === port) ?? assert.fail('no such endpoint');
}

function stateOf(started: TestDataPlane, port: number): string {
  return healthStateName(started.cluster.live.endpoints.get(endpointOf(started, port).slot, EndpointCell.HealthState));
}

function countOf(started: TestDataPlane, port: number, kind: Parameters<typeof healthCount>[2]): number {
  return healthCount(started.cluster.live.endpoints, endpointOf(started, port).slot, kind);
}

/** Calls one after another. */
async function calls(started: TestDataPlane, times: number): Promise<HttpAnswer[]> {
  const answers: HttpAnswer[] = [];
  for (let i = 0; i < times; i++) answers.push(await httpCall(started.port));
  return answers;
}

/** Ports that the attempts of the last requests went to. */
function attemptsSince(started: TestDataPlane, records: number): number[][] {
  return started.records.slice(records).map(({ attempts }) => attempts.map(({ endpoint }) => endpoint.spec.port));
}

describe('health checks as APISIX tests them', () => {
  it('APISIX row 23: chash keeps to its endpoint while checks take eight dead ones out', async () => {
    const live = await backend();
    const dead = await Promise.all(Array.from({ length: 8 }, () => closedPort()));
    const started = await plane([live.port, ...dead], {
      balancer: { type: 'chash', hashOn: 'vars', key: 'remote_addr' },
      checks: { active: QUICK, passive: TRANSPORT_ONLY_PASSIVE },
    });
    const [first] = await calls(started, 1);
    assert.equal(first?.status, 200);
    await until(() => dead.every((port) => stateOf(started, port) === 'unhealthy'), 'all dead ones out');
    const before = started.records.length;
    assert.ok((await calls(started, 12)).every(({ status }) => status === 200));
    assert.deepEqual(
      attemptsSince(started, before),
      Array.from({ length: 12 }, () => [live.port]),
    );
  });

  it('APISIX row 45: a dead endpoint of a higher priority gives way to the next, and its counter reaches 2 of 2', async () => {
    const live = await backend();
    const dead = await closedPort();
    const started = await plane(
      [endpointAt(dead, { weight: 2000 }), endpointAt(live.port, { priority: -1 })],
      { checks: { active: DEFAULT_ACTIVE, passive: TRANSPORT_ONLY_PASSIVE } },
      undefined,
      { clock: new FakeClock() },
    );
    assert.deepEqual(
      (await calls(started, 2)).map(({ status }) => status),
      [200, 200],
    );
    assert.deepEqual(attemptsSince(started, 0), [
      [dead, live.port],
      [dead, live.port],
    ]);
    assert.deepEqual([countOf(started, dead, 'tcp'), stateOf(started, dead)], [2, 'unhealthy']);
    await calls(started, 1); // beyond the row: then the level of the dead one is passed over
    assert.deepEqual(attemptsSince(started, 2), [[live.port]]);
  });

  it('APISIX row 51: chash over two dead endpoints: both are tried, the same first, and each attempt counts', async () => {
    const started = await plane(
      [1960, 1961],
      {
        balancer: { type: 'chash', hashOn: 'vars', key: 'remote_addr' },
        attempts: { maxAttempts: 4 },
        checks: { active: DEFAULT_ACTIVE, passive: DEFAULT_PASSIVE },
      },
      undefined,
      { clock: new FakeClock() },
    );
    assert.deepEqual(
      (await calls(started, 2)).map(({ status }) => status),
      [502, 502],
    );
    assert.deepEqual(attemptsSince(started, 0), [
      [1960, 1961],
      [1960, 1961],
    ]);
    // The last attempt of a request too, which APISIX leaves out.
    assert.deepEqual([countOf(started, 1960, 'tcp'), countOf(started, 1961, 'tcp')], [2, 2]);
  });

  it('APISIX row 90: two nodes of one IP and a dead active.port: both go down, each by itself, and then all are used', async () => {
    const [one, two, dead] = [await backend(), await backend(), await closedPort()];
    const checks = { active: { ...QUICK, port: dead }, passive: undefined };
    const started = await plane([one.port, two.port], { checks });
    await until(() => [one, two].every(({ port }) => stateOf(started, port) === 'unhealthy'), 'both out');
    assert.deepEqual(
      (await calls(started, 2)).map(({ status }) => status),
      [200, 200],
    );
    assert.deepEqual([one.paths, two.paths], [['/'], ['/']]);
  });

  it('APISIX row 92: of two ports with the same endpoint, only the one with passive checks goes by its answers', async () => {
    const bad = await backend(statusOf(() => 500));
    const other = await backend();
    const active = { ...DEFAULT_ACTIVE };
    const passive = { ...DEFAULT_PASSIVE, httpFailures: 2 };
    const options = [undefined, { clock: new FakeClock() }] as const;
    const ports = [bad.port, other.port];
    const watching = await plane(ports, { checks: { active, passive } }, ...options);
    const probing = await plane(ports, { checks: { active, passive: TRANSPORT_ONLY_PASSIVE } }, ...options);
    await calls(watching, 8);
    await calls(probing, 8);
    assert.deepEqual([stateOf(watching, bad.port), stateOf(probing, bad.port)], ['unhealthy', 'healthy']);
    assert.equal(countOf(probing, bad.port, 'http'), 0);
  });

  it('APISIX row 93: six answers of 500 over two nodes: three failures each, both unhealthy, from the first call on', async () => {
    const two = [await backend(statusOf(() => 500)), await backend(statusOf(() => 500))];
    const interval = { intervalMs: 999_000 };
    const active = {
      ...DEFAULT_ACTIVE,
      healthy: { ...DEFAULT_ACTIVE.healthy, ...interval },
      unhealthy: { ...DEFAULT_ACTIVE.unhealthy, ...interval },
    };
    const passive = { ...DEFAULT_PASSIVE, unhealthyStatuses: [500], httpFailures: 3 };
    const started = await plane(
      two.map(({ port }) => port),
      { checks: { active, passive } },
      undefined,
      { clock: new FakeClock() },
    );
    await calls(started, 6);
    for (const { port } of two) {
      assert.deepEqual([countOf(started, port, 'http'), stateOf(started, port)], [3, 'unhealthy']);
    }
    await calls(started, 1); // all are used
    assert.equal(countOf(started, two[0]?.port ?? 0, 'http'), 3);
  });

  it('APISIX row 95: the Host of probes: checks.active.host, which rewrite fills in, else the name of the node', async () => {
    const one = await backend();
    const named = endpointAt(one.port, { host: 'localhost' });
    const rewritten = { ...QUICK, host: 'foo.com' };
    const first = await plane([named], { checks: { active: rewritten, passive: undefined } });
    await until(() => one.hosts.length > 0, 'probed');
    first.close();
    assert.deepEqual([...new Set(one.hosts)], ['foo.com']);
    one.hosts.length = 0;
    await plane([named], { checks: { active: QUICK, passive: undefined } });
    await until(() => one.hosts.length > 0, 'probed');
    assert.deepEqual([...new Set(one.hosts)], ['localhost']);
  });

  it('APISIX row 96: https checks of two nodes, of which one answers 500; SNI is the name of the node', async () => {
    const authority = await issueAuthority();
    const { chain, keyPem } = await issueCertificate(authority, { dns: ['a.example'] });
    const names = new Set<string | false>();
    const start = (status: number): Promise<number> => {
      const server = createHttpsServer({ cert: chain, key: keyPem }, ({ url, socket }, response) => {
        names.add((socket as TLSSocket & { servername: string | false }).servername);
        response.writeHead(url === '/healthz' ? status : 200).end();
      });
      return listen(server, 0);
    };
    const [good, bad] = [await start(200), await start(500)];
    const active: ActivePolicy = {
      ...QUICK,
      type: 'https',
      httpPath: '/healthz',
      verifyCertificate: false,
      unhealthy: { ...QUICK.unhealthy, httpFailures: 1 },
    };
    const started = await plane([endpointAt(good, { host: 'b.example' }), endpointAt(bad, { host: 'b.example' })], {
      scheme: 'https',
      tls: upstreamTls(authority),
      checks: { active, passive: undefined },
    });
    await until(() => stateOf(started, bad) === 'unhealthy' && names.size > 0, 'judged');
    assert.equal(endpointOf(started, bad).cause, 'active https: status 500 (1 of 1)');
    assert.equal(stateOf(started, good), 'healthy');
    assert.deepEqual([...names], ['b.example']); // the certificate hasn't it, and isn't verified
  });

  it('APISIX row 98: with one node down, another joins: 20 calls without retries, none fails', async () => {
    const [one, two] = [await backend(), await backend()];
    const dead = await closedPort();
    const policy = { attempts: { maxAttempts: 1 }, checks: { active: QUICK, passive: TRANSPORT_ONLY_PASSIVE } };
    const started = await plane([dead, one.port], policy);
    await until(() => stateOf(started, dead) === 'unhealthy', 'out');
    await started.update([dead, one.port, two.port]);
    const answers = await calls(started, 20);
    assert.equal(answers.filter(({ status }) => status !== 200).length, 0);
  });

  it('APISIX rows 99 and 101: after an edit of checks and nodes exactly those that are left are probed', async () => {
    const [one, two, three] = [await backend(), await backend(), await backend()];
    const started = await plane([one.port, two.port, three.port], { checks: { active: QUICK, passive: undefined } });
    await until(() => [one, two, three].every(({ paths }) => paths.length > 1), 'probed');
    const active = { ...QUICK, httpPath: '/new' };
    await started.update([one.port, two.port], { checks: { active, passive: undefined } });
    three.paths.length = 0;
    await until(() => [one, two].every(({ paths }) => paths.filter((path) => path === '/new').length > 3), 'probed');
    assert.ok(!three.paths.includes('/new'), three.paths.join());
    assert.ok(three.paths.length <= 1, 'one may have been on its way');
  });

  it('APISIX row 102: an endpoint that went is probed no more; with none left the answer is 503', async () => {
    const [one, two] = [await backend(), await backend()];
    const started = await plane([one.port, two.port], { checks: { active: QUICK, passive: undefined } });
    await until(() => two.paths.length > 1, 'probed');
    await started.update([one.port]);
    await until(() => one.paths.length > 3, 'probed');
    const seen = two.paths.length;
    one.paths.length = 0;
    await until(() => one.paths.length > 5, 'probed');
    assert.equal(two.paths.length, seen);
    await started.update([]);
    const [answer] = await calls(started, 1);
    assert.deepEqual([answer?.status, answer?.headers['x-outrigger-reason']], [503, 'no_endpoints']);
  });

  it('APISIX row 104: a dead node without retries: errors stop at its limit, at once and for good', async () => {
    const live = await backend();
    const dead = await closedPort();
    const started = await plane(
      [live.port, dead],
      { attempts: { maxAttempts: 1 }, checks: { active: DEFAULT_ACTIVE, passive: TRANSPORT_ONLY_PASSIVE } },
      undefined,
      { clock: new FakeClock() },
    );
    const errors: number[] = [];
    for (let burst = 0; burst < 4; burst++) {
      const answers = await Promise.all(Array.from({ length: 12 }, () => calls(started, 1)));
      errors.push(answers.flat().filter(({ status }) => status !== 200).length);
    }
    assert.ok((errors[0] ?? 0) >= 2 && (errors[0] ?? 0) <= 6, errors.join()); // what was under way at the second failure
    assert.deepEqual(errors.slice(1), [0, 0, 0]);
  });
});

describe('health checks beyond APISIX', () => {
  it('a single endpoint without retries is judged by its only attempts', async () => {
    const dead = await closedPort();
    const checks = { active: DEFAULT_ACTIVE, passive: DEFAULT_PASSIVE };
    const clock = new FakeClock();
    const started = await plane([dead], { attempts: { maxAttempts: 1 }, checks }, undefined, { clock });
    await calls(started, 1);
    assert.equal(countOf(started, dead, 'tcp'), 1);
    await calls(started, 1);
    assert.equal(stateOf(started, dead), 'unhealthy');
    const { slot } = endpointOf(started, dead);
    assert.equal(started.cluster.live.endpoints.total(slot, EndpointCell.Failures), 2);
  });

  it('start: unhealthy: an endpoint gets its first call after its probes, of which the first come at once', async () => {
    const old = await backend();
    const late = await backend(({ url }, response) => void response.writeHead(url === '/healthz' ? code : 200).end());
    let code = 503;
    const active: ActivePolicy = { ...QUICK, httpPath: '/healthz' };
    const started = await plane([old.port], { checks: { active, passive: undefined } });
    await until(() => old.paths.length > 1, 'the first probe has ended');
    await started.update([old.port, late.port], {
      checks: { active: { ...active, start: 'unhealthy' }, passive: undefined },
    });
    assert.equal(stateOf(started, old.port), 'healthy');
    assert.equal(stateOf(started, late.port), 'unhealthy');
    await until(() => late.paths.length > 2, 'probed');
    await calls(started, 10);
    assert.ok(!late.paths.includes('/'));
    code = 200;
    await until(() => stateOf(started, late.port) === 'healthy', 'proven');
    await calls(started, 10);
    assert.equal(late.paths.filter((path) => path === '/').length, 5);
  });

  it('a trial lets one call through at a time; it decides, and a failed one doubles the absence', async () => {
    const good = await backend();
    const waiting: ServerResponse[] = [];
    let status = 500;
    const bad = await backend((_, response) => {
      if (holds) waiting.push(response);
      else response.writeHead(status).end();
    });
    let holds = false;
    const clock = new FakeClock();
    const passive = { ...DEFAULT_PASSIVE, httpFailures: 1, returnAfterMs: 1000 };
    const started = await plane([bad.port, good.port], { checks: { active: undefined, passive } }, undefined, {
      clock,
    });
    await calls(started, 2);
    assert.equal(stateOf(started, bad.port), 'unhealthy');
    clock.advance(1000);
    assert.equal(stateOf(started, bad.port), 'trial');
    holds = true;
    const open = Array.from({ length: 8 }, () => calls(started, 1));
    await until(() => waiting.length === 1 && good.paths.length === 8, 'one is on trial, seven elsewhere');
    waiting[0]?.writeHead(status).end();
    assert.deepEqual((await Promise.all(open)).flat().filter((answer) => answer.status === 500).length, 1);
    assert.equal(stateOf(started, bad.port), 'unhealthy');
    clock.advance(1999);
    assert.equal(stateOf(started, bad.port), 'unhealthy');
    clock.advance(1);
    assert.equal(stateOf(started, bad.port), 'trial');
    holds = false;
    status = 200;
    assert.ok((await calls(started, 2)).every((answer) => answer.status === 200));
    assert.equal(stateOf(started, bad.port), 'healthy');
    const before = bad.paths.length;
    await Promise.all(Array.from({ length: 8 }, () => calls(started, 1)));
    assert.equal(bad.paths.length, before + 4); // its whole share
  });
});
