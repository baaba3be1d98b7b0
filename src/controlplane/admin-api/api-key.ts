// Who may use the Admin API: whoever shows its key. There is no default key: one that nobody chose is made once.
import { createHash, timingSafeEqual } from 'node:crypto';
import { chmodSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { makeFolder } from '../../base/folder.ts';
import { secretBytes } from '../../base/rng.ts';
import { createExclusive } from '../store/exclusive-file.ts';

const FILE_NAME = 'admin-key';
/** As long as APISIX's own. */
const KEY_BYTES = 16;
const USABLE = /^[\x21-\x7e]{1,1024}$/;

/** What is wrong with a key; undefined if nothing is. It must fit into a header field. */
export function keyProblem(key: string): string | undefined {
  return USABLE.test(key) ? undefined : 'the key must be 1 to 1024 printable ASCII characters without blanks';
}

/** Compares in a time that tells nothing of the key. */
export function keyMatcher(key: string): (shown: string) => boolean {
  const digest = digestOf(key);
  return (shown) => timingSafeEqual(digestOf(shown), digest);
}

/** A key that lies in the directory of a store. */
export interface KeptKey {
  readonly key: string;
  readonly file: string;
  /** Whether it was made now. */
  readonly isNew: boolean;
}

/** The key of a directory, made if there is none. Throws where it can't be had, with the fix. */
export function keptKey(directory: string): KeptKey {
  const file = join(directory, FILE_NAME);
  try {
    makeFolder(directory);
    const isNew = createExclusive(file, `${secretBytes(KEY_BYTES).toString('hex')}\n`);
    if (isNew) chmodSync(file, 0o600);
    const key = readFileSync(file, 'utf8').trim();
    const problem = keyProblem(key);
    if (problem !== undefined) throw new Error(`${problem}; write one into it, or delete it to have one made`);
    return { key, file, isNew };
  } catch (error) {
    throw new Error(`can't have the admin key ${file}: ${(error as Error).message}`, { cause: error });
  }
}

function digestOf(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
