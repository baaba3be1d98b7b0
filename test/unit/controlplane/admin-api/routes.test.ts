import assert from 'node:assert/strict';
import { test } from 'node:test';
import { routeRequest } from '../../../../src/controlplane/admin-api/routes.ts';

function route(method: string, path: string): unknown {
  const routed = routeRequest(path.split('/').slice(1), method);
  return routed.ok ? routed.target : [routed.answer.status, routed.answer.headers?.['allow']];
}

test('paths stand for objects, lists and checks', () => {
  const object = (type: string, id: string, subPath: string[] = []): unknown => ({
    kind: 'object',
    id: { type, id },
    subPath,
  });
  const rows: readonly [string, string, unknown][] = [
    ['GET', '/apisix/admin/routes', { kind: 'collection', type: 'routes', consumer: undefined }],
    ['GET', '/apisix/admin/routes/', { kind: 'collection', type: 'routes', consumer: undefined }],
    ['PUT', '/apisix/admin/consumers', { kind: 'collection', type: 'consumers', consumer: undefined }],
    ['PUT', '/apisix/admin/routes/1', object('routes', '1')],
    ['PATCH', '/apisix/admin/routes/1/', object('routes', '1')],
    ['PATCH', '/apisix/admin/upstreams/1/nodes/a', object('upstreams', '1', ['nodes', 'a'])],
    ['GET', '/apisix/admin/consumers/jack/credentials', { kind: 'collection', type: 'credentials', consumer: 'jack' }],
    ['PUT', '/apisix/admin/consumers/jack/credentials/one', object('credentials', 'jack/one')],
    ['PATCH', '/apisix/admin/consumers/jack/credentials/one/plugins', object('credentials', 'jack/one', ['plugins'])],
    ['PATCH', '/apisix/admin/consumers/jack/plugins', object('consumers', 'jack', ['plugins'])],
    ['GET', '/apisix/admin/plugins/list', { kind: 'plugins' }],
    ['POST', '/apisix/admin/schema/validate/routes', { kind: 'validation', type: 'routes' }],
    ['HEAD', '/apisix/admin', { kind: 'root' }],
    ['POST', '/apisix/admin/routes/1', [405, 'GET, HEAD, PUT, PATCH, DELETE']],
    ['DELETE', '/apisix/admin/routes', [405, 'GET, HEAD, PUT, POST']],
    ['POST', '/apisix/admin/consumers', [405, 'GET, HEAD, PUT']],
    ['GET', '/apisix/admin/routes/1/methods', [405, 'PATCH']],
    ['HEAD', '/apisix/admin/routes/1', object('routes', '1')],
    ['HEAD', '/apisix/admin/routes', { kind: 'collection', type: 'routes', consumer: undefined }],
    ['HEAD', '/apisix/admin/plugins/list', { kind: 'plugins' }],
    ['GET', '/apisix/admin/routes//1', [400, undefined]],
    ['GET', '/apisix/admin/consumers//credentials/1', [400, undefined]],
    ['GET', '/apisix/admin/consumers/jack/credentials//x', [400, undefined]],
    ['GET', '/apisix/admin/foo', [404, undefined]],
    ['GET', '/apisix/admin/credentials', [404, undefined]],
    ['GET', '/apisix/admin/global_rules', [404, undefined]],
    ['GET', '/apisix', [404, undefined]],
    ['GET', '/', [404, undefined]],
  ];
  for (const [method, path, expected] of rows) assert.deepEqual(route(method, path), expected, `${method} ${path}`);
});
