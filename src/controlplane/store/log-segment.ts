// The log of writes, in segments: each is named by its first revision and holds the following ones, one line each, without
// a gap. What a crash may leave:
//
//   in the last segment     a tail that is torn: it was never acknowledged, and is cut
//   in an earlier segment   lines of a write that failed, behind the last that counts: the next segment begins with the
//                           revision that they would have, so they are passed over
//
// Everything else that isn't whole is damage.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { damaged } from './damage.ts';
import { FORMAT, isObject, otherFormat } from './file-format.ts';
import { decodeLine, encodeLine, type FileLine, linesOf } from './log-line.ts';
import type { Change, JsonObject } from './store.ts';

/** One write. */
export interface LogRecord {
  readonly revision: number;
  /** Revision that was on the disk for certain when this was written. */
  readonly durable: number;
  readonly changes: readonly Change[];
}

/** A segment by its name. */
export interface SegmentName {
  readonly path: string;
  /** Revision of its first record. */
  readonly from: number;
}

const NAME = /^log-(\d{20})\.jsonl$/;

/** The segment that begins with a revision. */
export function segmentName(directory: string, from: number): SegmentName {
  return { path: join(directory, `log-${String(from).padStart(20, '0')}.jsonl`), from };
}

/** The segments among the files of a directory, in order. */
export function segmentsAmong(directory: string, names: readonly string[]): SegmentName[] {
  const found = names.map((name) => NAME.exec(name)?.[1]).filter((digits) => digits !== undefined);
  return found.sort().map((digits) => segmentName(directory, Number(digits)));
}

/** First line of a segment. */
export function encodeHeader(from: number): string {
  return encodeLine({ format: FORMAT, from });
}

/** Line of a write. */
export function encodeRecord({ revision, durable, changes }: LogRecord): string {
  const kept = changes.map((change) =>
    change.op === 'put' ? { op: 'put', key: change.key, value: change.value } : { op: 'delete', key: change.key },
  );
  return encodeLine({ revision, durable, changes: kept });
}

/** What a segment holds. */
export interface ReadSegment {
  readonly records: readonly LogRecord[];
  /** Length of what is whole: 0 if not even the header is. */
  readonly goodBytes: number;
  /** Length of the file. */
  readonly fileBytes: number;
  /** Whether the last line lacks its line feed. */
  readonly isUnended: boolean;
}

/**
 * Reads a segment. `until`: first revision of the next one; undefined: it is the last. Throws where it is damaged.
 */
export function readSegment({ path, from }: SegmentName, until: number | undefined): ReadSegment {
  const file = readFileSync(path);
  const lines = [...linesOf(file)];
  const records: LogRecord[] = [];
  let goodBytes = 0;
  let isUnended = false;
  const result = (): ReadSegment => ({ records, goodBytes, fileBytes: file.length, isUnended });
  for (const [index, line] of lines.entries()) {
    const due = from + records.length;
    if (index > 0 && due === until) return result();
    const decoded = decodeLine(line.bytes);
    if (decoded === undefined) {
      const behind = lines.slice(index + 1);
      if (until === undefined && isTorn(line) && !isAcknowledged(due, behind)) return result();
      throw damagedRecord(path, line, due);
    }
    if (index === 0) {
      if (decoded['format'] !== FORMAT) throw otherFormat(path, decoded['format']);
      if (decoded['from'] !== from) throw damagedRecord(path, line, due);
    } else {
      const record = readRecord(decoded);
      if (record?.revision !== due) throw damagedRecord(path, line, due);
      records.push(record);
    }
    goodBytes = line.offset + line.bytes.length + (line.isEnded ? 1 : 0);
    isUnended = !line.isEnded;
  }
  const due = from + records.length;
  if (until !== undefined && due !== until) {
    const what = `ends before the writes ${due} to ${until - 1}`;
    throw damaged(path, lines.length + 1, what, 'restore the directory from a backup');
  }
  return result();
}

/** Whether a line is one that a crash leaves: it has no end, or parts of it never reached the disk. */
function isTorn(line: FileLine): boolean {
  return !line.isEnded || line.bytes.includes(0);
}

/** Whether lines behind that of a revision prove that it was on the disk. */
function isAcknowledged(revision: number, behind: readonly FileLine[]): boolean {
  return behind.some((line) => Number(decodeLine(line.bytes)?.['durable'] ?? -1) >= revision);
}

function readRecord(decoded: JsonObject): LogRecord | undefined {
  const { revision, durable, changes } = decoded;
  if (typeof revision !== 'number' || typeof durable !== 'number' || !Array.isArray(changes)) return undefined;
  const read = changes.map(readChange);
  return read.every((change) => change !== undefined) ? { revision, durable, changes: read } : undefined;
}

function readChange(change: unknown): Change | undefined {
  if (!isObject(change)) return undefined;
  const { op, key, value } = change;
  if (typeof key !== 'string') return undefined;
  if (op === 'delete') return { op, key };
  return op === 'put' && isObject(value) ? { op, key, value } : undefined;
}

function damagedRecord(path: string, line: FileLine, revision: number): Error {
  const fix = `restore it from a backup, or cut it there and lose this and all later writes: truncate -s ${line.offset} ${path}`;
  return damaged(path, line.number, `the write ${revision} is damaged`, fix);
}
