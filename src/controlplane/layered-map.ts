// An immutable map whose next version costs what changed: a large base that versions share, and a small layer over it.
// The layer is copied for each version, and becomes part of a new base when it has grown.

/** Changes in a layer before a new base is made: at least this many, else a share of the base. */
const MIN_LAYER = 64;
const BASE_SHARE = 64;

/** A map that never changes. */
export class LayeredMap<K, V extends object | string | number | boolean> implements Iterable<readonly [K, V]> {
  private readonly base: ReadonlyMap<K, V>;
  /** What differs from the base; undefined: it is gone. */
  private readonly layer: ReadonlyMap<K, V | undefined>;
  readonly size: number;

  private constructor(base: ReadonlyMap<K, V>, layer: ReadonlyMap<K, V | undefined>, size: number) {
    this.base = base;
    this.layer = layer;
    this.size = size;
  }

  /** The map without entries. */
  static empty<K, V extends object | string | number | boolean>(): LayeredMap<K, V> {
    return new LayeredMap<K, V>(new Map(), new Map(), 0);
  }

  get(key: K): V | undefined {
    const over = this.layer.get(key);
    if (over !== undefined || this.layer.size === 0) return over ?? this.base.get(key);
    return this.layer.has(key) ? undefined : this.base.get(key);
  }

  has(key: K): boolean {
    return this.get(key) !== undefined;
  }

  /** This map with other values for some keys; undefined removes one. The same map if nothing is named. */
  with(changes: ReadonlyMap<K, V | undefined>): LayeredMap<K, V> {
    if (changes.size === 0) return this;
    let size = this.size;
    for (const [key, value] of changes) size += Number(value !== undefined) - Number(this.has(key));
    const layer = new Map(this.layer);
    for (const [key, value] of changes) layer.set(key, value);
    if (layer.size <= Math.max(MIN_LAYER, this.base.size / BASE_SHARE)) return new LayeredMap(this.base, layer, size);
    const base = new Map(this.base);
    for (const [key, value] of layer) {
      if (value === undefined) base.delete(key);
      else base.set(key, value);
    }
    return new LayeredMap<K, V>(base, new Map(), size);
  }

  *[Symbol.iterator](): Generator<readonly [K, V]> {
    for (const entry of this.base) if (!this.layer.has(entry[0])) yield entry;
    for (const [key, value] of this.layer) if (value !== undefined) yield [key, value];
  }

  *keys(): Generator<K> {
    for (const [key] of this) yield key;
  }

  *values(): Generator<V> {
    for (const [, value] of this) yield value;
  }
}
