import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { formatAccess, type AccessRecord } from '../../../src/telemetry/access-log.ts';

const FULL: AccessRecord = {
  startWallMs: Date.parse('2016-04-15T20:17:00.310Z'),
  method: 'POST',
  path: '/api/v1/locations',
  version: 20,
  authority: 'locations',
  status: 204,
  grpcStatus: undefined,
  flags: undefined,
  bytesReceived: 154,
  bytesSent: 0,
  durationMs: 226.4,
  upstreamServiceMs: 100,
  remoteAddress: '10.0.35.28',
  forwardedFor: '10.0.35.28',
  userAgent: 'nsq2http',
  requestId: 'cc21d9b0-cf5c-432b-8c7e-98aeb7988cd2',
  upstream: 'default/locations',
  servicePort: 80,
  endpoint: '10.0.2.1:80',
  attempts: [
    { endpoint: '10.0.2.2:80', outcome: 'connect_failure', durationMs: 1.23456 },
    { endpoint: '10.0.2.1:80', outcome: '204', durationMs: 100 },
  ],
  reason: undefined,
};

const EMPTY: AccessRecord = {
  startWallMs: Number.NaN,
  method: undefined,
  path: undefined,
  version: undefined,
  authority: undefined,
  status: undefined,
  grpcStatus: undefined,
  flags: undefined,
  bytesReceived: 0,
  bytesSent: 0,
  durationMs: 0,
  upstreamServiceMs: undefined,
  remoteAddress: undefined,
  forwardedFor: undefined,
  userAgent: undefined,
  requestId: undefined,
  upstream: undefined,
  servicePort: undefined,
  endpoint: undefined,
  attempts: [],
  reason: undefined,
};

test('text is Envoy’s default layout', () => {
  assert.equal(
    formatAccess('text', FULL),
    '[2016-04-15T20:17:00.310Z] "POST /api/v1/locations HTTP/2" 204 - 154 0 226 100 "10.0.35.28" "nsq2http" ' +
      '"cc21d9b0-cf5c-432b-8c7e-98aeb7988cd2" "locations" "10.0.2.1:80"',
  );
});

test('missing parts are dashes in text and absent in JSON', () => {
  assert.equal(formatAccess('text', EMPTY), '[-] "- - -" - - 0 0 0 - "-" "-" "-" "-" "-"');
  assert.deepEqual(JSON.parse(formatAccess('json', EMPTY) ?? ''), {
    start_time: '-',
    bytes_received: 0,
    bytes_sent: 0,
    duration_ms: 0,
    attempts: [],
  });
  assert.equal(formatAccess('off', FULL), undefined);
});

test('JSON adds upstream, port, gRPC status, reason and attempts', () => {
  const line = formatAccess('json', { ...FULL, grpcStatus: 14, flags: 'UF', reason: 'connect_failure' });
  const fields = JSON.parse(line ?? '');
  assert.equal(fields.grpc_status, 14);
  assert.equal(fields.upstream, 'default/locations');
  assert.equal(fields.port, 80);
  assert.equal(fields.flags, 'UF');
  assert.equal(fields.reason, 'connect_failure');
  assert.deepEqual(fields.attempts[0], { endpoint: '10.0.2.2:80', outcome: 'connect_failure', duration_ms: 1.235 });
});

test('a caller can’t forge a line', () => {
  const line = formatAccess('text', { ...FULL, path: '/" 200 -\n[x]', userAgent: 'a\\b\x7f\xe9' }) ?? '';
  assert.ok(line.includes('"POST /\\" 200 -\\x0a[x] HTTP/2"'));
  assert.ok(line.includes('"a\\\\b\\x7f\\xe9"'));
  const utf8 = formatAccess('json', { ...FULL, userAgent: Buffer.from('né').toString('latin1'), path: '/\xe9' }) ?? '';
  assert.equal(JSON.parse(utf8).user_agent, 'né');
  assert.equal(JSON.parse(utf8).path, '/\xe9');
});

test('any strings and numbers make one printable line', () => {
  const text = fc.option(fc.string({ unit: 'binary', maxLength: 20 }), { nil: undefined });
  const record = fc.record({
    method: text,
    path: text,
    authority: text,
    userAgent: text,
    startWallMs: fc.double(),
    durationMs: fc.double(),
  });
  fc.assert(
    fc.property(record, (over) => {
      assert.match(formatAccess('text', { ...FULL, ...over }) ?? '', /^[\x20-\x7e]+$/);
      const json = formatAccess('json', { ...FULL, ...over }) ?? '';
      assert.ok(!json.includes('\n'));
      JSON.parse(json);
    }),
    { seed: 3, numRuns: 300 },
  );
});
