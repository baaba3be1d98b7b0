// The header blocks among frames, decoded by the second decoder, so that what a connection hands over can be held
// against what was sent: a remembered block that meant something else by now would show.
import { ReferenceDecoder } from './fuzz-hpack-reference.ts';

const HEADER_BYTES = 9;
const MAX_FRAME_BYTES = 16_384;
const TABLE_BYTES = 4096;

/** The fields of each header block by stream, in the order in which they came, up to the first fault. */
export function headerBlocks(frames: Buffer): Map<number, string[][]> {
  const decoder = new ReferenceDecoder(TABLE_BYTES);
  const found = new Map<number, string[][]>();
  let open = 0;
  let parts: Buffer[] = [];
  for (let at = 0; at + HEADER_BYTES <= frames.length;) {
    const length = frames.readUIntBE(at, 3);
    const type = frames[at + 3] ?? 0;
    const flags = frames[at + 4] ?? 0;
    const id = frames.readUInt32BE(at + 5) & 0x7fffffff;
    const end = at + HEADER_BYTES + length;
    if (length > MAX_FRAME_BYTES || end > frames.length) break;
    let payload = frames.subarray(at + HEADER_BYTES, end);
    at = end;
    if (open !== 0 && (type !== 9 || id !== open)) break;
    if (type !== 1 && type !== 9) continue;
    if (type === 1) {
      let padding = 0;
      if ((flags & 8) !== 0) {
        padding = payload[0] ?? 0;
        payload = payload.subarray(1);
      }
      if ((flags & 0x20) !== 0) payload = payload.subarray(5);
      if (padding > payload.length) break;
      payload = payload.subarray(0, payload.length - padding);
    }
    parts.push(payload);
    open = id;
    if ((flags & 4) === 0) continue;
    const block = decoder.decode(Buffer.concat(parts));
    if (!block) break;
    const list = found.get(id);
    if (list) list.push(block.fields);
    else found.set(id, [block.fields]);
    open = 0;
    parts = [];
  }
  return found;
}

/** The value of a pseudo-field; undefined where there is none. */
export function pseudoField(fields: readonly string[], name: string): string | undefined {
  const at = fields.findIndex((text, i) => i % 2 === 0 && text === name);
  return at < 0 ? undefined : fields[at + 1];
}

/**
 * Name and value of all regular fields but cookies, which are joined, and host, which becomes the authority. A length is
 * passed on as a plain number, however it was spelled.
 */
export function plainFields(fields: readonly string[]): string {
  let text = '';
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i] ?? '';
    if (name.startsWith(':') || name === 'cookie' || name === 'host') continue;
    text += `${name}: ${name === 'content-length' ? Number(fields[i + 1]) : fields[i + 1]}\n`;
  }
  return text;
}
