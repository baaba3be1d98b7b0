// The store over files in one directory.
//
//   write ─► queue ─► one batch: conditions, lines ─► log ─► fsync ─► memory ─► changed() ─► answers
//                     (all that wait share it)          │
//                                                       └ failed: all of the batch are refused, nothing of it is seen
//
// When the log has outgrown the last snapshot a new segment of it is begun, a snapshot of all before it is written beside,
// and the old segments are removed. The file `current.jsonl` names the segment that is written on, so that one that is
// missing is noticed. A segment of which a write failed isn't written on: what the disk has of it is unknown.
import { rmSync } from 'node:fs';
import { rename } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { makeFolder } from '../../base/folder.ts';
import { nameCurrent } from './current-segment.ts';
import { type DurableFile, openDurableFile, type OpenDurableFile, syncDirectory } from './durable-file.ts';
import { EntryTable } from './entry-table.ts';
import { loadStore } from './load-store.ts';
import { encodeHeader, encodeRecord, segmentName, type SegmentName } from './log-segment.ts';
import { writeSnapshot } from './snapshot-file.ts';
import type { Change, Store, StoredEntry, WriteResult } from './store.ts';
import { lockStore, type StoreLock } from './store-lock.ts';

/** Where the files are. */
export interface FileStoreOptions {
  /** Made if it isn't there, mode 0700. */
  readonly directory: string;
  /** Told what is worth a line in the log. */
  readonly onNotice?: (level: 'info' | 'warn' | 'error', message: string) => void;
  /** The log is compacted when it is longer than this and than the snapshot. Default 4 MiB. */
  readonly minLogBytes?: number;
  /** How files are opened. Default those of the machine. */
  readonly openFile?: OpenDurableFile;
}

const MIN_LOG_BYTES = 4 * 1024 * 1024;
/** A batch is closed once its lines are as long as this. */
const MAX_BATCH_CHARS = 16 * 1024 * 1024;

interface PendingWrite {
  readonly changes: readonly Change[];
  readonly resolve: (result: WriteResult) => void;
  readonly reject: (error: Error) => void;
}

/** The segment that is written on. */
interface OpenSegment extends SegmentName {
  readonly file: DurableFile;
  /** Length that is on the disk. */
  bytes: number;
}

/** Keeps objects in files. */
export class FileStore implements Store {
  private readonly directory: string;
  private readonly openFile: OpenDurableFile;
  private readonly minLogBytes: number;
  private readonly onNotice: NonNullable<FileStoreOptions['onNotice']>;
  private changed: (keys: readonly string[]) => void = () => undefined;
  private lock: StoreLock | undefined;
  private table = new EntryTable();
  private currentRevision = 0;
  private readonly queue: PendingWrite[] = [];
  /** Resolves once the queue is empty; undefined: it is. */
  private pumping: Promise<void> | undefined;
  private compacting: Promise<void> | undefined;
  private segment: OpenSegment | undefined;
  /** Those before {@link segment}, which the next snapshot replaces. */
  private oldSegments: SegmentName[] = [];
  private logBytes = 0;
  private snapshotBytes = 0;
  private stopped = false;

  constructor(options: FileStoreOptions) {
    this.directory = options.directory;
    this.openFile = options.openFile ?? openDurableFile;
    this.minLogBytes = options.minLogBytes ?? MIN_LOG_BYTES;
    this.onNotice = options.onNotice ?? (() => undefined);
  }

  get revision(): number {
    return this.currentRevision;
  }

  async start(changed: (keys: readonly string[]) => void): Promise<void> {
    this.changed = changed;
    const { directory } = this;
    try {
      const made = makeFolder(directory);
      if (made !== undefined) await syncDirectory(dirname(made));
      this.lock = lockStore(join(directory, 'lock'));
      await this.load();
    } catch (error) {
      this.lock?.release();
      throw new Error(`can't use the store ${directory}: ${(error as Error).message}`, { cause: error });
    }
  }

  get(key: string): StoredEntry | undefined {
    return this.table.get(key);
  }

  entries(): Iterable<StoredEntry> {
    return this.table.entries();
  }

  write(changes: readonly Change[]): Promise<WriteResult> {
    if (this.stopped || this.lock === undefined) return Promise.reject(new Error('the store is stopped'));
    return new Promise((resolve, reject) => {
      this.queue.push({ changes, resolve, reject });
      this.pumping ??= this.pump();
    });
  }

  async stop(): Promise<void> {
    this.stopped = true;
    await this.pumping;
    await this.compacting;
    await this.closeSegment();
    this.lock?.release();
    this.lock = undefined;
  }

  private async load(): Promise<void> {
    const loaded = loadStore(this.directory);
    this.table = loaded.table;
    this.currentRevision = loaded.revision;
    this.logBytes = loaded.logBytes;
    this.snapshotBytes = loaded.snapshotBytes;
    const last = loaded.segments.at(-1);
    const { goodBytes, fileBytes, isUnended } = loaded.tail;
    this.oldSegments = loaded.segments.slice(0, -1);
    if (last === undefined || goodBytes === 0) {
      if (last !== undefined) this.onNotice('warn', `${last.path}: has no whole first line, and is begun anew`);
      await this.openSegment();
      return;
    }
    const file = await this.openFile(last.path, false);
    this.segment = { ...last, file, bytes: goodBytes };
    if (fileBytes > goodBytes) {
      const cut = `${last.path}: the last ${fileBytes - goodBytes} bytes are of a write that was never answered, and are cut`;
      this.onNotice('warn', cut);
      await file.truncate(goodBytes);
    }
    if (isUnended) {
      await file.write(Buffer.from('\n'), goodBytes);
      this.segment.bytes++;
    }
    // What was read may still be on its way to the disk, if the process was killed and the machine was not.
    await file.sync();
    if (loaded.current !== last.from) await nameCurrent(this.directory, last.from, this.openFile);
  }

  private async pump(): Promise<void> {
    while (this.queue.length > 0) {
      await this.commit(this.queue);
      await this.compactIfGrown();
    }
    this.pumping = undefined;
  }

  /** Takes a batch from the front of `queue` and writes it. */
  private async commit(queue: PendingWrite[]): Promise<void> {
    const batch: { readonly write: PendingWrite; readonly result: WriteResult }[] = [];
    const indexes = new Map<string, number>();
    let revision = this.currentRevision;
    let lines = '';
    for (let write = queue.shift(); write !== undefined; write = queue.shift()) {
      const { changes } = write;
      const indexOf = (key: string): number => indexes.get(key) ?? this.table.get(key)?.modifiedIndex ?? 0;
      const other = changes.find(
        ({ key, ifModifiedIndex }) => ifModifiedIndex !== undefined && ifModifiedIndex !== indexOf(key),
      );
      if (other !== undefined) {
        batch.push({ write, result: { ok: false, key: other.key, modifiedIndex: indexOf(other.key) } });
        continue;
      }
      try {
        lines += encodeRecord({ revision: revision + 1, durable: this.currentRevision, changes });
      } catch (error) {
        write.reject(error as Error);
        continue;
      }
      revision++;
      for (const { op, key } of changes) indexes.set(key, op === 'put' ? revision : 0);
      batch.push({ write, result: { ok: true, revision, createdIndexes: [] } });
      if (lines.length >= MAX_BATCH_CHARS) break;
    }
    try {
      if (lines !== '') await this.append(Buffer.from(lines));
    } catch (error) {
      const reason = new Error(`the store ${this.directory} can't be written: ${(error as Error).message}`);
      this.onNotice('error', reason.message);
      for (const { write } of batch) write.reject(reason);
      return;
    }
    const results = batch.map(({ write: { changes }, result }): WriteResult => {
      if (!result.ok) return result;
      return { ...result, createdIndexes: changes.map((change) => this.table.apply(change, result.revision)) };
    });
    this.currentRevision = revision;
    if (indexes.size > 0) this.tell([...indexes.keys()]);
    for (const [i, result] of results.entries()) batch[i]?.write.resolve(result);
  }

  private tell(keys: readonly string[]): void {
    try {
      this.changed(keys);
    } catch (error) {
      this.onNotice('error', `what was written could not be handed on: ${(error as Error).stack}`);
    }
  }

  /** Resolves once `bytes` are on the disk. */
  private async append(bytes: Buffer): Promise<void> {
    if (this.lock?.isHeld() !== true) {
      throw new Error('another process took its lock; start one control plane only, this one must be restarted');
    }
    const segment = this.segment ?? (await this.openSegment());
    try {
      await segment.file.write(bytes, segment.bytes);
      await segment.file.sync();
    } catch (error) {
      await this.abandonSegment(segment);
      throw error;
    }
    segment.bytes += bytes.length;
    this.logBytes += bytes.length;
  }

  /** Begins a segment with the next revision. One of that name holds no write that was answered. */
  private async openSegment(): Promise<OpenSegment> {
    const name = segmentName(this.directory, this.currentRevision + 1);
    const header = Buffer.from(encodeHeader(name.from));
    const draft = `${name.path}.tmp`;
    const file = await this.openFile(draft, true);
    try {
      await file.write(header, 0);
      await file.sync();
      // In one go, as the name may be that of the current one.
      await rename(draft, name.path);
      await syncDirectory(this.directory);
      // Before anything is written into it that is answered.
      await nameCurrent(this.directory, name.from, this.openFile);
    } catch (error) {
      await file.close().catch(() => undefined);
      throw error;
    }
    this.oldSegments = this.oldSegments.filter(({ from }) => from !== name.from);
    return (this.segment = { ...name, file, bytes: header.length });
  }

  /** After a failed write: tries to cut what it left, and leaves the rest to the next segment. */
  private async abandonSegment(segment: OpenSegment): Promise<void> {
    this.segment = undefined;
    this.oldSegments.push({ path: segment.path, from: segment.from });
    try {
      await segment.file.truncate(segment.bytes);
      await segment.file.sync();
    } catch {
      // The next segment begins with the revision that was refused, so what is left of it doesn't count.
    }
    await segment.file.close().catch(() => undefined);
  }

  private async closeSegment(): Promise<void> {
    await this.segment?.file.close();
    this.segment = undefined;
  }

  /** Begins a new segment if the log has grown, and compacts what is before it while writes go on. */
  private async compactIfGrown(): Promise<void> {
    const isGrown = this.logBytes > Math.max(this.minLogBytes, this.snapshotBytes);
    if (!isGrown || this.compacting !== undefined || this.segment === undefined) return;
    // From here on it counts what the next compaction is for, also where this one fails.
    this.logBytes = 0;
    const { path, from, file } = this.segment;
    // Once the next segment may exist nothing may be added to this one: its writes wouldn't count.
    this.segment = undefined;
    this.oldSegments.push({ path, from });
    await file.close().catch(() => undefined);
    try {
      await this.openSegment();
    } catch (error) {
      this.onNotice('error', `the log in ${this.directory} can't be compacted: ${(error as Error).message}`);
      return;
    }
    const old = this.oldSegments;
    this.oldSegments = [];
    const entries = [...this.table.entries()];
    this.compacting = this.compact(this.currentRevision, entries, old);
  }

  private async compact(revision: number, entries: readonly StoredEntry[], old: readonly SegmentName[]): Promise<void> {
    try {
      this.snapshotBytes = await writeSnapshot(this.directory, revision, entries, this.openFile);
      for (const { path } of old) rmSync(path, { force: true });
    } catch (error) {
      this.oldSegments.unshift(...old);
      this.onNotice('error', `the log in ${this.directory} can't be compacted: ${(error as Error).message}`);
    }
    this.compacting = undefined;
  }
}
