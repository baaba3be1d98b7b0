import { lstatSync, mkdirSync, statSync, type Stats } from 'node:fs';
import { dirname } from 'node:path';

/** Mode of a folder that is made: its owner's only. */
const FOLDER_MODE = 0o700;

/**
 * Makes a folder, with those around it, if it isn't there; gives the outermost that was made, undefined: none was. Throws
 * with the place and the fix where it can't be had. The recursive mode of Node's mkdir isn't used: it never ends on file
 * systems that refuse a new folder with ENOENT, /proc for one.
 */
export function makeFolder(path: string): string | undefined {
  const found = statIfThere(path);
  if (found?.isDirectory() === true) return undefined;
  if (found !== undefined) throw new Error(`${path} is a file; name a directory`);
  if (isLink(path)) throw new Error(`${path}: the link leads nowhere; make what it names, or name a directory`);
  const parent = dirname(path);
  const made = parent === path ? undefined : makeFolder(parent);
  try {
    mkdirSync(path, { mode: FOLDER_MODE });
  } catch (error) {
    // Somebody else may have made it meanwhile.
    if (statIfThere(path)?.isDirectory() !== true) throw new Error(refusalText(parent, error), { cause: error });
  }
  return made ?? path;
}

function refusalText(parent: string, error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  return code === 'ENOENT' ? `${parent} takes no new folder (${message}); name another directory` : message;
}

function statIfThere(path: string): Stats | undefined {
  try {
    return statSync(path);
  } catch (error) {
    // Of a path below a file the file is told when its turn comes.
    if (isMissing(error)) return undefined;
    throw error;
  }
}

function isLink(path: string): boolean {
  try {
    return lstatSync(path).isSymbolicLink();
  } catch (error) {
    if (isMissing(error)) return false;
    throw error;
  }
}

function isMissing(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === 'ENOENT' || code === 'ENOTDIR';
}
