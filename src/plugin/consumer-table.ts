// Who has which key. Keys are looked up by their SHA-256 digest, and the digest found is compared in constant time; a key that
// nobody has is compared too, with a digest that none has. So neither the lookup nor its time tells anything of a key but
// whether it is right: what a caller can steer, its own text, says nothing about the digest.
import { hash, timingSafeEqual } from 'node:crypto';
import type { ConsumerSpec } from '../model/gateway.ts';

/** A consumer, and which of its keys was shown. */
export interface KeyHolder {
  readonly consumer: ConsumerSpec;
  /** Empty: the key of the consumer itself. */
  readonly credentialId: string;
}

/** Finds consumers. */
export interface ConsumerTable {
  /**
   * Whose key this is, a latin1 text whose characters are the bytes of the key; undefined: nobody's. Of several with the same key the last
   * in order of their names has it, and of several keys of one consumer the last.
   */
  findByKey(key: string): KeyHolder | undefined;
  /** The consumer of a name. */
  get(name: string): ConsumerSpec | undefined;
  /** Takes other consumers. Only those that are other objects than before are worked on. */
  update(next: ReadonlyMap<string, ConsumerSpec>): void;
}

/** Makes a table, in time that is proportional to the keys. */
export function createConsumerTable(consumers: ReadonlyMap<string, ConsumerSpec>): ConsumerTable {
  return new DigestTable(consumers);
}

interface RankedHolder extends KeyHolder {
  /** Place of the key among those of the consumer. */
  readonly rank: number;
}

/** Hexadecimal digits of a digest. */
const DIGEST_LENGTH = 64;
/** A digest of nothing that anybody could find. */
const NOBODYS_DIGEST = '0'.repeat(DIGEST_LENGTH);

class DigestTable implements ConsumerTable {
  private consumers: ReadonlyMap<string, ConsumerSpec> = new Map();
  private readonly holders = new Map<string, RankedHolder>();
  /** All holders of the digests that several have, winner included. */
  private readonly contested = new Map<string, RankedHolder[]>();
  private readonly shown = Buffer.alloc(DIGEST_LENGTH);
  private readonly known = Buffer.alloc(DIGEST_LENGTH);

  constructor(consumers: ReadonlyMap<string, ConsumerSpec>) {
    this.update(consumers);
  }

  findByKey(key: string): KeyHolder | undefined {
    const digest = hash('sha256', Buffer.from(key, 'latin1'), 'hex');
    const holder = this.holders.get(digest);
    this.shown.write(digest, 'latin1');
    this.known.write(holder === undefined ? NOBODYS_DIGEST : holder.consumer.keys[holder.rank]!.key.digest, 'latin1');
    return timingSafeEqual(this.shown, this.known) ? holder : undefined;
  }

  get(name: string): ConsumerSpec | undefined {
    return this.consumers.get(name);
  }

  update(next: ReadonlyMap<string, ConsumerSpec>): void {
    const previous = this.consumers;
    if (next === previous) return;
    this.consumers = next;
    for (const [name, consumer] of previous) {
      if (next.get(name) !== consumer) for (const { key } of consumer.keys) this.remove(consumer, key.digest);
    }
    for (const [name, consumer] of next) {
      if (previous.get(name) === consumer) continue;
      consumer.keys.forEach(({ key, credentialId }, rank) => this.add(key.digest, { consumer, credentialId, rank }));
    }
  }

  private add(digest: string, holder: RankedHolder): void {
    const winner = this.holders.get(digest);
    if (winner === undefined) {
      this.holders.set(digest, holder);
      return;
    }
    const all = this.contested.get(digest);
    if (all === undefined) this.contested.set(digest, [winner, holder]);
    else all.push(holder);
    if (standsAfter(holder, winner)) this.holders.set(digest, holder);
  }

  private remove(consumer: ConsumerSpec, digest: string): void {
    const left = (this.contested.get(digest) ?? []).filter((holder) => holder.consumer !== consumer);
    const [first, ...others] = left;
    if (others.length > 0) this.contested.set(digest, left);
    else this.contested.delete(digest);
    if (first !== undefined) {
      this.holders.set(
        digest,
        others.reduce((last, holder) => (standsAfter(holder, last) ? holder : last), first),
      );
    } else if (this.holders.get(digest)?.consumer === consumer) this.holders.delete(digest);
  }
}

function standsAfter(a: RankedHolder, b: RankedHolder): boolean {
  return a.consumer.name === b.consumer.name ? a.rank > b.rank : a.consumer.name > b.consumer.name;
}
