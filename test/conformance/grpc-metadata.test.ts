// Metadata passes byte by byte, and the names that gRPC reserves are no orders to the sidecar.
import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import * as fc from 'fast-check';
import { ANSWER_HEAD, callFields, message, type GrpcStream } from '../support/grpc-peer.ts';
import { assertCanary, GrpcScene } from '../support/grpc-scene.ts';
import { data, headers, valueOf } from '../support/h2-peer.ts';
import { until } from '../support/tls-peer.ts';

const scene = new GrpcScene();
afterEach(() => scene.close());

describe('G-018 metadata', () => {
  const entries = [
    'x-plain',
    'a value',
    'x-empty',
    '',
    'x-list',
    'a, b,c',
    'x-list',
    'd',
    'x-data-bin',
    'AAECAw==',
    'x-data-bin',
    'AAECAw',
    'x-many-bin',
    'AQ==,Ag,AwQ=',
    'x-not-base64-bin',
    '%%%',
    'x-latin1',
    '\xe9\xff',
    'x-tab',
    'a\tb',
    'x-printable',
    '!"#$%&\'()*+,-./:;<=>?@[\\]^_`{|}~',
    'authorization',
    'Bearer a.b.c',
    'grpc-encoding',
    'gzip',
    'grpc-accept-encoding',
    'identity, gzip',
    'user-agent',
    'grpc-test/1.0 (a; b)',
    'grpc-tags-bin',
    'AAE',
  ];

  const values = (fields: readonly string[], wanted: readonly string[]): string[] => {
    const names = new Set(wanted.filter((_, i) => i % 2 === 0));
    return fields.filter((_, i) => names.has(fields[i - (i % 2)] ?? ''));
  };

  it('of the call, of the answer and of its end passes byte by byte, in order', async () => {
    const { caller, endpoint } = await scene.all((call) => {
      call.onEnd = () => {
        call.peer.send(headers(call.id, [...ANSWER_HEAD, ...entries], false), data(call.id, message('m')));
        call.peer.send(headers(call.id, ['grpc-status', '0', ...entries]));
      };
    });
    for (let i = 0; i < 3; i++) {
      const call = caller.call(callFields('/a/b', entries), message('x'));
      await call.over();
      assert.deepEqual(values(endpoint.calls[i]?.heads[0] ?? [], entries), entries);
      assert.deepEqual(call.heads, [
        [...ANSWER_HEAD, ...entries],
        ['grpc-status', '0', ...entries],
      ]);
    }
    await assertCanary(caller);
  });

  it('any value passes, in each of the three places', async () => {
    const { caller, endpoint } = await scene.all((call) => {
      const value = call.field('x-any') ?? '';
      call.onEnd = () => {
        call.peer.send(headers(call.id, [...ANSWER_HEAD, 'x-any', value], false));
        call.peer.send(headers(call.id, ['grpc-status', '3', 'x-any', value]));
      };
    });
    const value = fc
      .array(fc.oneof(fc.integer({ min: 0x20, max: 0x7e }), fc.integer({ min: 0x80, max: 0xff })), { maxLength: 60 })
      .map((codes) => String.fromCharCode(...codes))
      .filter((text) => text === text.replace(/^[ \t]+|[ \t]+$/g, ''));
    await fc.assert(
      fc.asyncProperty(value, async (text) => {
        const call = caller.call(callFields('/a/b', ['x-any', text]), message('x'));
        await call.over();
        assert.equal(endpoint.calls.at(-1)?.field('x-any'), text);
        assert.equal(call.field('x-any'), text);
        assert.equal(valueOf(call.heads[1] ?? [], 'x-any'), text);
      }),
      { seed: 13, numRuns: 100 },
    );
    await assertCanary(caller);
  });

  it('a grpc-message passes as it is, however it is encoded', async () => {
    const messages = [
      '%E2%98%BA 100%25',
      '100% of %zz %4',
      '%',
      '%2',
      '%FF%00',
      'a%0D%0Ab',
      '\xe2\x98\xba',
      '%e2%98%ba',
      '',
    ];
    const { caller } = await scene.all((call) => {
      const text = messages[Number(call.path.slice(2))] ?? '';
      const trailers = ['grpc-status', '13', 'grpc-message', text];
      call.onEnd = () => {
        if (call.path.startsWith('/t')) call.peer.send(headers(call.id, [...ANSWER_HEAD, ...trailers]));
        else call.peer.send(headers(call.id, ANSWER_HEAD, false), headers(call.id, trailers));
      };
    });
    for (const [i, text] of messages.entries()) {
      for (const kind of ['t', 'h']) {
        const call = caller.call(callFields(`/${kind}${i}`), message('x'));
        await call.over();
        assert.equal(valueOf(call.heads.at(-1) ?? [], 'grpc-message'), text);
        assert.equal(call.heads.length, kind === 't' ? 1 : 2);
      }
    }
    await assertCanary(caller);
  });

  const large = 'QUJD'.repeat(2048);
  assert.equal(large.length, 8192);

  it('of 8 KiB passes with the call', async () => {
    const { caller, endpoint } = await scene.all((call) => {
      call.onEnd = () => call.answer();
    });
    const call = caller.call(callFields('/a/b', ['x-large-bin', large]), message('x'));
    await call.over();
    assert.equal(call.grpcStatus, '0');
    assert.equal(endpoint.calls[0]?.field('x-large-bin'), large);
    await assertCanary(caller);
  });

  it("of 8 KiB passes with the answer's head and with Trailers-Only", async () => {
    const { caller } = await scene.all((call) => {
      const fields = [...ANSWER_HEAD, 'x-large-bin', large];
      call.onEnd = () => {
        if (call.path === '/only') call.peer.send(headers(call.id, [...fields, 'grpc-status', '3']));
        else call.peer.send(headers(call.id, fields, false), headers(call.id, ['grpc-status', '0']));
      };
    });
    for (const path of ['/head', '/only']) {
      const call = caller.call(callFields(path), message('x'));
      await call.over();
      assert.equal(call.field('x-large-bin'), large, call.words.join(', '));
    }
    await assertCanary(caller);
  });

  it('of 8 KiB passes with the trailers: status details', async () => {
    const { caller } = await scene.all((call) => {
      call.onEnd = () => call.answer(message('m'), '3', ['grpc-message', 'invalid', 'grpc-status-details-bin', large]);
    });
    const call = caller.call(callFields(), message('x'));
    await call.over();
    assert.equal(call.grpcStatus, '3', call.words.join(', '));
    assert.equal(valueOf(call.heads[1] ?? [], 'grpc-status-details-bin'), large);
    await assertCanary(caller);
  });

  it('over the limit costs the call, 8 or 13, not the connection', async () => {
    const tooLarge = 'y'.repeat(6_000);
    const endpoint = await scene.endpoint((call) => {
      call.onEnd = () => call.answer(message('m'), '0', ['x-large', tooLarge]);
    });
    const limits = { requestHeadBytes: 4096, responseHeadBytes: 4096 };
    const caller = await scene.caller(await scene.plane([endpoint], {}, { limits }));
    const up = caller.call(callFields('/up', ['x-large', tooLarge]), message('x'));
    await up.over();
    assert.equal(up.grpcStatus, '8');
    assert.equal(endpoint.calls.length, 0);
    const down = caller.call(callFields('/trailers'), message('x'));
    await down.over();
    assert.ok(!down.ended, down.words.join(', '));
    assert.ok([2, 11].includes(down.resetCode), 'INTERNAL or RESOURCE_EXHAUSTED');
    await assertCanary(caller);
    assert.equal(endpoint.peers.length, 1);
  });
});

describe('G-019 reserved names', () => {
  it('in a request they are no answer, and change nothing', async () => {
    const { caller, endpoint, plane } = await scene.all((call) => {
      call.onEnd = () => call.answer();
    });
    const reserved = [
      'grpc-status',
      '14',
      'grpc-message',
      'no',
      'grpc-retry-pushback-ms',
      '-1',
      'grpc-previous-rpc-attempts',
      '3',
      'x-outrigger-reason',
      'draining',
      'grpc-unknown',
      'x',
    ];
    const call = caller.call(callFields('/a/b', reserved), message('x'));
    await call.over();
    assert.deepEqual(call.words, ['HEADERS', 'DATA 7', 'HEADERS END']);
    assert.equal(call.grpcStatus, '0');
    assert.equal(endpoint.calls.length, 1);
    assert.equal(endpoint.calls[0]?.field('grpc-previous-rpc-attempts'), '3', "the caller's own count");
    await until(() => plane.records.length === 1, 'the record');
    assert.equal(plane.records[0]?.grpcStatus, 0);
    assert.equal(plane.records[0]?.error, undefined);
  });

  it('in request trailers neither', async () => {
    const { caller, endpoint, plane } = await scene.all((call) => {
      call.onEnd = () => call.answer();
    });
    const call = caller.open();
    caller.send(
      headers(call.id, callFields(), false),
      data(call.id, message('x')),
      headers(call.id, ['grpc-status', '14']),
    );
    await call.over();
    assert.equal(call.grpcStatus, '0');
    assert.equal(endpoint.calls.length, 1);
    assert.equal(plane.records[0]?.grpcStatus, 0);
  });

  for (const pushback of ['0', '5', '-1', '2147483648', '99999999999999', '1.5', 'soon', '', '+1', '0x10']) {
    it(`a grpc-retry-pushback-ms of "${pushback}" passes and brings no attempt about`, async () => {
      const play = (call: GrpcStream): void => {
        call.onEnd = () =>
          call.peer.send(headers(call.id, [...ANSWER_HEAD, 'grpc-status', '14', 'grpc-retry-pushback-ms', pushback]));
      };
      const endpoints = [await scene.endpoint(play), await scene.endpoint(play)];
      const caller = await scene.caller(await scene.plane(endpoints));
      const call = caller.call(callFields(), message('x'));
      await call.over();
      assert.equal(call.field('grpc-retry-pushback-ms'), pushback);
      assert.equal(
        endpoints.reduce((sum, { calls }) => sum + calls.length, 0),
        1,
      );
    });
  }
});
