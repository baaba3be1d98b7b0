// Answers that the sidecar makes itself: Trailers-Only, with the status and the words of the reason.
import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import type { ErrorKind } from '../../src/base/error.ts';
import { DEFAULT_TIMEOUT } from '../../src/model/defaults.ts';
import { portKey, type UpstreamPort } from '../../src/model/snapshot.ts';
import { issueAuthority } from '../support/certificates.ts';
import { testPolicy } from '../support/data-plane.ts';
import { ANSWER_HEAD, callFields, message, type GrpcStream } from '../support/grpc-peer.ts';
import { assertTrailersOnly, GrpcScene } from '../support/grpc-scene.ts';
import { goaway, headers } from '../support/h2-peer.ts';
import { rawCaller } from '../support/raw-caller.ts';
import { closedPort } from '../support/raw-server.ts';
import { until, upstreamTls } from '../support/tls-peer.ts';

const scene = new GrpcScene();
afterEach(() => scene.close());

describe('G-006 answers of the sidecar itself', () => {
  async function answerOf(
    plane: Awaited<ReturnType<GrpcScene['plane']>>,
    fields = callFields(),
    endStream = true,
  ): Promise<GrpcStream> {
    const caller = await scene.caller(plane);
    const call = caller.call(fields, message('x'), endStream);
    await call.over();
    return call;
  }

  function assertReply(call: GrpcStream, status: number, reason: ErrorKind): void {
    assertTrailersOnly(call, status, reason);
    assert.equal(call.field('x-outrigger-reason'), reason);
  }

  it('HTTP/1.0, which has no trailers: 12 before anything is sent', async () => {
    const { endpoint, plane } = await scene.all((call) => call.answer());
    const caller = await rawCaller(plane.port);
    caller.send('POST /a/b HTTP/1.0\r\nHost: a\r\nContent-Type: application/grpc\r\nContent-Length: 0\r\n\r\n');
    await caller.ended();
    assert.match(caller.text, /grpc-status: 12\r\n[^]*unsupported_bridge/);
    assert.equal(endpoint.calls.length, 0);
    caller.close();
  });

  it('no route: 12, with the authority percent-encoded', async () => {
    const plane = await scene.plane([]);
    const portOf = (upstream: string): UpstreamPort => ({
      key: portKey(upstream, 80),
      upstream,
      servicePort: 80,
      policy: testPolicy({ scheme: 'grpc' }),
      provenance: new Map(),
      endpoints: [],
      names: [],
    });
    const ports = new Map(['test/a', 'test/b'].map((name) => [portKey(name, 80), portOf(name)]));
    const targets = [...ports.keys()].map((key, i) => ({ port: key, authorities: [`name-${i}`] }));
    const listener = {
      name: 'outbound/80',
      address: undefined,
      port: 0,
      protocols: 'auto',
      tls: undefined,
      targets,
    } as const;
    await plane.config.apply({
      number: 2,
      listeners: new Map([['outbound/80', listener]]),
      ports,
      secrets: new Map(),
      gateway: undefined,
    });
    const fields = callFields();
    fields[fields.indexOf(':authority') + 1] = 'a%25b';
    const call = await answerOf(plane, fields);
    assertReply(call, 12, 'no_route');
    assert.match(call.field('grpc-message') ?? '', /no service has the authority a%2525b$/);
  });

  it('no endpoint: 14', async () => assertReply(await answerOf(await scene.plane([])), 14, 'no_endpoints'));

  it('while the request goes on: the answer, then a reset without error', async () => {
    const call = await answerOf(await scene.plane([]), callFields(), false);
    await until(() => call.resetCode >= 0, 'the reset');
    assert.deepEqual(call.words, ['HEADERS END', 'RST_STREAM 0']);
    assertReply(call, 14, 'no_endpoints');
  });

  it('no connection: 14', async () => {
    const plane = await scene.plane([{ port: await closedPort() }]);
    assertReply(await answerOf(plane), 14, 'connect_failure');
  });

  it('no answer in time: 4', async () => {
    const silent = await scene.endpoint(() => undefined);
    const timeout = { ...DEFAULT_TIMEOUT, readMs: 60, readIsSet: true };
    assertReply(await answerOf(await scene.plane([silent], { timeout })), 4, 'read_timeout');
    await until(() => silent.calls[0]?.resetCode === 8, 'CANCEL');
  });

  it('no handshake in time: 14', async () => {
    const deaf = await scene.raw(() => undefined);
    const timeout = { ...DEFAULT_TIMEOUT, connectMs: 60 };
    const tls = upstreamTls(await issueAuthority());
    const plane = await scene.plane([deaf], { scheme: 'grpcs', timeout, tls });
    assertReply(await answerOf(plane), 14, 'connect_timeout');
  });

  it('the deadline: 4', async () => {
    const silent = await scene.endpoint(() => undefined);
    const plane = await scene.plane([silent]);
    assertReply(await answerOf(plane, callFields('/a/b', ['grpc-timeout', '50m'])), 4, 'deadline_exceeded');
  });

  it('a malformed deadline: 13', async () => {
    const plane = await scene.plane([await scene.endpoint(() => undefined)]);
    assertReply(await answerOf(plane, callFields('/a/b', ['grpc-timeout', '1x'])), 13, 'bad_request');
  });

  it('too large a head: 8', async () => {
    const plane = await scene.plane(
      [await scene.endpoint(() => undefined)],
      {},
      { limits: { requestHeadBytes: 4096 } },
    );
    assertReply(await answerOf(plane, callFields('/a/b', ['x-large', 'y'.repeat(5000)])), 8, 'headers_too_large');
  });

  it('too many fields: 8', async () => {
    const plane = await scene.plane([await scene.endpoint(() => undefined)]);
    const many = Array.from({ length: 120 }, (_, i) => [`x-${i}`, '']).flat();
    assertReply(await answerOf(plane, callFields('/a/b', many)), 8, 'headers_too_large');
  });

  it('too large a head of the answer: 8', async () => {
    const talkative = await scene.endpoint((call) => {
      call.onEnd = () => call.peer.send(headers(call.id, [...ANSWER_HEAD, 'x-large', 'y'.repeat(5000)], false));
    });
    const plane = await scene.plane([talkative], {}, { limits: { responseHeadBytes: 4096 } });
    assertReply(await answerOf(plane), 8, 'upstream_headers_too_large');
  });

  it('an endpoint that breaks the protocol: 13', async () => {
    const broken = await scene.endpoint((call) => {
      call.onEnd = () => call.peer.send(headers(call.id, ['content-type', 'application/grpc'], false));
    });
    assertReply(await answerOf(await scene.plane([broken])), 13, 'upstream_protocol_error');
  });

  it('a caller of gRPC-Web, or of what only begins like gRPC, is no gRPC caller', async () => {
    const plane = await scene.plane([], {}, { limits: { requestHeadBytes: 4096 } });
    for (const type of ['application/grpc-web', 'application/grpc-web+proto', 'application/grpcfoo']) {
      const fields = callFields();
      fields[fields.indexOf('content-type') + 1] = type;
      const refused = await answerOf(plane, fields);
      assert.equal(refused.field(':status'), '503', type);
      const tooLarge = await answerOf(plane, [...fields, 'x-large', 'y'.repeat(5000)]);
      assert.equal(tooLarge.field(':status'), '431', type);
      assert.equal(tooLarge.grpcStatus, undefined);
    }
  });

  it('words of an endpoint in the message are encoded and bounded', async () => {
    for (const detail of [' ends in space ', 'caf\u00e9 100%\r\n', 'z'.repeat(16_000)]) {
      const goes = await scene.endpoint((call) => call.peer.send(goaway(0, 11, detail)));
      const call = await answerOf(await scene.plane([goes]));
      assertReply(call, 14, 'upstream_refused');
      const text = call.field('grpc-message') ?? '';
      assert.equal(text, text.trim());
      assert.ok(text.length < 4096, `${text.length} bytes of message`);
    }
  });

  it('a loop: 14', async () => {
    const plane = await scene.plane([await scene.endpoint(() => undefined)]);
    const via = Array.from({ length: 3 }, () => '2.0 outrigger-test').join(', ');
    assertReply(await answerOf(plane, callFields('/a/b', ['via', via])), 14, 'loop_detected');
  });

  it('a port that carries no gRPC: 12', async () => {
    assertReply(await answerOf(await scene.plane([], { scheme: 'http' })), 12, 'unsupported_bridge');
  });
});
