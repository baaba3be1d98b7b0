// `npm run bench -- gateway`: what many routes and upstreams cost. A control plane with an Admin API and a sidecar with a
// gateway, as users start them; the stream between them runs through a relay that counts its bytes.
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { Agent, createServer } from 'node:http';
import { connect, createServer as createTcpServer, type AddressInfo, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ADMIN_KEY, getStatus, putObject, putObjects } from './admin-api.ts';
import { cpuUsBetween, readUsage } from './cpu.ts';
import { findProgram } from './installed.ts';
import { OWN_PROGRAM, portOf } from './peers/control-plane.ts';

const NODES_PER_UPSTREAM = 5;
/** Routes of the large configuration, each with an upstream of its own. */
const MANY = 10_000;
const ROUNDS = 5;
const CHANGES = 20;

/** Runs it and gives the report. Throws where wrk is missing. */
export async function measureGateway(): Promise<string> {
  const wrk = findProgram('wrk');
  if (wrk === undefined) throw new Error('wrk is needed');
  const backend = createServer((_, response) => response.end('ok'));
  const backendPort = await listening(backend);
  const lines: string[] = [];
  const few = await startScene(backendPort, 1);
  const many = await startScene(backendPort, MANY);
  try {
    lines.push(`${MANY} routes, ${MANY} upstreams of ${NODES_PER_UPSTREAM} endpoints`);
    lines.push(`stream open to ready  ${many.readyMs} ms (one route: ${few.readyMs} ms)`);
    await sleep(10_000);
    lines.push(`resident after 10 s   ${mib(many.sidecar.pid)} MiB (one route: ${mib(few.sidecar.pid)} MiB)`);
    const costs = { few: [] as number[], many: [] as number[] };
    for (let round = 0; round < ROUNDS; round++) {
      costs.few.push(cpuPerRequest(few, await load(wrk, few, 0), few));
      costs.many.push(cpuPerRequest(many, await load(wrk, many, MANY - 1), many));
    }
    const ratio = median(costs.many) / median(costs.few);
    lines.push(
      `cpu per request       ${median(costs.many).toFixed(1)} us at the last route, ` +
        `${median(costs.few).toFixed(1)} us with one: ${ratio.toFixed(2)} times`,
    );
    for (const [name, scene, count] of [
      ['one route', few, 1],
      ['many routes', many, MANY],
    ] as const) {
      const { effectiveMs, bytes } = await measureChanges(scene, count);
      lines.push(
        `a changed route       effective ${median(effectiveMs).toFixed(1)} ms after the PUT, ` +
          `${Math.max(...effectiveMs).toFixed(1)} at most; ${median(bytes)} bytes sent (${name})`,
      );
    }
    return `${lines.join('\n')}\n`;
  } finally {
    for (const scene of [few, many]) await scene.stop();
    backend.closeAllConnections();
    backend.close();
  }
}

interface Scene {
  readonly sidecar: ChildProcess;
  readonly gatewayPort: number;
  readonly adminPort: number;
  readonly readyMs: number;
  usedUs: number;
  sentBytes(): number;
  stop(): Promise<void>;
}

async function startScene(backendPort: number, routes: number): Promise<Scene> {
  const store = mkdtempSync(join(tmpdir(), 'outrigger-bench-store-'));
  const control = await start([
    'control',
    '--ads',
    '0',
    '--admin-api',
    '0',
    '--admin-key',
    ADMIN_KEY,
    '--store',
    store,
  ]);
  const adminPort = portOf(control.ready['adminApi']);
  const agent = new Agent({ keepAlive: true, maxSockets: 64 });
  const indexes = Array.from({ length: routes }, (_, i) => i);
  await putObjects(
    agent,
    adminPort,
    indexes.map((i) => [`/upstreams/u${i}`, upstreamOf(i, backendPort)]),
  );
  await putObjects(
    agent,
    adminPort,
    indexes.map((i) => [`/routes/r${i}`, routeOf(i)]),
  );
  agent.destroy();
  let sent = 0;
  const relay = createTcpServer((downstream) => {
    const upstream = connect(portOf(control.ready['ads']), '127.0.0.1');
    upstream.on('data', (chunk) => (sent += chunk.length));
    downstream.pipe(upstream).pipe(downstream);
    for (const socket of [downstream, upstream]) socket.on('error', () => socket.destroy());
  });
  const relayPort = await listening(relay);
  const sidecar = await start([
    ...['run', '--control', `127.0.0.1:${relayPort}`, '--gateway', '0', '--admin', '0', '--health', '0'],
  ]);
  const connected = /"time":"?(\d+|[^",]+)"?[^\n]*connected to the control plane/.exec(sidecar.log())?.[1] ?? '';
  const connectedMs = /^\d+$/.test(connected) ? Number(connected) : Date.parse(connected);
  return {
    sidecar: sidecar.child,
    gatewayPort: portOf(sidecar.ready['gateway']),
    adminPort,
    readyMs: Math.round(sidecar.readyWallMs - connectedMs),
    usedUs: 0,
    sentBytes: () => sent,
    async stop() {
      relay.close();
      for (const { child } of [sidecar, control]) {
        const ended = new Promise((resolve) => child.once('exit', resolve));
        child.kill('SIGTERM');
        await ended;
      }
      rmSync(store, { recursive: true, force: true });
    },
  };
}

/** Requests that wrk made; the CPU time that the sidecar used goes to `usedUs`. */
async function load(wrk: string, scene: Scene, route: number): Promise<number> {
  const url = `http://127.0.0.1:${scene.gatewayPort}/r${route}/index.html`;
  const before = readUsage(scene.sidecar.pid ?? 0);
  const out = await output(wrk, ['-t1', '-c64', '-d3s', url]);
  scene.usedUs = cpuUsBetween(before, readUsage(scene.sidecar.pid ?? 0));
  if (/Non-2xx/.test(out)) throw new Error(out);
  return Number(/(\d+) requests in/.exec(out)?.[1]);
}

function cpuPerRequest(_: Scene, requests: number, { usedUs }: Scene): number {
  return usedUs / requests;
}

/** Changes the last route back and forth, and watches when the gateway goes by it. */
async function measureChanges(scene: Scene, routes: number): Promise<{ effectiveMs: number[]; bytes: number[] }> {
  const agent = new Agent({ keepAlive: true });
  const last = routes - 1;
  const effectiveMs: number[] = [];
  const bytes: number[] = [];
  for (let change = 0; change < CHANGES; change++) {
    const uri = `/changed-${change}`;
    await sleep(200);
    const sentBefore = scene.sentBytes();
    const startedAt = performance.now();
    await putObject(agent, scene.adminPort, `/routes/r${last}`, {
      ...routeOf(last),
      uris: [`/r${last}/*`, uri],
      uri: undefined,
    });
    while ((await getStatus(agent, scene.gatewayPort, uri)) !== 200) await sleep(1);
    effectiveMs.push(performance.now() - startedAt);
    await sleep(100);
    bytes.push(scene.sentBytes() - sentBefore);
  }
  agent.destroy();
  return { effectiveMs, bytes };
}

function routeOf(i: number): object {
  return { uri: `/r${i}/*`, upstream_id: `u${i}` };
}

function upstreamOf(i: number, backendPort: number): object {
  const nodes = Array.from({ length: NODES_PER_UPSTREAM }, (_, node) => ({
    host: `127.${1 + node}.${i >> 8}.${i & 255}`,
    port: backendPort,
    weight: 1,
  }));
  return { type: 'roundrobin', nodes };
}

interface Started {
  readonly child: ChildProcess;
  readonly ready: Readonly<Record<string, string>>;
  readonly readyWallMs: number;
  log(): string;
}

function start(args: readonly string[]): Promise<Started> {
  const child = spawn(process.execPath, [OWN_PROGRAM, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  let log = '';
  let out = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (log += text));
  return new Promise((resolve, reject) => {
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      out += text;
      if (!out.includes('\n')) return;
      resolve({ child, ready: JSON.parse(out) as Record<string, string>, readyWallMs: Date.now(), log: () => log });
    });
    child.once('exit', (code) => reject(new Error(`${args[0]} ended with ${code}: ${log}`)));
  });
}

function output(command: string, args: readonly string[]): Promise<string> {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'ignore'] });
  let out = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (out += text));
  return new Promise((resolve) => child.once('close', () => resolve(out)));
}

async function listening(server: Server | ReturnType<typeof createServer>): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '0.0.0.0', resolve));
  return (server.address() as AddressInfo).port;
}

function mib(pid: number | undefined): string {
  return (readUsage(pid ?? 0).rssBytes / 1_048_576).toFixed(0);
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? NaN;
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
