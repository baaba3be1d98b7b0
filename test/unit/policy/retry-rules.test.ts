import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GrpcStatus } from '../../../src/codec/grpc/status.ts';
import { DEFAULT_ATTEMPTS } from '../../../src/model/defaults.ts';
import { createRetryRules, isIdempotent, type RetryRules } from '../../../src/policy/retry-rules.ts';

function rules(retryOn: readonly string[], retryMethods: readonly string[] = []): RetryRules {
  return createRetryRules({ ...DEFAULT_ATTEMPTS, retryOn, retryMethods });
}

function statusesOf(compiled: RetryRules): number[] {
  return Array.from({ length: 800 }, (_, status) => status - 1).filter((status) => compiled.retriesStatus(status));
}

function grpcStatusesOf(compiled: RetryRules): number[] {
  return Array.from({ length: 30 }, (_, status) => status - 1).filter((status) => compiled.retriesGrpcStatus(status));
}

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from + 1 }, (_, i) => from + i);
}

test('idempotent methods', () => {
  for (const method of ['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE']) assert.ok(isIdempotent(method));
  for (const method of ['POST', 'PATCH', 'LOCK', 'CONNECT', 'get', 'PROPFIND', '']) assert.ok(!isIdempotent(method));
});

test('the default watches no status', () => {
  const compiled = rules(DEFAULT_ATTEMPTS.retryOn);
  for (const word of ['connect-failure', 'refused-stream', 'reset', 'timeout'] as const) assert.ok(compiled.isOn(word));
  assert.deepEqual(statusesOf(compiled), []);
  assert.deepEqual(grpcStatusesOf(compiled), []);
  assert.ok(!compiled.watchesStatus && !compiled.watchesGrpcStatus);
});

test('words of transport are on one by one, and no word of an answer switches one on', () => {
  const compiled = rules(['reset', '5xx', 'unavailable']);
  assert.ok(compiled.isOn('reset'));
  for (const word of ['connect-failure', 'refused-stream', 'timeout'] as const) assert.ok(!compiled.isOn(word));
});

test('statuses', () => {
  const rows: [retryOn: string[], statuses: number[]][] = [
    [['5xx'], range(500, 599)],
    [['gateway-error'], [502, 503, 504]],
    [['503'], [503]],
    [
      ['404', '409', '599', '400'],
      [400, 404, 409, 599],
    ],
    [
      ['gateway-error', '500'],
      [500, 502, 503, 504],
    ],
    [['399', '600', '0503', '', 'ok', '503 '], []], // refused by the configuration
  ];
  for (const [retryOn, statuses] of rows) {
    const compiled = rules(retryOn);
    assert.deepEqual(statusesOf(compiled), statuses, retryOn.join());
    assert.equal(compiled.watchesStatus, statuses.length > 0);
    assert.equal(compiled.watchesGrpcStatus, false);
  }
});

test('every gRPC status but OK by its name', () => {
  for (const [name, status] of Object.entries(GrpcStatus)) {
    const compiled = rules([name.toLowerCase().replaceAll('_', '-')]);
    assert.deepEqual(grpcStatusesOf(compiled), status === 0 ? [] : [status]);
    assert.equal(compiled.watchesGrpcStatus, status !== 0);
    assert.equal(compiled.watchesStatus, false);
  }
});

test('whose requests may be sent again', () => {
  const call = '/pkg.Svc/Method';
  const rows: [
    methods: string[],
    method: string,
    path: string,
    because: 'failure' | 'status' | 'grpc-status',
    may: boolean,
  ][] = [
    // not given: idempotent methods
    [[], 'GET', '/', 'failure', true],
    [[], 'PUT', '/', 'status', true],
    [[], 'POST', '/', 'failure', false],
    [[], 'POST', '/', 'status', false],
    // and any gRPC call on a status that is named
    [[], 'POST', call, 'grpc-status', true],
    [[], 'POST', call, 'failure', false],
    // given: these alone
    [['POST'], 'POST', '/', 'failure', true],
    [['POST'], 'GET', '/', 'failure', false],
    [['GET'], 'POST', call, 'grpc-status', false],
    [['POST'], 'POST', call, 'grpc-status', true],
    [['POST'], 'POST', call, 'failure', true],
    [['PROPFIND'], 'PROPFIND', '/', 'status', true],
    [[call], 'POST', call, 'failure', true],
    [[call], 'POST', `${call}?trace=/x`, 'failure', true],
    [[call], 'POST', `${call}s`, 'failure', false],
    [[call], 'POST', '/pkg.Svc/Metho', 'failure', false],
    [[call], 'GET', '/', 'failure', false],
    [['/pkg.Svc/*'], 'POST', call, 'grpc-status', true],
    [['/pkg.Svc/*'], 'POST', `${call}?a=/b`, 'failure', true],
    [['/pkg.Svc/*'], 'POST', '/pkg.Svc/', 'failure', false],
    [['/pkg.Svc/*'], 'POST', '/pkg.Svc/?a', 'failure', false],
    [['/pkg.Svc/*'], 'POST', '/pkg.Svc/a/b', 'failure', false],
    [['/pkg.Svc/*'], 'POST', '/pkg.Svc2/a', 'failure', false],
    [['/a.B/C', 'GET', '/pkg.Svc/*'], 'POST', call, 'status', true],
  ];
  for (const [methods, method, path, because, may] of rows) {
    const isGrpc = path.startsWith('/pkg.');
    const title = `${methods.join()}: ${method} ${path} ${because}`;
    assert.equal(rules(['reset'], methods).mayResend(method, path, isGrpc, because), may, title);
  }
});

test('a path of a gRPC method says nothing about a POST that is no gRPC call', () => {
  assert.equal(rules(['reset'], ['/pkg.Svc/*']).mayResend('POST', '/pkg.Svc/Method', false, 'failure'), false);
});
