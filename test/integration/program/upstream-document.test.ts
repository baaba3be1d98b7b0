// Each example of APISIX's document on Upstream as it is printed there, typed into a shell. Only addresses that don't exist
// here are replaced: those of the gateway and of the nodes.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { after, before, describe, test } from 'node:test';
import {
  shell,
  startBackend,
  startGatewayScene,
  type Backend,
  type GatewayScene,
} from '../../support/gateway-scene.ts';

const CREATE_UPSTREAM = String.raw`curl http://127.0.0.1:9080/apisix/admin/upstreams/1 -H 'X-API-KEY: edd1c9f034335f136f87ad84b625c8f1' -X PUT -d '
{
    "type": "chash",
    "key": "remote_addr",
    "nodes": {
        "127.0.0.1:80": 1,
        "foo.com:80": 2
    }
}'`;

const ROUTE_BY_ID = String.raw`curl http://127.0.0.1:9080/apisix/admin/routes/1 -H 'X-API-KEY: edd1c9f034335f136f87ad84b625c8f1' -X PUT -d '
{
    "uri": "/index.html",
    "upstream_id": 1
}'`;

const INLINE_WITH_LIMIT = String.raw`curl http://127.0.0.1:9080/apisix/admin/routes/1 -H 'X-API-KEY: edd1c9f034335f136f87ad84b625c8f1' -X PUT -d '
{
    "uri": "/index.html",
    "plugins": {
        "limit-count": {
            "count": 2,
            "time_window": 60,
            "rejected_code": 503,
            "key": "remote_addr"
        }
    },
    "upstream": {
        "type": "roundrobin",
        "nodes": {
            "39.97.63.215:80": 1
        }
    }
}'`;

const HEALTH_CHECK = String.raw`curl http://127.0.0.1:9080/apisix/admin/routes/1 -H 'X-API-KEY: edd1c9f034335f136f87ad84b625c8f1' -X PUT -d '
{
    "uri": "/index.html",
    "plugins": {
        "limit-count": {
            "count": 2,
            "time_window": 60,
            "rejected_code": 503,
            "key": "remote_addr"
        }
    },
    "upstream": {
         "nodes": {
            "39.97.63.215:80": 1
        }
        "type": "roundrobin",
        "retries": 2,
        "checks": {
            "active": {
                "http_path": "/status",
                "host": "foo.com",
                "healthy": {
                    "interval": 2,
                    "successes": 1
                },
                "unhealthy": {
                    "interval": 1,
                    "http_failures": 2
                }
            }
        }
    }
}'`;

const CONSUMER = String.raw`curl http://127.0.0.1:9080/apisix/admin/consumers -H 'X-API-KEY: edd1c9f034335f136f87ad84b625c8f1' -X PUT -d '
{
    "username": "jack",
    "plugins": {
       "key-auth": {
            "key": "auth-jack"
        }
    }
}'`;

const ROUTE_BY_CONSUMER = String.raw`curl http://127.0.0.1:9080/apisix/admin/routes/1 -H 'X-API-KEY: edd1c9f034335f136f87ad84b625c8f1' -X PUT -d '
{
    "plugins": {
        "key-auth": {}
    },
    "upstream": {
        "nodes": {
            "127.0.0.1:1980": 1,
            "127.0.0.1:1981": 1
        },
        "type": "chash",
        "hash_on": "consumer"
    },
    "uri": "/server_port"
}'`;

const CALL_AS_CONSUMER = String.raw`curl http://127.0.0.1:9080/server_port -H "apikey: auth-jack"`;

const ROUTE_BY_COOKIE = String.raw`curl http://127.0.0.1:9080/apisix/admin/routes/1 -H 'X-API-KEY: edd1c9f034335f136f87ad84b625c8f1' -X PUT -d '
{
    "uri": "/hash_on_cookie",
    "upstream": {
        "key": "sid",
        "type ": "chash",
        "hash_on ": "cookie",
        "nodes ": {
            "127.0.0.1:1980": 1,
            "127.0.0.1:1981": 1
        }
    }
}'`;

const CALL_WITH_COOKIE = String.raw` curl http://127.0.0.1:9080/hash_on_cookie -H "Cookie: sid=3c183a30cffcda1408daf1c61d47b274"`;

const ROUTE_BY_HEADER = String.raw`curl http://127.0.0.1:9080/apisix/admin/routes/1 -H 'X-API-KEY: edd1c9f034335f136f87ad84b625c8f1' -X PUT -d '
{
    "uri": "/hash_on_header",
    "upstream": {
        "key": "content-type",
        "type ": "chash",
        "hash_on ": "header",
        "nodes ": {
            "127.0.0.1:1980": 1,
            "127.0.0.1:1981": 1
        }
    }
}'`;

const CALL_WITH_HEADER = String.raw` curl http://127.0.0.1:9080/hash_on_header -H 'X-API-KEY: edd1c9f034335f136f87ad84b625c8f1' -H "Content-Type: application/json"`;

function hasCurl(): boolean {
  try {
    execFileSync('curl', ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

interface Typed {
  readonly status: number;
  readonly headers: ReadonlyMap<string, string>;
  readonly body: string;
}

describe('the Upstream document, typed verbatim', { skip: hasCurl() ? false : 'curl is not installed' }, () => {
  let scene: GatewayScene;
  let first: Backend;
  let second: Backend;

  before(async () => {
    [first, second] = [await startBackend(), await startBackend()];
    scene = await startGatewayScene();
  });
  after(async () => {
    await scene.stop();
    first.close();
    second.close();
  });

  /** Types an example; the key that it gives is the documents'. */
  async function type(example: string): Promise<Typed> {
    const here = example
      .replaceAll('127.0.0.1:9080', `127.0.0.1:${scene.gatewayPort}`)
      .replaceAll(/127\.0\.0\.1:(80|1980)"/g, `127.0.0.1:${first.port}"`)
      .replaceAll(/(foo\.com:80|127\.0\.0\.1:1981)"/g, `127.0.0.1:${second.port}"`)
      .replaceAll('39.97.63.215:80', `127.0.0.1:${first.port}`);
    const out = await shell(`${here} -s -i`);
    const end = out.indexOf('\r\n\r\n');
    const [statusLine = '', ...lines] = out.slice(0, end).split('\r\n');
    const headers = new Map(
      lines.map((line) => {
        const colon = line.indexOf(':');
        return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()] as const;
      }),
    );
    return { status: Number(statusLine.split(' ')[1]), headers, body: out.slice(end + 4) };
  }

  /** Bodies of so many calls, which say who answered. */
  async function answers(count: number, example: string): Promise<Set<string>> {
    const bodies = new Set<string>();
    for (let i = 0; i < count; i++) {
      const { status, body } = await type(example);
      assert.equal(status, 200, body);
      bodies.add(body);
    }
    return bodies;
  }

  const index = 'curl http://127.0.0.1:9080/index.html';

  test('an upstream with chash by remote_addr, and a route that names it by id', async () => {
    const created = await type(CREATE_UPSTREAM);
    assert.equal(created.status, 201, created.body);
    const { key, value } = JSON.parse(created.body) as { key: string; value: Record<string, unknown> };
    assert.equal(key, '/apisix/upstreams/1');
    assert.deepEqual([value['id'], value['type'], value['key']], ['1', 'chash', 'remote_addr']);
    assert.equal((await type(CREATE_UPSTREAM)).status, 200, 'it was there already');
    assert.equal((await type(ROUTE_BY_ID)).status, 201);
    await until(async () => (await type(index)).status === 200);
    const served = await answers(6, index);
    assert.equal(served.size, 1, 'one caller, one node');
    // Addresses of loopback are other callers: with three times as many keys as nodes, both get some.
    const others = new Set<string>();
    for (let i = 2; i < 22; i++) {
      others.add((await type(`${index} --interface 127.0.0.${i}`)).body);
    }
    assert.deepEqual([...others].sort(), [String(first.port), String(second.port)].sort());
  });

  test('an inline upstream with limit-count: two in 60 s, then 503', async () => {
    assert.equal((await type(INLINE_WITH_LIMIT)).status, 200, 'it replaces route 1');
    await until(async () => (await scene.call('/index.html', { method: 'HEAD' })).headers['x-ratelimit-limit'] === '2');
    // That was the first of the two. Calls before it may have taken the route as it was.
    const before = first.requests.length;
    const next = await type(index);
    assert.deepEqual([next.status, next.headers.get('x-ratelimit-remaining')], [200, '0']);
    const beyond = await type(index);
    assert.deepEqual([beyond.status, beyond.headers.get('x-ratelimit-remaining')], [503, '0']);
    assert.equal(beyond.headers.get('x-outrigger-reason'), 'rate_limited');
    assert.equal(beyond.headers.get('x-ratelimit-limit'), '2');
    assert.equal(first.requests.length, before + 1, 'what is refused reaches nobody');
  });

  test('the health check lacks a comma: the answer points at the place', async () => {
    const { status, body } = await type(HEALTH_CHECK);
    assert.equal(status, 400);
    const { error_msg: message } = JSON.parse(body) as { error_msg: string };
    // The body begins with a line break: its lines are those behind the curl command.
    const lines = HEALTH_CHECK.slice(HEALTH_CHECK.indexOf("-d '") + 4).split('\n');
    const line = lines.findIndex((text) => text.includes('"type": "roundrobin"'));
    assert.match(message, /comma/);
    assert.match(message, new RegExp(`line (${line}|${line + 1})\\b`), 'behind the brace, or before "type"');
    assert.equal((await type(index)).headers.get('x-ratelimit-limit'), '2', 'what was there goes on');
  });

  test('the health check with its comma probes /status for foo.com', async () => {
    const repaired = HEALTH_CHECK.replace('}\n        "type"', '},\n        "type"');
    assert.notEqual(repaired, HEALTH_CHECK);
    assert.equal((await type(repaired)).status, 200);
    await until(async () => (await scene.call('/')).status === 404 && first.statusCalls > 0);
  });

  test('a consumer with a key, and a route that hashes by it', async () => {
    assert.equal((await type(CONSUMER)).status, 201);
    assert.equal((await type(ROUTE_BY_CONSUMER)).status, 200);
    await until(async () => (await type('curl http://127.0.0.1:9080/server_port')).status === 401);
    const missing = await type('curl http://127.0.0.1:9080/server_port');
    assert.equal(missing.body.trim(), '{"message":"Missing API key in request"}');
    const wrong = await type('curl http://127.0.0.1:9080/server_port -H "apikey: auth-jim"');
    assert.deepEqual([wrong.status, wrong.body.trim()], [401, '{"message":"Invalid API key in request"}']);
    await until(async () => (await type(CALL_AS_CONSUMER)).status === 200);
    const served = await answers(6, CALL_AS_CONSUMER);
    assert.equal(served.size, 1, 'one consumer, one node, wherever it calls from');
    for (let i = 2; i < 12; i++) {
      const from = await type(`${CALL_AS_CONSUMER} --interface 127.0.0.${i}`);
      assert.ok(served.has(from.body), `127.0.0.${i} is the same consumer`);
    }
    const seen = [...first.requests, ...second.requests].at(-1);
    assert.ok([...first.requests, ...second.requests].some(({ headers }) => headers['x-consumer-username'] === 'jack'));
    assert.ok(seen !== undefined);
  });

  for (const [name, route, call, header, path] of [
    ['cookie', ROUTE_BY_COOKIE, CALL_WITH_COOKIE, 'Cookie: sid=', '/hash_on_cookie'],
    ['header', ROUTE_BY_HEADER, CALL_WITH_HEADER, 'Content-Type: x/', '/hash_on_header'],
  ] as const) {
    test(`a route that hashes by ${name}, with blanks in its keys: it works, and the answer warns`, async () => {
      const made = await type(route);
      assert.equal(made.status, 200, made.body);
      const { value, warnings } = JSON.parse(made.body) as {
        value: { upstream: Record<string, unknown> };
        warnings: string[];
      };
      assert.deepEqual(Object.keys(value.upstream).sort(), ['hash_on', 'key', 'nodes', 'type']);
      assert.equal(warnings.length, 3);
      for (const key of ['type', 'hash_on', 'nodes']) {
        assert.ok(
          warnings.some((text) => text.includes(`upstream.${key}`)),
          `${key} in ${warnings.join('; ')}`,
        );
        assert.ok(scene.control.log().includes(`upstream.${key}`), `${key} in the log`);
      }
      await until(async () => (await type(call)).status === 200);
      assert.equal((await answers(6, call)).size, 1, 'one value, one node');
      const values = new Set<string>();
      for (let i = 0; i < 20; i++)
        values.add((await type(`curl http://127.0.0.1:9080${path} -H "${header}${i}"`)).body);
      assert.equal(values.size, 2, 'other values reach both');
    });
  }
});

/** A write is pushed to the sidecar right after it is answered; this waits for its effect, for ten seconds at most. */
async function until(holds: () => Promise<boolean>): Promise<void> {
  const deadline = process.hrtime.bigint() + 10_000_000_000n;
  while (!(await holds())) assert.ok(process.hrtime.bigint() < deadline, 'in time');
}
