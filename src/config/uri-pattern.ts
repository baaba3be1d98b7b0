// The paths that a Route matches: whole, with parameters, or a prefix. A request's path is compared in its normal form (RFC
// 3986 section 6.2.2: docs/request.md tells it to users), so a pattern in any other form would match nothing, and is refused
// with the form that was meant.
import { quote } from './problem-list.ts';

/** RFC 3986 section 2.3. */
const UNRESERVED = /^[A-Za-z0-9\-._~]$/;
const PARAMETER_NAME = /^[A-Za-z0-9_-]+$/;

/** What is wrong with one of `uris`; undefined if nothing is. */
export function uriProblem(uri: string): string | undefined {
  if (uri === '') return 'required: a path that starts with /';
  if (!uri.startsWith('/')) return `${quote(uri)} must start with /`;
  const stray = /[?#]/.exec(uri)?.[0];
  if (stray !== undefined)
    return `${quote(uri)} must have no '${stray}': only the path is compared, leave out the rest`;
  if (/[\u0000-\u001f\u007f]/.test(uri)) return `${quote(uri)} must have no control characters`;
  if (uri.includes('\\')) return `${quote(uri)} has a backslash, and requests with one are refused: write /`;
  const star = uri.indexOf('*');
  if (star >= 0 && star < uri.length - 1) {
    return `${quote(uri)}: a * may only stand last, and a segment in between is a parameter: write ${quote(fixedStars(uri))}`;
  }
  return formProblem(uri) ?? parameterProblem(uri);
}

/** The pattern with a parameter in the place of each segment that has a `*`; one in the last segment ends it. */
function fixedStars(uri: string): string {
  const segments = uri.split('/');
  const last = segments.length - 1;
  return segments
    .map((segment, i) => {
      if (!segment.includes('*')) return segment;
      return i < last ? `:segment${i}` : segment.slice(0, segment.indexOf('*') + 1);
    })
    .join('/');
}

/** Whether it is in normal form. */
function formProblem(uri: string): string | undefined {
  const isPrefix = uri.endsWith('*');
  let path = isPrefix ? uri.slice(0, -1) : uri;
  if (/[^\u0021-\u007e]/.test(path)) {
    return `${quote(uri)} must stand as requests send it: ${quote(encodeURI(uri.replace(/\p{Surrogate}/gu, '\ufffd')))}`;
  }
  if (path.includes('%')) {
    const broken = /%(?![0-9A-Fa-f]{2}).{0,2}/.exec(path)?.[0];
    if (broken !== undefined)
      return `${quote(uri)}: two hexadecimal digits must follow the percent sign in '${broken}'`;
    if (path.includes('%00')) return `${quote(uri)} has an encoded NUL, and requests with one are refused`;
    path = path.replace(/%[0-9A-Fa-f]{2}/g, (triplet) => {
      const character = String.fromCharCode(Number.parseInt(triplet.slice(1), 16));
      // An encoded slash is one to whoever looks a route up.
      return character === '/' || UNRESERVED.test(character) ? character : triplet.toUpperCase();
    });
  }
  const resolved = path.includes('/.') ? withoutDots(path, isPrefix) : path;
  if (resolved === undefined) return `${quote(uri)} climbs above its root`;
  const merged = resolved.replace(/\/{2,}/g, '/');
  const normal = isPrefix ? `${merged}*` : merged;
  return normal === uri ? undefined : `${quote(uri)} is compared with paths in normal form: write ${quote(normal)}`;
}

/** The path with its dot segments resolved (RFC 3986 section 5.2.4); undefined where one climbs above the root. */
function withoutDots(path: string, isPrefix: boolean): string | undefined {
  const segments = path.slice(1).split('/');
  const kept: string[] = [];
  for (const [i, segment] of segments.entries()) {
    const isLast = i === segments.length - 1;
    // What a prefix ends in is the beginning of a segment, not one.
    const isDots = (segment === '.' || segment === '..') && !(isLast && isPrefix);
    if (!isDots) kept.push(segment);
    else if (segment === '..' && kept.pop() === undefined) return undefined;
    else if (isLast) kept.push('');
  }
  return `/${kept.join('/')}`;
}

function parameterProblem(uri: string): string | undefined {
  if (!uri.includes('/:')) return undefined;
  const names = new Set<string>();
  for (const segment of uri.split('/')) {
    if (!segment.startsWith(':')) continue;
    const name = segment.slice(1);
    if (name === '') return `${quote(uri)}: a parameter needs a name after its colon, such as ':id'`;
    if (name.endsWith('*'))
      return `${quote(uri)}: a parameter stands for a whole segment: write ${quote(prefixed(uri))}`;
    if (!PARAMETER_NAME.test(name)) {
      return `${quote(uri)}: ${quote(segment)} must be a colon and letters, digits, - and _, for a whole segment`;
    }
    if (names.has(name)) return `${quote(uri)} has the parameter ${quote(`:${name}`)} twice: name each differently`;
    names.add(name);
  }
  return undefined;
}

function prefixed(uri: string): string {
  return `${uri.slice(0, -1)}/*`;
}
