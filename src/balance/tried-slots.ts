/** Beyond this many slots a Set answers, so that hundreds of attempts of one request don't cost a scan each. */
const SCAN_LIMIT = 16;

/**
 * Slots of the endpoints that a request has tried. Belongs to the request and is reused by the next one: neither
 * `add` nor `has` allocates for the first attempts. A slot that was released and taken by another endpoint while the
 * request ran counts as tried, which costs that request one choice and nothing else.
 */
export class TriedSlots {
  private readonly slots: number[] = [];
  private many: Set<number> | undefined = undefined;
  private used = 0;

  /** How many were tried. 0: the pick is the request's first. */
  get size(): number {
    return this.used;
  }

  /** Marks `slot`; harmless if it is marked already. */
  add(slot: number): void {
    if (this.has(slot)) return;
    this.slots[this.used++] = slot;
    if (this.many) this.many.add(slot);
    else if (this.used > SCAN_LIMIT) this.many = new Set(this.slots.slice(0, this.used));
  }

  has(slot: number): boolean {
    if (this.many) return this.many.has(slot);
    for (let i = 0; i < this.used; i++) if (this.slots[i] === slot) return true;
    return false;
  }

  /** Forgets all, for the next request. */
  clear(): void {
    this.used = 0;
    this.many = undefined;
  }
}
