// Which segment of the log is written on, in a file of its own that is put in place whole. It is named once its header is
// on the disk and before a write goes into it, so a segment that is named and missing held writes that were answered.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { damaged } from './damage.ts';
import { type OpenDurableFile, replaceFile } from './durable-file.ts';
import { FORMAT, otherFormat } from './file-format.ts';
import { decodeLine, encodeLine } from './log-line.ts';
import { segmentName, type SegmentName } from './log-segment.ts';

const NAME = 'current.jsonl';

/** What the file says. */
export interface CurrentSegment {
  /** The file itself. */
  readonly path: string;
  readonly segment: SegmentName;
}

/** Names the segment that begins with a revision. Resolves once that is on the disk. */
export async function nameCurrent(directory: string, from: number, openFile: OpenDurableFile): Promise<void> {
  await replaceFile(directory, NAME, openFile, (file) =>
    file.write(Buffer.from(encodeLine({ format: FORMAT, from })), 0),
  );
}

/** The segment that was named last; undefined: none was, as by versions that named none. Throws where the file is damaged. */
export function readCurrent(directory: string): CurrentSegment | undefined {
  const path = join(directory, NAME);
  if (!existsSync(path)) return undefined;
  const [line = ''] = readFileSync(path, 'latin1').split('\n');
  const decoded = decodeLine(Buffer.from(line, 'latin1'));
  const from = decoded?.['from'];
  if (decoded !== undefined && decoded['format'] !== FORMAT) throw otherFormat(path, decoded['format']);
  if (typeof from !== 'number') {
    throw damaged(path, 1, 'the line is damaged', 'restore it from a backup, or delete it if no log file is missing');
  }
  return { path, segment: segmentName(directory, from) };
}
