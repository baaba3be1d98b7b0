// The objects as they will be once the writes under way are done, and what they say of each other: who names whom, which
// keys and groups are taken. Checks look here, so that two writes that come together can't contradict each other.
//
//   begin(changes) ─► here at once ─► store.write ─► settle: what the store has now stands here
//
// A write that fails is undone by that; so is a change that somebody else makes to the store taken in.
import { consumerOf, keyOf, type ObjectId, objectIdOf } from '../apisix/object-type.ts';
import { type CrossFacts, crossFacts } from '../apisix/cross-checks.ts';
import type { ReadObject } from '../apisix/read-object.ts';
import type { EntryReader } from '../store/read-entries.ts';
import type { JsonObject, Store } from '../store/store.ts';

/** One object in the index. */
export interface IndexedObject {
  readonly key: string;
  readonly value: JsonObject;
  /** Undefined: this version can't read it. */
  readonly object: ReadObject | undefined;
}

interface Indexed extends IndexedObject {
  readonly facts: CrossFacts;
}

/** A change that is about to be written; `object` undefined deletes. */
export interface PlannedChange {
  readonly key: string;
  readonly object: ReadObject | undefined;
}

interface PendingKey {
  writes: number;
  readonly waiters: (() => void)[];
}

const NO_FACTS: CrossFacts = { groups: [], keys: [] };

/** Knows every object of a store. */
export class ObjectIndex {
  private readonly store: Store;
  private readonly reader: EntryReader;
  private readonly objects = new Map<string, Indexed>();
  /** Keys of the objects that name one. */
  private readonly referrers = new Map<string, Set<string>>();
  /** Objects by the digest of a key of key-auth. */
  private readonly keyHolders = new Map<string, Set<string>>();
  /** Limits by group, of each object in it. */
  private readonly groups = new Map<string, Map<string, string>>();
  /** Keys of the credentials of a consumer. */
  private readonly credentials = new Map<string, Set<string>>();
  private readonly pending = new Map<string, PendingKey>();

  constructor(store: Store, reader: EntryReader) {
    this.store = store;
    this.reader = reader;
  }

  /** Takes in all of a store that has started. */
  load(): void {
    for (const { key } of this.store.entries()) this.sync(key);
  }

  /** Takes in what changed in the store; keys that have writes under way follow when those are done. */
  onChanged(keys: readonly string[]): void {
    for (const key of keys) if (!this.pending.has(key)) this.sync(key);
  }

  /** Takes in changes that are about to be written. Call what it gives once they are, or have failed. */
  begin(changes: readonly PlannedChange[]): () => void {
    for (const { key, object } of changes) {
      const pending = this.pending.get(key) ?? { writes: 0, waiters: [] };
      pending.writes++;
      this.pending.set(key, pending);
      this.remove(key);
      if (object !== undefined) this.add(key, object.value, object);
    }
    return () => {
      for (const { key } of changes) this.settle(key);
    };
  }

  /** Resolves when the writes of a key that are under way are done; others may have come by then. */
  whenSettled(key: string): Promise<void> {
    return new Promise((resolve) => {
      const pending = this.pending.get(key);
      if (pending === undefined) resolve();
      else pending.waiters.push(resolve);
    });
  }

  /** Whether a write of a key is under way. */
  isPending(key: string): boolean {
    return this.pending.has(key);
  }

  get(key: string): IndexedObject | undefined {
    return this.objects.get(key);
  }

  /** Keys of the objects that name one, sorted. */
  referrersOf(key: string): readonly string[] {
    return [...(this.referrers.get(key) ?? [])].sort();
  }

  /** Keys of the credentials of a consumer, sorted. */
  credentialsOf(username: string): readonly string[] {
    return [...(this.credentials.get(username) ?? [])].sort();
  }

  /** Another object than `own` that has a key of key-auth. */
  keyHolder(digest: string, own: string): string | undefined {
    return [...(this.keyHolders.get(digest) ?? [])].find((key) => key !== own);
  }

  /** Another object than `own` in a group with another limit. */
  groupRival(group: string, limit: string, own: string): string | undefined {
    for (const [key, other] of this.groups.get(group) ?? []) if (key !== own && other !== limit) return key;
    return undefined;
  }

  private settle(key: string): void {
    const pending = this.pending.get(key);
    if (pending === undefined || --pending.writes > 0) return;
    this.pending.delete(key);
    this.sync(key);
    for (const waiter of pending.waiters) waiter();
  }

  /** Makes the index what the store has of a key. */
  private sync(key: string): void {
    const entry = this.store.get(key);
    if (this.objects.get(key)?.value === entry?.value) return;
    this.remove(key);
    const id = objectIdOf(key);
    if (entry === undefined || id === undefined) return;
    const result = this.reader.read(id, entry.value);
    this.add(key, entry.value, result.ok ? result.object : undefined);
  }

  private add(key: string, value: JsonObject, object: ReadObject | undefined): void {
    const facts = object === undefined ? NO_FACTS : crossFacts(object);
    this.objects.set(key, { key, value, object, facts });
    for (const reference of object?.references ?? []) addTo(this.referrers, keyOf(reference), key);
    for (const { digest } of facts.keys) addTo(this.keyHolders, digest, key);
    for (const { group, limit } of facts.groups) {
      const members = this.groups.get(group) ?? new Map<string, string>();
      this.groups.set(group, members.set(key, limit));
    }
    const consumer = holderOf(objectIdOf(key));
    if (consumer !== undefined) addTo(this.credentials, consumer, key);
  }

  private remove(key: string): void {
    const indexed = this.objects.get(key);
    if (indexed === undefined) return;
    this.objects.delete(key);
    for (const reference of indexed.object?.references ?? []) removeFrom(this.referrers, keyOf(reference), key);
    for (const { digest } of indexed.facts.keys) removeFrom(this.keyHolders, digest, key);
    for (const { group } of indexed.facts.groups) {
      const members = this.groups.get(group);
      members?.delete(key);
      if (members?.size === 0) this.groups.delete(group);
    }
    const consumer = holderOf(objectIdOf(key));
    if (consumer !== undefined) removeFrom(this.credentials, consumer, key);
  }
}

/** The consumer that a credential is of. */
function holderOf(id: ObjectId | undefined): string | undefined {
  return id?.type === 'credentials' ? consumerOf(id) : undefined;
}

function addTo(sets: Map<string, Set<string>>, name: string, member: string): void {
  const set = sets.get(name) ?? new Set<string>();
  sets.set(name, set.add(member));
}

function removeFrom(sets: Map<string, Set<string>>, name: string, member: string): void {
  const set = sets.get(name);
  set?.delete(member);
  if (set?.size === 0) sets.delete(name);
}
