// Routes, services, consumers and plugins through the real control plane and a real sidecar, told by the Admin API.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { request, type IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { after, before, beforeEach, describe, test } from 'node:test';
import type { HttpAnswer } from '../../support/http-call.ts';
import { runProgram } from '../../support/program.ts';
import {
  DOCUMENT_KEY,
  startBackend,
  startGatewayScene,
  type Backend,
  type GatewayScene,
} from '../../support/gateway-scene.ts';

describe('the gateway', () => {
  let scene: GatewayScene;
  let a: Backend;
  let b: Backend;

  before(async () => {
    [a, b] = [await startBackend(), await startBackend()];
    scene = await startGatewayScene();
  });
  after(async () => {
    await scene.stop();
    a.close();
    b.close();
  });
  beforeEach(() => {
    for (const backend of [a, b]) {
      backend.requests.length = 0;
      backend.status = 200;
      backend.delayMs = 0;
    }
  });

  const to = (...backends: Backend[]) => ({
    type: 'roundrobin',
    nodes: Object.fromEntries(backends.map(({ port }) => [`127.0.0.1:${port}`, 1])),
  });

  /** Writes and waits until the sidecar has it. */
  async function put(path: string, body: unknown): Promise<void> {
    const { status, json } = await scene.admin('PUT', `${path}?wait=applied`, body);
    assert.ok(status === 200 || status === 201, JSON.stringify(json));
    assert.deepEqual(json.applied.refused, []);
    assert.deepEqual(json.applied.pending, []);
  }

  async function calls(path: string, count: number, headers: Record<string, string> = {}): Promise<HttpAnswer[]> {
    const answers: HttpAnswer[] = [];
    for (let i = 0; i < count; i++) answers.push(await scene.call(path, { headers }));
    return answers;
  }

  const statuses = (answers: readonly HttpAnswer[]): number[] => answers.map(({ status }) => status);

  test('APISIX row 110: a route’s upstream and plugins stand above those of its service', async () => {
    const limit = { count: 2, time_window: 60, key: 'remote_addr' };
    await put('/services/110', { upstream: to(a), plugins: { 'limit-count': limit } });
    await put('/routes/110', { uri: '/110', service_id: '110', upstream: to(b) });
    const [own] = await calls('/110', 1);
    assert.equal(own?.body.toString(), String(b.port));
    assert.deepEqual([own?.headers['x-ratelimit-limit'], own?.headers['x-ratelimit-remaining']], ['2', '1']);
    await put('/routes/110', { uri: '/110', service_id: '110', plugins: {} });
    const [inherited] = await calls('/110', 1);
    assert.equal(inherited?.body.toString(), String(a.port));
    assert.deepEqual(
      [inherited?.headers['x-ratelimit-limit'], inherited?.headers['x-ratelimit-remaining']],
      ['2', '0'],
      'the counter is the service’s',
    );
    await put('/routes/110', {
      uri: '/110',
      service_id: '110',
      plugins: { 'limit-count': { ...limit, _meta: { disable: true } } },
    });
    const [free] = await calls('/110', 1);
    assert.deepEqual([free?.status, free?.headers['x-ratelimit-limit']], [200, undefined]);
  });

  test('APISIX row 111: two in a window, and paths without a route count for nothing', async () => {
    for (const [id, key] of [
      ['a', 'remote_addr'],
      ['b', undefined],
      ['c', 'server_addr'],
      ['d', 'service_id'],
    ] as const) {
      const limit = { count: 2, time_window: 60, ...(key === undefined ? {} : { key }) };
      await put(`/routes/111${id}`, { uri: `/111/${id}`, plugins: { 'limit-count': limit }, upstream: to(a) });
      assert.deepEqual(statuses(await calls(`/111/${id}/no-such`, 3)), [404, 404, 404]);
      const answers = await calls(`/111/${id}`, 4);
      assert.deepEqual(statuses(answers), [200, 200, 503, 503]);
      assert.equal(answers[3]?.headers['x-outrigger-reason'], 'rate_limited');
    }
    const { body, headers } = await scene.call('/111/nobody');
    assert.equal(body.toString().trim(), '{"error_msg":"404 Route Not Found"}');
    assert.equal(headers['x-outrigger-reason'], 'no_route');
  });

  test('APISIX row 113: bounds of limit-count', async () => {
    for (const limit of [
      { count: 0, time_window: 60 },
      { count: -100, time_window: 60 },
      { time_window: 60 },
      { count: 2, time_window: 0 },
    ]) {
      const body = { uri: '/113', plugins: { 'limit-count': limit }, upstream: to(a) };
      const { status, json } = await scene.admin('PUT', '/routes/113', body);
      assert.equal(status, 400);
      assert.match(json.error_msg, /plugins\.limit-count\.(count|time_window)/);
    }
  });

  test('APISIX row 114: the text of a refusal', async () => {
    const limit = { count: 1, time_window: 60, rejected_code: 429, rejected_msg: 'slow "down"' };
    await put('/routes/114', { uri: '/114', plugins: { 'limit-count': limit }, upstream: to(a) });
    const [, refused] = await calls('/114', 2);
    assert.equal(refused?.status, 429);
    assert.deepEqual(JSON.parse(refused?.body.toString() ?? ''), { error_msg: 'slow "down"' });
    for (const rejected_msg of ['', 5]) {
      const body = { uri: '/114', plugins: { 'limit-count': { ...limit, rejected_msg } }, upstream: to(a) };
      assert.equal((await scene.admin('PUT', '/routes/114', body)).status, 400);
    }
  });

  test('APISIX row 116: a combination of variables as the key', async () => {
    const limit = { count: 2, time_window: 60, key_type: 'var_combination', key: '$http_a $http_b' };
    await put('/routes/116', { uri: '/116', plugins: { 'limit-count': limit }, upstream: to(a) });
    assert.deepEqual(statuses(await calls('/116', 4, { a: '1' })), [200, 200, 503, 503]);
    assert.deepEqual(
      statuses([...(await calls('/116', 1, { a: '1' })), ...(await calls('/116', 1, { a: '2' }))]),
      [503, 200],
    );
    assert.deepEqual(statuses(await calls('/116', 3)), [200, 200, 503], 'without any it is remote_addr');
  });

  test('APISIX row 117: routes of a group count together', async () => {
    const limit = { count: 2, time_window: 60, group: 'g117' };
    const route = (uri: string, more = {}) => ({
      uri,
      plugins: { 'limit-count': { ...limit, ...more } },
      upstream: to(a),
    });
    await put('/routes/117a', route('/117/a'));
    await put('/routes/117b', route('/117/b'));
    const answers = [];
    for (const path of ['/117/a', '/117/b', '/117/a', '/117/b']) answers.push(...(await calls(path, 1)));
    assert.deepEqual(statuses(answers), [200, 200, 503, 503]);
    const other = await scene.admin('PUT', '/routes/117c', route('/117/c', { count: 3 }));
    assert.equal(other.status, 400);
    assert.match(other.json.error_msg, /group/);
    const constant = { count: 1, time_window: 60, key_type: 'constant', key: 'remote_addr' };
    await put('/routes/117d', { uri: '/117/d', plugins: { 'limit-count': constant }, upstream: to(a) });
    assert.deepEqual(statuses(await calls('/117/d', 2)), [200, 503]);
  });

  test('APISIX row 119: what is left, and when the window ends', async () => {
    const limit = { count: 2, time_window: 60 };
    await put('/routes/119', { uri: '/119', plugins: { 'limit-count': limit }, upstream: to(a) });
    const answers = await calls('/119', 3);
    assert.deepEqual(
      answers.map(({ headers }) => headers['x-ratelimit-remaining']),
      ['1', '0', '0'],
    );
    const resets = answers.map(({ headers }) => Number(headers['x-ratelimit-reset']));
    assert.equal(resets[0], 60);
    for (const [i, reset] of resets.entries()) assert.ok(reset > 0 && reset <= (resets[i - 1] ?? 60), resets.join());
  });

  test('APISIX row 120: metadata rename the quota fields', async () => {
    await put('/plugin_metadata/limit-count', {
      limit_header: 'X-Quota',
      remaining_header: 'X-Left',
      reset_header: 'X-End',
    });
    await put('/routes/120', {
      uri: '/120',
      plugins: { 'limit-count': { count: 10, time_window: 60 } },
      upstream: to(a),
    });
    const { headers } = await scene.call('/120');
    assert.deepEqual([headers['x-quota'], headers['x-left']], ['10', '9']);
    assert.match(String(headers['x-end']), /^\d+(\.\d+)?$/);
    assert.equal(headers['x-ratelimit-limit'], undefined);
    const { status } = await scene.admin('DELETE', '/plugin_metadata/limit-count?wait=applied');
    assert.equal(status, 200);
    assert.equal((await scene.call('/120')).headers['x-ratelimit-limit'], '10');
  });

  test('APISIX row 122: several rules', async () => {
    const rules = [
      { key: '$remote_addr', count: 2, time_window: 600 },
      { key: '$remote_addr $route_id', count: 3, time_window: 600, header_prefix: 'Long' },
    ];
    await put('/routes/122', { uri: '/122', plugins: { 'limit-count': { rules } }, upstream: to(a) });
    const answers = await calls('/122', 3);
    assert.deepEqual(statuses(answers), [200, 200, 503]);
    assert.equal(answers[0]?.headers['x-1-ratelimit-remaining'], '1');
    assert.equal(answers[0]?.headers['x-long-ratelimit-remaining'], '2');
    const unresolved = [{ key: '$http_no_such', count: 2, time_window: 60 }];
    await put('/routes/122u', { uri: '/122/u', plugins: { 'limit-count': { rules: unresolved } }, upstream: to(a) });
    const [failed] = await calls('/122/u', 1);
    assert.deepEqual([failed?.status, failed?.headers['x-outrigger-reason']], [500, 'limit_failure']);
  });

  test('APISIX row 123: a sliding window', async () => {
    const limit = { count: 2, time_window: 50, window_type: 'sliding' };
    await put('/routes/123', { uri: '/123', plugins: { 'limit-count': limit }, upstream: to(a) });
    assert.deepEqual(statuses(await calls('/123', 3)), [200, 200, 503]);
  });

  test('APISIX row 125: counters in Redis are refused by name', async () => {
    for (const limit of [
      { count: 2, time_window: 60, policy: 'redis' },
      { count: 2, time_window: 60, policy: 'redis', redis_host: '127.0.0.1' },
    ]) {
      const body = { uri: '/125', plugins: { 'limit-count': limit }, upstream: to(a) };
      const { status, json } = await scene.admin('PUT', '/routes/125', body);
      assert.equal(status, 400);
      assert.match(json.error_msg, /redis/);
    }
  });

  test('APISIX rows 126 and 128: keys of consumers, and where they are hidden', async () => {
    await put('/consumers/mia', { username: 'mia', plugins: { 'key-auth': { key: 'key-of-mia' } } });
    await put('/routes/126', { uri: '/126', plugins: { 'key-auth': {} }, upstream: to(a) });
    const missing = await scene.call('/126');
    assert.equal(missing.status, 401);
    assert.equal(missing.body.toString().trim(), '{"message":"Missing API key in request"}');
    assert.equal(missing.headers['www-authenticate'], 'apikey realm="key"');
    const wrong = await scene.call('/126', { headers: { apikey: 'key-of-miA' } });
    assert.equal(wrong.body.toString().trim(), '{"message":"Invalid API key in request"}');
    const right = await scene.call('/126?apikey=nobodys', {
      headers: { apikey: 'key-of-mia', 'x-consumer-username': 'root', 'X-Credential-Identifier': 'forged' },
    });
    assert.equal(right.status, 200);
    const [seen] = a.requests;
    assert.equal(seen?.headers['x-consumer-username'], 'mia');
    assert.equal(seen?.headers['x-credential-identifier'], undefined);
    assert.equal(seen?.headers['apikey'], 'key-of-mia');

    await put('/routes/128', { uri: '/128', plugins: { 'key-auth': { hide_credentials: true } }, upstream: to(a) });
    a.requests.length = 0;
    await scene.call('/128?x=1&apikey=key-of-mia&y=2');
    await scene.call('/128?apikey=key-of-mia', { headers: { apikey: 'key-of-mia' } });
    assert.deepEqual(
      a.requests.map(({ url, headers }) => [url, headers['apikey']]),
      [
        ['/128?x=1&y=2', undefined],
        ['/128?apikey=key-of-mia', undefined],
      ],
    );
    // A credential of its own id, and what is taken away again at once.
    await put('/consumers/mia/credentials/phone', { plugins: { 'key-auth': { key: 'phone-of-mia' } } });
    assert.equal((await scene.call('/126', { headers: { apikey: 'phone-of-mia' } })).status, 200);
    assert.equal(a.requests.at(-1)?.headers['x-credential-identifier'], 'phone');
    assert.equal((await scene.admin('DELETE', '/consumers/mia?wait=applied')).status, 200);
    for (const apikey of ['key-of-mia', 'phone-of-mia']) {
      assert.equal((await scene.call('/126', { headers: { apikey } })).status, 401, apikey);
    }
  });

  test('what a caller writes into trailers says nothing of who calls', async () => {
    await put('/consumers/ida', { username: 'ida', plugins: { 'key-auth': { key: 'key-of-ida' } } });
    await put('/routes/trailers', {
      uri: '/trailers',
      plugins: { 'key-auth': { hide_credentials: true } },
      upstream: to(a),
    });
    const call = request({
      ...{ host: '127.0.0.1', port: scene.gatewayPort, path: '/trailers', method: 'POST' },
      headers: { apikey: 'key-of-ida', 'transfer-encoding': 'chunked', trailer: 'x-other' },
    });
    call.addTrailers({ 'X-Consumer-Username': 'root', x_consumer_username: 'root', apikey: 'leak', 'x-other': 'kept' });
    call.end('body');
    const [answer] = (await once(call, 'response')) as [IncomingMessage];
    answer.resume();
    await once(answer, 'end');
    assert.equal(answer.statusCode, 200);
    const seen = a.requests.at(-1);
    assert.equal(seen?.headers['x-consumer-username'], 'ida');
    assert.deepEqual({ ...seen.trailers }, { 'x-other': 'kept' });
  });

  test('APISIX row 129: an anonymous consumer with its own limit', async () => {
    const limit = (count: number) => ({ count, time_window: 60, key: 'consumer_name' });
    await put('/consumers/jack', {
      username: 'jack',
      plugins: { 'key-auth': { key: 'auth-jack' }, 'limit-count': limit(4) },
    });
    await put('/consumers/anonymous', { username: 'anonymous', plugins: { 'limit-count': limit(1) } });
    await put('/routes/129', {
      uri: '/129',
      plugins: { 'key-auth': { anonymous_consumer: 'anonymous' } },
      upstream: to(a),
    });
    assert.deepEqual(statuses(await calls('/129', 5, { apikey: 'auth-jack' })), [200, 200, 200, 200, 503]);
    assert.deepEqual(statuses(await calls('/129', 4)), [200, 503, 503, 503]);
    await put('/routes/129', {
      uri: '/129',
      plugins: { 'key-auth': { anonymous_consumer: 'nobody' } },
      upstream: to(a),
    });
    const [refused] = await calls('/129', 1);
    assert.equal(refused?.status, 401);
    assert.equal(refused?.body.toString().trim(), '{"message":"Invalid user authorization"}');
  });

  test('a limit is untouched by edits that do not change it, and starts afresh by one that does', async () => {
    const route = (limit: object, more = {}) => ({
      uri: '/edit',
      plugins: { 'limit-count': limit },
      upstream: to(a),
      ...more,
    });
    await put('/routes/edit', route({ count: 2, time_window: 60 }));
    assert.deepEqual(statuses(await calls('/edit', 2)), [200, 200]);
    await put(
      '/routes/edit',
      route({ count: 2, time_window: 60, rejected_code: 429 }, { desc: 'edited', upstream: to(b) }),
    );
    assert.deepEqual(statuses(await calls('/edit', 1)), [429]);
    await put('/routes/edit', route({ count: 3, time_window: 60 }));
    assert.deepEqual(statuses(await calls('/edit', 4)), [200, 200, 200, 503]);
  });

  test('counts exactly, however many ask at once', async () => {
    await put('/routes/crowd', {
      uri: '/crowd',
      plugins: { 'limit-count': { count: 25, time_window: 60 } },
      upstream: to(a),
    });
    const answers = await Promise.all(Array.from({ length: 60 }, () => scene.call('/crowd')));
    assert.equal(statuses(answers).filter((status) => status === 200).length, 25);
  });

  test('APISIX row 53: the timeout of a route stands above the upstream’s', async () => {
    a.delayMs = 1000;
    const upstream = { ...to(a), timeout: { connect: 2, send: 2, read: 2 } };
    await put('/routes/53', { uri: '/53', upstream });
    assert.equal((await scene.call('/53')).status, 200);
    await put('/routes/53', { uri: '/53', upstream, timeout: { connect: 0.5, send: 0.5, read: 0.5 } });
    const { status, headers } = await scene.call('/53');
    assert.deepEqual([status, headers['x-outrigger-reason']], [504, 'read_timeout']);
  });

  test('APISIX row 81: enable_websocket lets an upgrade pass; without it the endpoint sees an ordinary request', async () => {
    const upgrade = {
      connection: 'Upgrade',
      upgrade: 'websocket',
      'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
      'sec-websocket-version': '13',
    };
    await put('/routes/81', { uri: '/81', upstream: to(a) });
    assert.equal((await scene.call('/81', { headers: upgrade })).status, 200);
    assert.equal(a.requests.at(-1)?.headers.upgrade, undefined);
    await put('/routes/81', { uri: '/81', upstream: to(a), enable_websocket: true });
    const call = request({ host: '127.0.0.1', port: scene.gatewayPort, path: '/81', headers: upgrade }).end();
    const [answer, socket, head] = (await once(call, 'upgrade')) as [IncomingMessage, Socket, Buffer];
    assert.equal(answer.statusCode, 101);
    let tunnel = head.toString();
    for await (const chunk of socket) tunnel += String(chunk);
    assert.equal(tunnel, String(a.port));
  });

  test('unknown ids are answered as APISIX does, and an upstream by id serves', async () => {
    const missing = await scene.admin('PUT', '/routes/unknown', { uri: '/unknown', upstream_id: 'nowhere' });
    assert.equal(missing.status, 400);
    assert.match(missing.json.error_msg, /upstream_id/);
    await put('/upstreams/shared', to(a));
    await put('/routes/known', { uri: '/known', upstream_id: 'shared' });
    assert.equal((await scene.call('/known')).body.toString(), String(a.port));
    assert.equal((await scene.admin('DELETE', '/upstreams/shared')).status, 400, 'a route names it');
    await put('/upstreams/shared', to(b));
    assert.equal((await scene.call('/known')).body.toString(), String(b.port));
    await put('/routes/none', { uri: '/none', plugins: {} });
    const none = await scene.call('/none');
    assert.deepEqual([none.status, none.headers['x-outrigger-reason']], [503, 'no_upstream']);
    await put('/services/gone', { upstream: to(a) });
    await put('/routes/of-gone', { uri: '/of-gone', service_id: 'gone' });
    assert.equal((await scene.call('/of-gone')).status, 200);
    assert.equal((await scene.admin('DELETE', '/services/gone?force=true&wait=applied')).status, 200);
    const gone = await scene.call('/of-gone');
    assert.deepEqual([gone.status, gone.headers['x-outrigger-reason']], [404, 'unknown_service']);
  });

  test('no second spelling of a path gets past a route that guards it', async () => {
    await put('/routes/guard', { uri: '/guard/*', plugins: { 'key-auth': {} }, upstream: to(a) });
    await put('/routes/open', { uri: '/*', upstream: to(b) });
    for (const path of ['/guard/x', '//guard/x', '/%2Fguard/x', '/guard%2fx', '/y/../guard/x']) {
      assert.equal((await scene.call(path)).status, 401, path);
    }
    for (const path of ['/guard/..%2Fx', '/y/..%2Fguard/x', '/guard%2F..%2Fx']) {
      assert.equal((await scene.call(path)).status, 400, path);
    }
    assert.equal((await scene.call('/y//z%2Fw')).status, 200);
    assert.equal(b.requests.at(-1)?.url, '/y//z%2Fw', 'forwarded as it came');
    assert.equal((await scene.admin('DELETE', '/routes/open?wait=applied')).status, 200);
  });

  test('the Admin API by the gateway’s port is for callers on this machine, and not for those behind a proxy', async () => {
    const ask = (headers: Record<string, string>) =>
      scene.call('/apisix/admin/routes/guard', { headers: { 'x-api-key': DOCUMENT_KEY, ...headers } });
    assert.equal((await ask({})).status, 200);
    for (const headers of [
      { 'x-forwarded-for': '192.0.2.1' },
      { 'x-forwarded-for': '192.0.2.1', connection: 'close, X-Forwarded-For' },
      { via: '1.1 proxy', connection: 'via' },
    ]) {
      assert.equal((await ask(headers)).status, 404, JSON.stringify(headers));
    }
  });

  test('a deleted route is gone, a switched off one too', async () => {
    await put('/routes/gone', { uri: '/gone', upstream: to(a) });
    assert.equal((await scene.call('/gone')).status, 200);
    const off = await scene.admin('PATCH', '/routes/gone?wait=applied', { status: 0 });
    assert.equal(off.status, 200, JSON.stringify(off.json));
    assert.equal((await scene.call('/gone')).status, 404);
    assert.equal((await scene.admin('PATCH', '/routes/gone/status?wait=applied', 1)).status, 200);
    assert.equal((await scene.call('/gone')).status, 200);
    assert.equal((await scene.admin('DELETE', '/routes/gone?wait=applied')).status, 200);
    assert.equal((await scene.call('/gone')).status, 404);
  });

  test('outrigger explain tells the route, why others give way, the consumer and the plugins, and counts nothing', async () => {
    await put('/services/why', { upstream: to(a) });
    await put('/consumers/ann', { username: 'ann', plugins: { 'key-auth': { key: 'key-of-ann' } } });
    const limit = { 'limit-count': { count: 1, time_window: 60 } };
    const own = { service_id: 'why', plugins: { 'key-auth': {}, ...limit } };
    await put('/routes/why', { ...own, uri: '/why/*', name: 'the one' });
    await put('/routes/why-post', { ...own, uri: '/why/*', methods: ['POST'], priority: 9 });
    const explain = (...more: string[]) =>
      runProgram([
        ...[
          'explain',
          '--port',
          String(scene.gatewayPort),
          '--admin',
          scene.sidecar.ready.admin ?? '',
          '--path',
          '/why/x',
        ],
        ...more,
      ]);
    const { status, out } = await explain('-H', 'apikey=key-of-ann');
    assert.equal(status, 0, out);
    for (const line of [
      'not routes/why-post (uri /why/*): methods',
      'routes/why "the one" (uri /why/*, any host)',
      'consumers/ann',
      'key-auth of routes/why',
      'limit-count of routes/why',
      `pick       127.0.0.1:${a.port}`,
    ]) {
      assert.ok(out.includes(line), `${line} in ${out}`);
    }
    assert.equal((await explain('-H', 'apikey=nobodys')).status, 1);
    assert.match((await explain()).out, /refused {4}unauthenticated: the caller showed no valid key/);
    assert.equal(
      (await scene.call('/why/x', { headers: { apikey: 'key-of-ann' } })).status,
      200,
      'nothing was counted',
    );
  });

  test('two gateways on one control plane agree', async () => {
    const other = await scene.another(['--node-id', 'other']);
    await put('/routes/both', { uri: '/both', upstream: to(a) });
    const port = Number(other.ready.gateway?.split(':').at(-1));
    const { httpCall } = await import('../../support/http-call.ts');
    assert.equal((await httpCall(port, { path: '/both' })).status, 200);
    assert.equal((await scene.call('/both')).status, 200);
    await put('/routes/both', { uri: '/both-2', upstream: to(a) });
    assert.equal((await httpCall(port, { path: '/both' })).status, 404);
    assert.equal((await httpCall(port, { path: '/both-2' })).status, 200);
  });
});
