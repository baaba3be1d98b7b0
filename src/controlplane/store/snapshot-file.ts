// All entries of a store at one revision, in one file that is put in place whole.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type OpenDurableFile, replaceFile } from './durable-file.ts';
import { damaged } from './damage.ts';
import { FORMAT, isObject, otherFormat } from './file-format.ts';
import { decodeLine, encodeLine, linesOf } from './log-line.ts';
import type { StoredEntry } from './store.ts';

const NAME = 'snapshot.jsonl';
/** Bytes written at a time, so that writes of others come in between. */
const PIECE_BYTES = 256 * 1024;

/** What a snapshot holds. */
export interface StoreSnapshot {
  readonly revision: number;
  readonly entries: readonly StoredEntry[];
  /** Length of the file. */
  readonly bytes: number;
}

/** Writes a snapshot and puts it in the place of the one before; gives its length. */
export async function writeSnapshot(
  directory: string,
  revision: number,
  entries: readonly StoredEntry[],
  openFile: OpenDurableFile,
): Promise<number> {
  let bytes = 0;
  await replaceFile(directory, NAME, openFile, async (file) => {
    let piece = encodeLine({ format: FORMAT, revision, entries: entries.length });
    const flush = async (): Promise<void> => {
      const encoded = Buffer.from(piece);
      piece = '';
      await file.write(encoded, bytes);
      bytes += encoded.length;
    };
    for (const { key, createdIndex, modifiedIndex, value } of entries) {
      piece += encodeLine({ key, createdIndex, modifiedIndex, value });
      if (piece.length >= PIECE_BYTES) await flush();
    }
    await flush();
  });
  return bytes;
}

/** The snapshot of a directory; undefined: there is none. Throws where it is damaged. */
export function readSnapshot(directory: string): StoreSnapshot | undefined {
  const path = join(directory, NAME);
  if (!existsSync(path)) return undefined;
  const file = readFileSync(path);
  const fix = 'restore it from a backup, or move the directory away to begin with an empty store';
  const entries: StoredEntry[] = [];
  let revision = 0;
  let count = -1;
  let last = 0;
  for (const { number, bytes } of linesOf(file)) {
    const record = decodeLine(bytes);
    if (record === undefined) throw damaged(path, number, 'the line is damaged', fix);
    last = number;
    if (number === 1) {
      if (record['format'] !== FORMAT) throw otherFormat(path, record['format']);
      revision = Number(record['revision']);
      count = Number(record['entries']);
      continue;
    }
    const { key, value, createdIndex, modifiedIndex } = record;
    const isWhole = typeof key === 'string' && isObject(value);
    if (!isWhole || typeof createdIndex !== 'number' || typeof modifiedIndex !== 'number') {
      throw damaged(path, number, 'the line holds no entry', fix);
    }
    entries.push({ key, value, createdIndex, modifiedIndex });
  }
  if (entries.length !== count) {
    throw damaged(path, last + 1, `${entries.length} of ${Math.max(0, count)} entries are there`, fix);
  }
  return { revision, entries, bytes: file.length };
}
