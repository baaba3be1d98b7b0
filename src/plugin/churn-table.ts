// A table whose keys come and go all the time. A plain Map is bad at that: V8 leaves a mark where a key was deleted, and a key
// that is deleted and set again and again in a large Map leaves a chain of such marks that each look at it walks along, until
// the whole Map is built anew. Two callers in turns could make requests ten times dearer like that.
//
// So nothing is ever deleted here. The value of a key that goes is overwritten with undefined, and set again in its place if it
// comes back. When half of the keys are such ghosts, a new Map takes over, and the living move to it a few at a time:
//
//   one Map ── more ghosts than living ──> the old one and a new one, four entries move with each change
//   old one at its end ──> it is forgotten: one Map again

/** Entries that move with each change: enough to be through before there are too many ghosts again. */
const MOVED_PER_CHANGE = 4;
/** Ghosts that are no bother. */
const FEW_GHOSTS = 8;

/** Texts and their values; no more than some three times as many entries are held as there are keys. */
export class ChurnTable<V extends object> {
  private current = new Map<string, V | undefined>();
  /** Empty, unless its living are on the move. Those that have moved stand in both. */
  private old: Map<string, V | undefined> | undefined = undefined;
  private toMove: MapIterator<[string, V | undefined]> | undefined = undefined;
  private living = 0;

  get size(): number {
    return this.living;
  }

  get(key: string): V | undefined {
    return this.current.get(key) ?? this.old?.get(key);
  }

  /** Sets a key that has no value. */
  set(key: string, value: V): void {
    this.living++;
    this.current.set(key, value);
    this.tidy();
  }

  /** Deletes a key that has a value. */
  delete(key: string): void {
    this.living--;
    if (this.living === 0) {
      this.current = new Map();
      this.old = this.toMove = undefined;
      return;
    }
    if (this.current.has(key)) this.current.set(key, undefined);
    if (this.old?.has(key) === true) this.old.set(key, undefined);
    this.tidy();
  }

  private tidy(): void {
    if (this.old === undefined) {
      if (this.current.size <= 2 * this.living + FEW_GHOSTS) return;
      this.old = this.current;
      this.toMove = this.old.entries();
      this.current = new Map();
    }
    for (let i = 0; i < MOVED_PER_CHANGE; i++) {
      const next = this.toMove!.next();
      if (next.done === true) {
        this.old = this.toMove = undefined;
        return;
      }
      const [key, value] = next.value;
      if (value !== undefined) this.current.set(key, value);
    }
  }
}
