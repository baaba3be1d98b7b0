// Configuration from a watched directory. An error takes nothing out of force and disturbs no other file:
//
//   a file that can't be read or isn't valid YAML     nothing of it changes
//   an object that is refused                         is told as such; the others of its file apply
//   an object without a kind or name to be read       what the text names no more stays: it may be that one
//   an object that is gone from the text              is gone
//   a text without any object                         is taken for a slip: nothing of it changes
//
// What stays so is held: one that is read from another file takes its place.
//
// Change is noticed through fs.watch and, where that sees nothing (network file systems, a replaced directory) or isn't
// to be had, by looking again from time to time.
import { statSync } from 'node:fs';
import type { Cancel, Clock } from '../../base/clock.ts';
import { type Finding, sortFindings } from '../finding.ts';
import { objectName } from '../object-name.ts';
import { readObjects } from '../read/objects.ts';
import type { ConfigObject, RefusedObject, Source } from '../source.ts';
import { type ListedFile, listFiles } from './file-list.ts';
import { FolderWatch } from './folder-watch.ts';
import { readText } from './read-text.ts';

/** Quiet time after an event before the directory is read: an editor's save is several events. */
const DEBOUNCE_MS = 50;
/** Events that never pause don't put reading off for longer than this. */
const MAX_DEBOUNCE_MS = 500;
/** The directory is looked at this often even if no event came. */
const POLL_MS = 5_000;
/** The same where fs.watch isn't to be had. */
const POLL_ONLY_MS = 1_000;
/** Larger files are refused: configuration isn't, and the parser needs many times that. */
const MAX_FILE_BYTES = 32 * 1024 * 1024;

/** What is known of one file. */
interface FileState {
  readonly signature: string;
  readonly text: string | undefined;
  /** Those that the text has. */
  readonly objects: readonly ConfigObject[];
  /** Those that an earlier text had, and that this one may hide. */
  readonly held: readonly ConfigObject[];
  readonly refused: readonly RefusedObject[];
  readonly findings: readonly Finding[];
}

/** What a file gives. */
type Content = Pick<FileState, 'objects' | 'held' | 'refused' | 'findings'>;

/** Where a directory source gets its time. */
export interface DirectorySourceOptions {
  readonly directory: string;
  readonly clock: Clock;
  /** False: only look from time to time. Default true. */
  readonly watch?: boolean;
}

/** A directory (and its subfolders) of `.yaml`, `.yml` and `.json` files. */
export class DirectorySource implements Source {
  private readonly directory: string;
  private readonly clock: Clock;
  private readonly watch: FolderWatch | undefined;
  private files: ReadonlyMap<string, FileState> = new Map();
  private listingFindings: readonly Finding[] = [];
  private readonly touched = new Set<string>();
  private changed: () => void = () => undefined;
  private cancelPoll: Cancel = () => undefined;
  private cancelDebounce: Cancel = () => undefined;
  private firstEventMs: number | undefined;
  private stopped = false;

  constructor(options: DirectorySourceOptions) {
    this.directory = options.directory;
    this.clock = options.clock;
    this.watch = options.watch === false ? undefined : new FolderWatch((path) => this.onEvent(path));
  }

  start(changed: () => void): Promise<void> {
    this.changed = changed;
    try {
      if (!statSync(this.directory).isDirectory()) throw new Error('not a directory');
    } catch (error) {
      const reason =
        (error as NodeJS.ErrnoException).code === 'ENOENT' ? 'it does not exist' : (error as Error).message;
      return Promise.reject(
        new Error(`can't read the directory ${this.directory}: ${reason}; create it or name another`),
      );
    }
    this.scan();
    this.schedulePoll();
    return Promise.resolve();
  }

  objects(): readonly ConfigObject[] {
    return [...this.files.values()].flatMap((file) => file.objects);
  }

  refused(): readonly RefusedObject[] {
    return [...this.files.values()].flatMap((file) => file.refused);
  }

  held(): readonly ConfigObject[] {
    return [...this.files.values()].flatMap((file) => file.held);
  }

  findings(): readonly Finding[] {
    const ofFiles = [...this.files.values()].flatMap((file) => file.findings);
    return sortFindings([...this.listingFindings, ...ofFiles]);
  }

  stop(): void {
    this.stopped = true;
    this.cancelPoll();
    this.cancelDebounce();
    this.watch?.close();
  }

  /** `path` is the file that the event named, where it named one. */
  private onEvent(path: string | undefined): void {
    if (this.stopped) return;
    if (path !== undefined) this.touched.add(path);
    const now = this.clock.refresh();
    this.firstEventMs ??= now;
    const left = this.firstEventMs + MAX_DEBOUNCE_MS - now;
    this.cancelDebounce();
    this.cancelDebounce = this.clock.after(Math.max(0, Math.min(DEBOUNCE_MS, left)), () => this.scanAndTell());
  }

  private schedulePoll(): void {
    this.cancelPoll = this.clock.after(this.watch?.works === true ? POLL_MS : POLL_ONLY_MS, () => {
      this.scanAndTell();
      if (!this.stopped) this.schedulePoll();
    });
  }

  private scanAndTell(): void {
    this.firstEventMs = undefined;
    this.cancelDebounce();
    if (!this.stopped && this.scan()) this.changed();
  }

  /** Reads what changed; true if anything that is told changed. */
  private scan(): boolean {
    let listing = listFiles(this.directory);
    // What came into a folder before it was watched raised no event.
    if (this.watch?.follow(listing.folders) === true) listing = listFiles(this.directory);
    const failures = [...listing.failures];
    const files = new Map<string, FileState>();
    for (const file of listing.files) files.set(file.path, this.readFile(file));
    // What can't be listed is not gone: its files stay in force.
    for (const [path, state] of this.files) {
      const unseen = failures.some(([failed]) => path === failed || path.startsWith(`${failed}/`));
      // Without signature and text it is read when it is seen again.
      if (unseen && !files.has(path)) files.set(path, { ...state, ...holdAll(state), signature: '', text: undefined });
    }
    const ordered = new Map([...files].sort(([a], [b]) => (a < b ? -1 : 1)));
    const listingFindings = failures.map(([path, reason]) => wholeFile(path, `can't be listed: ${reason}`, undefined));
    const same =
      ordered.size === this.files.size &&
      [...ordered].every(([path, state]) => this.files.get(path)?.findings === state.findings) &&
      JSON.stringify(listingFindings) === JSON.stringify(this.listingFindings);
    this.files = ordered;
    this.listingFindings = listingFindings;
    this.touched.clear();
    return !same;
  }

  private readFile(file: ListedFile): FileState {
    const last = this.files.get(file.path);
    if (last !== undefined && last.signature === file.signature && !this.touched.has(file.path)) return last;
    const { path, signature } = file;
    if (file.size > MAX_FILE_BYTES) {
      return unread(file, last, wholeFile(path, `is larger than ${MAX_FILE_BYTES} bytes`, 'split it'));
    }
    let text: string;
    try {
      text = readText(path);
    } catch (error) {
      return unread(file, last, wholeFile(path, `can't be read: ${(error as Error).message}`, undefined));
    }
    if (last !== undefined && text === last.text) return { ...last, signature };
    return { signature, text, ...inForce(path, text, last) };
  }
}

/** Whatever a file had stays, as far as no other file has it. */
function holdAll(last: FileState | undefined): Omit<Content, 'findings'> {
  const { objects = [], held = [], refused = [] } = last ?? {};
  const hidden = refused.map((one) => (one.isHidden === true ? one : { ...one, isHidden: true }));
  return { objects: [], held: [...objects, ...held], refused: hidden };
}

/** A file that isn't even read. */
function unread(file: ListedFile, last: FileState | undefined, finding: Finding): FileState {
  const kept = holdAll(last);
  const findings = [finding, ...stay(file.path, kept.held, 'nothing of this file changes')];
  return { signature: file.signature, text: undefined, ...kept, findings };
}

/** What stands after a text was read. */
function inForce(path: string, text: string, last: FileState | undefined): Content {
  const { objects, refused, hasNameless, isBroken, isEmpty, findings } = readObjects(text, path);
  const kept = holdAll(last);
  if (kept.held.length + kept.refused.length === 0) return { objects, held: [], refused, findings };
  if (isBroken) {
    // What can be read of such a text may be a guess, and what is missing in it may only be hidden.
    return { ...kept, findings: [...findings, ...stay(path, kept.held, 'nothing of this file changes')] };
  }
  if (isEmpty) {
    // A program that writes in place empties the file first: that is no wish to delete everything.
    const what = text.trim() === '' ? 'is empty' : 'holds no object';
    const message = `${what}; its last content stays in force`;
    const finding = wholeFile(path, message, 'delete the file to remove its objects');
    return { ...kept, findings: [...findings, { ...finding, severity: 'warning' }] };
  }
  if (!hasNameless) return { objects, held: [], refused, findings };
  const named = new Set([...objects.map(objectName), ...refused.map(({ object }) => object)]);
  const held = kept.held.filter((object) => !named.has(objectName(object)));
  return {
    objects,
    held,
    refused: [...refused, ...kept.refused.filter(({ object }) => !named.has(object))],
    findings: [...findings, ...stay(path, held, 'an object of this file has no kind or name to be read')],
  };
}

/** Names told in one finding. */
const MAX_NAMES = 10;

function stay(path: string, objects: readonly ConfigObject[], why: string): Finding[] {
  const names = [...new Set(objects.map(objectName))];
  if (names.length === 0) return [];
  const more = names.length > MAX_NAMES ? ` and ${names.length - MAX_NAMES} more` : '';
  const message = `${why}: what was in force stays so (${names.slice(0, MAX_NAMES).join(', ')}${more})`;
  return [{ ...wholeFile(path, message, undefined), severity: 'note' }];
}

function wholeFile(file: string, message: string, fix: string | undefined): Finding {
  return { severity: 'error', file, line: 1, column: 1, object: '', path: '', message, fix };
}
