import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { EndpointPool } from '../../../src/upstream/pool.ts';
import { MAX_SERVER_NAMES, PoolSet, type PoolFactory } from '../../../src/upstream/pool-set.ts';
import { endpointAt } from '../../support/data-plane.ts';

/** As much of a pool as the set looks at. */
class FakePool {
  connections = 0;
  waiting = 0;
  /** Some of the connections take streams. */
  isUsable = false;
  readonly calls: string[] = [];
  readonly name: string;

  constructor(name: string) {
    this.name = name;
  }

  get isUnused(): boolean {
    return this.connections === 0 && this.waiting === 0;
  }

  /** In use unless said otherwise. */
  idleSinceMs: number | undefined = undefined;

  closeIdle(nowMs: number): void {
    this.calls.push(`closeIdle ${nowMs}`);
  }

  drain(): void {
    this.calls.push('drain');
  }

  destroy(): void {
    this.calls.push('destroy');
  }
}

function setOf(nameOf: ((host: string) => string) | undefined): { set: PoolSet; made: FakePool[] } {
  const made: FakePool[] = [];
  const factory: PoolFactory = {
    createPool(_spec, name) {
      const pool = new FakePool(name);
      made.push(pool);
      return pool as unknown as EndpointPool;
    },
  };
  const set = new PoolSet(factory, endpointAt(1), { nameOf, separatesUpgrades: false });
  return { set, made };
}

const lower = (host: string): string => host.toLowerCase();

function poolOf(set: PoolSet, host: string): FakePool {
  const pool = set.forHost(host);
  assert.ok(!('kind' in pool), host);
  return pool as unknown as FakePool;
}

describe('PoolSet', () => {
  it('is connected by a pool of any name that is usable, or by two connections that are leaving', () => {
    const { set, made } = setOf((host) => host);
    for (const host of ['a', 'b']) set.forHost(host);
    const [a, b] = made as [FakePool, FakePool];
    assert.equal(set.isConnected, false);
    a.connections = 1;
    assert.equal(set.isConnected, false);
    b.connections = 1;
    assert.equal(set.isConnected, true);
    b.connections = 0;
    a.isUsable = true;
    assert.equal(set.isConnected, true);
  });

  it('without names has one pool for every host, made when it is asked for', () => {
    const { set, made } = setOf(undefined);
    set.closeIdle(1);
    assert.deepEqual([made.length, [...set.all()].length, set.connections], [0, 0, 0]);
    assert.equal(poolOf(set, 'a'), made[0]);
    assert.equal(poolOf(set, 'b'), made[0]);
    assert.equal([...set.all()].length, 1);
  });

  it('that was drained makes pools that only finish', () => {
    for (const nameOf of [undefined, lower]) {
      const { set } = setOf(nameOf);
      set.drain();
      assert.deepEqual(poolOf(set, 'a').calls, ['drain']);
    }
  });

  it('with names has one for each, made when it is asked for', () => {
    const { set, made } = setOf(lower);
    assert.equal(made.length, 0);
    const a = poolOf(set, 'a');
    assert.equal(poolOf(set, 'A'), a);
    assert.notEqual(poolOf(set, 'b'), a);
    assert.deepEqual(
      made.map(({ name }) => name),
      ['a', 'b'],
    );
  });

  it('counts connections and passes everything on to all of them', () => {
    const { set, made } = setOf(lower);
    poolOf(set, 'a').connections = 2;
    poolOf(set, 'b').connections = 3;
    assert.equal(set.connections, 5);
    set.closeIdle(7);
    set.drain();
    set.destroy();
    for (const { calls } of made) assert.deepEqual(calls, ['closeIdle 7', 'drain', 'destroy']);
  });

  it('stops at a number of names in use, and goes on when one is not', () => {
    const { set } = setOf(lower);
    for (let i = 0; i < MAX_SERVER_NAMES; i++) poolOf(set, `host${i}`).connections = 1;
    const refusal = set.forHost('one-more');
    assert.ok('kind' in refusal);
    assert.equal(refusal.kind, 'overflow');
    assert.match(refusal.detail, /1000 server names/);
    assert.equal(poolOf(set, 'host0').connections, 1, 'those that are there serve on');
    poolOf(set, 'host1').connections = 0;
    poolOf(set, 'host1').waiting = 1;
    assert.ok('kind' in set.forHost('one-more'), 'one that is waited for is in use');
    poolOf(set, 'host1').waiting = 0;
    assert.equal(poolOf(set, 'one-more').name, 'one-more');
    assert.ok(![...set.all()].some((pool) => (pool as unknown as FakePool).name === 'host1'), 'forgotten');
  });

  it('closes the one that has been idle for the longest to take one more', () => {
    const { set, made } = setOf(lower);
    for (let i = 0; i < MAX_SERVER_NAMES; i++) poolOf(set, `host${i}`).connections = 1;
    poolOf(set, 'host3').idleSinceMs = 70;
    poolOf(set, 'host5').idleSinceMs = 50;
    poolOf(set, 'host7').idleSinceMs = 60;
    poolOf(set, 'one-more').connections = 1;
    assert.deepEqual(
      made.filter(({ calls }) => calls.length > 0).map(({ name, calls }) => `${name} ${calls.join()}`),
      ['host5 drain'],
    );
    assert.notEqual(poolOf(set, 'host5'), made[5], 'forgotten, and made anew in the place of the next');
    assert.deepEqual(made[7]?.calls, ['drain']);
    assert.deepEqual(made[3]?.calls, []);
    assert.equal([...set.all()].length, MAX_SERVER_NAMES);
  });

  it('never holds more than that many, however many come', () => {
    const { set, made } = setOf(lower);
    for (let i = 0; i < 5 * MAX_SERVER_NAMES; i++) poolOf(set, `host${i}`);
    assert.equal(made.length, 5 * MAX_SERVER_NAMES);
    assert.ok([...set.all()].length <= MAX_SERVER_NAMES);
  });
});
