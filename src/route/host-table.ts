// Values by host: whole names, names with a leading `*`, and one for every host. Guarded by
// `npm run bench -- micro route-match`.
import { hostOf } from './authority.ts';

const DOT = 0x2e;

/** How many suffixes of one length there are, told apart by whether they begin with a dot. */
interface SuffixLength {
  readonly length: number;
  dotted: number;
  others: number;
}

/** One value for each pattern. */
export class HostTable<V> {
  readonly #whole = new Map<string, V>();
  readonly #bySuffix = new Map<string, V>();
  /** The longest first. A suffix that begins with a dot can only stand where a host has one, so most are seen not to fit. */
  #lengths: SuffixLength[] = [];
  #any: V | undefined = undefined;

  /** Value of a pattern, `undefined` being the one for every host. */
  get(pattern: string | undefined): V | undefined {
    if (pattern === undefined) return this.#any;
    return isWildcard(pattern) ? this.#bySuffix.get(pattern.slice(1)) : this.#whole.get(wholeHost(pattern));
  }

  /** Gives a pattern a value, in the place of the one it had. */
  set(pattern: string | undefined, value: V): void {
    if (pattern === undefined) this.#any = value;
    else if (isWildcard(pattern)) {
      const suffix = pattern.slice(1);
      if (!this.#bySuffix.has(suffix)) this.#count(suffix, 1);
      this.#bySuffix.set(suffix, value);
    } else this.#whole.set(wholeHost(pattern), value);
  }

  /** Forgets a pattern. */
  delete(pattern: string | undefined): void {
    if (pattern === undefined) this.#any = undefined;
    else if (!isWildcard(pattern)) this.#whole.delete(wholeHost(pattern));
    else if (this.#bySuffix.delete(pattern.slice(1))) this.#count(pattern.slice(1), -1);
  }

  /**
   * Calls `visit` with the value of each pattern that a `Host` or `:authority` matches, until it gives something back: the
   * whole name, then the longest wildcard down to the shortest, then what is for every host. A `*` stands for one
   * character at least. Compared in lower case, without port and final dot.
   */
  search<C, R>(authority: string, visit: (value: V, context: C) => R | undefined, context: C): R | undefined {
    if (this.#whole.size > 0 || this.#bySuffix.size > 0) {
      // What is a key is in its normal form already: the common case costs one look-up.
      let value = this.#whole.get(authority);
      const host = value === undefined || this.#bySuffix.size > 0 ? hostOf(authority) : authority;
      if (host !== undefined) {
        value ??= host === authority ? undefined : this.#whole.get(host);
        const answer =
          (value === undefined ? undefined : visit(value, context)) ?? this.#searchSuffixes(host, visit, context);
        if (answer !== undefined) return answer;
      }
    }
    return this.#any === undefined ? undefined : visit(this.#any, context);
  }

  #searchSuffixes<C, R>(host: string, visit: (value: V, context: C) => R | undefined, context: C): R | undefined {
    for (const { length, dotted, others } of this.#lengths) {
      const start = host.length - length;
      if (start <= 0 || (host.charCodeAt(start) === DOT ? dotted : others) === 0) continue;
      const value = this.#bySuffix.get(host.slice(start));
      const answer = value === undefined ? undefined : visit(value, context);
      if (answer !== undefined) return answer;
    }
    return undefined;
  }

  #count(suffix: string, by: 1 | -1): void {
    const { length } = suffix;
    let entry = this.#lengths.find((candidate) => candidate.length === length);
    if (entry === undefined) {
      entry = { length, dotted: 0, others: 0 };
      this.#lengths.push(entry);
      this.#lengths.sort((a, b) => b.length - a.length);
    }
    if (suffix.charCodeAt(0) === DOT) entry.dotted += by;
    else entry.others += by;
    if (entry.dotted + entry.others === 0) this.#lengths = this.#lengths.filter((candidate) => candidate !== entry);
  }
}

function isWildcard(pattern: string): boolean {
  return pattern.startsWith('*');
}

function wholeHost(pattern: string): string {
  return hostOf(pattern) ?? pattern;
}
