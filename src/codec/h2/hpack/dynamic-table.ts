/** What an entry costs beyond its name and value (RFC 7541 section 4.1). */
export const ENTRY_OVERHEAD = 32;

/** A decoder's dynamic table: a ring, newest first, bounded by `capacity` bytes. */
export class DynamicTable {
  /** Entries held. */
  count = 0;
  /** Bytes of the entries, each with its overhead. */
  size = 0;
  private names: string[] = [];
  private values: string[] = [];
  private newest = -1;
  private bytes: number;

  constructor(capacity: number) {
    this.bytes = capacity;
  }

  get capacity(): number {
    return this.bytes;
  }

  /** Changes the bound; the oldest entries leave until the rest fits. */
  resize(capacity: number): void {
    this.bytes = capacity;
    while (this.size > capacity) this.evict();
  }

  /** Name of entry `index`; 0 is the newest. Needs index < count. */
  name(index: number): string {
    return this.names[(this.newest - index) & (this.names.length - 1)]!;
  }

  value(index: number): string {
    return this.values[(this.newest - index) & (this.names.length - 1)]!;
  }

  /** Adds an entry. One larger than the table empties it, which is no error (RFC 7541 section 4.4). */
  add(name: string, value: string): void {
    const size = name.length + value.length + ENTRY_OVERHEAD;
    while (this.count > 0 && this.size + size > this.bytes) this.evict();
    if (size > this.bytes) return;
    if (this.count === this.names.length) this.grow();
    this.newest = (this.newest + 1) & (this.names.length - 1);
    this.names[this.newest] = name;
    this.values[this.newest] = value;
    this.count++;
    this.size += size;
  }

  private evict(): void {
    const oldest = (this.newest - this.count + 1) & (this.names.length - 1);
    this.size -= this.names[oldest]!.length + this.values[oldest]!.length + ENTRY_OVERHEAD;
    this.names[oldest] = '';
    this.values[oldest] = '';
    this.count--;
  }

  private grow(): void {
    const names: string[] = [];
    const values: string[] = [];
    for (let i = this.count - 1; i >= 0; i--) {
      names.push(this.name(i));
      values.push(this.value(i));
    }
    const length = Math.max(8, this.count * 2);
    while (names.length < length) {
      names.push('');
      values.push('');
    }
    this.names = names;
    this.values = values;
    this.newest = this.count - 1;
  }
}
