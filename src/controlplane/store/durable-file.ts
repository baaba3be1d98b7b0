// Files of which the content is on the disk when a call says so.
import { rmSync } from 'node:fs';
import { type FileHandle, open, rename } from 'node:fs/promises';
import { join } from 'node:path';

/** A file that is written from its front on. */
export interface DurableFile {
  /** Writes all of `bytes` at an offset; they may be lost until {@link sync}. */
  write(bytes: Uint8Array, offset: number): Promise<void>;
  /** Resolves once everything written is on the disk. */
  sync(): Promise<void>;
  /** Cuts the file to a length. */
  truncate(length: number): Promise<void>;
  close(): Promise<void>;
}

/** Opens a file to write; `isNew` empties it or makes it, with mode 0600. */
export type OpenDurableFile = (path: string, isNew: boolean) => Promise<DurableFile>;

const FILE_MODE = 0o600;

/** A file of the machine. */
export const openDurableFile: OpenDurableFile = async (path, isNew) => {
  const handle = await open(path, isNew ? 'w' : 'r+', FILE_MODE);
  return {
    write: (bytes, offset) => writeAll(handle, bytes, offset),
    sync: () => handle.datasync(),
    truncate: (length) => handle.truncate(length),
    close: () => handle.close(),
  };
};

/** Makes what was made, renamed or removed in a directory last. */
export async function syncDirectory(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Puts a file in the place of the one before: whole, or not at all. `write` fills it. */
export async function replaceFile(
  directory: string,
  name: string,
  openFile: OpenDurableFile,
  write: (file: DurableFile) => Promise<void>,
): Promise<void> {
  const draft = join(directory, `${name}.tmp`);
  const file = await openFile(draft, true);
  try {
    await write(file);
    await file.sync();
    await file.close();
  } catch (error) {
    // On a full disk what it takes is needed.
    await file.close().catch(() => undefined);
    rmSync(draft, { force: true });
    throw error;
  }
  await rename(draft, join(directory, name));
  await syncDirectory(directory);
}

/** A write may take less than it was given, as on a disk that is nearly full. */
async function writeAll(handle: FileHandle, bytes: Uint8Array, offset: number): Promise<void> {
  let written = 0;
  while (written < bytes.length) {
    const { bytesWritten } = await handle.write(bytes, written, bytes.length - written, offset + written);
    written += bytesWritten;
  }
}
