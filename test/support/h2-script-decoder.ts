// An HPACK decoder for scripted peers, apart from the one under test and as strict as RFC 7541 about table sizes. Huffman
// code isn't read: this program writes none.
import assert from 'node:assert/strict';
import { STATIC_NAMES, STATIC_VALUES } from '../../src/codec/h2/hpack/static-table.ts';

/** The table of one direction. Breaches of RFC 7541 fail the test. */
export class ScriptDecoder {
  /** Table size updates that came, in order. */
  readonly updates: number[] = [];
  private limit = 4096;
  private capacity = 4096;
  private size = 0;
  private readonly table: [string, string][] = [];
  private updateDue = false;

  /** Another table is allowed from here on; the next block must begin with an update where it is smaller. */
  allow(bytes: number): void {
    this.limit = bytes;
    if (bytes < this.capacity) this.updateDue = true;
  }

  /** Fields of a whole block, flat. */
  decode(block: Buffer): string[] {
    const fields: string[] = [];
    let at = 0;
    const integer = (mask: number): number => {
      let value = (block[at++] ?? 0) & mask;
      if (value < mask) return value;
      for (let shift = 0; ; shift += 7) {
        const byte = block[at++] ?? 0;
        value += (byte & 0x7f) << shift;
        if (byte < 0x80) return value;
      }
    };
    const text = (): string => {
      assert.ok((block[at] ?? 0) < 0x80, 'no Huffman code is written');
      const length = integer(0x7f);
      at += length;
      assert.ok(at <= block.length, 'a string within its block');
      return block.toString('latin1', at - length, at);
    };
    while (at < block.length) {
      const first = block[at] ?? 0;
      if ((first & 0xe0) === 0x20) {
        assert.equal(fields.length, 0, 'a table size update stands before the fields');
        this.resize(integer(0x1f));
        continue;
      }
      assert.ok(!this.updateDue, 'a smaller table is announced first');
      if (first >= 0x80) {
        fields.push(...this.entry(integer(0x7f)));
        continue;
      }
      const index = integer(first >= 0x40 ? 0x3f : 0x0f);
      const name = index === 0 ? text() : this.entry(index)[0];
      const value = text();
      fields.push(name, value);
      if (first < 0x40) continue;
      this.table.unshift([name, value]);
      this.size += name.length + value.length + 32;
      this.evict();
    }
    return fields;
  }

  private entry(index: number): [string, string] {
    assert.notEqual(index, 0);
    if (index <= 61) return [STATIC_NAMES[index] ?? '', STATIC_VALUES[index] ?? ''];
    const found = this.table[index - 62];
    assert.ok(found, `entry ${index} of ${this.table.length} dynamic ones`);
    return found;
  }

  private resize(bytes: number): void {
    assert.ok(bytes <= this.limit, `a table of ${bytes} bytes where ${this.limit} are allowed`);
    this.updates.push(bytes);
    this.capacity = bytes;
    this.evict();
    this.updateDue = false;
  }

  private evict(): void {
    while (this.size > this.capacity) {
      const [name, value] = this.table.pop() ?? ['', ''];
      this.size -= name.length + value.length + 32;
    }
  }
}
