// One spelling of a path, for routing and forwarding alike: two spellings that mean the same to a server must not be two
// paths to a route in front of it. The rule is the syntax-based normal form of RFC 3986 section 6.2.2, and docs/request.md
// says it to users. What a server may read in two ways without either being wrong (`//`, `%2F`, `%5C`, `;…`) stays as it
// came; what has no meaning at all is refused.

/** What makes a path malformed; the texts are {@link PATH_FAULTS}. */
export const BAD_TRIPLET = 0;
export const ENCODED_NUL = 1;
export const RAW_BACKSLASH = 2;
export const ABOVE_ROOT = 3;
export type PathFault = typeof BAD_TRIPLET | typeof ENCODED_NUL | typeof RAW_BACKSLASH | typeof ABOVE_ROOT;

/** A sentence for each {@link PathFault}: fixed text, never bytes of the caller. */
export const PATH_FAULTS: readonly [string, string, string, string] = [
  'a percent sign in the path without two hexadecimal digits',
  'an encoded NUL in the path',
  'a backslash in the path',
  'a path that climbs above its root',
];

/** What an ordinary path has nothing of: 15 to 25 ns for the path of a gRPC method. */
const MAY_DIFFER = /[%\\]|\/\./;
const TRIPLETS = /%([0-9A-Fa-f]{2})?/g;
/** RFC 3986 section 2.3. */
const UNRESERVED = /^[A-Za-z0-9\-._~]$/;
const DOT_SEGMENT = /\/\.\.?(?:\/|$)/;
const SLASH = 0x2f;

/**
 * The normal form of a request target in origin form (`/path?query`) or `*`: triplets of the path in upper case, encoded
 * unreserved characters decoded, dot segments resolved. The query is left alone. The answer is a {@link PathFault} where
 * the path has none. Applied to its own answer it changes nothing.
 */
export function normalizePath(target: string): string | PathFault {
  return MAY_DIFFER.test(target) ? normalize(target) : target;
}

function normalize(target: string): string | PathFault {
  const queryAt = target.indexOf('?');
  let path = queryAt < 0 ? target : target.slice(0, queryAt);
  if (path.includes('\\')) return RAW_BACKSLASH;
  if (path.includes('%')) {
    let fault: PathFault | undefined;
    path = path.replace(TRIPLETS, (triplet: string, digits: string | undefined) => {
      if (digits === undefined) fault ??= BAD_TRIPLET;
      else if (digits === '00') fault ??= ENCODED_NUL;
      else {
        const character = String.fromCharCode(Number.parseInt(digits, 16));
        return UNRESERVED.test(character) ? character : triplet.toUpperCase();
      }
      return triplet;
    });
    if (fault !== undefined) return fault;
  }
  if (DOT_SEGMENT.test(path)) {
    const resolved = resolveDots(path);
    if (resolved === undefined) return ABOVE_ROOT;
    path = resolved;
  }
  return queryAt < 0 ? path : path + target.slice(queryAt);
}

/** RFC 3986 section 5.2.4, except that a `..` with nothing to remove is a fault: undefined. An empty segment is one. */
function resolveDots(path: string): string | undefined {
  const kept: string[] = [];
  let start = 1;
  for (;;) {
    let end = start;
    while (end < path.length && path.charCodeAt(end) !== SLASH) end++;
    const isLast = end === path.length;
    const segment = path.slice(start, end);
    if (segment === '..' && kept.pop() === undefined) return undefined;
    if (segment !== '.' && segment !== '..') kept.push(segment);
    else if (isLast) kept.push(''); // `/a/..` and `/a/.` name a folder
    if (isLast) return `/${kept.join('/')}`;
    start = end + 1;
  }
}
