// The live numbers of endpoints and upstream ports, in Int32 cells addressed by slot. They live here, not in fields of
// objects, so that worker threads can share them later (docs/decisions/0004-cells.md). A slot has a generation: who
// keeps a slot across turns keeps the generation too and asks `holds` before it uses it. Guarded by
// `npm run bench -- micro counters`.

/** Words of an endpoint's row. Counters take two words: low, then carry. */
export const EndpointCell = {
  /** 0 healthy, 1 mostly healthy, 2 mostly unhealthy, 3 unhealthy (health/machine.ts). */
  HealthState: 0,
  /** Four 8-bit counters: success, http, tcp, timeout from the lowest byte up. */
  HealthCounters: 1,
  /** Attempts in flight. */
  InFlight: 2,
  /** Decayed latency, µs. */
  LatencyUs: 3,
  /** Monotonic ms, low 32 bits, of the last latency sample. */
  LatencyAtMs: 4,
  /** Smooth round robin: position is kept in the schedule's cursor cell; here the picks, two words. */
  Picks: 5,
  Attempts: 7,
  Successes: 9,
  Failures: 11,
  /** Connections open or opening. */
  Connections: 13,
  /** Attempts in flight at most; 0: no bound. 1 while it is on trial. */
  Cap: 14,
  /** Slow start: share of its weight in 65536ths; 0: all of it. */
  Share: 15,
  /** 1: not to be picked (down, ejected, draining). For balancers that know all endpoints. */
  Out: 16,
  /** Ejection (health/outlier.ts): 1 while ejected. */
  Ejected: 17,
  /** Monotonic ms, low 32 bits. */
  EjectedAtMs: 18,
  EjectionMultiplier: 19,
  EjectionJitterMs: 20,
  /** Since it appeared. */
  Ejections: 21,
  /** Monotonic ms, low 32 bits, of the end of the last ejection. */
  UnejectedAtMs: 22,
  Consecutive5xx: 23,
  ConsecutiveGateway: 24,
  ConsecutiveLocal: 25,
  /** What the interval brought so far: answers (local failures among them unless split), and of those the good ones. */
  IntervalTotal: 26,
  IntervalOk: 27,
  /** Tries to get an answer, and of those that got one. */
  IntervalLocalTotal: 28,
  IntervalLocalOk: 29,
  /** Sum of latencies, µs, two words; of IntervalOk answers. */
  IntervalLatencyUs: 30,
} as const;

/** Words of an upstream port's row. */
export const PortCell = {
  /** Position in the round-robin schedule. */
  Cursor: 0,
  /** Requests in flight. */
  InFlight: 1,
  /** Requests, two words. */
  Requests: 2,
  /** Attempts after the first, two words. */
  Retries: 4,
  /** Further attempts refused by the budget, two words. */
  RetriesRefused: 6,
  /** Requests that ended well for the caller, two words. */
  Successes: 8,
  /** Requests that did not, two words. */
  Failures: 10,
  /** Attempts that wait for a connection. */
  Pending: 12,
  /** Connections open or opening. */
  Connections: 13,
  /** Requests with a further attempt that is waited for or not answered yet. */
  RetriesInFlight: 14,
  /** Refused by circuit breakers, two words each. */
  OverflowPending: 16,
  OverflowRequests: 18,
  OverflowRetries: 20,
  /** No endpoint was below its own cap. */
  OverflowEndpoints: 22,
  /** Times that a connection was wanted and max_connections stood in the way. */
  OverflowConnections: 24,
  /** Ejections, and detections that the cap on ejections stopped, two words each. */
  Ejections: 26,
  EjectionsOverflow: 28,
  /** Picks while health was ignored, two words. */
  PanicPicks: 30,
  /** Requests without a value to hash, two words. */
  HashFallbacks: 32,
} as const;

const WORDS = 34;

/** A growing table of rows. One instance for endpoints, one for upstream ports. */
export class Cells {
  /** Replaced when the table grows: don't keep it across an `allocate`. */
  words = new Int32Array(64 * WORDS);
  private generations = new Int32Array(64);
  private readonly free: number[] = [];
  private used = 0;

  /** Takes a row of zeros and returns its slot. */
  allocate(): number {
    const slot = this.free.pop() ?? this.used++;
    if ((slot + 1) * WORDS > this.words.length) {
      const words = new Int32Array(this.words.length * 2);
      words.set(this.words);
      this.words = words;
      const generations = new Int32Array(this.generations.length * 2);
      generations.set(this.generations);
      this.generations = generations;
    }
    this.words.fill(0, slot * WORDS, (slot + 1) * WORDS);
    return slot;
  }

  /** Gives a row back; its generation moves on. */
  release(slot: number): void {
    this.generations[slot] = (this.generations[slot]! + 1) | 0;
    this.free.push(slot);
  }

  generation(slot: number): number {
    return this.generations[slot]!;
  }

  /** Whether `slot` still is the row that had `generation`. */
  holds(slot: number, generation: number): boolean {
    return this.generations[slot] === generation;
  }

  /** Index of a word of a slot in `words`. */
  at(slot: number, word: number): number {
    return slot * WORDS + word;
  }

  get(slot: number, word: number): number {
    return this.words[slot * WORDS + word]!;
  }

  set(slot: number, word: number, value: number): void {
    this.words[slot * WORDS + word] = value;
  }

  add(slot: number, word: number, delta: number): number {
    return (this.words[slot * WORDS + word]! += delta);
  }

  /** Adds one to a two-word counter. */
  count(slot: number, word: number): void {
    const at = slot * WORDS + word;
    if ((this.words[at] = (this.words[at]! + 1) | 0) === 0) this.words[at + 1]!++;
  }

  /** Reads a two-word counter. */
  total(slot: number, word: number): number {
    const at = slot * WORDS + word;
    return (this.words[at]! >>> 0) + this.words[at + 1]! * 4294967296;
  }
}
