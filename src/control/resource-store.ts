// What is held of each kind and name, and what became of it. A good resource stays in force until a good one replaces it,
// until no parent names it, or until its time to live runs out: neither a bad update nor a removal takes it away.
//
//              accept                accept
//   REQUESTED ────────► ACKED ◄─────────────── any
//      │ │                │ remove, in force          refuse: any ──► NACKED
//      │ └─ absent,       ▼
//      │    remove     REMOVED (keeps serving)        expire: any ──► DOES_NOT_EXIST
//      ▼                                              withhold: any ──► NACKED ──(ask)──► REQUESTED
//   DOES_NOT_EXIST                                    not wanted: any ──► dropped
//
// What comes under `*` has no parent, so there the server alone says what there is: what it removes is dropped at once.
import type { GatewayKind, Kind, Resource, Resources, WantedNames } from '../config/resource.ts';
import { EVERYTHING, isGatewayKind, KINDS } from '../config/resource.ts';
import { contentVersion } from './content-version.ts';
import type { EarlierAnswer } from './delta-subscription.ts';

/** State of a resource, as the admin service shows it. */
export type ResourceState = 'REQUESTED' | 'DOES_NOT_EXIST' | 'ACKED' | 'NACKED' | 'REMOVED';

/** One resource and what became of it. */
export interface ResourceEntry {
  readonly kind: Kind;
  readonly name: string;
  readonly state: ResourceState;
  /** Version in force as shown: the server's, else {@link contentVersion}. Empty while there is none. */
  readonly version: string;
  /** The server's version of what is in force; empty where it gave none. */
  readonly serverVersion: string;
  /** What is in force. */
  readonly resource: Resource | undefined;
  /** Where the newest version was refused: every problem. */
  readonly error: string;
  readonly refusedVersion: string;
  /** Wall time, ms, at which the version in force, or the refused one if newer, was received; undefined: none was. */
  readonly receivedMs: number | undefined;
  /** Wall time, ms, at which the version in force was applied. */
  readonly appliedMs: number | undefined;
  /** Fields of what is in force that this version of the program doesn't know. */
  readonly unknownFields: number;
  /** It has a time to live. */
  readonly isTemporary: boolean;
}

/** Kind and name of a resource. */
export interface ResourceKey {
  readonly kind: Kind;
  readonly name: string;
}

class Entry implements ResourceEntry {
  readonly kind: Kind;
  readonly name: string;
  state: ResourceState = 'REQUESTED';
  version = '';
  serverVersion = '';
  resource: Resource | undefined = undefined;
  error = '';
  refusedVersion = '';
  receivedMs: number | undefined = undefined;
  appliedMs: number | undefined = undefined;
  /** Monotonic time at which the time to live ends. */
  expiresMs = Infinity;
  /** It is NACKED since it is not asked for. */
  isWithheld = false;

  constructor(kind: Kind, name: string) {
    this.kind = kind;
    this.name = name;
  }

  get unknownFields(): number {
    return this.resource?.unknownFields ?? 0;
  }

  get isTemporary(): boolean {
    return this.expiresMs < Infinity;
  }
}

/** A good resource that came. */
export interface Arrival {
  readonly resource: Resource;
  /** The server's version; empty where it gives none. */
  readonly version: string;
  readonly ttlMs: number | undefined;
}

/** Resources of one control plane. */
export class ResourceStore implements Resources {
  /** `host:port` of the control plane that these come from; undefined while nothing came. */
  owner: string | undefined = undefined;
  /** State of the world: version of each type that was accepted last. */
  readonly typeVersions = new Map<Kind, string>();
  private readonly byKind = new Map<Kind, Map<string, Entry>>(KINDS.map((kind) => [kind, new Map<string, Entry>()]));
  private readonly expiring = new Set<Entry>();
  private readonly requested = new Map<Kind, number>();
  /** Kinds of which everything is wanted, and whether that was answered. */
  private readonly everything = new Map<Kind, 'awaited' | 'answered'>();

  get<K extends Kind>(kind: K, name: string): Resource<K> | undefined {
    // Entries of a kind hold resources of that kind: `accept` is the only way in.
    return this.byKind.get(kind)?.get(name)?.resource as Resource<K> | undefined;
  }

  *all<K extends GatewayKind>(kind: K): Generator<Resource<K>> {
    for (const { resource } of this.byKind.get(kind)?.values() ?? []) {
      if (resource !== undefined) yield resource as Resource<K>;
    }
  }

  entry(kind: Kind, name: string): ResourceEntry | undefined {
    return this.find(kind, name);
  }

  /** Everything, by kind from the root on. */
  *entries(): Generator<ResourceEntry> {
    for (const entries of this.byKind.values()) yield* entries.values();
  }

  /** How much of `kind` is asked for and not answered yet: names, and the wish for everything. */
  awaiting(kind: Kind): number {
    return (this.requested.get(kind) ?? 0) + (this.everything.get(kind) === 'awaited' ? 1 : 0);
  }

  /** Whether there is no such resource yet, and an answer may still come; with `*`: whether all there is isn't here yet. */
  isPending(kind: Kind, name: string): boolean {
    if (name === EVERYTHING) return this.everything.get(kind) === 'awaited';
    const entry = this.find(kind, name);
    return entry !== undefined && entry.state === 'REQUESTED' && entry.resource === undefined;
  }

  /** Whether there is no good one, and a bad one came. */
  isRefused(kind: Kind, name: string): boolean {
    const entry = this.find(kind, name);
    return entry !== undefined && entry.state === 'NACKED' && entry.resource === undefined;
  }

  /**
   * Name to the server's version of what is good as it stands: neither refused nor removed nor never received. Of what
   * comes under `*` the version in force counts where a later one was refused, or else a server wouldn't tell us of its
   * removal.
   */
  heldVersions(kind: Kind): Map<string, string> {
    const held = new Map<string, string>();
    for (const entry of this.byKind.get(kind)?.values() ?? []) {
      if (entry.state === 'ACKED' || isClaimedThoughRefused(entry)) held.set(entry.name, entry.serverVersion);
    }
    return held;
  }

  /** What an earlier stream left of a kind that is asked for with `*`. Forgets what was never good: it comes again. */
  earlierAnswer(kind: GatewayKind): EarlierAnswer {
    const unclaimed = new Set<string>();
    for (const entry of this.byKind.get(kind)?.values() ?? []) {
      if (entry.resource === undefined) this.drop(entry);
      else if (entry.serverVersion === '' || !(entry.state === 'ACKED' || isClaimedThoughRefused(entry)))
        unclaimed.add(entry.name);
    }
    return { isWhole: this.everything.get(kind) === 'answered', unclaimed };
  }

  /** All there is of a kind came; or, if `isSilence`, no answer did, and what is in force stays. */
  answered(kind: Kind, isSilence = false): void {
    if (this.everything.has(kind)) this.everything.set(kind, 'answered');
    if (!isSilence || this.awaiting(kind) === 0) return;
    for (const entry of this.byKind.get(kind)?.values() ?? [])
      if (entry.state === 'REQUESTED') this.settleAbsent(entry);
  }

  /** Makes entries for names that are wanted, and drops what isn't. Returns what was dropped. */
  retain(wanted: WantedNames): ResourceKey[] {
    const dropped: ResourceKey[] = [];
    for (const [kind, entries] of this.byKind) {
      const names = wanted[kind];
      if (names === EVERYTHING) {
        if (!this.everything.has(kind)) this.everything.set(kind, 'awaited');
        continue;
      }
      this.everything.delete(kind);
      for (const entry of entries.values()) {
        if (names.has(entry.name)) continue;
        this.drop(entry);
        dropped.push(entry);
      }
      if (entries.size === names.size) continue;
      for (const name of names) {
        if (entries.has(name)) continue;
        entries.set(name, new Entry(kind, name));
        this.count(kind, 1);
      }
    }
    return dropped;
  }

  /** Makes entries for further names that are wanted. */
  request(kind: Kind, names: Iterable<string>): void {
    for (const name of names) this.make(kind, name);
  }

  /** A good one came. Returns whether its content differs from what was in force. */
  accept(arrival: Arrival, nowMs: number, wallMs: number): boolean {
    const { resource, version, ttlMs } = arrival;
    const entry = this.make(resource.kind, resource.name);
    const before = entry.resource;
    const changed = before === undefined || !sameBytes(before.bytes, resource.bytes);
    if (changed) {
      entry.resource = resource;
      entry.appliedMs = undefined;
    }
    const newVersion = version !== '' ? version : changed ? contentVersion(resource.bytes) : entry.version;
    if (changed || newVersion !== entry.version || entry.state !== 'ACKED') entry.receivedMs = wallMs;
    entry.version = newVersion;
    entry.serverVersion = version;
    entry.error = entry.refusedVersion = '';
    this.move(entry, 'ACKED');
    this.live(entry, ttlMs, nowMs);
    return changed;
  }

  /** A heartbeat came. */
  refresh(kind: Kind, name: string, ttlMs: number | undefined, nowMs: number): void {
    const entry = this.find(kind, name);
    if (entry !== undefined) this.live(entry, ttlMs, nowMs);
  }

  /** A bad one came; what is in force stays. */
  refuse(kind: Kind, name: string, version: string, error: string, wallMs: number): void {
    const entry = this.everything.has(kind) ? this.make(kind, name) : this.find(kind, name);
    if (entry === undefined) return;
    if (entry.state !== 'NACKED' || entry.refusedVersion !== version || entry.error !== error)
      entry.receivedMs = wallMs;
    entry.error = error;
    entry.refusedVersion = version;
    this.move(entry, 'NACKED');
  }

  /**
   * The server says that there is no such resource. What is in force stays, but for what comes under `*`. Returns whether
   * that took something out of force.
   */
  remove(kind: Kind, name: string): boolean {
    const entry = this.find(kind, name);
    if (entry === undefined) return false;
    if (this.everything.has(kind)) {
      this.drop(entry);
      return entry.resource !== undefined;
    }
    this.settleAbsent(entry);
    return false;
  }

  /** No answer came in time. Of no effect on what was answered once. `error` says why where there is more to say. */
  absent(kind: Kind, name: string, error = ''): void {
    const entry = this.find(kind, name);
    if (entry?.state !== 'REQUESTED') return;
    this.settleAbsent(entry);
    entry.error = error;
  }

  /** It is not asked for, and `error` says why; what is in force stays. */
  withhold(kind: Kind, name: string, error: string): void {
    const entry = this.find(kind, name);
    if (entry === undefined) return;
    entry.error = error;
    entry.refusedVersion = '';
    this.move(entry, 'NACKED');
    entry.isWithheld = true;
  }

  /** It is asked for; of an effect only on what was withheld. */
  ask(kind: Kind, name: string): void {
    const entry = this.find(kind, name);
    if (entry?.isWithheld !== true) return;
    entry.error = '';
    this.move(entry, 'REQUESTED');
  }

  /** When the next time to live ends, on the monotonic clock; Infinity: never. */
  get nextExpiryMs(): number {
    let next = Infinity;
    for (const { expiresMs } of this.expiring) next = Math.min(next, expiresMs);
    return next;
  }

  /** Takes out of force what has outlived its time to live, and tells what that was. */
  expire(nowMs: number): ResourceKey[] {
    const expired = [...this.expiring].filter((entry) => entry.expiresMs <= nowMs);
    for (const entry of expired) {
      if (this.everything.has(entry.kind)) {
        this.drop(entry);
        continue;
      }
      this.live(entry, undefined, nowMs);
      entry.resource = entry.appliedMs = undefined;
      entry.version = entry.serverVersion = entry.refusedVersion = '';
      entry.error = 'its time to live ran out and the control plane did not renew it';
      this.move(entry, 'DOES_NOT_EXIST');
    }
    return expired;
  }

  /** `resource` was applied. */
  markApplied(resource: Resource, wallMs: number): void {
    const entry = this.find(resource.kind, resource.name);
    if (entry?.resource === resource) entry.appliedMs = wallMs;
  }

  /** Puts a resource from disk in force. */
  restore(arrival: Arrival, shownVersion: string, wallMs: number): void {
    this.accept(arrival, 0, wallMs);
    const entry = this.find(arrival.resource.kind, arrival.resource.name);
    if (entry !== undefined) entry.version = shownVersion;
  }

  /**
   * A store to fill from another control plane: everything that is in force stays so and is asked for anew. Versions
   * mean nothing to another server, so none is kept as held.
   */
  copyForAnotherServer(): ResourceStore {
    const copy = new ResourceStore();
    for (const entry of this.entriesWithin()) {
      const twin = copy.make(entry.kind, entry.name);
      const anew = { state: 'REQUESTED', serverVersion: '', error: '', refusedVersion: '', isWithheld: false } as const;
      Object.assign(twin, entry, anew satisfies Partial<Entry>);
      if (twin.expiresMs < Infinity) copy.expiring.add(twin);
    }
    return copy;
  }

  private *entriesWithin(): Generator<Entry> {
    for (const entries of this.byKind.values()) yield* entries.values();
  }

  private drop(entry: Entry): void {
    this.move(entry, 'DOES_NOT_EXIST');
    this.expiring.delete(entry);
    this.byKind.get(entry.kind)?.delete(entry.name);
  }

  private settleAbsent(entry: Entry): void {
    entry.error = entry.refusedVersion = '';
    this.move(entry, entry.resource === undefined ? 'DOES_NOT_EXIST' : 'REMOVED');
  }

  private find(kind: Kind, name: string): Entry | undefined {
    return this.byKind.get(kind)?.get(name);
  }

  private make(kind: Kind, name: string): Entry {
    let entry = this.find(kind, name);
    if (entry === undefined) {
      entry = new Entry(kind, name);
      this.byKind.get(kind)?.set(name, entry);
      this.count(kind, 1);
    }
    return entry;
  }

  private move(entry: Entry, state: ResourceState): void {
    if (entry.state === 'REQUESTED') this.count(entry.kind, -1);
    entry.state = state;
    entry.isWithheld = false;
    if (state === 'REQUESTED') this.count(entry.kind, 1);
  }

  private count(kind: Kind, change: number): void {
    this.requested.set(kind, (this.requested.get(kind) ?? 0) + change);
  }

  private live(entry: Entry, ttlMs: number | undefined, nowMs: number): void {
    entry.expiresMs = ttlMs === undefined ? Infinity : nowMs + ttlMs;
    if (ttlMs === undefined) this.expiring.delete(entry);
    else this.expiring.add(entry);
  }
}

function isClaimedThoughRefused({ kind, state, resource, serverVersion }: Entry): boolean {
  return isGatewayKind(kind) && state === 'NACKED' && resource !== undefined && serverVersion !== '';
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a === b || Buffer.compare(a, b) === 0;
}
