// An upstream port for tests of balancers: endpoints by id, their rows, and what happens to them.
import type { BalancedEndpoint, Balancer, LiveNumbers, PickHints } from '../../src/balance/balancer.ts';
import { keyHash } from '../../src/balance/crc32.ts';
import { TriedSlots } from '../../src/balance/tried-slots.ts';
import { Cells, EndpointCell } from '../../src/model/cells.ts';

/** Ids and weights as in APISIX's `nodes`: `{ '127.0.0.1:1980': 1 }`. */
export type Nodes = Readonly<Record<string, number>>;

export class BalancedPort {
  readonly cells = new Cells();
  readonly live: LiveNumbers;
  readonly balancer: Balancer;
  endpoints: BalancedEndpoint[] = [];
  /** What the last update couldn't carry out. */
  note = '';
  private readonly slots = new Map<string, number>();
  private readonly hints: PickHints = { nowMs: 0, keyHash: 0, spilled: false };
  private readonly tried = new TriedSlots();

  constructor(balancer: Balancer, nodes: Nodes) {
    const ports = new Cells();
    this.cells.allocate(); // so that a slot is never an index
    this.live = { endpoints: this.cells, ports, portSlot: ports.allocate() };
    this.balancer = balancer;
    this.update(nodes);
  }

  /** Replaces the endpoints; those that stay keep their rows. */
  update(nodes: Nodes): void {
    for (const [id, slot] of this.slots) {
      if (id in nodes) continue;
      this.cells.release(slot);
      this.slots.delete(id);
    }
    this.endpoints = Object.entries(nodes).map(([id, weight]) => ({ slot: this.slotOf(id), id, weight }));
    this.note = this.balancer.update(this.endpoints);
  }

  /** Sets a number of an endpoint, a word of EndpointCell. */
  set(id: string, word: number, value: number): void {
    this.cells.set(this.slotOf(id), word, value);
  }

  get(id: string, word: number): number {
    return this.cells.get(this.slotOf(id), word);
  }

  setOut(id: string, out: boolean): void {
    this.set(id, EndpointCell.Out, out ? 1 : 0);
  }

  /** Slow start: share of the weight, 0 to 1. */
  setShare(id: string, share: number): void {
    this.set(id, EndpointCell.Share, share === 1 ? 0 : Math.max(1, Math.round(share * 65_536)));
  }

  /** Id of the endpoint picked for `key` by a request that has tried `tried`; undefined for -1. */
  pick(key = '', tried: Iterable<string> = []): string | undefined {
    this.tried.clear();
    for (const id of tried) this.tried.add(this.slotOf(id));
    this.hints.keyHash = keyHash(key);
    return this.endpoints[this.balancer.pick(this.live, this.tried, this.hints)]?.id;
  }

  /** How often each endpoint is picked, by id. */
  counts(picks: number, key: (pick: number) => string = () => ''): Record<string, number> {
    const counts: Record<string, number> = {};
    for (let i = 0; i < picks; i++) {
      const id = this.pick(key(i)) ?? 'nobody';
      counts[id] = (counts[id] ?? 0) + 1;
    }
    return counts;
  }

  describe(id: string, key = ''): string {
    this.hints.keyHash = keyHash(key);
    const index = this.endpoints.findIndex((endpoint) => endpoint.id === id);
    return this.balancer.describe(this.live, index, this.hints);
  }

  private slotOf(id: string): number {
    let slot = this.slots.get(id);
    if (slot === undefined) this.slots.set(id, (slot = this.cells.allocate()));
    return slot;
  }
}
