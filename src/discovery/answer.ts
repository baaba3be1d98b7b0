// What is known of a name, and how a new answer and the one before it make the next. A part that couldn't be learned
// this time (one family of addresses, one target of an SRV record) is taken from before: a fault of DNS never removes
// anything. Which of the addresses are used is decided after that (own-families.ts): of a family that this machine
// lacks the addresses are kept as well.
import type { SrvRecord } from './dns-client.ts';

/** A part of an answer that couldn't be learned. */
export interface Gap {
  readonly host: string;
  /** Family of addresses that is missing; undefined: both. */
  readonly family: 4 | 6 | undefined;
  /** Why, in words. */
  readonly reason: string;
}

/** What a name stands for. */
export interface Answer {
  /**
   * Full name that was found, with the search domain, without final dot; the name itself where it stood in the hosts
   * file.
   */
  readonly foundAs: string;
  /** SRV records; undefined: plain addresses. */
  readonly records: readonly SrvRecord[] | undefined;
  /** Addresses of `foundAs`, or of each target; ordered, in their one spelling. A host without any isn't here. */
  readonly addresses: ReadonlyMap<string, readonly string[]>;
  readonly gaps: readonly Gap[];
  /** How long it may be used before it is asked for again, ms; as the server says. */
  readonly ttlMs: number;
}

/** What came of a look-up: an answer, or why there is none, in words. */
export type LookupResult = { readonly answer: Answer } | { readonly failure: string };

/** `next` with what it lacks from `previous`. */
export function mergeAnswer(previous: Answer | undefined, next: Answer): Answer {
  return !previous || next.gaps.length === 0 ? next : { ...next, addresses: fillGaps(previous, next) };
}

function fillGaps(previous: Answer, next: Answer): ReadonlyMap<string, readonly string[]> {
  const addresses = new Map(next.addresses);
  for (const { host, family } of next.gaps) {
    const kept = (previous.addresses.get(host) ?? []).filter((it) => family === undefined || familyOf(it) === family);
    if (kept.length === 0) continue;
    addresses.set(host, [...new Set([...(addresses.get(host) ?? []), ...kept])].sort(byCodeUnits));
  }
  return addresses;
}

/** Whether both stand for the same endpoints. Gaps and times to live don't matter. */
export function isSameAnswer(a: Answer, b: Answer): boolean {
  return (
    a.foundAs === b.foundAs &&
    sameRecords(a.records, b.records) &&
    a.addresses.size === b.addresses.size &&
    [...a.addresses].every(([host, list]) => sameList(list, b.addresses.get(host) ?? []))
  );
}

function sameRecords(a: readonly SrvRecord[] | undefined, b: readonly SrvRecord[] | undefined): boolean {
  if (!a || !b) return a === b;
  return a.length === b.length && a.every((record, i) => b[i] !== undefined && compareRecords(record, b[i]) === 0);
}

/** Orders SRV records, so that answers that differ in order alone are the same. */
export function compareRecords(a: SrvRecord, b: SrvRecord): number {
  return byCodeUnits(a.target, b.target) || a.port - b.port || a.priority - b.priority || a.weight - b.weight;
}

/** The order of code units: the same on every machine. */
export function byCodeUnits(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

function sameList(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((item, i) => item === b[i]);
}

function familyOf(address: string): 4 | 6 {
  return address.includes(':') ? 6 : 4;
}
