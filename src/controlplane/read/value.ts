// A value of a YAML or JSON document together with its path and place, so that whoever reads it can say exactly what is
// wrong where. Reading methods return undefined after they have reported the error: a reader goes on and finds all.
import { type Alias, isAlias, isMap, isScalar, isSeq, type LineCounter, type Node, type Pair } from 'yaml';
import { suggest } from '../../config/suggest.ts';
import type { Finding, Origin, Severity } from '../finding.ts';

/** The object that is being read: where it stands and what was found in it. */
export class ObjectReport {
  readonly findings: Finding[] = [];
  readonly file: string;
  readonly lines: LineCounter;
  /** What each alias of the document stands for. */
  readonly aliases: ReadonlyMap<Alias, Node>;
  /** `ApisixUpstream default/foo`, once that is known. */
  object = '';

  constructor(file: string, lines: LineCounter, aliases: ReadonlyMap<Alias, Node>) {
    this.file = file;
    this.lines = lines;
    this.aliases = aliases;
  }

  /** Whether an error was reported. */
  get failed(): boolean {
    return this.findings.some((finding) => finding.severity === 'error');
  }

  /** The place of an offset into the file. */
  originAt(offset: number): Origin {
    const { line, col } = this.lines.linePos(offset);
    return { file: this.file, line: Math.max(1, line), column: Math.max(1, col) };
  }

  add(severity: Severity, origin: Origin, path: string, message: string, fix: string | undefined): void {
    this.findings.push({
      severity,
      ...origin,
      object: oneLine(this.object),
      path: oneLine(path),
      message: oneLine(message),
      fix: fix && oneLine(fix),
    });
  }
}

/** A value, its path and its place. */
export class Value {
  readonly report: ObjectReport;
  readonly node: Node | undefined;
  readonly path: string;
  /** Place of the value in its file. */
  readonly offset: number;
  private readonly keyOffset: number;

  /** `keyOffset` is where the value's key stands, or for an item the list. */
  constructor(report: ObjectReport, node: unknown, path: string, keyOffset: number) {
    this.report = report;
    this.path = path;
    this.keyOffset = keyOffset;
    this.offset = rangeStart(node) ?? keyOffset;
    this.node = resolve(node, report.aliases);
  }

  get origin(): Origin {
    return this.report.originAt(this.offset);
  }

  /** Where the key stands. */
  get keyOrigin(): Origin {
    return this.report.originAt(this.keyOffset);
  }

  /** Written without a value, or as null. */
  get isEmpty(): boolean {
    return this.node === undefined || (isScalar(this.node) && this.node.value === null);
  }

  error(message: string, fix?: string): void {
    this.report.add('error', this.origin, this.path, message, fix);
  }

  warn(message: string, fix?: string): void {
    this.report.add('warning', this.origin, this.path, message, fix);
  }

  note(message: string, fix?: string): void {
    this.report.add('note', this.origin, this.path, message, fix);
  }

  /** A finding about the key rather than what stands behind it. */
  keyFinding(severity: Severity, message: string, fix?: string): void {
    this.report.add(severity, this.keyOrigin, this.path, message, fix);
  }

  /** Text, number or boolean as written; undefined for a map, a list and null. Reports nothing. */
  scalar(): string | number | boolean | undefined {
    const value = isScalar(this.node) ? this.node.value : undefined;
    return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean' ? value : undefined;
  }

  /** A text. */
  text(): string | undefined {
    const value = this.scalar();
    if (typeof value === 'string') return value;
    if (value === undefined) this.error(`must be a text, not ${this.shape()}`);
    else this.error(`must be a text, not ${this.shape()}`, `write "${String(value)}" in quotes`);
    return undefined;
  }

  /** A whole number from `min` to `max`; one in quotes is read, with a warning. */
  integer(min: number, max: number): number | undefined {
    const value = this.scalar();
    let number = value;
    if (typeof value === 'string' && /^-?\d{1,15}$/.test(value)) {
      this.warn(`'${value}' is a text where a number belongs`, `write ${value} without quotes`);
      number = Number(value);
    }
    if (typeof number !== 'number' || !Number.isInteger(number)) {
      this.error(`must be a whole number from ${min} to ${max}, not ${this.shape()}`);
      return undefined;
    }
    if (number >= min && number <= max) return number;
    this.error(`${number} is out of bounds`, `write a whole number from ${min} to ${max}`);
    return undefined;
  }

  /** `true` or `false`. */
  boolean(): boolean | undefined {
    const value = this.scalar();
    if (typeof value === 'boolean') return value;
    this.error(`must be true or false, not ${this.shape()}`);
    return undefined;
  }

  /** One of `known`. */
  word<W extends string>(known: readonly W[]): W | undefined {
    const value = this.scalar();
    const found = known.find((word) => word === value);
    if (found !== undefined) return found;
    if (typeof value === 'string') {
      this.error(`'${value}' is not known (${known.join(', ')})`, didYouMean(value, known));
    } else {
      this.error(`must be one of ${known.join(', ')}, not ${this.shape()}`);
    }
    return undefined;
  }

  /** The items of a list. */
  list(): Value[] | undefined {
    if (isSeq(this.node)) {
      return this.node.items.map((item, i) => new Value(this.report, item, `${this.path}[${i}]`, this.offset));
    }
    this.error(`must be a list, not ${this.shape()}`);
    return undefined;
  }

  /**
   * The members of a map in which every key must be one of `known`. An unknown key is an error with a suggestion; one
   * that only has blanks too many is taken, with a warning; an empty value is left out, with a warning.
   */
  members<K extends string>(known: readonly K[]): Members<K> | undefined {
    const all = this.anyMembers();
    if (all === undefined) return undefined;
    const members = new Map<K, Value>();
    for (const [key, value] of all) {
      const name = known.find((word) => word === key) ?? known.find((word) => word === key.trim());
      if (name === undefined) {
        value.keyFinding('error', `unknown field (known: ${known.join(', ')})`, didYouMean(key, known));
      } else if (name !== key && all.has(name)) {
        value.keyFinding(
          'error',
          `the key '${key}' has blanks around it, and '${name}' stands beside it`,
          `remove one of the two`,
        );
      } else {
        const clean = name === key ? value : value.at(joinPath(this.path, name));
        if (name !== key) {
          const message = `the key '${key}' has blanks around it and is read as '${name}'`;
          clean.keyFinding('warning', message, 'remove the blanks');
        }
        if (clean.isEmpty) clean.keyFinding('warning', 'has no value and is left out', 'give it a value or remove it');
        else members.set(name, clean);
      }
    }
    return members;
  }

  /** The members of a map with any keys, empty values included. */
  anyMembers(): Map<string, Value> | undefined {
    if (!isMap(this.node)) {
      this.error(`must be a map, not ${this.shape()}`);
      return undefined;
    }
    const members = new Map<string, Value>();
    this.collect(this.node.items, members);
    return members;
  }

  /** A member by key or an item by index; undefined if there is none. Reports nothing. */
  child(step: string): Value | undefined {
    if (isMap(this.node)) return this.anyMembers()?.get(step);
    if (isSeq(this.node) && /^\d+$/.test(step)) return this.list()?.[Number(step)];
    return undefined;
  }

  /** The same value under another path. */
  at(path: string): Value {
    return new Value(this.report, this.node, path, this.keyOffset);
  }

  /** What was written, in words, for a message. */
  shape(): string {
    if (this.isEmpty) return 'nothing';
    if (isMap(this.node)) return 'a map';
    if (isSeq(this.node)) return 'a list';
    const value = this.scalar();
    return typeof value === 'string' ? `'${value}'` : String(value);
  }

  /** Members that `<<` merges stand first, so that a key written here replaces them (YAML merge keys). */
  private collect(pairs: readonly Pair[], into: Map<string, Value>): void {
    for (const pair of pairs) {
      if (!isMergeKey(pair.key)) continue;
      const merged = resolve(pair.value, this.report.aliases);
      for (const part of isSeq(merged) ? merged.items.toReversed() : [merged]) {
        const map = resolve(part, this.report.aliases);
        if (isMap(map)) this.collect(map.items, into);
      }
    }
    for (const pair of pairs) {
      if (isMergeKey(pair.key)) continue;
      const key = isScalar(pair.key) ? String(pair.key.value) : String(pair.key);
      const path = joinPath(this.path, key);
      into.set(key, new Value(this.report, pair.value, path, rangeStart(pair.key) ?? this.offset));
    }
  }
}

/** Longest text of a finding; what a file holds may be a megabyte of anything. */
const MAX_MESSAGE_LENGTH = 500;

/**
 * PEM text that is out of place may be a private key, so it is cut out of whatever is said about it. A line that a reason
 * names stands in backticks and holds nothing.
 */
const PEM = /-----BEGIN(?! [A-Z ]+-----`)[^]*/;

/** Without PEM text, line breaks and other control characters, cut where it is too long. */
function oneLine(text: string): string {
  const plain = text
    .replace(PEM, '[PEM text]')
    .slice(0, MAX_MESSAGE_LENGTH + 1)
    .replace(
      /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g,
      (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
    );
  return plain.length > MAX_MESSAGE_LENGTH ? `${plain.slice(0, MAX_MESSAGE_LENGTH)}…` : plain;
}

/** Members of a map by known name. */
export interface Members<K extends string> {
  get(name: K): Value | undefined;
  has(name: K): boolean;
}

/** `did you mean 'grpc'?`, where something near is known. */
export function didYouMean(word: string, known: Iterable<string>): string | undefined {
  const near = suggest(word, known);
  return near === undefined ? undefined : `did you mean '${near}'?`;
}

/** Keys that aren't plain words stand in brackets: `metadata.labels["app/name"]`. */
export function joinPath(path: string, key: string): string {
  const plain = /^[\w-]+$/.test(key);
  return plain ? (path === '' ? key : `${path}.${key}`) : `${path}[${JSON.stringify(key)}]`;
}

function resolve(node: unknown, aliases: ReadonlyMap<Alias, Node>): Node | undefined {
  if (isAlias(node)) return aliases.get(node);
  return isScalar(node) || isMap(node) || isSeq(node) ? node : undefined;
}

/** An empty value's own range is not where anybody looks; then the key's is taken. */
function rangeStart(node: unknown): number | undefined {
  if (isScalar(node) && node.value === null && (node.source === undefined || node.source === '')) return undefined;
  if (!isScalar(node) && !isMap(node) && !isSeq(node) && !isAlias(node)) return undefined;
  return node.range?.[0];
}

function isMergeKey(key: unknown): boolean {
  return isScalar(key) && (key.value === '<<' || (typeof key.value === 'symbol' && key.value.description === '<<'));
}
