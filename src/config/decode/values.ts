// Checks of single values, each with the bound in its message. They take the path and add to the list of problems;
// `undefined` (not set) passes everywhere.
import { canonicalBlock, canonicalIp } from '../../base/ip-address.ts';
import { entry, keyed, type ProblemList, quote } from '../problem-list.ts';
import { suggest } from '../suggest.ts';

/** Longest time that a resource may state, seconds: about 30 years. */
export const MAX_SECONDS = 1e9;

/** A time in seconds. `above` 0: greater than 0; `least` 0 or 1: that or more; at most {@link MAX_SECONDS}. */
export function checkSeconds(
  problems: ProblemList,
  path: string,
  value: number | undefined,
  bound: { readonly above: number } | { readonly least: number },
): void {
  if (value === undefined) return;
  if ('above' in bound ? !(value > bound.above) : !(value >= bound.least)) {
    problems.add(path, 'above' in bound ? `must be greater than ${bound.above}` : `must be ${bound.least} or more`);
  } else if (value > MAX_SECONDS) problems.add(path, `must be at most ${MAX_SECONDS} seconds`);
}

/** A whole number between two bounds, both included. */
export function checkRange(
  problems: ProblemList,
  path: string,
  value: number | undefined,
  least: number,
  most: number,
): void {
  if (value === undefined) return;
  if (!(value >= least && value <= most)) problems.add(path, `must be between ${least} and ${most}, not ${value}`);
}

/** A whole number with a lower bound. */
export function checkLeast(problems: ProblemList, path: string, value: number | undefined, least: number): void {
  if (value !== undefined && !(value >= least)) problems.add(path, `must be ${least} or more, not ${value}`);
}

/** A port, 1 to 65535. */
export function checkPort(problems: ProblemList, path: string, value: number | undefined): void {
  checkRange(problems, path, value, 1, 65535);
}

/** A word of a closed set. `planned` words are known and not supported yet. */
export function checkWord(
  problems: ProblemList,
  path: string,
  value: string | undefined,
  words: readonly string[],
  planned: readonly string[] = [],
): void {
  if (value === undefined || words.includes(value)) return;
  if (planned.includes(value)) problems.add(path, `'${value}' is not supported yet`);
  else {
    const near = suggest(value, [...words, ...planned]);
    const hint = near === undefined ? '' : `: did you mean '${near}'?`;
    problems.add(path, `${quote(value)} is none of ${words.join(', ')}${hint}`);
  }
}

/** An IP address without brackets. */
export function checkIp(problems: ProblemList, path: string, value: string): void {
  const reason = ipProblem(value);
  if (reason !== undefined) problems.add(path, reason);
}

/** What is wrong with an IP address; undefined if nothing is. */
export function ipProblem(value: string): string | undefined {
  if (canonicalIp(value) !== undefined) return undefined;
  if (value === '') return 'required: an IP address';
  if (/^\[.*\]$/.test(value) && canonicalIp(value.slice(1, -1)) !== undefined) {
    return `${quote(value)} must stand without brackets here`;
  }
  if (/%/.test(value) && canonicalIp(value.slice(0, value.indexOf('%'))) !== undefined) {
    return `${quote(value)}: an IPv6 address with a zone is not supported; give one without`;
  }
  if (/^[A-Za-z0-9_][A-Za-z0-9_.-]*$/.test(value) && /[A-Za-z]/.test(value)) {
    return `${quote(value)} is a DNS name: give an IP address`;
  }
  return `${quote(value)} is no IP address`;
}

/** What is wrong with an IP address or CIDR block; undefined if nothing is. */
export function blockProblem(value: string): string | undefined {
  if (canonicalBlock(value) !== undefined) return undefined;
  if (value === '') return 'required: an IP address or a CIDR block';
  const slash = value.indexOf('/');
  const reason = ipProblem(slash < 0 ? value : value.slice(0, slash));
  if (reason !== undefined) return slash < 0 ? reason.replace(/IP address$/, 'IP address or CIDR block') : reason;
  const most = value.includes(':') ? 128 : 32;
  return `${quote(value)}: behind the slash stands the length of the prefix, 0 to ${most}`;
}

/** A name by which another resource is asked for. `*` would ask for all of them. */
export function nameProblem(name: string): string | undefined {
  if (name === '') return 'required: a name';
  if (name === '*') return "'*' can't be a name";
  if (/[\u0000-\u0020\u007f]/.test(name)) return `${quote(name)} must have no blanks or control characters`;
  return undefined;
}

/** Statuses of a health check: 200 to 599, each once (APISIX `http_statuses`). */
export function checkStatuses(problems: ProblemList, path: string, statuses: readonly number[]): void {
  const seen = new Set<number>();
  for (const [i, status] of statuses.entries()) {
    checkRange(problems, entry(path, i), status, 200, 599);
    if (seen.has(status)) problems.add(entry(path, i), `${status} is there twice`);
    seen.add(status);
  }
}

/** Labels: keys that aren't empty, values of at most 256 characters without blanks (APISIX `labels`; an empty value is allowed, as Kubernetes has them). */
export function checkLabels(problems: ProblemList, path: string, labels: Readonly<Record<string, string>>): void {
  for (const [key, value] of Object.entries(labels)) {
    if (key === '') problems.add(path, 'a label needs a key');
    if (value.length > 256) problems.add(keyed(path, key), 'must have at most 256 characters');
    else if (/\s/.test(value)) problems.add(keyed(path, key), `${quote(value)} must have no blanks`);
  }
}
