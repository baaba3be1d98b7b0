// Which files of a directory are configuration, with what tells one version of a file from the next.
import { readdirSync, realpathSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { compareText } from '../finding.ts';

/** One file. */
export interface ListedFile {
  /** Path with the directory it was asked for in front. */
  readonly path: string;
  /** Changes when the content does: inode, size and times in nanoseconds. */
  readonly signature: string;
  readonly size: number;
}

/** What a directory holds. */
export interface Listing {
  /** Sorted by path. */
  readonly files: readonly ListedFile[];
  /** The directory and its subfolders, for watching, each with what tells it from another one put in its place. */
  readonly folders: ReadonlyMap<string, string>;
  /** Folders and files that couldn't be listed, with the reason. */
  readonly failures: ReadonlyMap<string, string>;
}

const EXTENSIONS = ['.yaml', '.yml', '.json'];

/**
 * Lists a directory and its subfolders. Names with a dot in front are left out: editors' files, and `..data` of a
 * mounted ConfigMap, whose files are reached through the links beside it. Links are followed, but not in a circle.
 */
export function listFiles(directory: string): Listing {
  const files: ListedFile[] = [];
  const folders = new Map<string, string>();
  const failures = new Map<string, string>();
  visit(directory, []);
  files.sort((a, b) => compareText(a.path, b.path));
  return { files, folders, failures };

  function visit(folder: string, above: readonly string[]): void {
    let names: string[];
    let real: string;
    try {
      real = realpathSync(folder);
      names = readdirSync(folder);
    } catch (error) {
      failures.set(folder, (error as Error).message);
      return;
    }
    if (above.includes(real)) return;
    folders.set(folder, real);
    for (const name of names) {
      if (!name.startsWith('.')) look(join(folder, name), [...above, real]);
    }
  }

  function look(path: string, above: readonly string[]): void {
    try {
      const stat = statSync(path, { bigint: true });
      if (stat.isDirectory()) {
        visit(path, above);
      } else if (stat.isFile() && EXTENSIONS.some((extension) => path.endsWith(extension))) {
        const signature = `${stat.dev}:${stat.ino}:${stat.size}:${stat.mtimeNs}:${stat.ctimeNs}`;
        files.push({ path, signature, size: Number(stat.size) });
      }
    } catch (error) {
      // Gone since the folder was read, or a link to nowhere: not there.
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') failures.set(path, (error as Error).message);
    }
  }
}
