// How names without all their labels are completed, by /etc/resolv.conf (resolv.conf(5)). c-ares takes the name servers
// from the file itself; its queries know nothing of the search list, so that is done here.
import { isAbsolute, withoutFinalDot } from './final-dot.ts';

/** What is used of the file. */
export interface ResolvConf {
  /** Domains to complete a name with, lower case without final dot, in order. */
  readonly search: readonly string[];
  /** A name with as many dots or more is asked for as it is first; below that, last. 0 to 15, default 1. */
  readonly ndots: number;
  /** Wait for one server's answer at the first try, ms; undefined: not stated. 1 s to 30 s. */
  readonly timeoutMs: number | undefined;
  /** Tries of each server; undefined: not stated. 1 to 5. */
  readonly tries: number | undefined;
}

/** Reads the file's text; of `domain` and `search` the last line stands. */
export function parseResolvConf(text: string): ResolvConf {
  let search: readonly string[] = [];
  let ndots = 1;
  let timeoutMs: number | undefined;
  let tries: number | undefined;
  for (const line of text.split('\n')) {
    const [keyword = '', ...values] = line
      .replace(/[#;].*/, '')
      .trim()
      .split(/\s+/);
    if (keyword === 'domain') search = values.slice(0, 1).map(domainOf).filter(isDomain);
    else if (keyword === 'search') search = values.map(domainOf).filter(isDomain);
    else if (keyword === 'options') {
      for (const value of values) {
        const [, option, digits] = /^(ndots|timeout|attempts):(\d+)$/.exec(value) ?? [];
        const number = Number(digits);
        if (option === 'ndots') ndots = Math.min(number, 15);
        else if (option === 'timeout') timeoutMs = Math.min(Math.max(number, 1), 30) * 1000;
        else if (option === 'attempts') tries = Math.min(Math.max(number, 1), 5);
      }
    }
  }
  return { search, ndots, timeoutMs, tries };
}

/** The full names that `name` may mean, without final dot, in the order to ask for them. */
export function candidatesOf(name: string, { search, ndots }: ResolvConf): readonly string[] {
  if (isAbsolute(name)) return [withoutFinalDot(name)];
  const completed = search.map((domain) => `${name}.${domain}`);
  const dots = name.split('.').length - 1;
  return dots >= ndots ? [name, ...completed] : [...completed, name];
}

function domainOf(text: string): string {
  return withoutFinalDot(text.toLowerCase());
}

/** `.` alone asks for nothing to be added. */
function isDomain(text: string): boolean {
  return text !== '';
}
