// The path that routes are looked up with. What is forwarded stays as it came, but many servers take several slashes for
// one and `%2F` for a slash, as nginx and so APISIX do before they choose a route: a route that guards `/admin/*` must guard
// `//admin/x` and `/%2Fadmin/x` too.

const SLASHES = /\/{2,}/g;
const ENCODED_SLASH = /%2f/gi;
const DOT_SEGMENT = /\/\.\.?(?:\/|$)/;

/**
 * The path of a request target without its query: encoded slashes decoded, several slashes made one, dot segments that
 * come to light by that resolved (never above the root). `path` is in normal form otherwise (codec/path.ts).
 */
export function lookupPath(target: string): string {
  const queryAt = target.indexOf('?');
  const path = queryAt < 0 ? target : target.slice(0, queryAt);
  if (!path.includes('//') && !path.includes('%2')) return path;
  const decoded = path.replace(ENCODED_SLASH, '/').replace(SLASHES, '/');
  return DOT_SEGMENT.test(decoded) ? resolveDots(decoded) : decoded;
}

/** RFC 3986 section 5.2.4. */
function resolveDots(path: string): string {
  const kept: string[] = [];
  const segments = path.slice(1).split('/');
  for (const [i, segment] of segments.entries()) {
    if (segment === '..') kept.pop();
    if (segment !== '.' && segment !== '..') kept.push(segment);
    else if (i === segments.length - 1) kept.push(''); // `/a/..` and `/a/.` name a folder
  }
  return `/${kept.join('/')}`;
}
