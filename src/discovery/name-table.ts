// All DNS names of the configuration, looked up in the background, and the snapshot with their addresses in it. A call
// never waits for DNS, and no fault of DNS takes an endpoint away: a name's last answer stays until the next one.
import type { Cancel, Clock } from '../base/clock.ts';
import type { Logger } from '../base/log.ts';
import type { Rng } from '../base/rng.ts';
import { orderedEndpoints, shareEndpoints } from '../model/endpoint-list.ts';
import type { NameSpec, PortKey, Snapshot, UpstreamPort } from '../model/snapshot.ts';
import type { Answer, LookupResult } from './answer.ts';
import { LookupQueue } from './lookup-queue.ts';
import { addressesOf, NameEntry, type NameEntryContext } from './name-entry.ts';
import { ownFamilies, type OwnFamilies } from './own-families.ts';
import { activeNames, portEndpoints } from './port-endpoints.ts';
import type { LookupQuery } from './resolver.ts';

/** Answers that come within this time lead to one `onChange`, ms. */
const GATHER_MS = 10;

/** A name and what is known of it, for those who look. */
export interface NameStatus {
  /** As configured, with a final dot if it has one. */
  readonly name: string;
  /** In use, ordered. */
  readonly addresses: readonly string[];
  /** Why the last look-up failed, wholly or in part; empty if it didn't. `addresses` stay in use all the same. */
  readonly error: string;
  /** Addresses not used, since this machine has none of that family. */
  readonly leftOut: readonly string[];
  /** When it was answered last; undefined: never. */
  readonly resolvedWallMs: number | undefined;
  /** When it is looked up again; undefined: now, or never. */
  readonly nextWallMs: number | undefined;
}

/** The names in use. */
export interface NameTable {
  /** Makes these the names that are looked up. What is new is asked for at once; what is missing is forgotten. */
  want(names: Iterable<NameSpec>): void;
  /**
   * `snapshot`, as config/ builds it, with the addresses of its names among the endpoints. `previous` is what the call
   * before gave: what stayed the same is the same object, and where all did, it is `previous` itself. While a name of a
   * port was neither answered nor has failed, the endpoints that the port had in `previous` stay too: an edit breaks
   * nothing that works.
   */
  expand(snapshot: Snapshot, previous: Snapshot): Snapshot;
  /**
   * Resolves when each wanted name was answered or has failed once, or by `stop`. Unbounded: a dead server takes its
   * time.
   */
  settled(): Promise<void>;
  /** What is known of these names, each once. */
  statuses(names: Iterable<NameSpec>): readonly NameStatus[];
  /** Ends all look-ups. `onChange` isn't called any more. */
  stop(): void;
}

/** What a table is made with. */
export interface NameTableContext {
  readonly clock: Clock;
  readonly rng: Rng;
  readonly logger: Logger;
  /** NameResolver.lookup. */
  readonly lookup: (query: LookupQuery) => Promise<LookupResult>;
  /** Families this machine has; for tests. */
  readonly families?: () => OwnFamilies;
  /** `expand` would give something else now. At most once in 10 ms, never from within a call of the table's. */
  readonly onChange: () => void;
}

/** What a port was expanded from, and to. */
interface Expansion {
  /** Of each active name; undefined: none. */
  readonly answers: readonly (Answer | undefined)[];
  readonly isPending: boolean;
  readonly result: UpstreamPort;
}

/** An empty table. */
export function createNameTable(context: NameTableContext): NameTable {
  const { clock, onChange } = context;
  const queue = new LookupQueue();
  const entries = new Map<string, NameEntry>();
  /** Those neither answered nor failed yet. */
  const pending = new Set<NameEntry>();
  const expansions = new WeakMap<UpstreamPort, Expansion>();
  let waiters: (() => void)[] = [];
  let cancelGathering: Cancel | undefined;
  let stopped = false;

  const entryContext: NameEntryContext = {
    ...context,
    families: context.families ?? ownFamilies,
    queue,
    onSettled(entry, isNews) {
      pending.delete(entry);
      if (isNews) {
        cancelGathering ??= clock.after(GATHER_MS, () => {
          cancelGathering = undefined;
          onChange();
        });
      }
      releaseWaiters();
    },
  };

  function releaseWaiters(): void {
    if (waiters.length === 0 || (!stopped && pending.size > 0)) return;
    const released = waiters;
    waiters = [];
    for (const resolve of released) resolve();
  }

  function want(names: Iterable<NameSpec>): void {
    if (stopped) return;
    const wanted = new Set<string>();
    const added = new Map<string, NameSpec>();
    for (const name of names) {
      const key = keyOf(name);
      wanted.add(key);
      if (!entries.has(key)) added.set(key, name);
    }
    for (const [key, entry] of entries) {
      if (wanted.has(key)) continue;
      entries.delete(key);
      pending.delete(entry);
      entry.drop();
    }
    for (const [key, { kind, name }] of added) {
      const entry = new NameEntry(kind, name, entryContext);
      entries.set(key, entry);
      pending.add(entry);
      entry.start();
    }
    releaseWaiters();
  }

  function expandPort(port: UpstreamPort, previous: UpstreamPort | undefined): UpstreamPort {
    const names = activeNames(port);
    const known = names.map((name) => entries.get(keyOf(name)));
    const answers = known.map((entry) => entry?.answer);
    const isPending = known.some((entry) => entry === undefined || entry.isPending);
    const memo = expansions.get(port);
    if (memo && !isPending && !memo.isPending && memo.answers.every((answer, i) => answer === answers[i])) {
      return memo.result;
    }
    const before = previous?.endpoints ?? [];
    const byName = new Map(names.map((name, i) => [name, answers[i]]));
    const found = portEndpoints(port.endpoints, names, (name) => byName.get(name));
    const endpoints = shareEndpoints(isPending ? orderedEndpoints([...before, ...found]) : found, before);
    const result = memo && memo.result.endpoints === endpoints ? memo.result : { ...port, endpoints };
    expansions.set(port, { answers, isPending, result });
    return result;
  }

  function expand(snapshot: Snapshot, previous: Snapshot): Snapshot {
    let ports: Map<PortKey, UpstreamPort> | undefined;
    let same = snapshot.ports.size === previous.ports.size;
    for (const [key, port] of snapshot.ports) {
      const before = previous.ports.get(key);
      let after = port;
      if (port.names.length > 0) {
        after = expandPort(port, before);
        ports ??= new Map(snapshot.ports);
        ports.set(key, after);
      }
      same &&= after === before;
    }
    if (!ports) return snapshot;
    same &&= snapshot.number === previous.number && snapshot.listeners === previous.listeners;
    return same && snapshot.secrets === previous.secrets ? previous : { ...snapshot, ports };
  }

  function statuses(names: Iterable<NameSpec>): readonly NameStatus[] {
    const byKey = new Map<string, NameStatus>();
    for (const name of names) {
      const key = keyOf(name);
      if (!byKey.has(key)) byKey.set(key, statusOf(name, entries.get(key)));
    }
    return [...byKey.values()];
  }

  return {
    want,
    expand,
    settled: () =>
      new Promise((resolve) => {
        waiters.push(resolve);
        releaseWaiters();
      }),
    statuses,
    stop() {
      stopped = true;
      cancelGathering?.();
      queue.clear();
      for (const entry of entries.values()) entry.drop();
      releaseWaiters();
    },
  };
}

/** A name of both kinds is two, and so is one with and without a final dot: their answers differ. */
function keyOf({ kind, name }: NameSpec): string {
  return `${kind} ${name}`;
}

function statusOf({ name, weight }: NameSpec, entry: NameEntry | undefined): NameStatus {
  if (!entry) {
    const error = weight === 0 ? 'not looked up while its weight is 0' : 'not looked up';
    return { name, addresses: [], error, leftOut: [], resolvedWallMs: undefined, nextWallMs: undefined };
  }
  const { answer, error, leftOut, resolvedWallMs, nextWallMs } = entry;
  return {
    name,
    addresses: answer ? addressesOf(answer) : [],
    error: entry.isPending ? 'not answered yet' : error,
    leftOut,
    resolvedWallMs,
    nextWallMs,
  };
}
