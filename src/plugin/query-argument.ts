// One argument of a request's query, as APISIX reads it: arguments lie between `&`, `%XX` and `+` are decoded in names and
// values, and names have a case.

/** What a query has of a name. */
export type QueryArgument =
  | { readonly kind: 'absent' }
  | { readonly kind: 'value'; readonly value: string }
  /** It is there without a value, or more than once. */
  | { readonly kind: 'unclear' };

const ABSENT: QueryArgument = { kind: 'absent' };
const UNCLEAR: QueryArgument = { kind: 'unclear' };

/** Finds the argument called `name`, a latin1 text, in the query of `path`. */
export function findArgument(path: string, name: string): QueryArgument {
  const queryAt = path.indexOf('?');
  if (queryAt < 0) return ABSENT;
  let found = ABSENT;
  for (let start = queryAt + 1; start < path.length;) {
    const end = endOfArgument(path, start);
    const equalsAt = path.indexOf('=', start);
    const hasValue = equalsAt >= 0 && equalsAt < end;
    if (isCalled(path, start, hasValue ? equalsAt : end, name)) {
      if (found !== ABSENT || !hasValue) return UNCLEAR;
      found = { kind: 'value', value: decode(path.slice(equalsAt + 1, end)) };
    }
    start = end + 1;
  }
  return found;
}

/** `path` without the arguments called `name`; the others stay as they are, byte for byte. No `?` is left with nothing behind it. */
export function removeArguments(path: string, name: string): string {
  const queryAt = path.indexOf('?');
  if (queryAt < 0) return path;
  const all = path.slice(queryAt + 1).split('&');
  const kept = all.filter((argument) => {
    const equalsAt = argument.indexOf('=');
    return !isCalled(argument, 0, equalsAt < 0 ? argument.length : equalsAt, name);
  });
  if (kept.length === all.length) return path;
  const query = kept.join('&');
  return query === '' ? path.slice(0, queryAt) : path.slice(0, queryAt + 1) + query;
}

/**
 * `path` with `substitute` in the place of every value of the arguments called `name`. The case of names doesn't matter here: what an
 * endpoint may take for a key is one.
 */
export function maskArguments(path: string, name: string, substitute: string): string {
  const queryAt = path.indexOf('?');
  if (queryAt < 0) return path;
  const folded = name.toLowerCase();
  let masked = path.slice(0, queryAt + 1);
  for (let start = queryAt + 1; start < path.length;) {
    const end = endOfArgument(path, start);
    const equalsAt = path.indexOf('=', start);
    const hasValue = equalsAt >= 0 && equalsAt < end;
    if (hasValue && decode(path.slice(start, equalsAt)).toLowerCase() === folded) {
      masked += path.slice(start, equalsAt + 1) + substitute + path.slice(end, end + 1);
    } else masked += path.slice(start, end + 1);
    start = end + 1;
  }
  return masked;
}

function endOfArgument(path: string, start: number): number {
  const end = path.indexOf('&', start);
  return end < 0 ? path.length : end;
}

function isCalled(text: string, start: number, end: number, name: string): boolean {
  const length = end - start;
  // What is encoded is longer, or as long where a `+` is a blank.
  if (length < name.length) return false;
  if (length === name.length && text.startsWith(name, start)) return true;
  return decode(text.slice(start, end)) === name;
}

/** A percent sign without two digits stays. */
function decode(text: string): string {
  if (!text.includes('%') && !text.includes('+')) return text;
  return text.replaceAll(/\+|%([0-9a-f]{2})/gi, (_, byte: string | undefined) =>
    byte === undefined ? ' ' : String.fromCharCode(parseInt(byte, 16)),
  );
}
