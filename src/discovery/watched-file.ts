import { readFileSync, statSync } from 'node:fs';

/**
 * What a small file says, read again whenever it has changed (time, size or inode: Kubernetes renames a new one into
 * place). Each call costs one `stat`. A file that isn't there says what an empty one does; one that can't be read, what
 * it said before.
 */
export function watchedFile<T>(path: string, parse: (text: string) => T): () => T {
  let seen = '';
  let value: T | undefined;
  return () => {
    const stat = statSync(path, { throwIfNoEntry: false });
    const mark = stat === undefined ? 'missing' : `${stat.ino} ${stat.size} ${stat.mtimeMs}`;
    if (value === undefined || mark !== seen) {
      value = readInto(path, stat !== undefined, parse, value);
      seen = mark;
    }
    return value;
  };
}

function readInto<T>(path: string, exists: boolean, parse: (text: string) => T, before: T | undefined): T {
  if (!exists) return parse('');
  try {
    return parse(readFileSync(path, 'utf8'));
  } catch {
    return before ?? parse('');
  }
}
