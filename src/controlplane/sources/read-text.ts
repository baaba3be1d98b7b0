// The text of a configuration file. A decoder that replaces what it can't read would change names and values silently.
import { readFileSync } from 'node:fs';

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Text of a file. Throws where it can't be read or is not UTF-8, with the reason. */
export function readText(path: string): string {
  const bytes = readFileSync(path);
  try {
    return utf8.decode(bytes);
  } catch {
    throw new Error('it is not UTF-8; save it in that encoding');
  }
}
