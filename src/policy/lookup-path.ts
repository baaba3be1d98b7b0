// The path that routes are looked up with. What is forwarded stays as it came, but many servers take several slashes for
// one and `%2F` for a slash, as nginx and so APISIX do before they choose a route: a route that guards `/admin/*` must guard
// `//admin/x` and `/%2Fadmin/x` too.

const SLASHES = /\/{2,}/g;
const ENCODED_SLASH = /%2f/gi;
const DOT_SEGMENT = /\/\.\.?(?:\/|$)/;

/**
 * The path of a request target without its query: encoded slashes decoded, several slashes made one. `target` is in normal
 * form otherwise (codec/path.ts). Undefined where a dot segment comes to light by that: it would be resolved by some
 * servers and not by others, and no one path could be looked up that means the same to both.
 */
export function lookupPath(target: string): string | undefined {
  const queryAt = target.indexOf('?');
  const path = queryAt < 0 ? target : target.slice(0, queryAt);
  if (!path.includes('//') && !path.includes('%2')) return path;
  const decoded = path.replace(ENCODED_SLASH, '/').replace(SLASHES, '/');
  return DOT_SEGMENT.test(decoded) ? undefined : decoded;
}
