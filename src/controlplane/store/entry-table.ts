import type { Change, StoredEntry } from './store.ts';

/** The entries of a store, by key and in the order of their keys. */
export class EntryTable {
  private readonly byKey = new Map<string, StoredEntry>();
  /** Sorted, unless {@link isSorted} is false. */
  private keys: string[] = [];
  private isSorted = true;

  get size(): number {
    return this.byKey.size;
  }

  get(key: string): StoredEntry | undefined {
    return this.byKey.get(key);
  }

  /** Puts an entry as it is. For loading: the order is made when it is asked for. */
  load(entry: StoredEntry): void {
    if (!this.byKey.has(entry.key)) {
      this.keys.push(entry.key);
      this.isSorted = false;
    }
    this.byKey.set(entry.key, entry);
  }

  /** Makes a change with the revision of its write; gives the createdIndex of what it put, 0: it deleted. */
  apply(change: Change, revision: number): number {
    const { key } = change;
    const before = this.byKey.get(key);
    if (change.op === 'put') {
      const createdIndex = before?.createdIndex ?? revision;
      this.byKey.set(key, { key, value: change.value, createdIndex, modifiedIndex: revision });
      if (before === undefined && this.isSorted) this.keys.splice(this.placeOf(key), 0, key);
      else if (before === undefined) this.keys.push(key);
      return createdIndex;
    }
    if (before !== undefined) {
      this.sort();
      this.byKey.delete(key);
      this.keys.splice(this.placeOf(key), 1);
    }
    return 0;
  }

  /** All entries in the order of their keys. */
  *entries(): Generator<StoredEntry> {
    this.sort();
    for (const key of this.keys) {
      const entry = this.byKey.get(key);
      if (entry !== undefined) yield entry;
    }
  }

  private sort(): void {
    if (!this.isSorted) this.keys.sort();
    this.isSorted = true;
  }

  /** Index of the first key that isn't before `key`. */
  private placeOf(key: string): number {
    let low = 0;
    let high = this.keys.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.keys[middle] ?? '') < key) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
