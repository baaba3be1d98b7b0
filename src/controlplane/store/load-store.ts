// The files of a store → its entries: the snapshot, then the log of what came after it.
import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { type CurrentSegment, readCurrent } from './current-segment.ts';
import { damaged } from './damage.ts';
import { EntryTable } from './entry-table.ts';
import { readSegment, type SegmentName, segmentsAmong } from './log-segment.ts';
import { readSnapshot } from './snapshot-file.ts';

/** What a directory holds. */
export interface LoadedStore {
  readonly table: EntryTable;
  readonly revision: number;
  /** In order; the last one is written on. */
  readonly segments: readonly SegmentName[];
  /** Length of the last segment's part that is whole, and whether its last line lacks the line feed. */
  readonly tail: { readonly goodBytes: number; readonly fileBytes: number; readonly isUnended: boolean };
  /** Length of all segments. */
  readonly logBytes: number;
  readonly snapshotBytes: number;
  /** First revision of the segment that was named as written on; undefined: none was. */
  readonly current: number | undefined;
}

/** Loads a directory. Throws where a file is damaged or missing, with file, line and fix. */
export function loadStore(directory: string): LoadedStore {
  const snapshot = readSnapshot(directory);
  const table = new EntryTable();
  for (const entry of snapshot?.entries ?? []) table.load(entry);
  let revision = snapshot?.revision ?? 0;
  const names = readdirSync(directory);
  // Files that were never finished.
  for (const name of names) if (name.endsWith('.jsonl.tmp')) rmSync(join(directory, name));
  const found = segmentsAmong(directory, names);
  const current = readCurrent(directory);
  const newest = found.at(-1);
  if (current !== undefined && (newest === undefined || newest.from < current.segment.from))
    throw gone(current, 'is missing');
  const segments: SegmentName[] = [];
  let logBytes = 0;
  let tail = { goodBytes: 0, fileBytes: 0, isUnended: false };
  for (const [index, segment] of found.entries()) {
    const until = found[index + 1]?.from;
    if (until !== undefined && until <= revision + 1) {
      // All of it is in the snapshot.
      rmSync(segment.path);
      continue;
    }
    if (segment.from > revision + 1) throw missing(segment, revision + 1, snapshot === undefined);
    const read = readSegment(segment, until);
    for (const record of read.records) {
      if (record.revision <= revision) continue;
      for (const change of record.changes) table.apply(change, record.revision);
      revision = record.revision;
    }
    segments.push(segment);
    logBytes += read.goodBytes;
    tail = read;
  }
  // It was named after its header was on the disk, so that header is no work of a crash.
  if (current !== undefined && newest?.from === current.segment.from && tail.goodBytes === 0)
    throw gone(current, 'was cut off');
  return {
    table,
    revision,
    segments,
    tail,
    logBytes,
    snapshotBytes: snapshot?.bytes ?? 0,
    current: current?.segment.from,
  };
}

function missing({ path, from }: SegmentName, due: number, noSnapshot: boolean): Error {
  const what = noSnapshot ? 'the snapshot, snapshot.jsonl,' : `a log file with the writes ${due} to ${from - 1}`;
  return new Error(`${path}:1: ${what} is missing before it; restore the directory from a backup`);
}

function gone({ path, segment }: CurrentSegment, what: string): Error {
  const fix = `restore the directory from a backup, or go on without them: rm ${path}`;
  return damaged(segment.path, 1, `the log file ${what}, with all writes from ${segment.from} on`, fix);
}
