// What a gRPC caller gets of an endpoint's answer: it passes as it is, and no end is made up.
import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import { errorCodeName } from '../../src/codec/h2/error-code.ts';
import { ANSWER_HEAD, callFields, message, type GrpcStream } from '../support/grpc-peer.ts';
import { assertCanary, GrpcScene } from '../support/grpc-scene.ts';
import { data, headers, reset } from '../support/h2-peer.ts';
import { until } from '../support/tls-peer.ts';

const scene = new GrpcScene();
afterEach(() => scene.close());

describe('G-001 Trailers-Only', () => {
  for (const scheme of ['grpc', 'grpcs'] as const) {
    it(`passes as one HEADERS frame, ${scheme}`, async () => {
      const fields = [...ANSWER_HEAD, 'grpc-status', '5', 'grpc-message', 'no%20such%C3%A9', 'x-detail', 'd'];
      const { caller, plane } = await scene.all((call) => {
        call.onEnd = () => call.peer.send(headers(call.id, fields));
      }, scheme);
      const call = caller.call(callFields(), message('x'));
      await call.over();
      assert.deepEqual(call.words, ['HEADERS END']);
      assert.deepEqual(call.heads, [fields]);
      await until(() => plane.records.length === 1, 'the record');
      assert.equal(plane.records[0]?.grpcStatus, 5);
      await assertCanary(caller);
    });
  }

  it('also before the request has ended, which stops it', async () => {
    const { caller, endpoint } = await scene.all((call) => {
      call.peer.send(headers(call.id, [...ANSWER_HEAD, 'grpc-status', '7', 'grpc-message', 'no']), reset(call.id, 0));
    });
    const call = caller.call(callFields(), message('x'), false);
    await until(() => call.resetCode >= 0, 'the reset');
    assert.deepEqual(call.words, ['HEADERS END', 'RST_STREAM 0']);
    assert.equal(endpoint.calls.length, 1);
    await assertCanary(caller);
  });
});

describe('G-002 no trailers', () => {
  const answers: readonly [string, (call: GrpcStream) => Uint8Array[]][] = [
    [
      'DATA with END_STREAM',
      ({ id }) => [headers(id, ANSWER_HEAD, false), data(id, message('a')), data(id, message('b'), true)],
    ],
    ['a head with END_STREAM', ({ id }) => [headers(id, ANSWER_HEAD)]],
    [
      'trailers without grpc-status',
      ({ id }) => [headers(id, ANSWER_HEAD, false), data(id, message('a')), headers(id, ['x-other', '1'])],
    ],
    [
      'trailers with a grpc-status that is no number',
      ({ id }) => [headers(id, ANSWER_HEAD, false), data(id, message('a')), headers(id, ['grpc-status', 'OK'])],
    ],
  ];
  for (const [name, frames] of answers) {
    it(`passes as it is and counts as UNKNOWN: ${name}`, async () => {
      const { caller, plane, endpoint } = await scene.all((call) => {
        call.onEnd = () => call.peer.send(...frames(call));
      });
      const call = caller.call(callFields(), message('x'));
      await call.over();
      const sent = frames({ id: call.id } as GrpcStream);
      assert.equal(call.words.length, sent.length, call.words.join(', '));
      assert.match(call.words.at(-1) ?? '', / END$|DATA \d+ END$/);
      assert.ok(call.grpcStatus === undefined || call.grpcStatus === 'OK', 'none is made up');
      assert.equal(endpoint.calls.length, 1);
      await until(() => plane.records.length === 1, 'the record');
      assert.equal(plane.records[0]?.grpcStatus, 2);
      assert.equal(plane.records[0]?.error, undefined);
      await assertCanary(caller);
    });
  }
});

/** What a client makes of a reset (gRPC over HTTP/2, "Errors"). */
function statusOfReset(code: number): number {
  switch (code) {
    case 7:
      return 14;
    case 8:
      return 1;
    case 11:
      return 8;
    case 12:
      return 7;
    default:
      return 13;
  }
}

describe('G-004 resets', () => {
  const codes = Array.from({ length: 14 }, (_, code) => code);
  it('after the head each code passes on as it is; NO_ERROR, which could be read as an end, as INTERNAL_ERROR', async () => {
    const { caller, plane } = await scene.all((call) => {
      const code = Number(call.path.slice(1));
      call.onEnd = () =>
        call.peer.send(headers(call.id, ANSWER_HEAD, false), data(call.id, message('a')), reset(call.id, code));
    });
    for (const code of [...codes, 0xabc]) {
      const call = caller.call(callFields(`/${code}`), message('x'));
      await call.over();
      assert.deepEqual(call.words, ['HEADERS', 'DATA 6', `RST_STREAM ${code === 0 ? 2 : code}`]);
      assert.equal(plane.records.at(-1)?.error, 'upstream_reset');
      assert.equal(plane.records.at(-1)?.grpcStatus, statusOfReset(code === 0 ? 2 : code), 'as the caller reads it');
    }
    await assertCanary(caller);
  });

  it('before the head each code means to the caller what it means in gRPC, and is no reason to try again', async () => {
    const { caller, endpoint } = await scene.all((call) => {
      call.onEnd = () => call.reset(Number(call.path.slice(1)));
    });
    const got: string[] = [];
    const expected: string[] = [];
    for (const code of codes) {
      const call = caller.call(callFields(`/${code}`), message('x'));
      await call.over();
      const name = errorCodeName(code);
      // The code itself would do as well as its status.
      if (call.resetCode > 0) got.push(`${name}: ${call.resetCode === code ? statusOfReset(code) : 'another code'}`);
      else got.push(`${name}: ${call.grpcStatus}`);
      expected.push(`${name}: ${statusOfReset(code)}`);
      assert.equal(call.words[0]?.replace(/ \d+$/, ''), call.resetCode > 0 ? 'RST_STREAM' : 'HEADERS END');
    }
    const again = endpoint.calls.filter(({ path }, i) => endpoint.calls.findIndex((call) => call.path === path) < i);
    assert.deepEqual(
      new Set(again.map(({ path }) => path)),
      new Set(again.length > 0 ? ['/7'] : []),
      'what was sent again',
    );
    await assertCanary(caller);
    assert.deepEqual(got, expected);
  });

  it('REFUSED_STREAM goes to another endpoint where there is one', async () => {
    const refuses = await scene.endpoint((call) => call.reset(7));
    const answers = await scene.endpoint((call) => {
      call.onEnd = () => call.answer();
    });
    const caller = await scene.caller(await scene.plane([refuses, answers]));
    for (let i = 0; i < 4; i++) {
      const call = caller.call(callFields(), message('x'));
      await call.over();
      assert.equal(call.grpcStatus, '0');
    }
    assert.equal(answers.calls.length, 4);
    assert.ok(refuses.calls.length > 0 && refuses.calls.length <= 4, 'once a call');
  });
});
