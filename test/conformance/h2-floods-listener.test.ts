// Floods that a caller sends to the listener, over real sockets against the whole data plane. Each must be cut within
// 1,000 frames, while another caller, over the same upstream connections, notices nothing; and nothing is left over.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ENHANCE_YOUR_CALM } from '../../src/codec/h2/error-code.ts';
import { DEFAULT_LIMITS } from '../../src/codec/limits.ts';
import { startDataPlane, type TestDataPlane } from '../support/data-plane.ts';
import { CLIENT_STREAMS, FLOODS, grpcRequest, sendFlood, turns, until, type Flood } from '../support/h2-floods.ts';
import { headers, ping, settings, windowUpdate } from '../support/h2-peer.ts';
import { connectRawH2 } from '../support/h2-raw.ts';
import { GrpcCaller, startHonestServer, type HonestServer } from '../support/h2-honest.ts';

const SETTINGS_INITIAL_WINDOW_SIZE = 4;
const CREDIT = 0x7fff0000;
/** What the sidecar may parse of a flood before it ends the connection. */
const MOST = 1000;

test('floods from a caller', async (t) => {
  for (const flood of FLOODS.filter(({ from }) => from !== 'server')) {
    await t.test(flood.name, async (t) => {
      const upstream = await startHonestServer();
      const plane = await startDataPlane([upstream.port], { scheme: 'grpc' });
      try {
        t.diagnostic(await attack(flood, plane, upstream));
      } finally {
        plane.close();
        upstream.close();
      }
    });
  }
});

async function attack(flood: Flood, plane: TestDataPlane, upstream: HonestServer): Promise<string> {
  const listener = plane.config.listeners.get('outbound/80')?.bound;
  assert.ok(listener);
  const canary = new GrpcCaller(plane.port);
  assert.equal((await canary.call('/before')).grpcStatus, 0);

  const window = flood.window === undefined ? [] : [SETTINGS_INITIAL_WINDOW_SIZE, flood.window];
  const attacker = await connectRawH2(plane.port, window);
  const open = headers(CLIENT_STREAMS.open, grpcRequest(flood.path ?? '/hold'), flood.path !== undefined);
  attacker.send(open);
  await until(() => upstream.open.size === 1 && attacker.seen('SETTINGS') > 0, 'the open call');
  if (flood.path !== undefined) await until(() => attacker.seen('HEADERS') > 0, 'the answer');
  if (flood.deaf) attacker.stopReading();
  attacker.send(...(flood.before?.(CLIENT_STREAMS) ?? []));
  await turns(5);

  const cut = (): boolean => plane.refusals.some(([, detail]) => detail.startsWith('ENHANCE_YOUR_CALM'));
  const isOver = (): boolean => attacker.ended || cut();
  const most = flood.most ?? MOST;
  const calls: Promise<{ readonly grpcStatus: number }>[] = [];
  const { acts, over, wallMs } = await sendFlood(attacker, flood, CLIENT_STREAMS, 3 * most, isOver, () =>
    calls.push(canary.call('/meanwhile')),
  );
  const counted = plane.refusals
    .map(([kind, detail]) => `${kind} ${detail}`)
    .filter((words, i, all) => all.indexOf(words) === i);
  assert.ok(over, `never cut in ${acts}; counted: ${counted.join('; ')}`);
  assert.ok(acts <= allowed(most, wallMs), `cut after ${acts}`);
  if (flood.deaf) attacker.readOn();
  await attacker.whenEnded;
  assert.equal(attacker.goodbye?.code, ENHANCE_YOUR_CALM, `GOAWAY ${JSON.stringify(attacker.goodbye)}`);
  assert.equal(plane.refusals.filter(([kind]) => kind === flood.kind).length, 1, counted.join('; '));
  attacker.destroy();

  calls.push(canary.call('/after'));
  for (const { grpcStatus } of await Promise.all(calls)) assert.equal(grpcStatus, 0, 'another caller noticed');
  await until(() => upstream.open.size === 0, 'the upstream hears that its work is not wanted');
  // The second carries what is beyond the streams of the first.
  assert.ok(upstream.connections.length <= 2, 'the same upstream connections carried all');
  canary.close();
  await until(() => listener.connectionCount === 0, 'connections are gone');
  assert.equal(listener.active, 0);
  assert.equal(plane.cluster.inFlight, 0);
  return `${acts} until cut, ${wallMs.toFixed(1)} ms, ${calls.length} other calls; ${counted.at(-1)}`;
}

test('PING and SETTINGS of a caller that takes nothing of its answers', async (t) => {
  for (const [name, act] of [
    ['PING', ping(1, 2)],
    ['SETTINGS', settings(3, 100)],
  ] as const) {
    await t.test(name, async (t) => {
      const upstream = await startHonestServer();
      const plane = await startDataPlane([upstream.port], { scheme: 'grpc' });
      const attacker = await connectRawH2(plane.port, [SETTINGS_INITIAL_WINDOW_SIZE, CREDIT]);
      try {
        await until(() => attacker.seen('SETTINGS') > 0, 'SETTINGS');
        attacker.stopReading();
        attacker.send(windowUpdate(0, CREDIT));
        // Answers fill the kernel's buffers, and then what the sidecar keeps for itself.
        for (let n = 0; n < 400; n++) attacker.send(headers(1 + 2 * n, grpcRequest('/large')));
        await until(() => upstream.calls() === 400, 'the calls');
        await turns(100);
        const cut = (): boolean => plane.refusals.some(([kind]) => kind === 'too_many_frames');
        const flood: Flood = { name, from: 'client', kind: 'too_many_frames', deaf: true, act: () => [act], slice: 10 };
        const { acts, over } = await sendFlood(attacker, flood, CLIENT_STREAMS, MOST, cut);
        assert.ok(over, `never cut in ${acts}`);
        t.diagnostic(`${acts} until cut; ${plane.refusals.map(([, detail]) => detail).join('; ')}`);
        assert.ok(plane.refusals.some(([, detail]) => detail.includes('replies are not read')));
        assert.ok(acts <= DEFAULT_LIMITS.controlQueueFrames + 20);
      } finally {
        attacker.destroy();
        await until(() => plane.cluster.inFlight === 0, 'the calls are gone');
        plane.close();
        upstream.close();
      }
    });
  }
});

test('twenty attackers at once, each with another flood', async (t) => {
  const upstream = await startHonestServer();
  const plane = await startDataPlane([upstream.port], { scheme: 'grpc' });
  const canary = new GrpcCaller(plane.port);
  const floods = FLOODS.filter(({ from, path }) => from !== 'server' && path === undefined).slice(0, 20);
  try {
    const calls: Promise<{ readonly grpcStatus: number }>[] = [];
    await Promise.all(
      floods.map(async (flood) => {
        const attacker = await connectRawH2(plane.port);
        attacker.send(headers(CLIENT_STREAMS.open, grpcRequest(), false));
        await until(() => attacker.seen('SETTINGS') > 0, 'SETTINGS');
        attacker.send(...(flood.before?.(CLIENT_STREAMS) ?? []));
        await turns(5);
        await sendFlood(
          attacker,
          flood,
          CLIENT_STREAMS,
          3 * MOST,
          () => attacker.ended,
          () => {
            calls.push(canary.call('/meanwhile'));
          },
        );
        await attacker.whenEnded;
        assert.equal(attacker.goodbye?.code, ENHANCE_YOUR_CALM, flood.name);
        attacker.destroy();
      }),
    );
    for (const { grpcStatus } of await Promise.all(calls)) assert.equal(grpcStatus, 0, 'another caller noticed');
    await until(() => upstream.open.size === 0 && plane.cluster.inFlight === 0, 'no work is left');
    t.diagnostic(`${floods.length} floods, ${calls.length} other calls`);
  } finally {
    canary.close();
    plane.close();
    upstream.close();
  }
});

/** The buckets fill with time, which a slow machine takes more of. */
function allowed(most: number, wallMs: number): number {
  return most + Math.max(0, wallMs - 500) / 2;
}
