// Connections that break in the middle of a call: the caller never takes a part for the whole, and nothing is sent twice
// that an endpoint may have acted on.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { afterEach, describe, it } from 'node:test';
import { data, goaway, headers, reset, SETTINGS_ACK, settings } from '../support/h2-peer.ts';
import { ANSWER_HEAD, callFields, message, type GrpcStream } from '../support/grpc-peer.ts';
import { assertCanary, GrpcScene } from '../support/grpc-scene.ts';
import { closedPort } from '../support/raw-server.ts';
import { until } from '../support/tls-peer.ts';

const scene = new GrpcScene();
afterEach(() => scene.close());

const REFUSED_STREAM = 7;
const MESSAGES = [message('a'.repeat(300)), message('b'.repeat(20_000)), message('c')];

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

describe('G-003 connection lost in the middle of an answer', () => {
  const answer = (id: number): Buffer =>
    Buffer.concat([
      headers(id, ANSWER_HEAD, false),
      ...MESSAGES.map((part) => [part.subarray(0, 16_384), part.subarray(16_384)]).flatMap(([first, rest]) =>
        rest !== undefined && rest.length > 0 ? [data(id, first!), data(id, rest)] : [data(id, first!)],
      ),
      headers(id, ['grpc-status', '0', 'grpc-message', 'all']),
    ]);
  const whole = Buffer.concat(MESSAGES);
  const bytes = answer(1).length;
  /** Fifty cuts: each border of a frame is near one, the rest evenly. */
  const cuts = [
    ...[0, 1, 8, 9, 10, 40, 60, 61, 62, bytes - 1, bytes - 2, bytes - 9, bytes - 10, bytes - 40],
    ...Array.from({ length: 36 }, (_, i) => Math.floor(((i + 1) * bytes) / 37)),
  ];
  assert.equal(cuts.length, 50);

  for (const [scheme, how, points] of [
    ['grpc', 'fin', cuts],
    ['grpc', 'rst', cuts],
    ['grpcs', 'fin', cuts.filter((_, i) => i % 4 === 0)],
    ['grpcs', 'rst', cuts.filter((_, i) => i % 4 === 2)],
  ] as const) {
    it(`at ${points.length} points, ${scheme}, ${how}: a reset, never a clean end`, async () => {
      const { caller, plane, endpoint } = await scene.all((call) => {
        call.onEnd = () => {
          call.peer.socket.write(answer(call.id).subarray(0, Number(call.path.slice(1))), () => call.peer.cut(how));
        };
      }, scheme);
      for (const [i, cut] of points.entries()) {
        const call = caller.call(callFields(`/${cut}`), message('x'));
        await call.over();
        assert.ok(!caller.isClosed, 'the caller keeps its connection');
        const told = `cut at ${cut}: ${call.words.join(', ')}`;
        if (call.words[0] === 'HEADERS END') {
          // Nothing had been passed on: the sidecar answers.
          assert.equal(call.grpcStatus, '14', told);
          assert.equal(call.field('x-outrigger-reason'), 'upstream_reset');
        } else {
          assert.equal(call.words.at(-1), 'RST_STREAM 2', told);
          assert.ok(!call.ended, told);
        }
        assert.ok(whole.subarray(0, call.bodyBytes).equals(call.body), told);
        await until(() => plane.records.length === i + 1, 'the record');
        assert.equal(plane.records.at(-1)?.error, 'upstream_reset', told);
        assert.equal(endpoint.calls.length, i + 1, 'asked once');
      }
      await assertCanary(caller);
    });
  }

  it('GOAWAY and FIN behind a part of the answer: the same', async () => {
    const { caller } = await scene.all((call) => {
      call.onEnd = () => {
        call.peer.send(headers(call.id, ANSWER_HEAD, false), data(call.id, message('a')), goaway(call.id, 0));
        call.peer.socket.end();
      };
    });
    const call = caller.call(callFields(), message('x'));
    await call.over();
    assert.deepEqual(call.words, ['HEADERS', 'DATA 6', 'RST_STREAM 2']);
    await assertCanary(caller);
  });

  it('an answer shorter than its content-length: the same', async () => {
    const { caller } = await scene.all((call) => {
      call.onEnd = () =>
        call.peer.send(
          headers(call.id, [...ANSWER_HEAD, 'content-length', '100'], false),
          data(call.id, message('a')),
          headers(call.id, ['grpc-status', '0']),
        );
    });
    const call = caller.call(callFields(), message('x'));
    await call.over();
    assert.ok(!call.ended && call.resetCode > 0, call.words.join(', '));
    await assertCanary(caller);
  });
});

/** Two endpoints, of which round robin asks `first` first. */
async function twoEndpoints(
  first: (call: GrpcStream) => void,
): Promise<{ calls: GrpcStream[]; call: (body?: Uint8Array, endStream?: boolean) => Promise<GrpcStream> }> {
  const calls: GrpcStream[] = [];
  const play = (call: GrpcStream): void => {
    calls.push(call);
    if (calls.length === 1) first(call);
    else call.onEnd = () => call.answer(message('second'));
  };
  const endpoints = [await scene.endpoint(play), await scene.endpoint(play)];
  const caller = await scene.caller(await scene.plane(endpoints));
  return {
    calls,
    call: async (body = message('x'), endStream = true) => {
      const call = caller.open();
      caller.send(headers(call.id, callFields(), false));
      caller.pour(call, body, endStream ? data(call.id, '', true) : undefined);
      await until(() => calls.length > 0, 'the call');
      return call;
    },
  };
}

describe('G-022 no attempt after the answer has begun', () => {
  const ends: readonly [string, (call: GrpcStream) => void][] = [
    ['REFUSED_STREAM', (call) => call.reset(REFUSED_STREAM)],
    ['INTERNAL_ERROR', (call) => call.reset(2)],
    ['FIN', (call) => call.peer.socket.end()],
    ['TCP reset', (call) => setImmediate(() => call.peer.cut('rst'))],
    ['GOAWAY below it', (call) => call.peer.send(goaway(0, 0))],
  ];
  for (const [name, end] of ends) {
    it(`${name} behind the head goes to the caller`, async () => {
      const { calls, call } = await twoEndpoints((first) => {
        first.peer.send(headers(first.id, ANSWER_HEAD, false));
        end(first);
      });
      const made = await call();
      await made.over();
      assert.equal(calls.length, 1, 'exactly one endpoint was asked');
      // A TCP reset may have thrown away the head as well: then the sidecar answers.
      if (name === 'TCP reset' && made.ended) assert.equal(made.grpcStatus, '14');
      else assert.deepEqual(made.words, ['HEADERS', `RST_STREAM ${name === 'REFUSED_STREAM' ? REFUSED_STREAM : 2}`]);
    });
  }

  it('an informational head begins it, too', async () => {
    const { calls, call } = await twoEndpoints((first) => {
      first.peer.send(headers(first.id, [':status', '103'], false), reset(first.id, 2));
    });
    const made = await call();
    await made.over();
    assert.equal(calls.length, 1);
  });
});

describe('G-023 what is sent again', () => {
  for (const bytes of [0, 1, 5, 16_384, 65_535, 65_536]) {
    it(`a body of ${bytes} bytes that was refused comes whole to the next endpoint`, async () => {
      const body = Buffer.alloc(bytes, 'abcdefg');
      const { calls, call } = await twoEndpoints((first) => {
        first.onEnd = () => first.reset(REFUSED_STREAM);
      });
      const made = await call(body);
      await made.over();
      assert.equal(made.grpcStatus, '0', made.field('grpc-message'));
      assert.equal(calls.length, 2);
      assert.ok(calls[1]!.ended);
      assert.equal(sha256(calls[1]!.body), sha256(body));
    });
  }

  it('a body beyond 64 KiB is not: the caller hears of it', async () => {
    const { calls, call } = await twoEndpoints((first) => {
      first.onEnd = () => first.reset(REFUSED_STREAM);
    });
    const made = await call(Buffer.alloc(65_537));
    await made.over();
    assert.equal(made.grpcStatus, '14');
    assert.equal(calls.length, 1);
  });

  it('an UNAVAILABLE that the endpoint answered passes as it is: one call', async () => {
    const { calls, call } = await twoEndpoints((first) => {
      first.peer.send(headers(first.id, [...ANSWER_HEAD, 'grpc-status', '14', 'grpc-retry-pushback-ms', '5']));
    });
    const made = await call();
    await made.over();
    assert.equal(made.grpcStatus, '14');
    assert.equal(made.field('x-outrigger-reason'), undefined);
    assert.equal(calls.length, 1);
  });
});

describe('G-024 streams that are refused', () => {
  const parts = Array.from({ length: 40 }, (_, i) => message(Buffer.alloc(2_000, i)));

  for (const [kept, after] of [
    [true, 10],
    [true, 30],
    [false, 40],
  ] as const) {
    it(`after ${after} messages of 2 KB: ${kept ? 'all of them come once to the next' : 'final'}`, async () => {
      const { calls, call } = await twoEndpoints((first) => {
        first.peer.onFrame = () => {
          if (first.bodyBytes >= after * 2_005 && !first.words.includes('refused')) {
            first.words.push('refused');
            first.reset(REFUSED_STREAM);
          }
        };
      });
      const made = await call(Buffer.concat(parts.slice(0, after)), false);
      if (kept) {
        await until(() => calls.length === 2, 'the second attempt');
        for (const part of parts.slice(after)) made.send(part);
        made.send('', true);
        await made.over();
        assert.equal(made.grpcStatus, '0');
        assert.equal(sha256(calls[1]!.body), sha256(Buffer.concat(parts)), 'no message twice, none missing');
      } else {
        await made.over();
        assert.equal(made.grpcStatus, '14');
        assert.equal(calls.length, 1);
      }
    });
  }
});

describe('G-026 a call that may have been acted on is not sent again', () => {
  it('wherever the connection breaks once bytes were written', async () => {
    const body = message('y'.repeat(2_000));
    // Preface, SETTINGS, WINDOW_UPDATE, SETTINGS ACK, HEADERS, DATA: about 2,500 bytes.
    const positions = [1, 9, 24, 25, 33, 45, 60, 90, 120, 200, 300, 400, 500, 700, 1_000, 1_500, 2_000, 2_300];
    let asked = 0;
    for (const how of ['fin', 'rst'] as const) {
      for (const position of positions) {
        let read = 0;
        const breaks = await scene.raw((socket) => {
          socket.write(Buffer.concat([settings(), SETTINGS_ACK]));
          socket.on('data', (chunk) => {
            read += chunk.length;
            if (read < position) return;
            if (how === 'fin') socket.destroy();
            else socket.resetAndDestroy();
          });
        });
        const other = await scene.endpoint((call) => {
          call.onEnd = () => call.answer();
        });
        const plane = await scene.plane([breaks, other]);
        const caller = await scene.caller(plane);
        const calls = [caller.call(callFields('/1'), body), caller.call(callFields('/2'), body)];
        for (const call of calls) await call.over();
        assert.deepEqual(
          calls.map(({ grpcStatus }) => grpcStatus ?? 'none').sort(),
          ['0', '14'],
          `${how} after ${position} bytes`,
        );
        assert.equal(other.calls.length, 1, `${how} after ${position} bytes: only its own call`);
        assert.equal(breaks.connections.length, 1);
        asked++;
        scene.close();
      }
    }
    assert.equal(asked, positions.length * 2);
  });

  it('over a kept connection neither', async () => {
    const calls: GrpcStream[] = [];
    const play = (call: GrpcStream): void => {
      calls.push(call);
      if (calls.length === 3) call.onEnd = () => call.peer.cut('rst');
      else call.onEnd = () => call.answer();
    };
    const endpoints = [await scene.endpoint(play), await scene.endpoint(play)];
    const caller = await scene.caller(await scene.plane(endpoints));
    const statuses: (string | undefined)[] = [];
    for (let i = 0; i < 4; i++) {
      const call = caller.call(callFields(), message('x'));
      await call.over();
      statuses.push(call.grpcStatus);
    }
    assert.deepEqual(statuses, ['0', '0', '14', '0']);
    assert.equal(calls.length, 4, 'one attempt each');
  });

  it('what was never written is: a refused connection, a connection closed while idle', async () => {
    const answers = await scene.endpoint((call) => {
      call.onEnd = () => call.answer();
    });
    const plane = await scene.plane([{ port: await closedPort() }, answers]);
    const caller = await scene.caller(plane);
    for (let i = 0; i < 4; i++) {
      const call = caller.call(callFields(), message('x'));
      await call.over();
      assert.equal(call.grpcStatus, '0');
    }
    assert.equal(answers.calls.length, 4);
  });
});
