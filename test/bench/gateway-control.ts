// What control/ costs a gateway with very many Routes and Upstreams: `node --expose-gc dist/test/bench/gateway-control.js
// [COUNT [state]]`, 10,000 of each by default, 5 nodes an Upstream; `state`: with a state directory. A scripted server runs in a process of its own, so that the time on the
// processor is that of the client. Not part of the tests: it takes some seconds.
import { fork } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { fileURLToPath } from 'node:url';
import { systemClock } from '../../src/base/clock.ts';
import { silentLogger } from '../../src/base/log.ts';
import { seededRng } from '../../src/base/rng.ts';
import { decodeResource } from '../../src/config/decode/decode.ts';
import { wantedNames } from '../../src/config/tree.ts';
import { createXdsClient } from '../../src/control/xds-client.ts';
import type { Push, ScriptedStream } from '../support/scripted-ads.ts';
import { encodeResource, ScriptedAds } from '../support/scripted-ads.ts';

/** As many as the reference control plane sends at once. */
const PART_BYTES = 2 * 1024 * 1024;

/** What the client tells the server to do, one line of it. */
type Order = 'change' | 'add' | 'remove';

function routePush(i: number, version = '1', priority = 0): Push {
  const message = {
    name: `${i}`,
    uris: [`/api/v1/service-${i}/*`],
    priority,
    upstream_id: `${i}`,
    labels: { n: `${i}` },
  };
  return { name: `${i}`, version, bytes: encodeResource('Route', message) };
}

function upstreamPush(i: number): Push {
  const nodes = [1, 2, 3, 4, 5].map((n) => ({ host: `10.${i >> 8}.${i & 255}.${n}`, port: 8080, weight: n }));
  const message = { name: `${i}`, type: 'roundrobin', nodes, retries: 2, timeout: { connect: 1, send: 5, read: 5 } };
  return { name: `${i}`, version: '1', bytes: encodeResource('Upstream', message) };
}

async function sendAll(stream: ScriptedStream, kind: string, pushes: readonly Push[]): Promise<void> {
  for (let from = 0; from < pushes.length;) {
    let to = from;
    for (let bytes = 0; to < pushes.length && bytes < PART_BYTES; to++) bytes += (pushes[to]?.bytes?.length ?? 0) + 80;
    await stream.expectAck(kind, stream.push(kind, pushes.slice(from, to)));
    from = to;
  }
}

async function serve(count: number): Promise<void> {
  const routes = Array.from({ length: count }, (_, i) => routePush(i));
  const upstreams = Array.from({ length: count }, (_, i) => upstreamPush(i));
  const ads = await ScriptedAds.start();
  process.send?.(ads.port);
  const stream = await ads.stream();
  await stream.expect('Sidecar');
  const sidecar = encodeResource('Sidecar', { name: 'default', gateway: true });
  stream.push('Sidecar', [{ name: 'default', bytes: sidecar }], { removed: ['me'] });
  for (const kind of ['Service', 'PluginConfig', 'Consumer'])
    void stream.expect(kind).then(() => stream.push(kind, []));
  await stream.expect('Route');
  const asked = stream.expect('Upstream');
  const routesSent = sendAll(stream, 'Route', routes);
  await asked;
  // The names come in several requests where the Routes came in several parts; all of them are known here.
  await routesSent;
  await sendAll(stream, 'Upstream', upstreams);
  let orders = 0;
  process.on('message', (order: Order) => {
    orders++;
    if (order === 'change') stream.push('Route', [routePush(0, `c${orders}`, orders)]);
    else if (order === 'remove') stream.push('Route', [], { removed: [`${count}`] });
    else {
      void stream
        .expect('Upstream', 'the new name', (request) => request.resource_names_subscribe.includes(`${count}`))
        .then(() => stream.push('Upstream', [upstreamPush(count)]));
      stream.push('Route', [routePush(count)]);
    }
  });
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

function collect(): void {
  (globalThis as { gc?: () => void }).gc?.();
}

function heapBytes(): number {
  collect();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

async function measure(count: number): Promise<void> {
  const server = fork(fileURLToPath(import.meta.url), [String(count), 'serve'], { execArgv: [] });
  const port = await new Promise<number>((resolve) => server.once('message', (message) => resolve(Number(message))));
  const stateDir = process.argv[3] === 'state' ? mkdtempSync(join(tmpdir(), 'outrigger-bench-')) : undefined;
  const clock = systemClock();
  let onUpdate = (): void => undefined;
  const next = (): Promise<void> => new Promise((resolve) => (onUpdate = () => resolve()));
  const client = createXdsClient({
    servers: [{ host: '127.0.0.1', port }],
    flavour: 'delta',
    node: { id: 'me', podIp: undefined, services: [], version: '0' },
    clock,
    rng: seededRng(1),
    logger: silentLogger,
    decode: decodeResource,
    stateDir,
    wanted: (resources) => wantedNames('me', resources, true),
    onUpdate: () => onUpdate(),
  });
  const heapBefore = heapBytes();
  const say = (what: string, fromMs: number, from: NodeJS.CpuUsage): void => {
    const { user, system } = process.cpuUsage(from);
    const cpuMs = ((user + system) / 1000).toFixed(1);
    print(`${what}: ${(performance.now() - fromMs).toFixed(1)} ms, ${cpuMs} ms on the processor`);
  };
  let [fromMs, from] = [performance.now(), process.cpuUsage()];
  const first = next();
  client.start();
  await first;
  say(`${count} Routes and Upstreams, stream open to handed on`, fromMs, from);
  const heap = heapBytes() - heapBefore;
  print(`heap: ${(heap / 1024 / 1024).toFixed(1)} MiB, ${Math.round(heap / count)} bytes a pair of Route and Upstream`);
  print(`resident: ${(process.memoryUsage().rss / 1024 / 1024).toFixed(0)} MiB`);
  for (const order of ['change', 'change', 'change', 'add', 'remove', 'add', 'remove', 'add', 'remove'] as const) {
    [fromMs, from] = [performance.now(), process.cpuUsage()];
    const done = next();
    server.send(order);
    await done;
    // What is left of the turn counts too.
    await new Promise((resolve) => setTimeout(resolve, stateDir === undefined ? 5 : 400));
    say(`one Route: ${order}`, fromMs, from);
  }
  await client.stop();
  server.kill();
  if (stateDir !== undefined) rmSync(stateDir, { recursive: true });
}

const count = Number(process.argv[2] ?? 10_000);
await (process.argv[3] === 'serve' ? serve(count) : measure(count));
