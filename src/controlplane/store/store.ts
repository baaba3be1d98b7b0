// Where the objects of the Admin API are kept. Reads are from memory; a write is answered once it is durable, and nobody
// sees it before. Files are one store (file-store.ts); a database that others write to as well can be another.

/** A JSON object. */
export interface JsonObject {
  readonly [key: string]: unknown;
}

/** One object. A changed one is another entry; one that didn't change is the same. */
export interface StoredEntry {
  /** `/apisix/routes/1`, `/apisix/consumers/jack/credentials/one`. */
  readonly key: string;
  readonly value: JsonObject;
  /** Revision of the store with which the key came to be, from 1 on. */
  readonly createdIndex: number;
  /** Revision of the store with which it was written last. */
  readonly modifiedIndex: number;
}

/** One change of a write. */
export type Change = {
  readonly key: string;
  /** Revision that the entry must have, 0: there must be none; undefined: whatever it has. */
  readonly ifModifiedIndex?: number | undefined;
} & ({ readonly op: 'put'; readonly value: JsonObject } | { readonly op: 'delete' });

/** What became of a write. */
export type WriteResult =
  | {
      readonly ok: true;
      readonly revision: number;
      /** createdIndex of what each change put, in their order; 0 for what it deleted. */
      readonly createdIndexes: readonly number[];
    }
  /** Nothing was written: this entry isn't as the change wants it. `modifiedIndex` is what it has, 0: there is none. */
  | { readonly ok: false; readonly key: string; readonly modifiedIndex: number };

/** Keeps objects. */
export interface Store {
  /**
   * Loads, then calls `changed` with the keys after each change, whoever made it, and before the write that made it
   * resolves. Rejects with the place and the fix where it can't be had.
   */
  start(changed: (keys: readonly string[]) => void): Promise<void>;
  get(key: string): StoredEntry | undefined;
  /** All entries, ordered by key. */
  entries(): Iterable<StoredEntry>;
  /** Counts the writes. */
  readonly revision: number;
  /** All of the changes or none. Resolves once they are durable; rejects where that can't be had, with the reason. */
  write(changes: readonly Change[]): Promise<WriteResult>;
  stop(): Promise<void>;
}
