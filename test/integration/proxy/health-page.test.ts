// docs/health.md, block by block: what its examples mean, and that the sidecar does with them what the page says.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { Agent, createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo, Server } from 'node:net';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { parseDocument } from 'yaml';
import { healthcheckPage } from '../../../src/admin/healthcheck-json.ts';
import { effectivePolicy } from '../../../src/config/effective-policy.ts';
import { readNative } from '../../../src/config/native.ts';
import { describeProblems, type Resource } from '../../../src/config/resource.ts';
import { messageFields } from '../../../src/config/schema.ts';
import { HealthState, healthStateName } from '../../../src/health/machine.ts';
import { EndpointCell } from '../../../src/model/cells.ts';
import { DEFAULT_ACTIVE, DEFAULT_PASSIVE } from '../../../src/model/defaults.ts';
import type { PortPolicy } from '../../../src/model/policy.ts';
import { startDataPlane, type TestDataPlane } from '../../support/data-plane.ts';
import { endpointView, FakeSidecarView, portView } from '../../support/fake-sidecar-view.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { httpCall } from '../../support/http-call.ts';

const closers: (() => void)[] = [];
after(() => {
  for (const close of closers) close();
});

/** The first folder at or above this one that has the page: tests run from wherever they were compiled to. */
function readPage(): string {
  for (let folder = import.meta.dirname; ; folder = join(folder, '..')) {
    try {
      return readFileSync(join(folder, 'docs', 'health.md'), 'utf8');
    } catch (error) {
      if (folder === join(folder, '..')) throw error;
    }
  }
}

const page = readPage();

/** The Upstream of this name, as the page has it. */
function upstream(name: string): Resource<'Upstream'> {
  for (const [, block = ''] of page.matchAll(/^```yaml\n(.*?)^```$/gms)) {
    const read = readNative(parseDocument(block).toJS());
    assert.ok(read.ok, read.ok ? '' : describeProblems(read.problems));
    if (read.name === `shop/${name}`) return read.resource as Resource<'Upstream'>;
  }
  return assert.fail(`no block has ${name}`);
}

function policyOf(name: string, port = 80): PortPolicy {
  return effectivePolicy(upstream(name), port).policy;
}

async function plane(policy: PortPolicy, ports: readonly number[], clock: FakeClock): Promise<TestDataPlane> {
  const started = await startDataPlane(ports, policy, undefined, { clock });
  closers.push(() => started.close());
  return started;
}

async function listen(server: ReturnType<typeof createServer>, port = 0): Promise<number> {
  await new Promise<void>((resolve) => (server as Server).listen(port, '127.0.0.1', resolve));
  closers.push(() => {
    server.close();
    server.closeAllConnections();
  });
  return (server.address() as AddressInfo).port;
}

function stateOf({ cluster }: TestDataPlane, port: number): string {
  const endpoint = [...cluster.list()].find(({ spec }) => spec.port === port) ?? assert.fail();
  return healthStateName(cluster.live.endpoints.get(endpoint.slot, EndpointCell.HealthState));
}

/** One connection a call: time that is moved by minutes closes those that wait for another. */
const agent = new Agent({ keepAlive: false });

async function call({ port }: TestDataPlane): Promise<number> {
  return (await httpCall(port, { agent })).status;
}

/** Moves time in quarters of a second, and gives sockets a while at each, until `done`; at most a minute. Returns ms. */
async function pass(clock: FakeClock, done: () => boolean): Promise<number> {
  const fromMs = clock.nowMs;
  while (!done()) {
    assert.ok(clock.nowMs - fromMs < 60_000, 'in vain');
    clock.advance(250);
    await delay(20);
  }
  return clock.nowMs - fromMs;
}

describe('docs/health.md', () => {
  it('names every field of checks, and the defaults are those', () => {
    const messages = ['Checks', 'ActiveCheck', 'ActiveHealthy', 'ActiveUnhealthy'];
    messages.push('PassiveCheck', 'PassiveHealthy', 'PassiveUnhealthy');
    for (const message of messages) {
      const fields = messageFields(`outrigger.config.v1.${message}`);
      assert.ok(fields.length > 0, message);
      for (const { name } of fields) assert.match(page, new RegExp(`\\b${name}\\b`), `${message}.${name}`);
    }
    const { checks } = policyOf('defaults');
    assert.deepEqual(checks, { active: DEFAULT_ACTIVE, passive: DEFAULT_PASSIVE });
  });

  it('the example of fields without a default, and what its ports have of it', () => {
    const { checks } = policyOf('cart');
    assert.deepEqual(checks?.active, {
      ...DEFAULT_ACTIVE,
      httpMethod: 'POST',
      httpPath: '/healthz?deep=1',
      httpBody: '{"from":"sidecar"}',
      requestFields: ['content-type', 'application/json', 'user-agent', 'probe'],
      host: 'cart.example',
      start: 'unhealthy',
      unhealthy: { ...DEFAULT_ACTIVE.unhealthy, httpFailures: 2 },
    });
    const grpc = policyOf('cart', 7000).checks;
    assert.deepEqual(grpc, {
      active: { ...DEFAULT_ACTIVE, type: 'grpc', grpcService: 'shop.Cart' },
      passive: undefined,
    });
    assert.deepEqual(policyOf('cart', 7001).checks, { active: undefined, passive: DEFAULT_PASSIVE });
  });

  it('an endpoint gets calls after two probes, is out after two refusals, and back after two probes', async () => {
    const seen = new Set<string>();
    const answer = (request: IncomingMessage, response: ServerResponse): void => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        const { host, 'content-type': type, 'user-agent': software } = request.headers;
        const words = [request.method, request.url, host, type, software, Buffer.concat(chunks).toString()];
        if (request.url !== '/') seen.add(words.join(' '));
        response.end();
      });
    };
    const servers = [createServer(answer), createServer(answer), createServer(answer)];
    const ports = await Promise.all(servers.map((server) => listen(server)));
    const [first = 0] = ports;
    const clock = new FakeClock();
    const started = await plane(policyOf('cart'), ports, clock);
    assert.deepEqual(
      ports.map((port) => stateOf(started, port)),
      ['unhealthy', 'unhealthy', 'unhealthy'],
    );
    await pass(clock, () => ports.every((port) => stateOf(started, port) === 'healthy'));
    assert.deepEqual([...seen], ['POST /healthz?deep=1 cart.example application/json probe {"from":"sidecar"}']);
    servers[0]?.close();
    servers[0]?.closeAllConnections();
    for (let i = 0; i < 6; i++) assert.equal(await call(started), 200);
    assert.equal(stateOf(started, first), 'unhealthy');
    await listen(createServer(answer), first);
    const backMs = await pass(clock, () => stateOf(started, first) === 'healthy');
    assert.ok(backMs >= 1000 && backMs <= 4000, `${backMs} ms`);
  });

  it('passive checks alone: three failures, 10 s out, a trial, 20 s, 40, 60, and 10 again', async () => {
    let status = 500;
    const bad = await listen(createServer((_, response) => response.writeHead(status).end()));
    const good = await listen(createServer((_, response) => response.end()));
    const clock = new FakeClock();
    const started = await plane(policyOf('stock'), [bad, good], clock);
    const isOut = (): boolean => stateOf(started, bad) === 'unhealthy';
    const callUntil = async (done: () => boolean): Promise<number> => {
      let failed = 0;
      for (let i = 0; i < 20 && !done(); i++) if ((await call(started)) !== 200) failed++;
      assert.ok(done());
      return failed;
    };
    assert.equal(await callUntil(isOut), 3);
    const outS: number[] = [];
    for (let i = 0; i < 6; i++) {
      const fromMs = clock.nowMs;
      while (isOut()) clock.advance(500);
      outS.push((clock.nowMs - fromMs) / 1000);
      assert.equal(stateOf(started, bad), 'trial');
      assert.equal(await callUntil(isOut), 1);
    }
    assert.deepEqual(outS, [10, 20, 40, 60, 60, 60]);
    clock.advance(60_000);
    status = 404;
    await callUntil(() => stateOf(started, bad) === 'healthy');
    status = 500;
    assert.equal(await callUntil(isOut), 3);
    clock.advance(9_999);
    assert.ok(isOut());
    clock.advance(1);
    assert.equal(stateOf(started, bad), healthStateName(HealthState.Trial));
  });

  it('the answer of the status API has the members that are shown', () => {
    const shown: unknown = JSON.parse(/^```json\n(.*?)^```$/ms.exec(page)?.[1] ?? '');
    const view = new FakeSidecarView();
    const endpoint = endpointView({
      address: '10.0.0.5',
      port: 8080,
      state: 'unhealthy',
      cause: 'active http: connection failed (2 of 2)',
      sinceWallMs: Date.UTC(2026, 0, 31, 12),
      health: { success: 0, httpFailure: 0, tcpFailure: 2, timeoutFailure: 0 },
      attempts: 7,
      successes: 4,
      failures: 2,
    });
    view.portList = [portView({ checks: { type: 'http', host: 'cart.example' } }, [endpoint])];
    const { status, body } = healthcheckPage(view, '/upstreams/shop/cart/80', false);
    assert.equal(status, 200);
    assert.deepEqual(JSON.parse([...body].join('')), shown);
  });
});
