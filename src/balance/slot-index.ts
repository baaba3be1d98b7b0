/**
 * At which index of a list each slot stands. An open hash table in flat arrays: filled anew in a tenth of the time of a
 * Map, which counts where a list of tens of thousands changes with the health of each of them.
 */
export class SlotIndex {
  /** Slot and index of each entry, one after the other; slot -1: free. A power of two of entries, half of them at least free. */
  private table = new Int32Array(0);
  private mask = 0;

  /** Replaces everything. Of a slot that is there twice the first index counts. */
  update(slots: Int32Array): void {
    let size = 2;
    while (size < 2 * slots.length) size *= 2;
    if (this.table.length === 2 * size) this.table.fill(-1);
    else this.table = new Int32Array(2 * size).fill(-1);
    this.mask = size - 1;
    for (let index = 0; index < slots.length; index++) {
      const slot = slots[index]!;
      const at = this.find(slot);
      if (this.table[at] === slot) continue;
      this.table[at] = slot;
      this.table[at + 1] = index;
    }
  }

  /** Index of `slot`, 0 or more; -1 if it isn't in the list. */
  get(slot: number): number {
    if (this.table.length === 0) return -1;
    const at = this.find(slot);
    return this.table[at] === slot ? this.table[at + 1]! : -1;
  }

  /** Where `slot` stands, or the free entry where it would. Slots are small numbers close to each other: they are their own hash. */
  private find(slot: number): number {
    const { table, mask } = this;
    let entry = slot & mask;
    while (table[2 * entry] !== -1 && table[2 * entry] !== slot) entry = (entry + 1) & mask;
    return 2 * entry;
  }
}
