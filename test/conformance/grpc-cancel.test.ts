// Who gives a call up, and when the other side hears of it.
import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import { DEFAULT_PASSIVE } from '../../src/model/defaults.ts';
import { data, headers, reset, settings, SETTINGS_ACK, windowUpdate } from '../support/h2-peer.ts';
import { ANSWER_HEAD, callFields, message, type GrpcPeer, type GrpcStream } from '../support/grpc-peer.ts';
import { assertCanary, GrpcScene } from '../support/grpc-scene.ts';
import { issueAuthority } from '../support/certificates.ts';
import { until, upstreamTls } from '../support/tls-peer.ts';

const scene = new GrpcScene();
afterEach(() => scene.close());

const CANCEL = 8;
const MAX_CONCURRENT_STREAMS = 0x3;
const CHECKS = { active: undefined, passive: { ...DEFAULT_PASSIVE, httpFailures: 1, tcpFailures: 1, timeouts: 1 } };

describe('G-009 cancel', () => {
  interface Phase {
    readonly name: string;
    readonly play: (call: GrpcStream) => void;
    /** Makes the call and goes on until it is in the phase. */
    readonly reach: (caller: GrpcPeer, calls: readonly GrpcStream[]) => Promise<GrpcStream>;
  }

  const opened = async (call: GrpcStream, calls: readonly GrpcStream[]): Promise<GrpcStream> => {
    await until(() => calls.some(({ isOver }) => !isOver), 'the call at the endpoint');
    return call;
  };

  const phases: readonly Phase[] = [
    {
      name: 'the head is sent',
      play: () => undefined,
      reach: (caller, calls) => opened(caller.call(callFields(), undefined, false), calls),
    },
    {
      name: 'the request is streaming',
      play: () => undefined,
      reach: async (caller, calls) => {
        const call = caller.call(callFields(), message('one'), false);
        await until(() => calls.at(-1)?.bodyBytes === 8, 'the message');
        return call;
      },
    },
    {
      name: 'the request is complete',
      play: () => undefined,
      reach: async (caller, calls) => {
        const call = caller.call(callFields(), message('one'));
        await until(() => calls.at(-1)?.ended === true, 'the request');
        return call;
      },
    },
    {
      name: 'the answer is streaming',
      play: (call) => call.peer.send(headers(call.id, ANSWER_HEAD, false), data(call.id, message('a'))),
      reach: async (caller) => {
        const call = caller.call(callFields(), message('one'));
        await until(() => call.bodyBytes > 0, 'the message');
        return call;
      },
    },
    {
      name: 'both are streaming',
      play: (call) => call.peer.send(headers(call.id, ANSWER_HEAD, false), data(call.id, message('a'))),
      reach: async (caller) => {
        const call = caller.call(callFields(), message('one'), false);
        await until(() => call.bodyBytes > 0, 'the message');
        call.send(message('two'));
        return call;
      },
    },
    {
      name: 'the answer waits for the caller',
      play: (call) => {
        call.peer.send(headers(call.id, ANSWER_HEAD, false));
        call.peer.pour(call, Buffer.alloc(300_000));
      },
      reach: async (caller) => {
        const call = caller.open();
        call.stalled = true;
        caller.send(headers(call.id, callFields(), false), data(call.id, message('x'), true));
        await until(() => call.bodyBytes === 65_535, 'a full window');
        return call;
      },
    },
    {
      name: 'the request waits for the endpoint',
      play: (call) => (call.stalled = true),
      reach: async (caller, calls) => {
        const call = caller.call(callFields(), undefined, false);
        await until(() => calls.at(-1)?.isOver === false, 'the call');
        caller.pour(call, Buffer.alloc(120_000));
        await until(() => calls.at(-1)?.bodyBytes === 65_535, 'a full window');
        return call;
      },
    },
  ];

  for (const { name, play, reach } of phases) {
    it(`while ${name}: the endpoint sees it before what the caller does next`, async () => {
      const order: string[] = [];
      const endpoint = await scene.endpoint((call) => {
        order.push(call.path);
        call.peer.onFrame = (stream, frame) => {
          if (frame.type === 'RST_STREAM') order.push(`cancelled ${stream.resetCode}`);
        };
        if (call.path === '/next') call.onEnd = () => call.answer();
        else play(call);
      });
      const plane = await scene.plane([endpoint], { checks: CHECKS });
      const caller = await scene.caller(plane);
      await assertCanary(caller); // the connection is there, so the next call can overtake nothing
      const call = await reach(caller, endpoint.calls);
      // One write: a cancel that were put off to a later turn would come behind the next call.
      const next = caller.open();
      caller.send(reset(call.id, CANCEL), headers(next.id, callFields('/next')));
      await next.over();
      assert.equal(next.grpcStatus, '0');
      assert.deepEqual(order, ['/test.Service/Call', `cancelled ${CANCEL}`, '/next']);
      assert.equal(plane.records[1]?.error, 'downstream_reset');
      assert.equal(plane.cluster.inFlight, 0);
      await assertCanary(caller);
      assert.equal(endpoint.peers.length, 1, 'the connection goes on');
    });
  }

  it('reaches the endpoint within 10 ms', async () => {
    const { caller, endpoint } = await scene.all(() => undefined);
    let best = Infinity;
    for (let i = 0; i < 5; i++) {
      const call = caller.call(callFields(), message('x'));
      await until(() => endpoint.calls.length === i + 1, 'the call');
      const startMs = performance.now();
      call.reset(CANCEL);
      const asked = endpoint.calls[i]!;
      await until(() => asked.resetCode === CANCEL, 'CANCEL');
      best = Math.min(best, asked.lastMs - startMs);
    }
    assert.ok(best <= 10, `${best} ms`);
  });

  it('is no failure of the endpoint', async () => {
    const endpoint = await scene.endpoint((call) => {
      if (call.path === '/late') call.peer.send(headers(call.id, ANSWER_HEAD, false));
    });
    const plane = await scene.plane([endpoint], { checks: CHECKS });
    const caller = await scene.caller(plane);
    const changes: string[] = [];
    for (let i = 0; i < 20; i++) {
      const call = caller.call(callFields(i % 2 === 0 ? '/early' : '/late'), message('x'), i % 3 === 0);
      await until(() => endpoint.calls.length === i + 1 && (i % 2 === 0 || call.heads.length > 0), 'the phase');
      call.reset(CANCEL);
      await until(() => plane.records.length === i + 1, 'the record');
      changes.push(...[...plane.cluster.list()].map(({ cause }) => cause));
    }
    assert.deepEqual([...new Set(changes)], [''], 'no evidence');
    assert.deepEqual([...new Set(plane.records.map(({ error }) => error))], ['downstream_reset']);
    await assertCanary(caller);
  });

  it('while the connection is being made: no endpoint hears of the call', async () => {
    const deaf = await scene.raw(() => undefined); // accepts, and never answers the handshake
    const plane = await scene.plane([deaf], { scheme: 'grpcs', tls: upstreamTls(await issueAuthority()) });
    const caller = await scene.caller(plane);
    const call = caller.call(callFields(), message('x'));
    await until(() => deaf.connections.length === 1, 'the connection');
    call.reset(CANCEL);
    await until(() => plane.records.length === 1, 'the record');
    assert.equal(plane.records[0]?.error, 'downstream_reset');
    assert.equal(plane.cluster.inFlight, 0);
  });

  it('while it waits for a stream: it never gets one, and the next in line does', async () => {
    let slow: GrpcPeer | undefined;
    const endpoint = await scene.endpoint(
      (call) => {
        if (call.path === '/third') call.onEnd = () => call.answer();
      },
      {
        onConnection: (peer) => {
          slow = peer;
          peer.isMute = true;
        },
      },
    );
    const plane = await scene.plane([endpoint]);
    const caller = await scene.caller(plane);
    caller.call(callFields('/first'), message('x'));
    await until(() => endpoint.calls.length === 1, 'the first, which needs no SETTINGS');
    const second = caller.call(callFields('/second'), message('x'));
    const third = caller.call(callFields('/third'), message('x'));
    second.reset(CANCEL);
    await until(() => plane.records.length === 1, 'the record of the second');
    assert.ok(slow);
    slow.isMute = false;
    slow.send(settings(MAX_CONCURRENT_STREAMS, 2), SETTINGS_ACK);
    await third.over();
    assert.equal(third.grpcStatus, '0');
    assert.deepEqual(
      endpoint.calls.map(({ path }) => path),
      ['/first', '/third'],
    );
    assert.equal(endpoint.peers.length, 1);
  });

  it('by closing the connection cancels all its calls, and no other', async () => {
    const { caller, endpoint, plane } = await scene.all((call) => {
      if (call.path === '/other') call.onEnd = () => setTimeout(() => call.answer(), 30);
    });
    for (let i = 0; i < 10; i++) caller.call(callFields(`/${i}`), message('x'), i % 2 === 0);
    await until(() => endpoint.calls.length === 10, 'ten calls');
    const second = await scene.caller(plane);
    const other = second.call(callFields('/other'), message('x'));
    caller.socket.destroy();
    await until(() => endpoint.calls.filter(({ resetCode }) => resetCode === CANCEL).length === 10, 'ten CANCELs');
    await other.over();
    assert.equal(other.grpcStatus, '0');
    await assertCanary(second);
  });
});

describe('G-011 the server ends first', () => {
  for (const says of ['RST_STREAM NO_ERROR', 'nothing more'] as const) {
    it(`trailers are delivered and the upload stops; the server says ${says}`, async () => {
      const { caller, endpoint, plane } = await scene.all((call) => {
        call.stalled = true;
        call.peer.onFrame = (stream) => {
          if (stream !== call || call.bodyBytes < 20_000 || call.words.includes('answered')) return;
          call.words.push('answered');
          const frames = [headers(call.id, ANSWER_HEAD, false), data(call.id, message('enough'))];
          frames.push(headers(call.id, ['grpc-status', '8', 'grpc-message', 'full']));
          if (says !== 'nothing more') frames.push(reset(call.id, 0));
          call.peer.send(...frames);
        };
      });
      const call = caller.call(callFields(), undefined, false);
      const pour = caller.pour(call, Buffer.alloc(1_000_000));
      await until(() => call.resetCode >= 0, 'the reset');
      assert.deepEqual(call.words, ['HEADERS', 'DATA 11', 'HEADERS END', 'RST_STREAM 0']);
      assert.equal(call.grpcStatus, '8');
      assert.deepEqual(call.body, message('enough'));
      assert.ok(pour.sent < 300_000, `${pour.sent} bytes of the upload were asked for`);
      if (says === 'nothing more')
        await until(() => (endpoint.calls[0]?.resetCode ?? -1) >= 0, 'the end of the upload');
      await until(() => plane.records.length === 1, 'the record');
      assert.equal(plane.records[0]?.grpcStatus, 8);
      assert.equal(plane.records[0]?.error, undefined);
      // The caller's connection still has its window: the bytes that came too late were counted back.
      for (const frame of [windowUpdate(0, 1)]) caller.send(frame);
      for (let i = 0; i < 3; i++) await assertCanary(caller);
      assert.equal(endpoint.peers.length, 1);
    });
  }

  it('an upload that goes on after the answer costs nobody anything', async () => {
    const { caller, endpoint } = await scene.all((call) => call.answer(message('done')));
    for (let i = 0; i < 30; i++) {
      const call = caller.call(callFields(), undefined, false);
      // The caller hasn't heard of the end yet.
      for (let sent = 0; sent < 4; sent++) call.send(Buffer.alloc(15_000));
      await until(() => call.resetCode >= 0 || call.ended, 'the end');
      assert.equal(call.grpcStatus, '0');
    }
    await assertCanary(caller);
    assert.equal(endpoint.peers.length, 1);
  });
});
