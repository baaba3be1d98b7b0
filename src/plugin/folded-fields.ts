// Fields that a caller must not get past us under another spelling. Servers that hand fields to programs as variables (CGI and
// what came after it) read `X-Consumer-Username` and `x_consumer_username` as one; so whoever takes a field out takes out
// both.
import type { Fields } from '../codec/exchange.ts';

/** A field's name in lower case and with `_` for `-`. */
export function foldName(name: string): string {
  return name.toLowerCase().replaceAll('-', '_');
}

/** Takes out, in place, the fields whose folded names are among `folded`. */
export function removeFolded(fields: Fields, folded: readonly string[]): void {
  let kept = 0;
  for (let i = 0; i < fields.length; i += 2) {
    if (isAmong(fields[i]!, folded)) continue;
    if (kept !== i) {
      fields[kept] = fields[i]!;
      fields[kept + 1] = fields[i + 1]!;
    }
    kept += 2;
  }
  fields.length = kept;
}

function isAmong(name: string, folded: readonly string[]): boolean {
  for (const candidate of folded) {
    // Lengths first: nearly all fields are none of these.
    if (candidate.length === name.length && foldName(name) === candidate) return true;
  }
  return false;
}
