// Health over real sockets: probes of each kind, passive evidence, and what both do to the calls. Intervals are short and
// waits are for events, so time only bounds the tests.
import assert from 'node:assert/strict';
import { createServer, type Server } from 'node:http';
import { createServer as createHttp2Server } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { after, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { DEFAULT_ACTIVE, DEFAULT_PASSIVE, TRANSPORT_ONLY_PASSIVE } from '../../../src/model/defaults.ts';
import type { ActivePolicy } from '../../../src/model/policy.ts';
import { startDataPlane, type TestDataPlane } from '../../support/data-plane.ts';
import { httpCall } from '../../support/http-call.ts';

const closers: (() => void)[] = [];
after(() => {
  for (const close of closers) close();
});

const QUICK: ActivePolicy = {
  ...DEFAULT_ACTIVE,
  timeoutMs: 200,
  healthy: { ...DEFAULT_ACTIVE.healthy, intervalMs: 20 },
  unhealthy: { ...DEFAULT_ACTIVE.unhealthy, intervalMs: 20, httpFailures: 2, tcpFailures: 2 },
};

async function plane(...args: Parameters<typeof startDataPlane>): Promise<TestDataPlane> {
  const started = await startDataPlane(...args);
  closers.push(() => started.close());
  return started;
}

async function startHttp(status: () => number, port = 0): Promise<{ port: number; server: Server }> {
  const server = createServer((_, response) => response.writeHead(status()).end());
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  closers.push(() => {
    server.close();
    server.closeAllConnections();
  });
  return { port: (server.address() as AddressInfo).port, server };
}

/** Waits until `condition` holds, for five seconds at most. */
async function until(condition: () => boolean, what: string): Promise<void> {
  for (let i = 0; i < 500; i++) {
    if (condition()) return;
    await delay(10);
  }
  assert.fail(`never: ${what}`);
}

function usablePorts(started: TestDataPlane): number[] {
  return [...started.cluster.list()].filter(({ usable }) => usable).map(({ spec }) => spec.port);
}

describe('health', () => {
  it('an http check takes an endpoint out by its status and brings it back', async () => {
    let status = 200;
    const bad = await startHttp(() => status);
    const good = await startHttp(() => 200);
    const started = await plane([bad.port, good.port], { checks: { active: QUICK, passive: undefined } });
    assert.equal(usablePorts(started).length, 2);
    status = 503;
    await until(() => usablePorts(started).length === 1, 'ejected');
    const endpoint = [...started.cluster.list()].find(({ spec }) => spec.port === bad.port);
    assert.equal(endpoint?.cause, 'active http: status 503 (2 of 2)');
    for (let i = 0; i < 4; i++) assert.equal((await httpCall(started.port)).status, 200);
    status = 200;
    await until(() => usablePorts(started).length === 2, 'healed');
  });

  it('probing starts with the configuration, before any call', async () => {
    let probes = 0;
    const one = await startHttp(() => {
      probes++;
      return 200;
    });
    await plane([one.port], { checks: { active: QUICK, passive: undefined } });
    await until(() => probes > 1, 'probed');
  });

  it('a User-Agent of the policy stands instead of the own one', async () => {
    const seen = new Set<string>();
    const server = createServer((request, response) => {
      seen.add(request.rawHeaders.filter((_, i, all) => /^user-agent$/i.test(all[i - 1] ?? '')).join('|'));
      response.end();
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    closers.push(() => server.close());
    const { port } = server.address() as AddressInfo;
    const active = { ...QUICK, requestFields: ['User-Agent', 'outer'] };
    await plane([port], { checks: { active, passive: undefined } });
    await until(() => seen.size > 0, 'probed');
    assert.deepEqual([...seen], ['outer']);
  });

  it('a tcp check notices a closed port and its return', async () => {
    const one = await startHttp(() => 200);
    const two = await startHttp(() => 200);
    const started = await plane([one.port, two.port], {
      checks: { active: { ...QUICK, type: 'tcp' }, passive: undefined },
    });
    one.server.close();
    one.server.closeAllConnections();
    await until(() => usablePorts(started).length === 1, 'ejected');
    await startHttp(() => 200, one.port);
    await until(() => usablePorts(started).length === 2, 'healed');
  });

  it('an http check of a grpc port and a grpc check probe over HTTP/2', async () => {
    const paths = new Set<string>();
    let serving = 1;
    const server = createHttp2Server();
    server.on('stream', (stream, headers) => {
      const path = String(headers[':path']);
      paths.add(path);
      if (path !== '/grpc.health.v1.Health/Check') {
        stream.respond({ ':status': 200 }, { endStream: true });
        return;
      }
      stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
      stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
      stream.end(Buffer.from([0, 0, 0, 0, 2, 8, serving]));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    closers.push(() => server.close());
    const { port } = server.address() as AddressInfo;
    const httpChecked = await plane([port], {
      scheme: 'grpc',
      checks: { active: { ...QUICK, httpPath: '/up' }, passive: undefined },
    });
    await until(() => paths.has('/up'), 'http probe');
    httpChecked.close();
    const other = await startHttp(() => 200);
    const started = await plane([port, other.port], {
      scheme: 'grpc',
      checks: { active: { ...QUICK, type: 'grpc', concurrency: 1 }, passive: undefined },
    });
    await until(() => !usablePorts(started).includes(other.port), 'an HTTP/1 server fails a grpc check');
    assert.ok(usablePorts(started).includes(port));
    serving = 2;
    const [first] = started.cluster.list();
    assert.ok(first);
    await until(
      () => [...started.cluster.list()].some(({ cause }) => cause.includes('not serving')),
      'NOT_SERVING seen',
    );
  });

  it('calls that fail to connect take an endpoint out without a passive section', async () => {
    const good = await startHttp(() => 200);
    const gone = await startHttp(() => 200);
    gone.server.close();
    gone.server.closeAllConnections();
    const active = { ...QUICK, healthy: { ...QUICK.healthy, intervalMs: 60_000 } };
    const started = await plane([gone.port, good.port], { checks: { active, passive: TRANSPORT_ONLY_PASSIVE } });
    for (let i = 0; i < 8; i++) assert.equal((await httpCall(started.port)).status, 200);
    await until(() => usablePorts(started).join() === String(good.port), 'ejected');
  });

  it('passive statuses take an endpoint out, and alone let it back after a while, on trial', async () => {
    let status = 500;
    const bad = await startHttp(() => status);
    const good = await startHttp(() => 200);
    const passive = { ...DEFAULT_PASSIVE, httpFailures: 3, returnAfterMs: 80 };
    const started = await plane([bad.port, good.port], { checks: { active: undefined, passive } });
    const statuses: number[] = [];
    while (usablePorts(started).length === 2 && statuses.length < 12) {
      statuses.push((await httpCall(started.port)).status);
    }
    assert.equal(statuses.filter((code) => code === 500).length, 3);
    status = 200;
    await until(() => usablePorts(started).length === 2, 'back on trial');
    for (let i = 0; i < 4; i++) assert.equal((await httpCall(started.port)).status, 200);
    assert.equal(usablePorts(started).length, 2);
  });

  it('health and connections survive an update of endpoints and policy', async () => {
    let status = 503;
    const bad = await startHttp(() => status);
    const good = await startHttp(() => 200);
    const started = await plane([bad.port, good.port], { checks: { active: QUICK, passive: undefined } });
    await until(() => usablePorts(started).length === 1, 'ejected');
    const third = await startHttp(() => 200);
    await started.update([bad.port, good.port, third.port]);
    assert.deepEqual(usablePorts(started).includes(bad.port), false);
    await started.update([bad.port, good.port, third.port], { attempts: { maxAttempts: 1 } });
    assert.deepEqual(usablePorts(started).includes(bad.port), false);
    status = 200;
    await until(() => usablePorts(started).length === 3, 'healed');
  });

  it('if every endpoint is down all are used', async () => {
    const one = await startHttp(() => 503);
    const two = await startHttp(() => 503);
    const started = await plane([one.port, two.port], { checks: { active: QUICK, passive: undefined } });
    await until(() => [...started.cluster.list()].every(({ cause }) => cause.includes('2 of 2')), 'both down');
    assert.equal(usablePorts(started).length, 2);
    assert.equal((await httpCall(started.port)).status, 503);
  });

  it('10,000 calls while endpoints come and go: none fails', async () => {
    const servers = await Promise.all([1, 2, 3].map(() => startHttp(() => 200)));
    const ports = servers.map(({ port }) => port);
    const started = await plane(ports);
    const sets = [ports, ports.slice(0, 2), ports.slice(1), [ports[2] ?? 0]];
    let calls = 0;
    let failed = 0;
    let running = true;
    const churn = (async () => {
      for (let i = 0; running; i++) {
        await started.update(sets[i % sets.length] ?? ports, { attempts: { maxAttempts: 2 + (i % 3) } });
        await delay(5);
      }
    })();
    const { Agent } = await import('node:http');
    const agent = new Agent({ keepAlive: true, maxSockets: 16 });
    await Promise.all(
      Array.from({ length: 16 }, async () => {
        while (calls < 10_000) {
          calls++;
          const answer = await httpCall(started.port, { agent }).catch(() => undefined);
          if (answer?.status !== 200) failed++;
        }
      }),
    );
    running = false;
    await churn;
    agent.destroy();
    assert.equal(failed, 0);
  });
});
