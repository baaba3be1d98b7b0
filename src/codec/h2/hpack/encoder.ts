// The HPACK encoder (RFC 7541). What repeats enters the dynamic table, but only when it is seen a second time running,
// so that values that vary (paths with ids, trace ids, dates) don't push out what is common. Strings are written
// plain: Huffman would save a few bytes of a loopback or data-centre link and cost more time than it saves.
//
// Names come in much the same order each time. So a name is first compared with the one that followed its predecessor
// the last time: strings that a parser of HTTP/1 has just cut would have to be hashed for a look-up. Guarded by
// `npm run bench -- micro hpack-encode`.
import { ENTRY_OVERHEAD } from './dynamic-table.ts';
import { STATIC_ENTRIES, STATIC_NAMES, STATIC_VALUES } from './static-table.ts';

/** What to do with a field of some name. */
export type Indexing =
  /** May enter the table. */
  | 'index'
  /** Varies too much: literal without indexing (RFC 7541 section 6.2.2). */
  | 'plain'
  /** A secret: never-indexed literal (section 6.2.3), also at the next hops. */
  | 'never'
  /** A secret where it is short enough to guess, below {@link SHORT_SECRET_BYTES}; else `plain`. */
  | 'never_if_short'
  /** Must not be written at all. */
  | 'skip'
  /** Written only with the value `trailers` (the field te). */
  | 'te';

/** Says what to do with a field by its lower-case name. */
export type IndexingPolicy = (name: string) => Indexing;

export const SHORT_SECRET_BYTES = 20;

/** An upper bound of what a field takes: two lengths and a first byte. */
export const FIELD_OVERHEAD = 12;
/** An upper bound of the table size updates at the start of a block. */
export const BLOCK_OVERHEAD = 12;

const MAX_NAMES = 256; // spellings remembered; names beyond are written as plain literals
const NO_CANDIDATE = '\n'; // no field value has it
const MAX_LIVE = 8; // entries of one name in the table, so that looking one up is bounded

interface Live {
  readonly slot: NameSlot;
  readonly value: string;
  /** Number of the insertion, from 1. */
  readonly sequence: number;
}

interface NameSlot {
  readonly name: string;
  readonly indexing: Indexing;
  /** Index of the name in the static table; 0 where it has none. */
  readonly staticIndex: number;
  /** Values of the static table, from `staticIndex` on. */
  readonly staticValues: readonly string[];
  /** The value that was last written without indexing. */
  candidate: string;
  readonly live: Live[];
}

/** A name as it may be written, in lower case or not. */
interface Spelling {
  readonly text: string;
  readonly slot: NameSlot;
  /** What followed it the last time. */
  next: Spelling | undefined;
}

/** One direction's encoder. Writes into a buffer that the caller has made large enough. */
export class HpackEncoder {
  /** Where the next byte goes. */
  at = 0;
  private buffer: Buffer = Buffer.alloc(0);
  private readonly names = new Map<string, Spelling>();
  /** Stands before the first name of each block. */
  private readonly first: Spelling;
  private last: Spelling;
  private readonly policy: IndexingPolicy;
  private readonly cap: number;
  private readonly entries: Live[] = []; // oldest first, from `oldest` on
  private oldest = 0;
  private inserted = 0;
  private size = 0;
  private capacity = 4096; // RFC 9113 section 6.5.2: initial value of SETTINGS_HEADER_TABLE_SIZE
  private smallestUpdate = -1;
  private update = -1;

  /** `cap` bounds the table whatever the peer allows. */
  constructor(cap: number, policy: IndexingPolicy = () => 'index') {
    this.cap = cap;
    this.policy = policy;
    this.first = this.last = { text: '', slot: this.newSlot(''), next: undefined };
    if (cap < this.capacity) this.setLimit(this.capacity);
  }

  /** The peer's SETTINGS_HEADER_TABLE_SIZE. Announced at the start of the next block (RFC 7541 section 4.2). */
  setLimit(tableBytes: number): void {
    const capacity = Math.min(tableBytes, this.cap);
    if (capacity === this.capacity) return;
    this.smallestUpdate = this.smallestUpdate < 0 ? capacity : Math.min(this.smallestUpdate, capacity);
    this.update = capacity;
    this.capacity = capacity;
    while (this.size > capacity) this.evict();
  }

  /** Starts a block at `offset`. */
  begin(buffer: Buffer, offset: number): void {
    this.buffer = buffer;
    this.at = offset;
    this.last = this.first;
    if (this.update < 0) return;
    if (this.smallestUpdate < this.update) this.integer(0x20, 0x1f, this.smallestUpdate);
    this.integer(0x20, 0x1f, this.update);
    this.update = this.smallestUpdate = -1;
  }

  /** Writes one field. `name` may have upper-case letters; `secret` makes it a never-indexed literal. */
  field(name: string, value: string, secret: boolean): void {
    let spelling = this.last.next;
    if (spelling === undefined || spelling.text !== name) spelling = this.find(name);
    this.last = spelling;
    const { slot } = spelling;
    if (secret) {
      if (slot.indexing !== 'skip') this.literal(0x10, 0x0f, slot, value);
      return;
    }
    switch (slot.indexing) {
      case 'index':
        return this.indexed(slot, value);
      case 'plain':
        return this.literal(0x00, 0x0f, slot, value);
      case 'never':
        return this.literal(0x10, 0x0f, slot, value);
      case 'never_if_short':
        return this.literal(value.length < SHORT_SECRET_BYTES ? 0x10 : 0x00, 0x0f, slot, value);
      case 'te':
        if (value.toLowerCase() === 'trailers') this.indexed(slot, 'trailers');
        return;
      case 'skip':
        return;
    }
  }

  private indexed(slot: NameSlot, value: string): void {
    const fixed = slot.staticValues;
    for (let i = 0; i < fixed.length; i++) {
      if (fixed[i] === value) return this.integer(0x80, 0x7f, slot.staticIndex + i);
    }
    const live = slot.live;
    for (let i = 0; i < live.length; i++) {
      const entry = live[i]!;
      if (entry.value === value) return this.integer(0x80, 0x7f, STATIC_ENTRIES + 1 + this.inserted - entry.sequence);
    }
    const size = slot.name.length + value.length + ENTRY_OVERHEAD;
    if (slot.candidate !== value || live.length >= MAX_LIVE || size > this.capacity >> 1) {
      slot.candidate = value;
      return this.literal(0x00, 0x0f, slot, value);
    }
    this.literal(0x40, 0x3f, slot, value);
    while (this.size + size > this.capacity) this.evict();
    const entry = { slot, value, sequence: ++this.inserted };
    this.entries.push(entry);
    live.push(entry);
    this.size += size;
  }

  private evict(): void {
    const entry = this.entries[this.oldest++]!;
    const live = entry.slot.live;
    live.splice(live.indexOf(entry), 1);
    this.size -= entry.slot.name.length + entry.value.length + ENTRY_OVERHEAD;
    if (this.oldest > 64) {
      this.entries.splice(0, this.oldest);
      this.oldest = 0;
    }
  }

  private literal(pattern: number, mask: number, slot: NameSlot, value: string): void {
    const live = slot.live;
    if (slot.staticIndex > 0) this.integer(pattern, mask, slot.staticIndex);
    else if (live.length > 0) {
      this.integer(pattern, mask, STATIC_ENTRIES + 1 + this.inserted - live[live.length - 1]!.sequence);
    } else {
      this.buffer[this.at++] = pattern;
      this.string(slot.name);
    }
    this.string(value);
  }

  private integer(pattern: number, mask: number, value: number): void {
    if (value < mask) {
      this.buffer[this.at++] = pattern | value;
      return;
    }
    this.buffer[this.at++] = pattern | mask;
    let rest = value - mask;
    while (rest >= 0x80) {
      this.buffer[this.at++] = (rest & 0x7f) | 0x80;
      rest >>>= 7;
    }
    this.buffer[this.at++] = rest;
  }

  private string(text: string): void {
    const length = text.length;
    this.integer(0x00, 0x7f, length);
    if (length > 24) {
      this.at += this.buffer.latin1Write(text, this.at);
      return;
    }
    // For a few letters the loop is cheaper than the call into Node.
    const buffer = this.buffer;
    let at = this.at;
    for (let i = 0; i < length; i++) buffer[at++] = text.charCodeAt(i);
    this.at = at;
  }

  private find(text: string): Spelling {
    const known = this.names.get(text);
    if (known !== undefined) return (this.last.next = known);
    const name = text.toLowerCase();
    const slot = this.names.get(name)?.slot ?? this.newSlot(name);
    const spelling: Spelling = { text, slot, next: undefined };
    // Beyond MAX_NAMES it is forgotten, so no value of it is ever seen twice and none enters the table.
    if (this.names.size >= MAX_NAMES) return spelling;
    if (text !== name && !this.names.has(name)) this.names.set(name, { text: name, slot, next: undefined });
    this.names.set(text, spelling);
    return (this.last.next = spelling);
  }

  private newSlot(name: string): NameSlot {
    const staticIndex = Math.max(0, STATIC_NAMES.indexOf(name));
    const staticValues: string[] = [];
    for (let i = staticIndex; i > 0 && STATIC_NAMES[i] === name && STATIC_VALUES[i] !== ''; i++) {
      staticValues.push(STATIC_VALUES[i] ?? '');
    }
    return { name, indexing: this.policy(name), staticIndex, staticValues, candidate: NO_CANDIDATE, live: [] };
  }
}
