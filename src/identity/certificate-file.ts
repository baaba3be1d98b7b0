// A file that holds PEM, read with care: what stands at its path may be a pipe that never ends, a device, or a file that
// is being written.
import { closeSync, constants, fstatSync, openSync, readSync, statSync } from 'node:fs';
import { stat } from 'node:fs/promises';

/** Longest file, bytes. */
const MAX_FILE_BYTES = 1024 * 1024;

/** A file as it was read. */
export interface CertificateFile {
  /** Changes when the file behind the path does, be it written, replaced or reached by another link. */
  readonly stamp: string;
  /** A character for each byte: PEM is ASCII, and what stands around it doesn't matter. Empty if there is a problem. */
  readonly text: string;
  /** Why it can't be read and what to change, to stand after the path; empty if it was. */
  readonly problem: string;
}

/** Stamp of a path where nothing is, or nothing can be seen. */
const ABSENT = 'absent';

/** Reads a regular file of at most 1 MiB; symbolic links are followed. Doesn't wait for pipes and never throws. */
export function readCertificateFile(path: string): CertificateFile {
  let stamp = ABSENT;
  try {
    const before = statSync(path, { bigint: true });
    stamp = stampOf(before);
    // Looked at before it is opened as well: opening a pipe wakes its writer, opening a device may do anything.
    checkKind(before);
    const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
    try {
      const opened = fstatSync(fd, { bigint: true });
      stamp = stampOf(opened);
      checkKind(opened);
      return { stamp, text: readText(fd, Number(opened.size)), problem: '' };
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    return { stamp, text: '', problem: problemOf(error) };
  }
}

/** The stamp of the file that a path leads to now. Never rejects. */
export async function stampOfPath(path: string): Promise<string> {
  try {
    return stampOf(await stat(path, { bigint: true }));
  } catch {
    return ABSENT;
  }
}

interface FileStat {
  readonly dev: bigint;
  readonly ino: bigint;
  readonly size: bigint;
  readonly mtimeNs: bigint;
  readonly ctimeNs: bigint;
  isFile(): boolean;
  isDirectory(): boolean;
  isFIFO(): boolean;
  isSocket(): boolean;
}

function stampOf({ dev, ino, size, mtimeNs, ctimeNs }: FileStat): string {
  return `${dev}:${ino}:${size}:${mtimeNs}:${ctimeNs}`;
}

/** Thrown inside this file only; the message is the problem. */
class Unreadable extends Error {}

const TOO_LONG = `is longer than ${MAX_FILE_BYTES / 1024} KiB; name a PEM file`;

function checkKind(stat: FileStat): void {
  if (stat.isFile()) {
    if (stat.size > MAX_FILE_BYTES) throw new Unreadable(TOO_LONG);
    return;
  }
  const kind = stat.isDirectory() ? 'directory' : stat.isFIFO() ? 'named pipe' : stat.isSocket() ? 'socket' : 'device';
  throw new Unreadable(`is a ${kind}; name a regular file`);
}

/** The size is a hint: a file may grow while it is read, and those of /proc have none. */
function readText(fd: number, size: number): string {
  const buffer = Buffer.alloc(Math.min(Math.max(size, 4096), MAX_FILE_BYTES) + 1);
  let chunks = '';
  for (;;) {
    const bytes = readSync(fd, buffer, 0, buffer.length, null);
    if (bytes === 0) return chunks;
    chunks += buffer.latin1Slice(0, bytes);
    // A key may be in it, and this memory is given back.
    buffer.fill(0, 0, bytes);
    if (chunks.length > MAX_FILE_BYTES) throw new Unreadable(TOO_LONG);
  }
}

function problemOf(error: unknown): string {
  if (error instanceof Unreadable) return error.message;
  const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown error';
  switch (code) {
    case 'ENOENT':
    case 'ENOTDIR':
      return 'does not exist; create it or correct the path';
    case 'EACCES':
    case 'EPERM':
      return 'may not be read; give the user that the sidecar runs as the right to';
    case 'ELOOP':
      return 'is a symbolic link that leads to itself; correct the link';
    case 'ERR_INVALID_ARG_VALUE':
      return 'holds a NUL in its path; correct the path';
    default:
      return `can't be read (${code}); make it readable`;
  }
}
