import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ResponseHead } from '../../../src/codec/exchange.ts';
import { grpcForm, isGrpcAnswer } from '../../../src/proxy/grpc-answer.ts';

function head(status: number, fields: string[]): ResponseHead {
  return { status, fields, neverIndexed: undefined, contentLength: -1 };
}

test('what is a gRPC answer', () => {
  assert.ok(isGrpcAnswer(head(200, ['content-type', 'application/grpc'])));
  assert.ok(isGrpcAnswer(head(200, ['Content-Type', 'application/grpc+proto'])));
  assert.ok(isGrpcAnswer(head(200, ['grpc-status', '12'])));
  assert.ok(isGrpcAnswer(head(503, ['grpc-status', '14'])));
  assert.ok(!isGrpcAnswer(head(200, ['content-type', 'text/plain'])));
  assert.ok(!isGrpcAnswer(head(200, ['content-type', 'application/grpc-web'])));
  assert.ok(!isGrpcAnswer(head(200, [])));
  assert.ok(!isGrpcAnswer(head(502, ['content-type', 'application/grpc'])));
});

test('the gRPC form keeps what does not speak of the body', () => {
  const before = head(503, ['content-type', 'text/html; é', 'Retry-After', '3', 'content-length', '9', 'x', 'y']);
  assert.deepEqual(grpcForm(before, 14), {
    status: 200,
    fields: [
      'content-type',
      'application/grpc',
      'Retry-After',
      '3',
      'x',
      'y',
      'grpc-status',
      '14',
      'grpc-message',
      'HTTP 503 from the upstream, content-type text/html; %C3%A9',
    ],
    neverIndexed: undefined,
    contentLength: -1,
  });
  assert.equal(grpcForm(head(404, []), 12).fields.at(-1), 'HTTP 404 from the upstream, without content-type');
});
