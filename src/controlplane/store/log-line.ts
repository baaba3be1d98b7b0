// One line of the store's files: a JSON object that begins with a checksum of the rest of it.
//
//   {"sum":"9f86d081884c7d65","revision":7,"durable":6,"changes":[…]}
//
// So a line that was torn or damaged is told from a whole one, and people can still read the files with jq.
import { createHash } from 'node:crypto';
import type { JsonObject } from './store.ts';

const PREFIX = '{"sum":"';
const SUM_DIGITS = 16;
/** Where the part begins that the sum is of: behind `{"sum":"…",`. */
const REST_AT = PREFIX.length + SUM_DIGITS + 2;
const LINE_FEED = 10;

/** A line with its line feed. `record` must not be empty. */
export function encodeLine(record: object): string {
  const rest = JSON.stringify(record).slice(1);
  return `${PREFIX}${sumOf(rest)}",${rest}\n`;
}

/** The object of a line without its line feed; undefined: it isn't whole. */
export function decodeLine(line: Buffer): JsonObject | undefined {
  if (line.length <= REST_AT || line.toString('latin1', 0, PREFIX.length) !== PREFIX) return undefined;
  const sum = line.toString('latin1', PREFIX.length, PREFIX.length + SUM_DIGITS);
  if (sum !== sumOf(line.subarray(REST_AT))) return undefined;
  try {
    return JSON.parse(line.toString('utf8')) as JsonObject;
  } catch {
    return undefined;
  }
}

/** One line of a file. */
export interface FileLine {
  /** From 1 on. */
  readonly number: number;
  /** Where it begins, in bytes. */
  readonly offset: number;
  /** Without the line feed. */
  readonly bytes: Buffer;
  /** False: the file ends without a line feed. */
  readonly isEnded: boolean;
}

/** The lines of a file, one at a time. */
export function* linesOf(file: Buffer): Generator<FileLine> {
  let offset = 0;
  for (let number = 1; offset < file.length; number++) {
    const found = file.indexOf(LINE_FEED, offset);
    const end = found < 0 ? file.length : found;
    yield { number, offset, bytes: file.subarray(offset, end), isEnded: found >= 0 };
    offset = end + 1;
  }
}

function sumOf(rest: string | Buffer): string {
  return createHash('sha256').update(rest).digest('hex').slice(0, SUM_DIGITS);
}
