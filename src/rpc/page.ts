// Pages of long lists. A token is the position of the last item shown, so a list that changes between two pages
// neither repeats nor skips what stayed. It is bound to the request's filters.

/** Items of a page when the request doesn't say. */
export const DEFAULT_PAGE_SIZE = 1000;
/** Most items of a page. */
export const MAX_PAGE_SIZE = 10_000;
/** A page ends after about this many bytes: gRPC clients take 4 MiB by default. One item alone may be larger. */
export const MAX_PAGE_BYTES = 2 * 1024 * 1024;

/** Position in an ordered list: the sort key of an item. Parts compare one by one, strings by code unit. */
export type Position = readonly (string | number)[];

/** A refused request field: `INVALID_ARGUMENT`. */
export class FieldError extends Error {
  override readonly name = 'FieldError';
  constructor(field: string, reason: string) {
    super(`${field}: ${reason}`);
  }
}

/** Less than 0, 0 or more than 0. Positions of one list have parts of the same types. */
export function comparePositions(a: Position, b: Position): number {
  for (let i = 0; i < a.length; i++) {
    const left = a[i];
    const right = b[i];
    if (left === undefined || right === undefined || left === right) continue;
    return left < right ? -1 : 1;
  }
  return 0;
}

/** Page size of a request; 0 stands for the default. Throws {@link FieldError}. */
export function pageSize(requested: number): number {
  if (requested === 0) return DEFAULT_PAGE_SIZE;
  if (requested <= MAX_PAGE_SIZE) return requested;
  throw new FieldError('page_size', `${requested} is more than ${MAX_PAGE_SIZE}`);
}

/** The token for what follows `last`. `filters` are the request's other fields. */
export function encodePageToken(filters: Position, last: Position): string {
  return Buffer.from(JSON.stringify([filters, last])).toString('base64url');
}

/**
 * The position in a token; undefined for the empty token, the first page. Throws {@link FieldError} for a token that
 * isn't from an answer to a request with the same filters. `shape` is any position of the list.
 */
export function decodePageToken(token: string, filters: Position, shape: Position): Position | undefined {
  if (token === '') return undefined;
  const decoded = parse(Buffer.from(token, 'base64url').toString());
  if (!Array.isArray(decoded) || decoded.length !== 2) throw new FieldError('page_token', 'not one that was given out');
  const [before, last]: unknown[] = decoded;
  if (!isPosition(last, shape)) throw new FieldError('page_token', 'not one that was given out');
  if (!isPosition(before, filters) || comparePositions(before, filters) !== 0) {
    throw new FieldError('page_token', 'belongs to a request with other filters');
  }
  return last;
}

/** The first `limit` items after `after` in order, of items in any order; holds no more than twice as many. */
export function firstAfter<T>(
  items: Iterable<T>,
  position: (item: T) => Position,
  after: Position | undefined,
  limit: number,
): T[] {
  const compare = (a: T, b: T): number => comparePositions(position(a), position(b));
  let kept: T[] = [];
  for (const item of items) {
    if (after && comparePositions(position(item), after) <= 0) continue;
    kept.push(item);
    if (kept.length >= 2 * limit + 64) kept = kept.sort(compare).slice(0, limit);
  }
  return kept.sort(compare).slice(0, limit);
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function isPosition(value: unknown, shape: Position): value is Position {
  return (
    Array.isArray(value) && value.length === shape.length && value.every((part, i) => typeof part === typeof shape[i])
  );
}
