import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { accessRecord } from '../../../src/proxy/access-record.ts';
import type { AttemptRecord, RequestRecord } from '../../../src/proxy/record.ts';
import type { Cluster } from '../../../src/upstream/cluster.ts';
import type { LiveEndpoint } from '../../../src/upstream/endpoint.ts';
import { keyAuth, routeSpec } from '../../support/route-spec.ts';

const cluster = { port: { upstream: 'shop/cart', servicePort: 7000 } } as Cluster;

function attempt(id: string, overrides: Partial<AttemptRecord> = {}): AttemptRecord {
  return { endpoint: { id } as LiveEndpoint, error: undefined, status: 200, headMs: 4, durationMs: 5, ...overrides };
}

function record(overrides: Partial<RequestRecord> = {}, fields: string[] = []): RequestRecord {
  return {
    durationMs: 12,
    head: {
      method: 'GET',
      scheme: 'http',
      authority: 'cart',
      path: '/x?y=1',
      protocol: '',
      version: 11,
      fields: ['User-Agent', 'curl', ...fields],
      neverIndexed: undefined,
      contentLength: -1,
    },
    isGrpc: false,
    cluster,
    status: 200,
    grpcStatus: -1,
    error: undefined,
    bytesReceived: 1,
    bytesSent: 2,
    remoteAddress: '192.0.2.1',
    requestId: 'id',
    route: undefined,
    consumer: undefined,
    attempts: [attempt('10.0.0.1:80')],
    ...overrides,
  };
}

/** 12 ms after the request of `record` began. */
const NOW_WALL_MS = 1_700_000_000_012;
const logged = (ended: RequestRecord): ReturnType<typeof accessRecord> => accessRecord(ended, NOW_WALL_MS);
const KEYED = routeSpec('7', { plugins: [keyAuth()] });

describe('accessRecord', () => {
  it('names the route and the consumer of a request to the gateway, and shows no key', () => {
    const made = record({ route: KEYED, consumer: 'jack' });
    made.head.path = '/x?apikey=secret&y=1';
    const { route, consumer, path } = logged(made);
    assert.deepEqual([route, consumer, path], ['7', 'jack', '/x?apikey=[redacted]&y=1']);
  });

  it('an answered request', () => {
    assert.deepEqual(logged(record()), {
      startWallMs: 1_700_000_000_000,
      method: 'GET',
      path: '/x?y=1',
      version: 11,
      authority: 'cart',
      status: 200,
      grpcStatus: undefined,
      flags: undefined,
      bytesReceived: 1,
      bytesSent: 2,
      durationMs: 12,
      upstreamServiceMs: 4,
      remoteAddress: '192.0.2.1',
      forwardedFor: undefined,
      userAgent: 'curl',
      requestId: 'id',
      route: undefined,
      consumer: undefined,
      upstream: 'shop/cart',
      servicePort: 7000,
      endpoint: '10.0.0.1:80',
      attempts: [{ endpoint: '10.0.0.1:80', outcome: '200', durationMs: 5 }],
      reason: undefined,
    });
  });

  it('X-Forwarded-For is told as it came, without the address that was added', () => {
    const told = (value: string): string | undefined => logged(record({}, ['X-Forwarded-For', value])).forwardedFor;
    assert.equal(told('192.0.2.1'), undefined);
    assert.equal(told('10.0.0.1, 192.0.2.1'), '10.0.0.1');
    assert.equal(told('192.0.2.1, 192.0.2.1'), '192.0.2.1');
    assert.equal(told('10.0.0.1, 10.0.0.2, 192.0.2.1'), '10.0.0.1, 10.0.0.2');
  });

  it('what is missing is undefined', () => {
    const empty = logged(
      record({ status: 0, requestId: '', cluster: undefined, attempts: [], error: 'downstream_reset' }),
    );
    for (const name of ['status', 'requestId', 'upstream', 'servicePort', 'endpoint', 'upstreamServiceMs'] as const) {
      assert.equal(empty[name], undefined, name);
    }
    assert.equal(empty.reason, 'downstream_reset');
    assert.equal(empty.flags, 'DC');
    assert.equal(logged(record({ attempts: [attempt('a', { headMs: -1 })] })).upstreamServiceMs, undefined);
  });

  it('flags say the reason, and URX where further attempts were in vain', () => {
    const refused = attempt('a', { error: 'connect_failure', status: 0, headMs: -1 });
    const flags = (overrides: Partial<RequestRecord>): string | undefined => logged(record(overrides)).flags;
    assert.equal(flags({ error: 'connect_failure', attempts: [refused] }), 'UF');
    assert.equal(flags({ error: 'connect_failure', attempts: [refused, refused] }), 'UF,URX');
    assert.equal(flags({ error: 'no_endpoints', attempts: [] }), 'UH');
    assert.equal(flags({ error: undefined, attempts: [refused, attempt('b')] }), undefined);
    const given = [refused, attempt('b', { error: 'downstream_reset' })];
    assert.equal(flags({ error: 'downstream_reset', attempts: given }), 'DC');
    assert.equal(flags({ error: 'deadline_exceeded', attempts: given }), 'UT');
  });

  it('attempts stand in order with what became of each', () => {
    const { attempts, endpoint } = logged(
      record({ attempts: [attempt('a', { error: 'read_timeout', status: 0 }), attempt('b', { status: 503 })] }),
    );
    assert.deepEqual(
      attempts.map(({ endpoint: at, outcome }) => [at, outcome]),
      [
        ['a', 'read_timeout'],
        ['b', '503'],
      ],
    );
    assert.equal(endpoint, 'b');
  });

  it('a gRPC status is the upstream’s, or that of the answer which the sidecar made', () => {
    assert.equal(logged(record({ isGrpc: true, grpcStatus: 9 })).grpcStatus, 9);
    assert.equal(logged(record({ isGrpc: true, error: 'no_endpoints' })).grpcStatus, 14);
    assert.equal(logged(record({ isGrpc: true, error: 'deadline_exceeded' })).grpcStatus, 4);
    assert.equal(logged(record({ grpcStatus: -1 })).grpcStatus, undefined);
  });
});
