// What a change costs the control plane: 10,000 Routes and 10,000 Upstreams of five nodes, one sidecar and then a hundred that
// hold them all. `node dist/test/bench/control-plane.js [SIDECARS] [ROUTES]` prints figures; the sidecars are streams in a
// child process, so that the CPU time is that of the control plane alone. Not part of `npm test`.
import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { credentials } from '@grpc/grpc-js';
import { systemClock } from '../../src/base/clock.ts';
import { typeUrl } from '../../src/config/resource.ts';
import { AdsServer } from '../../src/controlplane/ads-server.ts';
import { refusals } from '../../src/controlplane/refusals.ts';
import { SnapshotCache } from '../../src/controlplane/snapshot-cache.ts';
import type { NativeObject } from '../../src/controlplane/source.ts';
import { Translator } from '../../src/controlplane/translate/translator.ts';
import { Node } from '../../src/gen/envoy/config/core/v3/base.ts';
import { AggregatedDiscoveryServiceClient } from '../../src/gen/envoy/service/discovery/v3/ads.ts';
import {
  DeltaDiscoveryRequest,
  type DeltaDiscoveryResponse,
} from '../../src/gen/envoy/service/discovery/v3/discovery.ts';
import { Route } from '../../src/gen/outrigger/config/v1/gateway.ts';
import { Upstream } from '../../src/gen/outrigger/config/v1/upstream.ts';

const ROUTE = typeUrl('Route');
const UPSTREAM = typeUrl('Upstream');
/** After each of these changes everything is quiet again. */
const CHANGES = 20;

interface Order {
  readonly address: string;
  readonly streams: number;
  readonly upstreams: number;
}

function native(resourceKind: 'Route' | 'Upstream', name: string, bytes: Uint8Array): NativeObject {
  return { kind: 'native', resourceKind, name, bytes, origin: { file: 'store', line: 1, column: 1 } };
}

function route(i: number): NativeObject {
  const message = { name: `r${i}`, uris: [`/service-${i}/*`], upstreamId: `u${i}`, labels: { team: `t${i % 50}` } };
  return native('Route', `r${i}`, Route.encode(Route.fromPartial(message)).finish());
}

function upstream(i: number, weight: number): NativeObject {
  const nodes = Array.from({ length: 5 }, (_, n) => ({
    host: `10.${n}.${i >> 8}.${i & 255}`,
    port: 8080,
    weight,
    metadata: {},
  }));
  const message = Upstream.fromPartial({ name: `u${i}`, type: 'roundrobin', scheme: 'http', retries: 2, nodes });
  return native('Upstream', `u${i}`, Upstream.encode(message).finish());
}

const clock = systemClock();
const cpuMs = (): number => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
};
const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1] ?? NaN;
const round = (ms: number): number => Math.round(ms * 10) / 10;

async function measure(streams: number, count: number): Promise<void> {
  const objects: NativeObject[] = [];
  for (let i = 0; i < count; i++) objects.push(route(i));
  for (let i = 0; i < count; i++) objects.push(upstream(i, 1));
  const translator = new Translator();
  const cache = new SnapshotCache();
  const put = (): void => {
    const translation = translator.translate(objects.slice());
    cache.put(translation);
    if (refusals(translation).length > 0) throw new Error('a sidecar would refuse what is measured');
  };
  let started = clock.refresh();
  put();
  print('objects', 2 * count);
  print('first translation, ms', round(clock.refresh() - started));
  const logger = { level: 'fatal' as const, isOn: () => false, log: () => undefined };
  const server = new AdsServer({ host: '127.0.0.1', port: 0, cache, clock, logger });
  const address = await server.start();
  for (const n of new Set([1, streams])) {
    const child = fork(fileURLToPath(import.meta.url), ['streams']);
    const cpu = cpuMs();
    started = clock.refresh();
    child.send({ address, streams: n, upstreams: count } satisfies Order);
    await reported(child, 'loaded');
    print(`${n} streams: first load of all, ms`, round(clock.refresh() - started));
    print(`${n} streams: CPU of it per stream, ms`, round((cpuMs() - cpu) / n));
    const costs: number[] = [];
    const reached: number[] = [];
    const out: number[] = [];
    for (let i = 0; i < CHANGES; i++) {
      const at = (i * 137) % count;
      const before = cpuMs();
      started = clock.refresh();
      objects[count + at] = upstream(at, 2 + i + 100 * n);
      put();
      out.push(clock.refresh() - started);
      await reported(child, 'changed');
      reached.push(clock.refresh() - started);
      const applied = await server.awaitApplied([{ kind: 'Upstream', name: `u${at}` }], 5_000);
      if (applied.acknowledged.length !== n) throw new Error(`${applied.acknowledged.length} of ${n} acknowledged`);
      costs.push(cpuMs() - before);
    }
    print(`${n} streams: a change is written to all after, ms`, round(median(out)));
    print(`${n} streams: a change has reached all after, ms`, round(median(reached)));
    print(`${n} streams: CPU of a change, acknowledged by all, ms`, round(median(costs)));
    child.kill();
    await new Promise((resolve) => child.once('exit', resolve));
  }
  await server.stop();
}

function print(what: string, value: number): void {
  process.stdout.write(`${what.padEnd(58)}${value}\n`);
}

function reported(child: ChildProcess, what: string): Promise<void> {
  return new Promise((resolve) => {
    const onMessage = (message: unknown): void => {
      if (message !== what) return;
      child.off('message', onMessage);
      resolve();
    };
    child.on('message', onMessage);
  });
}

/** The child: streams that take everything. Tells when all have all, then each time that all have a change. */
function follow({ address, streams, upstreams }: Order): void {
  let loaded = 0;
  let changed = 0;
  const tell = (what: string): void => void process.send?.(what);
  for (let i = 0; i < streams; i++) {
    const client = new AggregatedDiscoveryServiceClient(address, credentials.createInsecure(), {
      'grpc.use_local_subchannel_pool': 1,
      'grpc.max_receive_message_length': 32 * 1024 * 1024,
      'grpc-node.flow_control_window': 1024 * 1024,
    });
    const call = client.deltaAggregatedResources();
    const ask = (request: Partial<DeltaDiscoveryRequest>): void =>
      void call.write({ ...DeltaDiscoveryRequest.fromPartial({}), ...request });
    let left = 2 * upstreams;
    let asked = false;
    call.on('error', () => undefined);
    call.on('data', ({ typeUrl: type, nonce, resources }: DeltaDiscoveryResponse) => {
      ask({ typeUrl: type, responseNonce: nonce });
      if (left > 0) {
        left -= resources.length;
        if (type === ROUTE && !asked && left <= upstreams) {
          asked = true;
          ask({ typeUrl: UPSTREAM, resourceNamesSubscribe: Array.from({ length: upstreams }, (_, u) => `u${u}`) });
        }
        if (left === 0 && ++loaded === streams) tell('loaded');
        return;
      }
      if (++changed % streams === 0) tell('changed');
    });
    ask({ node: Node.fromPartial({ id: `n${i}` }), typeUrl: ROUTE, resourceNamesSubscribe: ['*'] });
  }
}

if (process.argv[2] === 'streams') process.on('message', (order) => follow(order as Order));
else await measure(Number(process.argv[2] ?? 100), Number(process.argv[3] ?? 10_000));
