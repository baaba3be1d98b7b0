// One pick as it is on the request path. `npm run bench -- pick` shows more sizes, and what a changed list costs.
import type { BalancedEndpoint } from '../../../src/balance/balancer.ts';
import { createBalancer } from '../../../src/balance/create-balancer.ts';
import { recordLatency } from '../../../src/balance/latency.ts';
import { TriedSlots } from '../../../src/balance/tried-slots.ts';
import { seededRng, systemRng } from '../../../src/base/rng.ts';
import { Cells, EndpointCell, PortCell } from '../../../src/model/cells.ts';
import type { BalancerPolicy } from '../../../src/model/policy.ts';
import type { MicroCase, MicroGroup } from './measure.ts';

const PICKS = 1024;
const ENDPOINTS = 10;
const MANY = 1000;
/** Calls in flight, for each endpoint. */
const HELD = 2;
const CHANCE = systemRng();

/** Choosing an endpoint, with a call that begins and one that ends around it. */
export const pick: MicroGroup = {
  name: 'pick',
  operation: 'pick',
  cases: () =>
    (['roundrobin', 'chash', 'ewma', 'least_conn'] as const).flatMap((type) => [
      picking(type, ENDPOINTS),
      picking(type, MANY),
    ]),
};

function picking(type: BalancerPolicy['type'], count: number): MicroCase {
  const rng = seededRng(count);
  const cells = new Cells();
  const ports = new Cells();
  const live = { endpoints: cells, ports, portSlot: ports.allocate() };
  const hints = { nowMs: 20_000, keyHash: 0, spilled: false };
  const rows: readonly BalancedEndpoint[] = Array.from({ length: count }, (_, index) => {
    const slot = cells.allocate();
    const headMs = 5 + 10 * rng.unit();
    recordLatency(cells, slot, { connectMs: 0, headMs, totalMs: headMs, failed: false }, 20_000 - rng.below(1_000));
    return { slot, id: `10.0.${index >> 8}.${index & 255}:8080`, weight: 1 + rng.below(100) };
  });
  const balancer = createBalancer(
    { type, hashOn: 'vars', key: 'remote_addr', hashBalanceFactor: 0, ewmaFormula: 'peak' },
    CHANCE,
  );
  balancer.update(rows);
  const tried = new TriedSlots();
  const keys = Int32Array.from({ length: 4_096 }, () => rng.below(0x1_0000_0000) | 0);
  const held = new Int32Array(HELD * count).fill(-1);
  let at = 0;
  let key = 0;
  return {
    name: `${type}, ${count.toLocaleString('en')} endpoints`,
    operations: PICKS,
    run() {
      let sum = 0;
      for (let i = 0; i < PICKS; i++) {
        hints.nowMs += 0.01;
        hints.keyHash = keys[key++ & 4_095]! >>> 0;
        const oldest = held[at]!;
        if (oldest >= 0) {
          cells.add(oldest, EndpointCell.InFlight, -1);
          ports.add(live.portSlot, PortCell.InFlight, -1);
          balancer.ended?.(live, oldest);
        }
        ports.add(live.portSlot, PortCell.InFlight, 1);
        const { slot } = rows[balancer.pick(live, tried, hints)]!;
        cells.add(slot, EndpointCell.InFlight, 1);
        held[at] = slot;
        if (++at === held.length) at = 0;
        sum += slot;
      }
      return sum;
    },
  };
}
