// One credential that lives in files: a certificate with its key, or a list of authorities. Both files of a pair are read
// whenever one changed, and only a pair that fits is taken. Between the two writes of a rotation it doesn't fit: the last
// good one stays in force, and the files are read with each poll until they do.
//
//     first read ─ usable ──► GOOD ── unusable ──► SUSPECT ── 2nd poll of it ──► BAD, told and logged
//         │                   ▲  ▲                    │                           │
//         │                   │  └─────── usable ─────┘                           │
//         │                   └────────────────────── usable ─────────────────────┘
//         └─ unusable ──► nothing is in force, so that is told at once; logged at the 2nd poll
import { createHash } from 'node:crypto';
import type { Parsed } from './certificate.ts';
import { type CertificateFile, readCertificateFile } from './certificate-file.ts';
import type { Credential } from './credentials.ts';

/** A problem that lasts for so many polls is told; a rotation that takes less isn't noticed. */
const POLLS_UNTIL_TOLD = 2;

/** How the material is made of files. */
export interface FileFormat<M> {
  /** One or two. */
  readonly paths: readonly string[];
  /** Given the texts in the order of the paths. */
  parse(texts: readonly string[]): Parsed<M>;
  equal(a: M, b: M): boolean;
}

/** What a poll brought. */
export interface PollOutcome {
  /** The material in force or its error is another one. */
  readonly changed: boolean;
  /** For the log; undefined if there is nothing to say. */
  readonly news: 'replaced' | 'usable now' | 'unusable' | undefined;
}

const NOTHING: PollOutcome = { changed: false, news: undefined };

/** A credential in files. It is read when it is made; what changes later it learns by {@link poll}. */
export class FileCredential<M> {
  readonly paths: readonly string[];
  credential: Credential<M> = { material: undefined, error: '' };
  private readonly format: FileFormat<M>;
  /** Of the files as they were last read, by path. */
  private stamps: readonly string[] = [];
  /** Of all that was last read, to see whether it is something else. Not the text: it may be a key. */
  private digest = '';
  /** What it was last. */
  private usable: M | undefined;
  private problem = '';
  /**
   * A file written twice within one tick of the file system's clock may keep its stamp, so after a change there is one
   * more read.
   */
  private readAgain = false;
  private failedPolls = 0;
  /** Logged since it was last usable. */
  private readonly logged = new Set<string>();

  constructor(format: FileFormat<M>) {
    this.format = format;
    this.paths = format.paths;
    this.read(readCertificateFile);
    this.settle();
  }

  /** Looks at what changed, given the stamps of all paths as they are now. `readFile` may remember files during a poll. */
  poll(stamps: ReadonlyMap<string, string>, readFile: (path: string) => CertificateFile): PollOutcome {
    const moved = this.paths.some((path, i) => stamps.get(path) !== this.stamps[i]);
    if (!moved && !this.readAgain && this.problem === '') return NOTHING;
    const before = this.credential;
    this.readAgain = moved;
    this.read(readFile);
    this.failedPolls = this.problem === '' ? 0 : this.failedPolls + 1;
    this.settle();
    return { changed: this.credential !== before, news: this.news(before.material) };
  }

  private read(readFile: (path: string) => CertificateFile): void {
    const files = this.paths.map(readFile);
    this.stamps = files.map(({ stamp }) => stamp);
    const hash = createHash('sha256');
    for (const { problem, text } of files) hash.update(`${problem}\0${text.length}\0`).update(text, 'latin1');
    const digest = hash.digest('hex');
    if (digest === this.digest) return;
    this.digest = digest;
    this.readAgain = true;
    this.usable = undefined;
    this.problem = files
      .flatMap(({ problem }, i) => (problem === '' ? [] : [`${this.paths[i]} ${problem}`]))
      .join('; ');
    if (this.problem !== '') return;
    const parsed = this.format.parse(files.map(({ text }) => text));
    if (parsed.ok) this.usable = parsed.material;
    else this.problem = `${[...new Set(this.paths)].join(', ')}: ${parsed.reason}`;
  }

  private settle(): void {
    const { material, error } = this.credential;
    const { usable, problem } = this;
    if (usable !== undefined) {
      if (material === undefined || !this.format.equal(material, usable))
        this.credential = { material: usable, error: '' };
      else if (error !== '') this.credential = { material, error: '' };
    } else if (material === undefined || this.failedPolls >= POLLS_UNTIL_TOLD) {
      if (error !== problem) this.credential = { material, error: problem };
    }
  }

  private news(before: M | undefined): PollOutcome['news'] {
    if (this.problem === '') {
      const wasBad = this.logged.size > 0 || before === undefined;
      this.logged.clear();
      if (before !== undefined && this.credential.material !== before) return 'replaced';
      return wasBad ? 'usable now' : undefined;
    }
    if (this.failedPolls < POLLS_UNTIL_TOLD || this.logged.has(this.problem)) return undefined;
    this.logged.add(this.problem);
    return 'unusable';
  }
}
