import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { RequestHead } from '../../../src/codec/exchange.ts';
import { DEFAULT_TIMEOUT } from '../../../src/model/defaults.ts';
import type { RouteSpec } from '../../../src/model/gateway.ts';
import { GatewayPassage, type LiveGateway } from '../../../src/proxy/gateway.ts';
import type { Cluster } from '../../../src/upstream/cluster.ts';
import { hashedRequest } from '../../support/hashed-request.ts';
import { keyAuth, routeSpec } from '../../support/route-spec.ts';

// Only its identity counts here.
const cluster = {} as Cluster;
const adminApi = {} as Cluster;

function headOf(overrides: Partial<RequestHead> = {}): RequestHead {
  return hashedRequest({ path: '/', ...overrides }).head;
}

const route = routeSpec('1', { target: 'routes/1/0' });

function gatewayOf(overrides: Partial<LiveGateway> = {}): LiveGateway {
  return {
    isConfigured: true,
    hostname: 'here',
    adminApi: undefined,
    match: () => route,
    runPlugins: () => undefined,
    cluster: () => cluster,
    ...overrides,
  };
}

function passageOf(head: RequestHead, remoteAddress = '127.0.0.1'): GatewayPassage {
  return new GatewayPassage(head, { remoteAddress, remotePort: 1, localAddress: '127.0.0.1', localPort: 9080 }, 'here');
}

function enter(gateway: LiveGateway, head = headOf(), remoteAddress?: string): [Cluster | undefined, GatewayPassage] {
  const passage = passageOf(head, remoteAddress);
  return [passage.enter(gateway), passage];
}

describe('a passage through the gateway', () => {
  test('leads to the upstream port of the route', () => {
    const [found, passage] = enter(gatewayOf());
    assert.equal(found, cluster);
    assert.equal(passage.answer, undefined);
    assert.deepEqual([passage.routeId, passage.serviceId], ['1', '']);
  });

  test('ends with APISIX’s words where no route fits', () => {
    const [found, passage] = enter(gatewayOf({ match: () => undefined }));
    assert.equal(found, undefined);
    assert.deepEqual(
      [passage.answer?.kind, passage.answer?.body],
      ['no_route', '{"error_msg":"404 Route Not Found"}\n'],
    );
  });

  test('ends with 503 before there is a configuration', () => {
    const [, passage] = enter(gatewayOf({ isConfigured: false }));
    assert.equal(passage.answer?.kind, 'not_configured');
  });

  test('runs plugins before an upstream is missed, but not for a service that is missing', () => {
    const ran: string[] = [];
    for (const kind of ['unknown_service', 'unknown_plugin_config', 'unknown_upstream', 'no_upstream'] as const) {
      const faulty: RouteSpec = { ...route, plugins: [keyAuth()], target: undefined, fault: { kind, detail: 'x' } };
      const runPlugins = (): undefined => void ran.push(kind);
      const [found, passage] = enter(gatewayOf({ match: () => faulty, runPlugins }));
      assert.equal(found, undefined);
      assert.deepEqual([passage.answer?.kind, passage.answer?.detail], [kind, 'x']);
    }
    assert.deepEqual(ran, ['unknown_upstream', 'no_upstream']);
  });

  test('ends where a plugin answers', () => {
    const answer = { kind: 'unauthenticated', status: 0, fields: [], body: '{}', detail: '' } as const;
    const [found, passage] = enter(
      gatewayOf({ match: () => ({ ...route, plugins: [keyAuth()] }), runPlugins: () => answer }),
    );
    assert.equal(found, undefined);
    assert.equal(passage.answer, answer);
  });

  test('drops an upgrade that the route doesn’t pass (APISIX enable_websocket)', () => {
    const head = headOf({ protocol: 'websocket' });
    enter(gatewayOf(), head);
    assert.equal(head.protocol, '');
    const passed = headOf({ protocol: 'websocket' });
    enter(gatewayOf({ match: () => ({ ...route, passesUpgrades: true }) }), passed);
    assert.equal(passed.protocol, 'websocket');
  });

  test('sets aside connect, send and read of the upstream together', () => {
    const timeouts = { connectMs: 1, sendMs: 2, readMs: 3 };
    const [, passage] = enter(gatewayOf({ match: () => ({ ...route, timeouts }) }));
    const policy = { ...DEFAULT_TIMEOUT, totalMs: 9, idleMs: 8 };
    assert.deepEqual(passage.timeouts(policy), { ...policy, ...timeouts, sendIsSet: true, readIsSet: true });
    assert.equal(enter(gatewayOf())[1].timeouts(policy), policy);
  });

  test('puts plugins’ fields in the place of the endpoint’s', () => {
    const passage = passageOf(headOf());
    passage.answerFields.push('X-RateLimit-Limit', '2');
    const fields = ['x-ratelimit-limit', '7', 'server', 'x', 'X-RATELIMIT-LIMIT', '8'];
    passage.addTo(fields);
    assert.deepEqual(fields, ['server', 'x', 'X-RateLimit-Limit', '2']);
  });
});

describe('the Admin API by the gateway’s port', () => {
  const gateway = gatewayOf({ adminApi });

  test('takes what lies below /apisix/admin, and nothing else', () => {
    for (const path of ['/apisix/admin', '/apisix/admin/', '/apisix/admin/routes/1?force=true', '/apisix/admin?x']) {
      assert.equal(enter(gateway, headOf({ path }))[0], adminApi, path);
    }
    for (const path of ['/apisix/adminx', '/apisix', '/Apisix/admin/routes', '/x/apisix/admin/routes']) {
      assert.equal(enter(gateway, headOf({ path }))[0], cluster, path);
    }
  });

  test('lets only callers on this machine pass, and none that came by another proxy', () => {
    const path = '/apisix/admin/routes';
    assert.equal(enter(gateway, headOf({ path }), '::1')[0], adminApi);
    assert.equal(enter(gateway, headOf({ path }), '10.0.0.7')[0], cluster);
    for (const name of ['X-Forwarded-For', 'forwarded', 'Via', 'x-real-ip']) {
      assert.equal(enter(gateway, headOf({ path, fields: [name, '10.0.0.7'] }))[0], cluster, name);
    }
  });

  test('is an ordinary path where there is none', () => {
    assert.equal(enter(gatewayOf(), headOf({ path: '/apisix/admin/routes' }))[0], cluster);
  });
});
