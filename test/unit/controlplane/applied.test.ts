import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Kind } from '../../../src/config/resource.ts';
import {
  type Applied,
  type AppliedStream,
  AppliedWaits,
  type ResourceName,
  type Standing,
} from '../../../src/controlplane/applied.ts';
import { FakeClock } from '../../support/fake-clock.ts';

class FakeStream implements AppliedStream {
  readonly nodeId: string;
  readonly standings = new Map<string, Standing>();
  hasGateway = false;

  constructor(nodeId: string, standings: Record<string, Standing> = {}) {
    this.nodeId = nodeId;
    for (const [name, standing] of Object.entries(standings)) this.standings.set(name, standing);
  }

  standing(kind: Kind, name: string): Standing {
    return this.standings.get(`${kind} ${name}`) ?? 'unconcerned';
  }

  wantsAll(): boolean {
    return this.hasGateway;
  }
}

const ROUTE: ResourceName = { kind: 'Route', name: 'r' };
const UPSTREAM: ResourceName = { kind: 'Upstream', name: 'routes/r' };

function scene() {
  const clock = new FakeClock();
  const waits = new AppliedWaits(clock);
  let result: Applied | undefined;
  const wait = (streams: AppliedStream[], resources: ResourceName[], soon: string[] = []): void => {
    void waits.wait(streams, resources, new Set(soon), 1_000).then((applied) => (result = applied));
  };
  return { clock, waits, wait, result: () => new Promise((resolve) => setImmediate(() => resolve(result))) };
}

test('nobody is connected, or concerned: it is applied at once', async () => {
  const { wait, result, clock } = scene();
  wait([], [ROUTE]);
  assert.deepEqual(await result(), { acknowledged: [], refused: [], pending: [] });
  wait([new FakeStream('a'), new FakeStream('')], [ROUTE]);
  assert.deepEqual(await result(), { acknowledged: ['a'], refused: [], pending: [] });
  assert.equal(clock.waiting, 0);
});

test('waits for each, tells who refused, and who was silent when the time is over', async () => {
  const { waits, wait, result, clock } = scene();
  const [a, b, c] = ['a', 'b', 'c'].map((id) => new FakeStream(id, { 'Route r': 'waiting' })) as [
    FakeStream,
    FakeStream,
    FakeStream,
  ];
  wait([a, b, c], [ROUTE]);
  a.standings.set('Route r', 'acknowledged');
  waits.check(a);
  b.standings.set('Route r', { refused: 'Route r: no' });
  waits.check(b);
  assert.equal(await result(), undefined);
  // What comes later doesn't change what was said.
  a.standings.set('Route r', 'waiting');
  waits.check(a);
  clock.advance(1_000);
  assert.deepEqual(await result(), {
    acknowledged: ['a'],
    refused: [{ nodeId: 'b', reason: 'Route r: no' }],
    pending: ['c'],
  });
});

test('ends with the last answer, and the timer with it', async () => {
  const { waits, wait, result, clock } = scene();
  const a = new FakeStream('a', { 'Route r': 'waiting' });
  wait([a], [ROUTE]);
  a.standings.set('Route r', 'acknowledged');
  waits.check(a);
  assert.deepEqual(await result(), { acknowledged: ['a'], refused: [], pending: [] });
  assert.equal(clock.waiting, 0);
});

test('a stream that ends is no longer waited for', async () => {
  const { waits, wait, result } = scene();
  const a = new FakeStream('a', { 'Route r': 'waiting' });
  wait([a], [ROUTE]);
  waits.leave(a);
  assert.deepEqual(await result(), { acknowledged: [], refused: [], pending: [] });
});

test('an Upstream that a Route names is waited for where all Routes are asked for', async () => {
  const { waits, wait, result } = scene();
  const gateway = new FakeStream('gateway', { 'Route r': 'waiting' });
  gateway.hasGateway = true;
  const mesh = new FakeStream('mesh');
  wait([gateway, mesh], [ROUTE, UPSTREAM], ['routes/r']);
  gateway.standings.set('Route r', 'acknowledged');
  waits.check(gateway);
  assert.equal(await result(), undefined);
  gateway.standings.set('Upstream routes/r', 'waiting');
  waits.check(gateway);
  assert.equal(await result(), undefined);
  gateway.standings.set('Upstream routes/r', 'acknowledged');
  waits.check(gateway);
  assert.deepEqual(await result(), { acknowledged: ['mesh', 'gateway'], refused: [], pending: [] });
});

test('one that refused the Route is not waited for to ask for its Upstream', async () => {
  const { waits, wait, result } = scene();
  const gateway = new FakeStream('gateway', { 'Route r': { refused: 'no' } });
  gateway.hasGateway = true;
  wait([gateway], [UPSTREAM, ROUTE], ['routes/r']);
  waits.check(gateway);
  assert.deepEqual(await result(), { acknowledged: [], refused: [{ nodeId: 'gateway', reason: 'no' }], pending: [] });
});

test('a node with two streams is told of once, with the worse of them; a stop ends all waits', async () => {
  const { waits, wait, result } = scene();
  const twice = [new FakeStream('a', { 'Route r': 'acknowledged' }), new FakeStream('a', { 'Route r': 'waiting' })];
  wait(twice, [ROUTE]);
  waits.stop();
  assert.deepEqual(await result(), { acknowledged: [], refused: [], pending: ['a'] });
});
