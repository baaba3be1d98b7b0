// What isn't gRPC becomes a gRPC answer, since some clients would read a page as a message.
import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import { callFields, message } from '../support/grpc-peer.ts';
import { assertCanary, assertTrailersOnly, GrpcScene } from '../support/grpc-scene.ts';
import { headers } from '../support/h2-peer.ts';
import { until } from '../support/tls-peer.ts';

const scene = new GrpcScene();
afterEach(() => scene.close());

describe('answers that are not gRPC', () => {
  const expected: readonly [status: number, grpc: number][] = [
    [400, 13],
    [401, 16],
    [403, 7],
    [404, 12],
    [429, 14],
    [502, 14],
    [503, 14],
    [504, 14],
    [200, 2],
    [201, 2],
    [204, 2],
    [302, 2],
    [408, 2],
    [413, 2],
    [418, 2],
    [500, 2],
    [501, 2],
    [505, 2],
  ];

  it('end the stream upstream too where the caller still sends', async () => {
    const { caller, endpoint, plane } = await scene.all((call) => {
      call.peer.send(headers(call.id, [':status', '404']));
    });
    for (let i = 0; i < 5; i++) {
      const call = caller.call(callFields('/open'), message('x'), false);
      await call.over();
      assertTrailersOnly(call, 12, '404');
    }
    await until(() => endpoint.calls.every(({ resetCode }) => resetCode === 8), 'CANCEL for each');
    assert.equal(plane.cluster.inFlight, 0);
  });

  it('become Trailers-Only with the status that a client makes of the HTTP status', async () => {
    const { caller, plane, endpoint } = await scene.all((call) => {
      const status = call.path.slice(1);
      const type = ['content-type', 'text/html; charset=utf-8', 'content-length', '4', 'retry-after', '3'];
      call.onEnd = () => {
        const hasBody = status !== '204';
        call.peer.send(headers(call.id, [':status', status, ...(hasBody ? type : [])], !hasBody));
        if (hasBody) call.send('<b>!', true);
      };
    });
    for (const [status, grpc] of expected) {
      const call = caller.call(callFields(`/${status}`), message('x'));
      await call.over();
      assertTrailersOnly(call, grpc, String(status));
      assert.deepEqual(call.words, ['HEADERS END'], 'the body is not passed on');
      assert.match(
        call.field('grpc-message') ?? '',
        new RegExp(`^HTTP ${status} .*${status === 204 ? '' : 'text/html'}`),
      );
      assert.equal(call.field('content-length'), undefined);
      if (status !== 204) assert.equal(call.field('retry-after'), '3');
      await until(() => plane.records.at(-1)?.head.path === `/${status}`, 'the record');
      assert.equal(plane.records.at(-1)?.grpcStatus, grpc);
    }
    assert.equal(endpoint.calls.length, expected.length, 'each was asked once');
    await assertCanary(caller);
  });

  it('also with status 200 and another content-type, and also without one', async () => {
    const types = [
      'text/plain',
      'application/grpc-web',
      'application/grpc-web+proto',
      'application/grpcfoo',
      'application/json',
      '',
    ];
    const { caller } = await scene.all((call) => {
      const type = types[Number(call.path.slice(1))] ?? '';
      call.onEnd = () => {
        call.peer.send(headers(call.id, [':status', '200', ...(type === '' ? [] : ['content-type', type])], false));
        call.send('hello', true);
      };
    });
    for (const [i, type] of types.entries()) {
      const call = caller.call(callFields(`/${i}`), message('x'));
      await call.over();
      assertTrailersOnly(call, 2, type);
      assert.equal(call.bodyBytes, 0, type);
    }
    await assertCanary(caller);
  });

  it('gRPC itself passes, however its content-type is spelt', async () => {
    const types = [
      'application/grpc',
      'application/grpc+proto',
      'application/grpc;charset=utf-8',
      'Application/GRPC+json',
    ];
    const { caller } = await scene.all((call) => {
      const type = types[Number(call.path.slice(1))] ?? '';
      call.onEnd = () => {
        call.peer.send(headers(call.id, [':status', '200', 'content-type', type], false));
        call.send(message('m'));
        call.peer.send(headers(call.id, ['grpc-status', '0']));
      };
    });
    for (const [i, type] of types.entries()) {
      const call = caller.call(callFields(`/${i}`), message('x'));
      await call.over();
      assert.deepEqual(call.words, ['HEADERS', 'DATA 6', 'HEADERS END']);
      assert.equal(call.field('content-type'), type);
    }
  });

  it('a grpc-status in the head stands, whatever the HTTP status', async () => {
    const fields = [':status', '503', 'content-type', 'text/plain', 'grpc-status', '8', 'grpc-message', 'slow down'];
    const { caller, plane } = await scene.all((call) => {
      call.onEnd = () => call.peer.send(headers(call.id, fields));
    });
    const call = caller.call(callFields(), message('x'));
    await call.over();
    assert.deepEqual(call.words, ['HEADERS END']);
    assert.equal(call.grpcStatus, '8');
    await until(() => plane.records.length === 1, 'the record');
    assert.equal(plane.records[0]?.grpcStatus, 8);
  });

  it('a page that is still coming is given up, and its bytes cost the connection no window', async () => {
    const page = Buffer.alloc(400_000, 0x61);
    const { caller, endpoint } = await scene.all((call) => {
      call.onEnd = () => {
        call.peer.send(headers(call.id, [':status', '502', 'content-type', 'text/html'], false));
        call.peer.pour(call, page.subarray(0, 60_000));
      };
    });
    for (let i = 0; i < 40; i++) {
      const call = caller.call(callFields(), message('x'));
      await call.over();
      assertTrailersOnly(call, 14);
    }
    await until(() => endpoint.calls.every(({ resetCode }) => resetCode === 8), 'CANCEL for each');
    await assertCanary(caller);
    assert.equal(endpoint.peers.length, 1, 'over one connection');
  });

  it('an HTTP caller of the same port gets the page', async () => {
    const { caller } = await scene.all((call) => {
      call.onEnd = () => {
        call.peer.send(headers(call.id, [':status', '404', 'content-type', 'text/html'], false));
        call.send('<p>', true);
      };
    });
    const call = caller.call([
      ':method',
      'POST',
      ':scheme',
      'http',
      ':authority',
      'svc',
      ':path',
      '/',
      'content-type',
      'application/grpc-web',
    ]);
    await call.over();
    assert.equal(call.field(':status'), '404');
    assert.equal(call.body.toString(), '<p>');
  });
});
