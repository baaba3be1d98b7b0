// What the last walk over a long list made of each entry. The next walk meets nearly the same entries in the same order, so
// looking at the next place finds nearly all of them, at a fraction of what ten thousand lookups in a map cost.

/** Results of one walk, in its order, found again by the next. */
export class LastPass<T extends { readonly id: string }> {
  private readonly items: readonly T[];
  private at = 0;
  /** Whether each result up to `at` was found, so that what isn't behind it is new. */
  private inStep = true;
  private byId: Map<string, number> | undefined;

  constructor(items: readonly T[]) {
    this.items = items;
  }

  /** The result of that id in the last walk; undefined: there was none, or it may have been found by this walk already. */
  find(id: string): T | undefined {
    const { items, at } = this;
    let index = at;
    if (items[at]?.id !== id) {
      if (this.inStep && at === items.length) return undefined;
      this.inStep = false;
      // Mostly one was removed.
      index = items[at + 1]?.id === id ? at + 1 : this.search(id);
    }
    if (index < 0) return undefined;
    this.at = index + 1;
    return items[index];
  }

  private search(id: string): number {
    this.byId ??= new Map(this.items.map((item, index) => [item.id, index]));
    return this.byId.get(id) ?? -1;
  }
}
