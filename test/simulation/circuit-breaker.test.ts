// Thousands of events by chance (calls, connections that open, fail and end, further attempts, callers who leave, edits of
// the limits, endpoints that come and go) against the circuit breaker and the picker, as proxy/ and upstream/ put them
// together. After each event every level is what is really going on, none has grown beyond its limit, and nobody waits
// for a connection that there is room for. Seeded.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TriedSlots } from '../../src/balance/tried-slots.ts';
import { seededRng, type Rng } from '../../src/base/rng.ts';
import { Cells, EndpointCell, PortCell } from '../../src/model/cells.ts';
import { DEFAULT_CIRCUIT_BREAKERS } from '../../src/model/defaults.ts';
import type { BalancerPolicy, CircuitBreakerPolicy, PortPolicy } from '../../src/model/policy.ts';
import { CircuitBreaker } from '../../src/upstream/circuit-breaker.ts';
import { LiveEndpoint } from '../../src/upstream/endpoint.ts';
import { Picker } from '../../src/upstream/picker.ts';
import { PoolSet, type PoolFactory } from '../../src/upstream/pool-set.ts';
import { endpointAt, testPolicy } from '../support/data-plane.ts';
import { SimulatedPool, type SimulatedWaiter } from '../support/simulated-pool.ts';

const EVENTS = 3000;
const MAX_ATTEMPTS = 4;

interface Member {
  readonly endpoint: LiveEndpoint;
  readonly pool: SimulatedPool;
}

/** What a call is doing. */
type Phase = 'pending' | 'sent' | 'waits to try again' | 'over';

const NO_POOLS: PoolFactory = {
  createPool() {
    throw new Error('simulated');
  },
};

class World {
  readonly rng: Rng;
  readonly ports = new Cells();
  readonly cells = new Cells();
  readonly slot: number;
  readonly breaker: CircuitBreaker;
  readonly picker: Picker;
  policy: PortPolicy;
  /** In use. */
  members: Member[] = [];
  /** Removed, with connections or calls left. */
  readonly removed: Member[] = [];
  readonly calls = new Set<Call>();
  readonly counts = { requests: 0, pending: 0, connections: 0, retries: 0, endpoints: 0, tried: 0, edits: 0 };
  private nextPort = 1;

  constructor(seed: number, type: BalancerPolicy['type']) {
    this.rng = seededRng(seed);
    this.slot = this.ports.allocate();
    this.policy = testPolicy({ balancer: { type } });
    this.breaker = new CircuitBreaker(DEFAULT_CIRCUIT_BREAKERS, this.ports, this.slot, () =>
      this.members.some(({ pool }) => pool.closeOneIdle()),
    );
    this.picker = new Picker({ endpoints: this.cells, ports: this.ports, portSlot: this.slot }, this.rng);
    for (let i = 0; i < 3; i++) this.add();
    this.edit();
  }

  level(word: number): number {
    return this.ports.get(this.slot, word);
  }

  get all(): Member[] {
    return [...this.members, ...this.removed];
  }

  add(): void {
    const pool = new SimulatedPool(this.breaker);
    const spec = endpointAt(this.nextPort++);
    const none = new PoolSet(NO_POOLS, spec, { nameOf: undefined, separatesUpgrades: false });
    const endpoint = new LiveEndpoint(spec, none, this.cells, 0);
    this.members.push({ endpoint, pool });
    this.refresh();
  }

  remove(): void {
    const [member] = this.members.splice(this.rng.below(this.members.length), 1);
    if (!member) return;
    member.endpoint.remove();
    member.pool.drain();
    this.removed.push(member);
    this.refresh();
  }

  /** New limits; often small, sometimes none. */
  edit(): void {
    const limit = (most: number): number => (this.rng.below(4) === 0 ? 0 : 1 + this.rng.below(most));
    const circuitBreakers: CircuitBreakerPolicy = {
      maxConnections: limit(8),
      maxPendingRequests: limit(6),
      maxRequests: limit(20),
      maxRetries: limit(4),
      maxRequestsPerEndpoint: limit(5),
    };
    this.policy = { ...this.policy, circuitBreakers };
    this.breaker.policy = circuitBreakers;
    this.counts.edits++;
    this.refresh();
    this.breaker.wakeBlocked();
  }

  private refresh(): void {
    this.picker.refresh(
      this.members.map(({ endpoint }) => endpoint),
      this.policy,
    );
  }
}

/** One request, as proxy/handle.ts, proxy/retries.ts and proxy/attempt.ts carry it. */
class Call implements SimulatedWaiter {
  phase: Phase = 'pending';
  member: Member | undefined = undefined;
  holdsPlace = false;
  private readonly tried = new TriedSlots();
  private readonly world: World;
  private attempts = 0;
  private trials = 0;

  constructor(world: World) {
    this.world = world;
    world.calls.add(this);
    world.ports.add(world.slot, PortCell.InFlight, 1);
    this.tryNext();
  }

  tryNext(): void {
    const { picker, members, counts, rng } = this.world;
    const endpoint = picker.pick(this.tried, 0, rng.below(2 ** 32));
    const member = members.find((one) => one.endpoint === endpoint);
    if (!member) {
      counts.endpoints++;
      return this.finish();
    }
    this.member = member;
    this.attempts++;
    this.trials = member.endpoint.beginAttempt();
    this.phase = 'pending';
    if (!member.pool.lease(this)) {
      counts.pending++;
      this.endAttempt();
      this.finish();
    }
  }

  onConnection(): void {
    this.phase = 'sent';
  }

  onFailed(): void {
    this.endAttempt();
    this.tryAgain();
  }

  /** The endpoint has answered or failed; `keeps`: its connection can be used again. */
  answered(isGood: boolean, keeps: boolean): void {
    const { member } = this;
    this.endAttempt();
    member?.pool.freed(keeps);
    if (isGood) this.finish();
    else this.tryAgain();
  }

  abort(): void {
    const { member, phase } = this;
    if (phase === 'pending') member?.pool.cancel(this);
    this.endAttempt();
    this.finish();
    if (phase === 'sent') member?.pool.freed(false);
  }

  private tryAgain(): void {
    const { breaker, rng, counts } = this.world;
    const hasRoom = this.holdsPlace || breaker.retryRoom;
    if (!hasRoom) counts.retries++;
    if (!hasRoom || this.attempts >= MAX_ATTEMPTS) return this.finish();
    counts.tried++;
    if (!this.holdsPlace) breaker.moveRetries(1);
    this.holdsPlace = true;
    if (rng.below(2) === 0) this.tryNext();
    else this.phase = 'waits to try again';
  }

  private endAttempt(): void {
    const { member } = this;
    if (!member) return;
    this.member = undefined;
    this.tried.add(member.endpoint.slot);
    member.endpoint.endAttempt(undefined, this.trials);
    this.world.picker.ended(member.endpoint.slot);
  }

  private finish(): void {
    const { world } = this;
    if (this.holdsPlace) world.breaker.moveRetries(-1);
    this.holdsPlace = false;
    this.phase = 'over';
    world.ports.add(world.slot, PortCell.InFlight, -1);
    world.calls.delete(this);
  }
}

/** One of a list; undefined where it is empty. */
function one<T>(rng: Rng, list: readonly T[]): T | undefined {
  return list[rng.below(Math.max(1, list.length))];
}

/** Does one thing that can be done. */
function event(world: World): void {
  const { rng, breaker, counts } = world;
  const calls = [...world.calls];
  const inPhase = (phase: Phase): Call | undefined =>
    one(
      rng,
      calls.filter((call) => call.phase === phase),
    );
  const pools = world.all.map(({ pool }) => pool);
  const lot = rng.below(100);
  if (lot < 34) {
    if (breaker.admitsRequest()) void new Call(world);
    else counts.requests++;
  } else if (lot < 52) {
    const pool = one(
      rng,
      pools.filter(({ opening }) => opening > 0),
    );
    if (rng.below(8) === 0) pool?.refused();
    else pool?.opened();
  } else if (lot < 70) inPhase('sent')?.answered(rng.below(3) > 0, rng.below(4) > 0);
  else if (lot < 76) inPhase('waits to try again')?.tryNext();
  else if (lot < 84) one(rng, calls)?.abort();
  else if (lot < 92) {
    one(
      rng,
      pools.filter(({ closing }) => closing > 0),
    )?.gone();
  } else if (lot < 94) one(rng, pools)?.closeOneIdle();
  else if (lot < 96) world.edit();
  else if (lot < 98) {
    if (world.members.length > 1) world.remove();
  } else if (world.members.length < 6) world.add();
}

type Seen = Record<'requests' | 'pending' | 'connections' | 'retries', number>;

function seen(world: World): Seen {
  return {
    requests: world.level(PortCell.InFlight),
    pending: world.level(PortCell.Pending),
    connections: world.level(PortCell.Connections),
    retries: world.level(PortCell.RetriesInFlight),
  };
}

/** What is true after each event. `before`: the levels before it; limits may have been lowered below them. */
function check(world: World, before: Seen, inFlight: ReadonlyMap<LiveEndpoint, number>, what: string): void {
  const now = seen(world);
  const calls = [...world.calls];
  const pools = world.all.map(({ pool }) => pool);
  const sum = (of: (pool: SimulatedPool) => number): number => pools.reduce((total, pool) => total + of(pool), 0);
  assert.deepEqual(
    now,
    {
      requests: calls.length,
      pending: calls.filter(({ phase }) => phase === 'pending').length,
      connections: sum(({ connections }) => connections),
      retries: calls.filter(({ holdsPlace }) => holdsPlace).length,
    },
    what,
  );
  assert.equal(
    now.pending,
    sum(({ waiting }) => waiting.length),
    what,
  );
  const { maxRequests, maxPendingRequests, maxConnections, maxRetries, maxRequestsPerEndpoint } =
    world.policy.circuitBreakers;
  const holds = (level: number, was: number, limit: number, name: string): void => {
    assert.ok(level >= 0, `${what}: ${name} is ${level}`);
    assert.ok(
      limit === 0 || level <= Math.max(was, limit),
      `${what}: ${name} grew from ${was} to ${level} of ${limit}`,
    );
  };
  holds(now.requests, before.requests, maxRequests, 'max_requests');
  holds(now.pending, before.pending, maxPendingRequests, 'max_pending_requests');
  // Beyond it only for a pool that had none.
  const isFirst = pools.some(({ idle, busy, opening }) => opening === 1 && idle + busy === 0);
  holds(now.connections, before.connections, isFirst ? 0 : maxConnections, 'max_connections');
  holds(now.retries, before.retries, maxRetries, 'max_retries');
  for (const { endpoint } of world.members) {
    const level = world.cells.get(endpoint.slot, EndpointCell.InFlight);
    assert.equal(level, calls.filter(({ member }) => member?.endpoint === endpoint).length, what);
    holds(level, inFlight.get(endpoint) ?? 0, maxRequestsPerEndpoint, endpoint.id);
  }
  // Nobody waits in vain: there is no room, and what could make some is on its way.
  for (const pool of pools) {
    if (pool.waiting.length <= pool.opening) continue;
    assert.ok(maxConnections > 0 && now.connections >= maxConnections, `${what}: waits though there is room`);
    const isOver = now.connections > maxConnections;
    const others = world.members.filter((member) => member.pool !== pool && member.pool.idle > 0);
    assert.ok(
      isOver || others.length === 0 || sum(({ closing }) => closing) > 0,
      `${what}: waits beside an idle connection`,
    );
  }
}

function inFlightOf(world: World): Map<LiveEndpoint, number> {
  return new Map(
    world.members.map(({ endpoint }) => [endpoint, world.cells.get(endpoint.slot, EndpointCell.InFlight)]),
  );
}

/** Ends all that goes on, in an order by chance. */
function drain(world: World): void {
  for (let i = 0; world.calls.size > 0; i++) {
    assert.ok(i < 10_000, 'calls that never end');
    const call = one(world.rng, [...world.calls]);
    if (call?.phase === 'sent') call.answered(true, world.rng.below(2) === 0);
    else if (call?.phase === 'waits to try again') call.tryNext();
    else
      one(
        world.rng,
        world.all.map(({ pool }) => pool).filter(({ opening }) => opening > 0),
      )?.opened();
    one(
      world.rng,
      world.all.map(({ pool }) => pool).filter(({ closing }) => closing > 0),
    )?.gone();
  }
  for (const { pool } of world.all) {
    while (pool.opening > 0) pool.opened();
    while (pool.closeOneIdle());
    while (pool.closing > 0) pool.gone();
  }
}

for (const [seed, type] of [
  [1, 'roundrobin'],
  [2, 'least_conn'],
  [3, 'ewma'],
  [4, 'chash'],
  [5, 'roundrobin'],
  [6, 'least_conn'],
] as const) {
  test(`levels are exact, bounded, and 0 in the end (seed ${seed}, ${type})`, () => {
    const world = new World(seed, type);
    for (let i = 0; i < EVENTS; i++) {
      const before = seen(world);
      const inFlight = inFlightOf(world);
      event(world);
      check(world, before, inFlight, `event ${i}`);
    }
    const { requests, pending, retries, endpoints, tried, edits } = world.counts;
    assert.ok(Math.min(requests, pending, retries, endpoints, edits) > 5, JSON.stringify(world.counts));
    assert.ok(tried > 50);
    assert.equal(world.ports.total(world.slot, PortCell.OverflowRequests), requests);
    assert.equal(world.ports.total(world.slot, PortCell.OverflowPending), pending);
    assert.ok(world.ports.total(world.slot, PortCell.OverflowConnections) > 5);
    drain(world);
    assert.deepEqual(seen(world), { requests: 0, pending: 0, connections: 0, retries: 0 });
    for (const { endpoint } of world.members) {
      assert.equal(world.cells.get(endpoint.slot, EndpointCell.InFlight), 0);
    }
  });
}

test('a row that was given back is left alone', () => {
  const cells = new Cells();
  const slot = cells.allocate();
  const policy = {
    ...DEFAULT_CIRCUIT_BREAKERS,
    maxConnections: 1,
    maxPendingRequests: 1,
    maxRequests: 1,
    maxRetries: 1,
  };
  const breaker = new CircuitBreaker(policy, cells, slot, () => false);
  const pool = new SimulatedPool(breaker);
  breaker.moveRetries(1);
  pool.lease({ onConnection: () => undefined, onFailed: () => undefined });
  cells.release(slot);
  assert.equal(cells.allocate(), slot);
  pool.opened();
  pool.freed(false);
  pool.gone();
  breaker.moveRetries(-1);
  assert.ok(breaker.admitsRequest() && breaker.admitsPending() && breaker.retryRoom && breaker.admitsConnection(pool));
  for (const word of [PortCell.InFlight, PortCell.Pending, PortCell.Connections, PortCell.RetriesInFlight]) {
    assert.equal(cells.get(slot, word), 0);
  }
});
