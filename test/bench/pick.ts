// What choosing an endpoint costs: one pick, and taking over a changed list. Runs in this process, without any network.
// Around each pick a call begins and an older one ends, as calls do, so that scores and counts move; that is in the
// figures. A balancer that puts work off has to do it: a rebuild is `update` and the first pick after it.
import { performance } from 'node:perf_hooks';
import type { BalancedEndpoint, Balancer, LiveNumbers, PickHints } from '../../src/balance/balancer.ts';
import { createBalancer } from '../../src/balance/create-balancer.ts';
import { recordLatency } from '../../src/balance/latency.ts';
import { TriedSlots } from '../../src/balance/tried-slots.ts';
import { seededRng, systemRng, type Rng } from '../../src/base/rng.ts';
import { Cells, EndpointCell, PortCell } from '../../src/model/cells.ts';
import type { BalancerPolicy } from '../../src/model/policy.ts';

const ROUNDS = 9;
const PICKS = 100_000;
const REBUILDS = 15;
/** Calls in flight, for each endpoint. */
const HELD = 2;
/** One for all balancers, as in the program. */
const CHANCE = systemRng();

const ALGORITHMS: readonly (readonly [string, BalancerPolicy])[] = [
  ['roundrobin', policy('roundrobin')],
  ['chash', policy('chash')],
  ['chash, 125 %', { ...policy('chash'), hashBalanceFactor: 125 }],
  // The tightest bound there is: all endpoints but one are at it, which is as bad as it gets.
  ['chash, 100 %', { ...policy('chash'), hashBalanceFactor: 100 }],
  ['ewma', policy('ewma')],
  ['ewma, apisix', { ...policy('ewma'), ewmaFormula: 'apisix' }],
  ['least_conn', policy('least_conn')],
];

/** Measures all algorithms and returns a table for people. Takes a few seconds. */
export function measurePicks(): string {
  const lines = [
    `| | pick of 10 | weights 1-100 | pick of 1,000 | weights 1-100 | rebuild of 1,000 | weights 1-100 |`,
    `|---|--:|--:|--:|--:|--:|--:|`,
  ];
  for (const [name, asked] of ALGORITHMS) {
    const cells = [
      ...[10, 1_000].flatMap((count) => [
        `${measurePick(asked, count, equalWeight).toFixed(0)} ns`,
        `${measurePick(asked, count, anyWeight).toFixed(0)} ns`,
      ]),
      `${measureRebuild(asked, equalWeight).toFixed(2)} ms`,
      `${measureRebuild(asked, anyWeight).toFixed(2)} ms`,
    ];
    lines.push(`| ${name} | ${cells.join(' | ')} |`);
  }
  return `${lines.join('\n')}\n\nNode ${process.version}, median of ${ROUNDS} rounds\n`;
}

type WeightOf = (rng: Rng) => number;
const equalWeight: WeightOf = () => 1;
const anyWeight: WeightOf = (rng) => 1 + rng.below(100);

function policy(type: BalancerPolicy['type']): BalancerPolicy {
  return { type, hashOn: 'vars', key: 'remote_addr', hashBalanceFactor: 0, ewmaFormula: 'peak' };
}

interface Bed {
  readonly rng: Rng;
  readonly live: LiveNumbers;
  readonly rows: readonly BalancedEndpoint[];
  readonly balancer: Balancer;
  readonly hints: PickHints;
}

function setUp(asked: BalancerPolicy, count: number, weightOf: WeightOf): Bed {
  const rng = seededRng(count);
  const cells = new Cells();
  const ports = new Cells();
  const live = { endpoints: cells, ports, portSlot: ports.allocate() };
  const hints = { nowMs: 20_000, keyHash: 0, spilled: false };
  const rows = Array.from({ length: count }, (_, index) => {
    const slot = cells.allocate();
    const headMs = 5 + 10 * rng.unit();
    recordLatency(cells, slot, { connectMs: 0, headMs, totalMs: headMs, failed: false }, 20_000 - rng.below(1_000));
    return { slot, id: `10.0.${index >> 8}.${index & 255}:8080`, weight: weightOf(rng) };
  });
  const balancer = createBalancer(asked, CHANCE);
  balancer.update(rows);
  return { rng, live, rows, balancer, hints };
}

/** ns of a pick. */
function measurePick(asked: BalancerPolicy, count: number, weightOf: WeightOf): number {
  const { rng, live, rows, balancer, hints } = setUp(asked, count, weightOf);
  const tried = new TriedSlots();
  const keys = Int32Array.from({ length: 4_096 }, () => rng.below(0x1_0000_0000) | 0);
  const slots = Int32Array.from(rows, ({ slot }) => slot);
  const held = new Int32Array(HELD * count).fill(-1);
  let at = 0;
  const rounds = Array.from({ length: ROUNDS + 3 }, () => {
    const begin = performance.now();
    for (let i = 0; i < PICKS; i++) {
      hints.nowMs += 0.01;
      hints.keyHash = keys[i & 4_095]! >>> 0;
      const oldest = held[at]!;
      if (oldest >= 0) {
        live.endpoints.add(oldest, EndpointCell.InFlight, -1);
        live.ports.add(live.portSlot, PortCell.InFlight, -1);
        balancer.ended?.(live, oldest);
      }
      live.ports.add(live.portSlot, PortCell.InFlight, 1);
      const slot = slots[balancer.pick(live, tried, hints)]!;
      live.endpoints.add(slot, EndpointCell.InFlight, 1);
      held[at] = slot;
      if (++at === held.length) at = 0;
    }
    return ((performance.now() - begin) * 1e6) / PICKS;
  });
  return median(rounds.slice(3));
}

/** ms until a changed list of 1,000 endpoints is in use. */
function measureRebuild(asked: BalancerPolicy, weightOf: WeightOf): number {
  const { rng, live, rows, balancer, hints } = setUp(asked, 1_000, weightOf);
  const tried = new TriedSlots();
  const rounds = Array.from({ length: REBUILDS }, (_, round) => {
    // One endpoint left, another came: no list is as the one before.
    const gone = rng.below(rows.length);
    const id = `10.1.0.${round}:8080`;
    const next = rows.map((row, index) => (index === gone ? { ...row, id, weight: weightOf(rng) } : row));
    const begin = performance.now();
    balancer.update(next);
    balancer.pick(live, tried, hints);
    return performance.now() - begin;
  });
  return median(rounds.slice(5));
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1]!;
}
