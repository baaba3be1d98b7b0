// chash through the whole data plane: which bytes of a request are its key, and where the key leads while endpoints go and
// come. Where a key belongs is told by a ring of the tests' own (test/support/reference-ring.ts).
import assert from 'node:assert/strict';
import { Agent, createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, describe, it } from 'node:test';
import { healthStateName } from '../../../src/health/machine.ts';
import { EndpointCell, PortCell } from '../../../src/model/cells.ts';
import { DEFAULT_ACTIVE, TRANSPORT_ONLY_PASSIVE } from '../../../src/model/defaults.ts';
import type { ActivePolicy, BalancerPolicy } from '../../../src/model/policy.ts';
import { endpointAt, startDataPlane, type TestDataPlane } from '../../support/data-plane.ts';
import { connectGrpc } from '../../support/grpc-peer.ts';
import { request } from '../../support/h2-peer.ts';
import { httpCall } from '../../support/http-call.ts';
import { closedPort } from '../../support/raw-server.ts';
import { referencePick, referencePoints } from '../../support/reference-ring.ts';
import { until } from '../../support/tls-peer.ts';

const closers: (() => void)[] = [];
after(() => {
  for (const close of closers.reverse()) close();
});

/** Answers with its port. */
interface Backend {
  readonly port: number;
  stop(): Promise<void>;
  /** Listens on its port again. */
  start(): Promise<void>;
}

async function startBackend(): Promise<Backend> {
  let server: Server;
  let port = 0;
  const start = async (): Promise<void> => {
    server = createServer((_, response) => response.end(String(port)));
    await new Promise<void>((resolve, reject) => server.once('error', reject).listen(port, '127.0.0.1', resolve));
    ({ port } = server.address() as AddressInfo);
  };
  const stop = (): Promise<void> =>
    new Promise((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
  await start();
  closers.push(() => void stop());
  return { port, stop, start };
}

async function plane(...args: Parameters<typeof startDataPlane>): Promise<TestDataPlane> {
  const started = await startDataPlane(...args);
  closers.push(() => started.close());
  return started;
}

/** Where keys belong; `weights` by port. */
function ringOf(weights: Readonly<Record<number, number>>): (key: string, ...out: number[]) => number {
  const points = referencePoints(
    Object.entries(weights).map(([port, weight]) => ({ id: `127.0.0.1:${port}`, weight })),
  );
  return (key, ...out) => {
    const id = referencePick(points, key, new Set(out.map((port) => `127.0.0.1:${port}`)));
    return Number(id?.split(':')[1]);
  };
}

let backends: Backend[];
let ports: number[];
before(async () => {
  backends = await Promise.all([1, 2, 3].map(startBackend));
  ports = backends.map(({ port }) => port);
});

const equally = (list: readonly number[]): Record<number, number> => Object.fromEntries(list.map((port) => [port, 1]));

interface Call {
  readonly path?: string;
  readonly headers?: Record<string, string | string[]>;
}

type Case = readonly [
  what: string,
  policy: Pick<BalancerPolicy, 'hashOn' | 'key'>,
  call: (n: number) => Call,
  key: (n: number) => string,
  /** Calls hashed by remote_addr since they have no value. */
  fallsBack?: boolean,
];

const vars = (key: string) => ({ hashOn: 'vars', key }) as const;
const header = (key: string) => ({ hashOn: 'header', key }) as const;
const cookie = (key: string) => ({ hashOn: 'cookie', key }) as const;
const template = (key: string) => ({ hashOn: 'vars_combinations', key }) as const;
/** Address of the n-th caller. */
const callerOf = (n: number): string => `127.0.0.${n + 2}`;

const CASES: readonly Case[] = [
  ['vars uri', vars('uri'), (n) => ({ path: `/item/${n}?q=${n * 7}` }), (n) => `/item/${n}`],
  ['vars request_uri', vars('request_uri'), (n) => ({ path: `/i?q=${n}` }), (n) => `/i?q=${n}`],
  ['vars query_string', vars('query_string'), (n) => ({ path: `/${n}?user=${n % 3}` }), (n) => `user=${n % 3}`],
  ['vars query_string, without one', vars('query_string'), (n) => ({ path: `/${n}` }), callerOf, true],
  ['vars arg_', vars('arg_id'), (n) => ({ path: `/?x=1&id=${n}&id=other` }), (n) => String(n)],
  ['vars arg_, encoded', vars('arg_id'), (n) => ({ path: `/?id=a%20b+${n}` }), (n) => `a b ${n}`],
  ['vars arg_, empty', vars('arg_id'), (n) => ({ path: `/${n}?id=` }), () => ''],
  ['vars arg_, missing', vars('arg_id'), (n) => ({ path: `/?x=${n}` }), callerOf, true],
  ['vars host', vars('host'), (n) => ({ headers: { host: `H${n}.Example:8080` } }), (n) => `h${n}.example`],
  ['vars remote_addr', vars('remote_addr'), () => ({}), callerOf],
  ['header', header('X-User-Id'), (n) => ({ headers: { 'x-user-id': `u${n}` } }), (n) => `u${n}`],
  ['header, underscores in its name', header('x_user'), (n) => ({ headers: { 'X-User': `u${n}` } }), (n) => `u${n}`],
  ['header, twice', header('x-user'), (n) => ({ headers: { 'x-user': ['a', `b${n}`] } }), (n) => `a, b${n}`],
  ['header, in latin1', header('x-user'), (n) => ({ headers: { 'x-user': `\xe4${n}` } }), (n) => `\xe4${n}`],
  ['header, empty', header('x-user'), () => ({ headers: { 'x-user': '' } }), () => ''],
  ['header, missing', header('x-user'), (n) => ({ headers: { 'x-other': `${n}` } }), callerOf, true],
  ['cookie', cookie('sid'), (n) => ({ headers: { cookie: `a=1; sid=s${n}; b=2` } }), (n) => `s${n}`],
  ['cookie of another case', cookie('sid'), (n) => ({ headers: { cookie: `SID=s${n}` } }), callerOf, true],
  ['cookie, missing', cookie('sid'), (n) => ({ path: `/${n}` }), callerOf, true],
  [
    'vars_combinations',
    template('$http_x_a-${arg_b}'),
    (n) => ({ path: `/?b=${n}`, headers: { 'x-a': 'one' } }),
    (n) => `one-${n}`,
  ],
  ['vars_combinations, half of it there', template('$http_x_a-$arg_b'), (n) => ({ path: `/?b=${n}` }), (n) => `-${n}`],
  [
    'vars_combinations with a default',
    template('${http_x_tenant ?? none}/$uri'),
    (n) => ({ path: `/${n}` }),
    (n) => `none//${n}`,
  ],
  ['vars_combinations, none of it there', template('$http_x_a-$arg_b'), (n) => ({ path: `/${n}` }), callerOf, true],
  ['vars_combinations without variables', template('fixed'), (n) => ({ path: `/${n}` }), callerOf, true],
  ['consumer, and there is none', { hashOn: 'consumer', key: '' }, (n) => ({ path: `/${n}` }), callerOf, true],
];

describe('hash keys', () => {
  for (const [what, policy, call, key, fallsBack = false] of CASES) {
    it(`${what}: the endpoint of the key, every time`, async () => {
      const started = await plane(ports, { balancer: { type: 'chash', ...policy } });
      const owner = ringOf(equally(ports));
      const wanted: number[] = [];
      const got: number[] = [];
      for (let round = 0; round < 2; round++) {
        for (let n = 0; n < 8; n++) {
          wanted.push(owner(key(n)));
          const agent = new Agent({ localAddress: callerOf(n) });
          got.push(Number((await httpCall(started.port, { ...call(n), agent })).body));
        }
      }
      assert.deepEqual(got, wanted);
      assert.equal(started.cluster.total(PortCell.HashFallbacks), fallsBack ? 16 : 0);
    });
  }

  it('weights are shares of the ring', async () => {
    const weights = Object.fromEntries(ports.map((port, at) => [port, 3 - at]));
    const started = await plane(
      ports.map((port) => endpointAt(port, { weight: weights[port]! })),
      { balancer: { type: 'chash', ...vars('uri') } },
    );
    const owner = ringOf(weights);
    for (let n = 0; n < 40; n++) {
      assert.equal(Number((await httpCall(started.port, { path: `/${n}` })).body), owner(`/${n}`));
    }
  });

  it('over HTTP/2 fields and crumbs of cookies are the same keys', async () => {
    const owner = ringOf(equally(ports));
    for (const [policy, fields] of [
      [header('X-User'), (n: number) => ['x-user', `u${n}`]],
      [cookie('sid'), (n: number) => ['cookie', 'a=1', 'cookie', `sid=u${n}`, 'cookie', 'b=2']],
    ] as const) {
      const started = await plane(ports, { balancer: { type: 'chash', ...policy } });
      const caller = await connectGrpc(started.port);
      closers.push(() => caller.socket.destroy());
      for (let n = 0; n < 8; n++) {
        const stream = caller.call(request('/', fields(n)));
        await stream.over();
        assert.equal(Number(stream.body), owner(`u${n}`));
      }
      assert.equal(started.cluster.total(PortCell.HashFallbacks), 0);
    }
  });
});

/** A connection every 20 ms; two that fail take an endpoint out. */
const QUICK: ActivePolicy = {
  ...DEFAULT_ACTIVE,
  type: 'tcp',
  timeoutMs: 500,
  healthy: { ...DEFAULT_ACTIVE.healthy, intervalMs: 20 },
  unhealthy: { ...DEFAULT_ACTIVE.unhealthy, intervalMs: 20 },
};
const BY_URI = { balancer: { type: 'chash', ...vars('uri') } } as const;
const PATHS = Array.from({ length: 60 }, (_, n) => `/key/${n}`);

/** Where each path is answered now, as [path, port] pairs. */
async function places(started: TestDataPlane): Promise<[string, number][]> {
  const found: [string, number][] = [];
  for (const path of PATHS) {
    const { status, body } = await httpCall(started.port, { path });
    assert.equal(status, 200, path);
    found.push([path, Number(body)]);
  }
  return found;
}

function placesBy(owner: (key: string, ...out: number[]) => number, ...out: number[]): [string, number][] {
  return PATHS.map((path) => [path, owner(path, ...out)]);
}

function stateOf(started: TestDataPlane, port: number): string {
  const endpoint = [...started.cluster.list()].find(({ spec }) => spec.port === port);
  assert.ok(endpoint);
  return healthStateName(started.cluster.live.endpoints.get(endpoint.slot, EndpointCell.HealthState));
}

describe('the ring', () => {
  it('an unhealthy endpoint is passed over along it, no other key moves, and its keys come back with it', async () => {
    const four = await Promise.all([1, 2, 3, 4].map(startBackend));
    const all = four.map(({ port }) => port);
    // Without the first the greatest common divisor would be another, and with it a ring of the other three.
    const weights = Object.fromEntries(all.map((port, at) => [port, [3, 6, 10, 2][at]!]));
    const owner = ringOf(weights);
    const started = await plane(
      all.map((port) => endpointAt(port, { weight: weights[port]! })),
      { ...BY_URI, checks: { active: QUICK, passive: TRANSPORT_ONLY_PASSIVE } },
    );
    assert.deepEqual(await places(started), placesBy(owner));
    const [first, second] = all as [number, number];
    const goes = async (...indexes: number[]): Promise<void> => {
      for (const at of indexes) await four[at]!.stop();
      for (const at of indexes) {
        await until(() => stateOf(started, all[at]!) === 'unhealthy', `${all[at]} is out`);
      }
    };
    await goes(0);
    const before = started.records.length;
    const withoutOne = await places(started);
    assert.deepEqual(withoutOne, placesBy(owner, first));
    const moved = withoutOne.filter(([path, port]) => port !== owner(path));
    assert.ok(moved.length > 0);
    assert.ok(moved.every(([path]) => owner(path) === first));
    assert.ok(started.records.slice(before).every(({ attempts }) => attempts.length === 1));
    await goes(1);
    assert.deepEqual(await places(started), placesBy(owner, first, second));
    for (const [at, still] of [
      [0, [second]],
      [1, []],
    ] as const) {
      await four[at]!.start();
      await until(() => stateOf(started, all[at]!) === 'healthy', `${all[at]} is back`);
      assert.deepEqual(await places(started), placesBy(owner, ...still));
    }
  });

  it('where nobody checks, a dead endpoint is tried first and the next along the ring answers', async () => {
    const dead = await closedPort();
    const all = [...ports, dead];
    const owner = ringOf(equally(all));
    const started = await plane(all, BY_URI);
    assert.deepEqual(await places(started), placesBy(owner, dead));
    assert.deepEqual(
      started.records.map(({ attempts }) => attempts.map(({ endpoint }) => endpoint.spec.port)),
      PATHS.map((path) => (owner(path) === dead ? [dead, owner(path, dead)] : [owner(path)])),
    );
  });

  it('an endpoint that drains is passed over in the same way', async () => {
    const [first, ...others] = ports as [number, number, number];
    const started = await plane([endpointAt(first, { draining: true }), ...others], BY_URI);
    assert.deepEqual(await places(started), placesBy(ringOf(equally(ports)), first));
  });

  it('an endpoint that is added takes keys, and none moves between the others; removed, all is as before', async () => {
    const added = await startBackend();
    const started = await plane(ports, BY_URI);
    const before = await places(started);
    await started.update([...ports, added.port]);
    const withIt = await places(started);
    assert.deepEqual(withIt, placesBy(ringOf(equally([...ports, added.port]))));
    for (const [at, [path, port]] of withIt.entries()) {
      assert.ok(port === added.port || port === before[at]![1], path);
    }
    await started.update(ports);
    assert.deepEqual(await places(started), before);
  });
});
