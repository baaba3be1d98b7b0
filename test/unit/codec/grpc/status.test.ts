import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import {
  answerStatus,
  encodeGrpcMessage,
  grpcToHttpStatus,
  httpToGrpcStatus,
  isGrpcContentType,
  parseGrpcStatus,
} from '../../../../src/codec/grpc/status.ts';

test('grpc-status values', () => {
  assert.equal(parseGrpcStatus('0'), 0);
  assert.equal(parseGrpcStatus('14'), 14);
  assert.equal(parseGrpcStatus('4242'), 4242);
  for (const text of ['', '-1', '1.0', ' 0', '0x1', 'OK', '1, 2', '99999999999']) {
    assert.equal(parseGrpcStatus(text), undefined, text);
  }
});

test('HTTP to gRPC', () => {
  const expected: Record<number, number> = { 400: 13, 401: 16, 403: 7, 404: 12, 429: 14, 502: 14, 503: 14, 504: 14 };
  for (let status = 100; status < 600; status++) assert.equal(httpToGrpcStatus(status), expected[status] ?? 2);
});

test('gRPC to HTTP', () => {
  const expected = [200, 499, 500, 400, 504, 404, 409, 403, 429, 400, 409, 400, 501, 500, 503, 500, 401, 500];
  assert.deepEqual(
    expected.map((_, code) => grpcToHttpStatus(code)),
    expected,
  );
});

test('one status for an answer', () => {
  assert.equal(answerStatus(200, undefined), 200);
  assert.equal(answerStatus(200, 0), 200);
  assert.equal(answerStatus(200, 14), 503);
  assert.equal(answerStatus(503, 0), 503);
  assert.equal(answerStatus(404, undefined), 404);
});

test('gRPC content types', () => {
  const yes = [
    'application/grpc',
    'application/grpc+proto',
    'application/grpc;charset=utf-8',
    'application/grpc; charset=utf-8',
    'application/grpc ; a=b',
    'application/grpc\t;a=b',
    'application/grpc ',
    'application/grpc+x',
    'application/grpc+proto;a=b',
    'APPLICATION/GRPC',
  ];
  const no = [
    'application/grpc-web',
    'application/grpc-web+proto',
    'application/grpc-web;a=b',
    'application/grpc-web-text',
    'application/grpcx',
    'application/grpcfoo+proto',
    'application/grpc.proto',
    'application/grpc/x',
    'application/grpc,application/json',
    'application/grpc x',
    'application/grpc\u00a0;a=b',
    'application/grpc\n',
    'xapplication/grpc',
    'text/application/grpc',
    'application/json',
    '',
    ' application/grpc',
  ];
  for (const value of [...yes, 'Application/gRPC+json']) assert.ok(isGrpcContentType(value), value);
  for (const value of [...no, 'application/grpc +proto', 'application/grp'])
    assert.ok(!isGrpcContentType(value), value);
});

test('messages are percent-encoded UTF-8', () => {
  assert.equal(encodeGrpcMessage('no route to host'), 'no route to host');
  assert.equal(encodeGrpcMessage('100%'), '100%25');
  assert.equal(encodeGrpcMessage('a\r\nb\x7f'), 'a%0D%0Ab%7F');
  assert.equal(encodeGrpcMessage('☺'), '%E2%98%BA');
  assert.equal(encodeGrpcMessage('~ $&'), '~ $&');
  assert.equal(encodeGrpcMessage(''), '');
  assert.equal(encodeGrpcMessage('\ud800'), '%EF%BF%BD');
});

test('a space at an end of a message is no end of a field value', () => {
  assert.equal(encodeGrpcMessage(' a b '), '%20a b%20');
  assert.equal(encodeGrpcMessage('  a  '), '%20 a %20');
  assert.equal(encodeGrpcMessage(' '), '%20');
  assert.equal(encodeGrpcMessage('☺ '), '%E2%98%BA%20');
});

test('any message survives, as printable ASCII', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme', maxLength: 40 }), (text) => {
      const encoded = encodeGrpcMessage(text);
      assert.match(encoded, /^(?! )[ -~]*(?<! )$/);
      assert.equal(decodeURIComponent(encoded), Buffer.from(text, 'utf8').toString('utf8'));
    }),
    { seed: 41, numRuns: 300 },
  );
});
