import { closeSync, fsyncSync, linkSync, openSync, rmSync, writeSync } from 'node:fs';

/** File systems without hard links (SMB, some of FUSE) say one of these. */
const NO_LINKS: ReadonlySet<string | undefined> = new Set(['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK']);

/**
 * Makes a file with mode 0600 and this text; false: there is one already. Nobody sees it half written, also after a crash
 * (but for file systems without hard links).
 */
export function createExclusive(path: string, text: string): boolean {
  const draft = `${path}.${process.pid}.tmp`;
  rmSync(draft, { force: true });
  writeNew(draft, text);
  try {
    linkSync(draft, path);
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST') return false;
    if (!NO_LINKS.has(code)) throw error;
  } finally {
    rmSync(draft, { force: true });
  }
  try {
    writeNew(path, text);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

function writeNew(path: string, text: string): void {
  const file = openSync(path, 'wx', 0o600);
  try {
    writeSync(file, text);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}
