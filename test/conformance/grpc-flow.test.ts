// Back-pressure through the whole data plane: who doesn't read stops who sends, at a bounded number of bytes, and nobody
// else.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { afterEach, describe, it } from 'node:test';
import { DEFAULT_LIMITS } from '../../src/codec/limits.ts';
import { HIGH_WATER_BYTES } from '../../src/codec/exchange.ts';
import { REPLAY_BYTES } from '../../src/model/defaults.ts';
import { data, headers } from '../support/h2-peer.ts';
import { ANSWER_HEAD, callFields, message, type GrpcStream, type Pour } from '../support/grpc-peer.ts';
import { assertCanary, GrpcScene } from '../support/grpc-scene.ts';
import { heldBytes } from '../support/process-memory.ts';
import { until } from '../support/tls-peer.ts';

const scene = new GrpcScene();
afterEach(() => scene.close());

const MIB = 1024 * 1024;
/** The receiver's own window, and what the sidecar grants and holds on top of it. */
const MAX_AHEAD = 65_535 + HIGH_WATER_BYTES + REPLAY_BYTES + 2 * DEFAULT_LIMITS.streamWindowBytes;

/** Bytes in which a lost, doubled or swapped part shows. */
function patterned(bytes: number): Buffer {
  const body = Buffer.alloc(bytes);
  for (let at = 0; at + 4 <= bytes; at += 4) body.writeUInt32LE((Math.imul(at, 2_654_435_761) ^ (at >> 7)) >>> 0, at);
  return body;
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** Until `pour` has moved no byte for a while, in which it could have moved much. */
async function untilStuck(pour: Pour): Promise<void> {
  let before = -1;
  for (let same = 0; same < 15;) {
    await new Promise((resolve) => setTimeout(resolve, 2));
    same = pour.sent === before ? same + 1 : 0;
    before = pour.sent;
  }
}

describe('G-012 back-pressure up', () => {
  it('an endpoint that does not read stops the caller; when it reads again, all comes', async () => {
    const { caller, endpoint } = await scene.all((call) => {
      call.stalled = true;
      call.onEnd = () => call.answer();
    });
    const body = patterned(8 * MIB);
    const call = caller.call(callFields(), undefined, false);
    const pour = caller.pour(call, body, data(call.id, '', true));
    await until(() => endpoint.calls[0]?.bodyBytes === 65_535, 'a full window');
    await untilStuck(pour);
    assert.ok(pour.sent <= MAX_AHEAD, `${pour.sent} bytes were taken from the caller`);
    await assertCanary(caller);
    const asked = endpoint.calls[0]!;
    asked.resume();
    await call.over();
    assert.equal(call.grpcStatus, '0');
    assert.equal(sha256(asked.body), sha256(body));
    await assertCanary(caller);
  });

  it('fifty such streams hold no more than their share', async () => {
    const { caller, endpoint } = await scene.all((call) => (call.stalled = true));
    await assertCanary(caller);
    const before = heldBytes();
    const body = Buffer.alloc(MIB);
    const pours: Pour[] = [];
    for (let i = 0; i < 50; i++) pours.push(caller.pour(caller.call(callFields(`/${i}`), undefined, false), body));
    await until(() => endpoint.calls.length === 50, 'the calls');
    for (const pour of pours) await untilStuck(pour);
    const sent = pours.reduce((sum, pour) => sum + pour.sent, 0);
    assert.ok(sent <= 50 * MAX_AHEAD, `${sent} bytes were taken from the caller`);
    // The endpoint keeps what it got in this process, too.
    const received = endpoint.calls.reduce((sum, call) => sum + call.bodyBytes, 0);
    const held = heldBytes() - before - 2 * received - MIB;
    assert.ok(held < 50 * (MAX_AHEAD - 65_535), `${held} bytes held for ${sent - received} on their way`);
    await assertCanary(caller);
  });
});

describe('G-013 back-pressure down', () => {
  it('a caller that does not read stops the endpoint; when it reads again, all comes', async () => {
    const body = patterned(8 * MIB);
    const pours: Pour[] = [];
    const { caller } = await scene.all((call) => {
      call.peer.send(headers(call.id, ANSWER_HEAD, false));
      pours.push(call.peer.pour(call, body, headers(call.id, ['grpc-status', '0'])));
    });
    const call = caller.open();
    call.stalled = true;
    caller.send(headers(call.id, callFields(), false), data(call.id, message('x'), true));
    await until(() => call.bodyBytes === 65_535, 'a full window');
    await untilStuck(pours[0]!);
    assert.ok(pours[0]!.sent <= MAX_AHEAD, `${pours[0]!.sent} bytes were taken from the endpoint`);
    await assertCanary(caller);
    call.resume();
    await call.over();
    assert.equal(call.words.at(-1), 'HEADERS END');
    assert.equal(sha256(call.body), sha256(body));
    await assertCanary(caller);
  });

  it('a caller whose whole connection stands still: the same', async () => {
    const body = patterned(4 * MIB);
    const pours: Pour[] = [];
    const { caller, plane } = await scene.all((call) => {
      call.peer.send(headers(call.id, ANSWER_HEAD, false));
      pours.push(call.peer.pour(call, body, headers(call.id, ['grpc-status', '0'])));
    });
    const calls = [0, 1].map(() => caller.call(callFields(), message('x')));
    await until(() => calls.every(({ bodyBytes }) => bodyBytes > 0), 'the beginning');
    caller.socket.pause();
    for (const pour of pours) await untilStuck(pour);
    const other = await scene.caller(plane);
    await assertCanary(other);
    assert.ok(
      pours.every(({ sent }) => sent < body.length),
      'both wait',
    );
    caller.socket.resume();
    for (const call of calls) {
      await call.over();
      assert.equal(sha256(call.body), sha256(body));
    }
    await assertCanary(caller);
  });
});

describe('G-014 a stalled stream', () => {
  it("in the answer of one call doesn't hold up 99 others on the same connections", async () => {
    const part = message(Buffer.alloc(40_000, 1));
    const { caller, endpoint } = await scene.all((call) => {
      call.peer.send(headers(call.id, ANSWER_HEAD, false));
      const body = call.path === '/stalled' ? Buffer.alloc(4 * MIB) : part;
      call.onEnd = () => call.peer.pour(call, body, headers(call.id, ['grpc-status', '0']));
    });
    const stalled = caller.open();
    stalled.stalled = true;
    caller.send(headers(stalled.id, callFields('/stalled'), false), data(stalled.id, message('x'), true));
    await until(() => stalled.bodyBytes === 65_535, 'a full window');
    await assertAll(99, () => caller.call(callFields(), message('x')), part);
    assert.equal(stalled.bodyBytes, 65_535);
    assert.ok(!stalled.isOver);
    assert.equal(endpoint.peers.length, 1, 'over one connection');
  });

  it('in the request of one call neither', async () => {
    const part = message(Buffer.alloc(40_000, 1));
    const { caller, endpoint } = await scene.all((call) => {
      if (call.path === '/stalled') call.stalled = true;
      else {
        call.onEnd = () => {
          call.peer.send(headers(call.id, ANSWER_HEAD, false));
          call.peer.pour(call, call.body, headers(call.id, ['grpc-status', '0']));
        };
      }
    });
    const stalled = caller.call(callFields('/stalled'), undefined, false);
    caller.pour(stalled, Buffer.alloc(4 * MIB));
    await until(() => endpoint.calls[0]?.bodyBytes === 65_535, 'a full window');
    const make = (): GrpcStream => {
      const call = caller.call(callFields(), undefined, false);
      caller.pour(call, part, data(call.id, '', true));
      return call;
    };
    await assertAll(99, make, part);
    assert.equal(endpoint.calls[0]?.bodyBytes, 65_535);
    assert.ok(!stalled.isOver);
    assert.equal(endpoint.peers.length, 1, 'over one connection');
  });

  async function assertAll(count: number, make: () => GrpcStream, body: Buffer): Promise<void> {
    const calls = Array.from({ length: count }, make);
    for (const call of calls) {
      await call.over();
      assert.equal(call.grpcStatus, '0', call.words.join(', '));
      assert.ok(call.body.equals(body));
    }
  }
});
