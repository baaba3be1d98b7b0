// Calls and the life of their connections: health checks that are no calls, and streams that outlive a drain.
import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import type { ChecksPolicy } from '../../src/model/policy.ts';
import { DEFAULT_ACTIVE } from '../../src/model/defaults.ts';
import { PortCell } from '../../src/model/cells.ts';
import { data, goaway, headers, reset } from '../support/h2-peer.ts';
import {
  ANSWER_HEAD,
  callFields,
  connectGrpc,
  message,
  type GrpcEndpoint,
  type GrpcStream,
} from '../support/grpc-peer.ts';
import { assertCanary, GrpcScene } from '../support/grpc-scene.ts';
import { portOf, startProgram } from '../support/program.ts';
import { until } from '../support/tls-peer.ts';

const scene = new GrpcScene();
afterEach(() => scene.close());

const CHECK = '/grpc.health.v1.Health/Check';
const INTERVAL_MS = 40;

const CHECKS: ChecksPolicy = {
  active: {
    ...DEFAULT_ACTIVE,
    type: 'grpc',
    grpcService: 'shop',
    healthy: { intervalMs: INTERVAL_MS, statuses: [200], successes: 1 },
    unhealthy: { intervalMs: INTERVAL_MS, statuses: [], httpFailures: 1, tcpFailures: 1, timeouts: 1 },
  },
  passive: undefined,
};

const SERVING = message(Buffer.from([0x08, 1]));
const NOT_SERVING = message(Buffer.from([0x08, 2]));

describe('G-028 health service', () => {
  /** Two endpoints with probes; `play` answers those of the first. */
  async function probed(play: (probe: GrpcStream) => void): Promise<{
    first: GrpcEndpoint;
    asked: () => number;
    isUsable: () => boolean;
    plane: Awaited<ReturnType<GrpcScene['plane']>>;
  }> {
    let calls = 0;
    const of = (probe: (call: GrpcStream) => void) => (call: GrpcStream) => {
      if (call.path === CHECK) call.onEnd = () => probe(call);
      else {
        calls++;
        call.onEnd = () => call.answer();
      }
    };
    const first = await scene.endpoint(of(play));
    const second = await scene.endpoint(of((probe) => probe.answer(SERVING)));
    const plane = await scene.plane([first, second], { checks: CHECKS });
    const endpoint = [...plane.cluster.list()].find(({ spec }) => spec.port === first.port);
    return { first, asked: () => calls, isUsable: () => endpoint?.usable === true, plane };
  }

  it('SERVING, NOT_SERVING, SERVING: out within one interval, and in again', async () => {
    let says = SERVING;
    const { first, isUsable, plane } = await probed((probe) => probe.answer(says));
    await until(() => first.calls.length >= 2, 'two probes');
    assert.ok(isUsable());
    const probe = first.calls[0]!;
    assert.equal(probe.field(':method'), 'POST');
    assert.equal(probe.field('content-type'), 'application/grpc');
    assert.equal(probe.field('te'), 'trailers');
    assert.deepEqual(probe.body, message(Buffer.from('\x0a\x04shop')));
    says = NOT_SERVING;
    const probes = first.calls.length;
    await until(() => !isUsable(), 'it to be out');
    assert.ok(first.calls.length <= probes + 2, 'by the next probe, or one that was on its way');
    const caller = await scene.caller(plane);
    for (let i = 0; i < 4; i++) {
      const call = caller.call(callFields(), message('x'));
      await call.over();
      assert.equal(call.grpcStatus, '0');
    }
    assert.equal(first.calls.filter(({ path }) => path !== CHECK).length, 0, 'no call goes there');
    says = SERVING;
    await until(isUsable, 'it to be in again');
  });

  const bad: readonly [string, (probe: GrpcStream) => void][] = [
    ['UNIMPLEMENTED', (probe) => probe.peer.send(headers(probe.id, [...ANSWER_HEAD, 'grpc-status', '12']))],
    ['NOT_FOUND', (probe) => probe.answer(message(''), '5')],
    [
      'SERVING, but no status',
      (probe) => probe.peer.send(headers(probe.id, ANSWER_HEAD, false), data(probe.id, SERVING, true)),
    ],
    ['a page', (probe) => probe.peer.send(headers(probe.id, [':status', '404', 'content-type', 'text/html']))],
    ['a reset', (probe) => probe.reset(2)],
    [
      'a reset behind SERVING',
      (probe) => probe.peer.send(headers(probe.id, ANSWER_HEAD, false), data(probe.id, SERVING), reset(probe.id, 8)),
    ],
    ['a cut connection', (probe) => probe.peer.cut('rst')],
    ['too long an answer', (probe) => probe.answer(message(Buffer.alloc(4_000)))],
  ];
  for (const [name, play] of bad) {
    it(`${name} is not serving`, async () => {
      const { isUsable, plane } = await probed(play);
      await until(() => !isUsable(), 'it to be out');
      await assertCanary(await scene.caller(plane));
    });
  }

  it('a service of another kind of answer is asked for by name, and probes are no traffic', async () => {
    const { first, plane, asked } = await probed((probe) => probe.answer(SERVING));
    await until(() => first.calls.length >= 4, 'four probes');
    assert.equal(plane.records.length, 0);
    assert.equal(plane.cluster.total(PortCell.Requests), 0);
    assert.equal(plane.cluster.inFlight, 0);
    assert.equal(asked(), 0);
  });
});

describe('G-029 a long stream over a drain', () => {
  const chat = (call: GrpcStream): void => {
    call.peer.send(headers(call.id, ANSWER_HEAD, false));
    let seen = 0;
    call.peer.onFrame = () => {
      for (; seen < call.parts.length; seen++) call.send(call.parts[seen]!);
    };
    call.onEnd = () => call.peer.send(headers(call.id, ['grpc-status', '0']));
  };

  it('GOAWAY of 2^31-1, then the final one; the stream goes on until it ends', async () => {
    const { caller, plane, endpoint } = await scene.all(chat);
    const call = caller.call(callFields(), message('1'), false);
    await until(() => call.bodyBytes === 6, 'the first message');
    const drained = plane.config.drain();
    await until(() => caller.words.filter((word) => word.startsWith('GOAWAY')).length === 2, 'both GOAWAYs');
    assert.deepEqual(
      caller.words.filter((word) => word.startsWith('GOAWAY')),
      ['GOAWAY 2147483647 0', 'GOAWAY 1 0'],
    );
    for (let i = 2; i <= 20; i++) {
      call.send(message(String(i)));
      await until(() => endpoint.calls[0]?.parts.length === i && call.parts.length >= i, `message ${i}`);
    }
    call.send('', true);
    await call.over();
    assert.equal(call.grpcStatus, '0');
    assert.ok(call.body.equals(Buffer.concat(Array.from({ length: 20 }, (_, i) => message(String(i + 1))))));
    await drained;
    await until(() => caller.isClosed, 'the connection to close');
  });

  it('a call that was on its way between the two is still taken', async () => {
    const { caller, plane } = await scene.all((call) => {
      if (call.path === '/chat') chat(call);
      else call.onEnd = () => call.answer();
    });
    const stream = caller.call(callFields('/chat'), message('1'), false);
    await until(() => stream.bodyBytes === 6, 'the first message');
    const drained = plane.config.drain();
    const late = caller.call(callFields('/late'), message('x'));
    await late.over();
    assert.equal(late.grpcStatus, '0');
    stream.send('', true);
    await drained;
    assert.equal(stream.grpcStatus, '0');
  });

  it('an endpoint that drains keeps its streams, and gets no further call', async () => {
    const going = await scene.endpoint((call) => {
      if (call.path === '/chat') chat(call);
      else call.onEnd = () => call.answer();
    });
    const plane = await scene.plane([going]);
    const caller = await scene.caller(plane);
    const stream = caller.call(callFields('/chat'), message('1'), false);
    await until(() => stream.bodyBytes === 6, 'the first message');
    going.peers[0]!.send(goaway(2 ** 31 - 1, 0), goaway(going.calls[0]!.id, 0));
    const call = caller.call(callFields('/next'), message('x'));
    await call.over();
    assert.equal(call.grpcStatus, '0');
    assert.equal(going.peers.length, 2, 'over another connection');
    stream.send(message('2'));
    await until(() => stream.bodyBytes === 12, 'the second message');
    stream.send('', true);
    await stream.over();
    assert.equal(stream.grpcStatus, '0');
  });

  it('at SIGTERM it lives until the drain limit, then its caller sees the connection end, never the stream', async () => {
    const endpoint = await scene.endpoint(chat);
    const program = await startProgram([
      'run',
      '--listen',
      '0',
      '--to',
      `127.0.0.1:${endpoint.port}`,
      '--scheme',
      'grpc',
      '--drain-timeout',
      '1s',
      '--admin',
      '0',
      '--health',
      '0',
    ]);
    const caller = await connectGrpc(portOf(program.ready.listeners?.[0]?.address));
    const call = caller.call(callFields(), message('1'), false);
    await until(() => call.bodyBytes === 6, 'the first message');
    const startMs = performance.now();
    const stopped = program.stop();
    await until(() => caller.words.some((word) => word.startsWith('GOAWAY 2147483647')), 'GOAWAY');
    call.send(message('2'));
    await until(() => call.bodyBytes === 12, 'a message while it drains');
    await until(() => call.isOver, 'the end');
    const lastedMs = performance.now() - startMs;
    assert.ok(lastedMs >= 900, `${lastedMs} ms`);
    assert.ok(!call.ended, 'no clean end');
    assert.ok(call.resetCode !== 0 && caller.isClosed, call.words.join(', '));
    assert.equal(await stopped, 1, 'calls were cut');
    caller.socket.destroy();
  });
});
