// What the sidecar carries without looking into it: messages, however they are framed and cut.
import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import * as fc from 'fast-check';
import { ANSWER_HEAD, callFields, message, type GrpcPeer, type GrpcStream } from '../support/grpc-peer.ts';
import { assertCanary, GrpcScene } from '../support/grpc-scene.ts';
import { data, frame, headers, TYPE } from '../support/h2-peer.ts';
import { httpCall } from '../support/http-call.ts';

const scene = new GrpcScene();
afterEach(() => scene.close());

/** Echoes each body with the frames that it came in. */
function echo(call: GrpcStream): void {
  call.onEnd = () => {
    call.peer.send(headers(call.id, ANSWER_HEAD, false));
    for (const part of call.parts) call.send(part);
    call.peer.send(headers(call.id, ['grpc-status', '0']));
  };
}

async function assertEchoed(caller: GrpcPeer, body: Buffer, what: string): Promise<GrpcStream> {
  const call = caller.call(callFields(), body);
  await call.over();
  assert.equal(call.grpcStatus, '0', `${what}: ${call.words.join(', ')}`);
  assert.ok(call.body.equals(body), what);
  return call;
}

describe('G-016 bad message framing', () => {
  it('passes both ways untouched', async () => {
    const { caller, endpoint } = await scene.all(echo);
    const bodies: [string, Buffer][] = [
      ['nothing', Buffer.alloc(0)],
      ['a flag alone', Buffer.from([0])],
      ['a prefix cut short', Buffer.from([0, 0, 0, 0])],
      ['a length beyond the data', Buffer.concat([Buffer.from([0, 0, 0, 1, 0]), Buffer.from('abc')])],
      ['the largest length', Buffer.concat([Buffer.from([0, 255, 255, 255, 255]), Buffer.from('abc')])],
      ['data beyond the length', Buffer.concat([message('abc'), Buffer.from([9, 9])])],
      ['compressed without an encoding', message('abc', 1)],
      ...Array.from({ length: 254 }, (_, i): [string, Buffer] => [`flag ${i + 2}`, message('abc', i + 2)]),
    ];
    for (const [name, body] of bodies) await assertEchoed(caller, body, name);
    assert.equal(endpoint.calls.length, bodies.length);
    await assertCanary(caller);
  });

  it('whatever the bytes are', async () => {
    const { caller } = await scene.all(echo);
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 400 }), async (bytes) => {
        await assertEchoed(caller, Buffer.from(bytes), 'any bytes');
      }),
      { seed: 11, numRuns: 150 },
    );
    await assertCanary(caller);
  });
});

describe('G-017 DATA cut anywhere', () => {
  const body = Buffer.concat([message('first'), message(''), message('x'.repeat(300)), message('last')]);

  const cuts: readonly [string, readonly number[]][] = [
    ['a prefix over five frames', [1, 2, 3, 4]],
    ['one byte a frame', Array.from({ length: 60 }, (_, i) => i + 1)],
    ['a border in each prefix', [3, 12, 17, 320]],
    ['two messages in one frame', [200]],
  ];
  for (const [name, at] of cuts) {
    it(`${name}: the same bytes arrive, both ways`, async () => {
      const { caller, endpoint } = await scene.all(echo);
      const call = caller.open();
      const parts = [0, ...at].map((from, i) => body.subarray(from, at[i] ?? body.length));
      caller.send(headers(call.id, callFields(), false), ...parts.map((part) => data(call.id, part)));
      caller.send(data(call.id, '', true));
      await call.over();
      assert.ok(endpoint.calls[0]?.body.equals(body));
      assert.ok(call.body.equals(body));
      assert.equal(call.grpcStatus, '0');
      await assertCanary(caller);
    });
  }

  it('also with the TCP stream cut at every byte of the frames', async () => {
    const { caller, endpoint } = await scene.all(echo);
    await assertCanary(caller); // SETTINGS are acknowledged: nothing else is written in between
    const call = caller.open();
    const bytes = Buffer.concat([headers(call.id, callFields(), false), data(call.id, body, true)]);
    for (const byte of bytes) {
      caller.socket.write(Buffer.from([byte]));
      await new Promise((resolve) => setImmediate(resolve));
    }
    await call.over();
    assert.ok(endpoint.calls[0]?.body.equals(body));
    assert.ok(call.body.equals(body));
  });

  it('padding is taken off', async () => {
    const { caller, endpoint } = await scene.all(echo);
    const call = caller.open();
    const padded = (part: Buffer, pad: number, flags: number): Buffer =>
      frame(TYPE.DATA, 0x8 | flags, call.id, Buffer.concat([Buffer.from([pad]), part, Buffer.alloc(pad)]));
    caller.send(
      headers(call.id, callFields(), false),
      padded(body.subarray(0, 3), 200, 0),
      padded(body.subarray(3), 7, 1),
    );
    await call.over();
    assert.ok(endpoint.calls[0]?.body.equals(body));
    assert.equal(call.grpcStatus, '0');
  });
});

describe('G-015 trailers of a request', () => {
  it('end it, and go no further: some servers end the connection of all over them', async () => {
    const { caller, endpoint } = await scene.all((call) => {
      call.onEnd = () => call.answer();
    });
    const call = caller.call(callFields(), message('x'), false);
    call.peer.send(headers(call.id, ['x-tr', '1']));
    await call.over();
    assert.equal(call.grpcStatus, '0');
    assert.match(endpoint.calls[0]?.words.join() ?? '', /^HEADERS,DATA 6(?:,DATA 0)? END$/);
  });
});

describe('G-021 te and method', () => {
  const tes = (call: GrpcStream | undefined): string[] =>
    (call?.heads[0] ?? []).filter((_, i, all) => i % 2 === 1 && all[i - 1] === 'te');
  const without = (fields: string[]): string[] => {
    const at = fields.indexOf('te');
    return [...fields.slice(0, at), ...fields.slice(at + 2)];
  };

  it('te: trailers is sent, once, whether it came or not', async () => {
    const { caller, endpoint } = await scene.all((call) => {
      call.onEnd = () => call.answer();
    });
    for (const fields of [callFields(), without(callFields()), callFields('/a/b', ['x', '1'])]) {
      const call = caller.call(fields, message('x'));
      await call.over();
      assert.equal(call.grpcStatus, '0');
      assert.deepEqual(tes(endpoint.calls.at(-1)), ['trailers']);
    }
  });

  for (const method of ['GET']) {
    it(`a call by ${method} is forwarded, with te: trailers`, async () => {
      const { caller, endpoint } = await scene.all((call) => {
        call.onEnd = () => call.peer.send(headers(call.id, [':status', '405']));
      });
      const fields = without(callFields());
      fields[fields.indexOf(':method') + 1] = method;
      const call = caller.call(fields, message('x'));
      await call.over();
      assert.equal(endpoint.calls[0]?.field(':method'), method);
      assert.deepEqual(tes(endpoint.calls[0]), ['trailers']);
    });
  }

  it('also for a caller over HTTP/1.1, who gets the trailers', async () => {
    const { endpoint, plane } = await scene.all((call) => {
      call.onEnd = () => call.answer(message('m'), '5', ['grpc-message', 'none']);
    });
    const answer = await httpCall(plane.port, {
      method: 'POST',
      path: '/a/b',
      headers: { 'content-type': 'application/grpc' },
      body: message('x'),
    });
    assert.deepEqual(tes(endpoint.calls[0]), ['trailers']);
    assert.equal(answer.status, 200);
    assert.deepEqual(answer.body, message('m'));
    assert.equal(answer.trailers['grpc-status'], '5');
  });
});
