// Whether bytes are a sound encoding of a message. Generated decoders are lenient: they stop at a stray end of group
// and report success, let a nested length run past its parent, cut numbers to 32 bits, and put a known field of another
// wire type among the unknown ones. So the bytes are walked once before, against the schema.
import { BinaryReader, WireType } from '@bufbuild/protobuf/wire';
import { entry, keyed, member, type ProblemList } from './problem-list.ts';
import { type FieldSchema, type FieldType, type MessageSchema, requiredSchema } from './schema.ts';

const WIRE_NAMES = ['a varint', '64 bits', 'length-delimited bytes', 'a group', 'the end of a group', '32 bits'];

function wireTypeOf(type: FieldType): WireType {
  switch (type) {
    case 'double':
    case 'fixed64':
    case 'sfixed64':
      return WireType.Bit64;
    case 'float':
    case 'fixed32':
    case 'sfixed32':
      return WireType.Bit32;
    case 'string':
    case 'bytes':
    case 'message':
      return WireType.LengthDelimited;
    case 'group':
      return WireType.StartGroup;
    default:
      return WireType.Varint;
  }
}

/** Walks `bytes` as the message `fullName`, adds what is wrong to `problems`, and returns the number of unknown fields. */
export function checkWire(fullName: string, bytes: Uint8Array, problems: ProblemList): number {
  return checkMessage(requiredSchema(fullName), bytes, ROOT, problems);
}

/** Depth is bounded by the schema: only fields that it knows are entered, and it has no recursive message. */
function checkMessage(schema: MessageSchema, bytes: Uint8Array, path: Path, problems: ProblemList): number {
  const reader = new BinaryReader(bytes);
  let counts: Map<FieldSchema, number> | undefined;
  let unknown = 0;
  try {
    while (reader.pos < reader.len) {
      const [number, wireType] = reader.tag();
      const field = schema.byNumber.get(number);
      if (field === undefined) {
        unknown++;
        reader.skip(wireType, number);
        continue;
      }
      let count = 0;
      if (field.repeated || field.type === 'message') {
        counts ??= new Map();
        count = counts.get(field) ?? 0;
        counts.set(field, count + 1);
      }
      if (field.type === 'message' && !field.repeated && count === 1) {
        problems.add(pathOf(path, field, undefined), 'is there twice; a message that stands alone may be sent once');
      }
      unknown += checkField(reader, field, wireType, count, path, problems);
    }
  } catch (error) {
    problems.add(textOf(path), `undecodable bytes at offset ${reader.pos}: ${(error as Error).message}`);
  }
  return unknown;
}

/** Reads one occurrence; returns the unknown fields inside it. Throws on bytes that end too early. */
function checkField(
  reader: BinaryReader,
  field: FieldSchema,
  wireType: WireType,
  index: number,
  parent: Path,
  problems: ProblemList,
): number {
  const expected = wireTypeOf(field.type);
  if (wireType !== expected) {
    // Numbers of a list may come packed, and must be read in both forms.
    if (field.repeated && wireType === WireType.LengthDelimited) {
      const packed = new BinaryReader(reader.bytes());
      while (packed.pos < packed.len) checkScalar(packed, field, parent, undefined, problems);
      return 0;
    }
    const held = WIRE_NAMES[wireType] ?? 'nothing known';
    problems.add(pathOf(parent, field, undefined), `the wire holds ${held} where ${field.type} belongs`);
    reader.skip(wireType, field.number);
    return 0;
  }
  if (field.type !== 'message') {
    checkScalar(reader, field, parent, index, problems);
    return 0;
  }
  const bytes = reader.bytes();
  const inner = requiredSchema(field.typeName);
  return checkMessage(inner, bytes, { parent, field, index, bytes }, problems);
}

/** `index`: its place in a list; undefined: the path is that of the list. */
function checkScalar(
  reader: BinaryReader,
  field: FieldSchema,
  parent: Path,
  index: number | undefined,
  problems: ProblemList,
): void {
  if (field.type === 'string') {
    const bytes = reader.bytes();
    if (isAscii(bytes)) return;
    try {
      utf8.decode(bytes);
    } catch {
      problems.add(pathOf(parent, field, index), 'is not UTF-8');
    }
    return;
  }
  if (field.type === 'uint32' || field.type === 'int32') {
    const start = reader.pos;
    reader.uint32();
    if (reader.pos - start < 5) return;
    reader.pos = start;
    const value = BigInt(field.type === 'uint32' ? reader.uint64() : reader.int64());
    const fits = field.type === 'uint32' ? value <= 0xffffffffn : value === BigInt.asIntN(32, value);
    if (!fits) problems.add(pathOf(parent, field, index), `${value} does not fit in 32 bits`);
    return;
  }
  reader.skip(wireTypeOf(field.type), field.number);
}

/**
 * Where a message stands. Put into words only for a problem: a resource may hold tens of thousands of messages, of which
 * most have none.
 */
interface Path {
  /** Undefined: the resource itself. */
  readonly parent: Path | undefined;
  readonly field: FieldSchema | undefined;
  readonly index: number;
  readonly bytes: Uint8Array;
}

const ROOT: Path = { parent: undefined, field: undefined, index: 0, bytes: new Uint8Array() };

function textOf({ parent, field, index, bytes }: Path): string {
  if (parent === undefined || field === undefined) return '';
  if (field.map) return keyed(member(textOf(parent), field.name), mapKey(bytes));
  return pathOf(parent, field, index);
}

/** Path of a field of the message at `parent`. `index`: of an entry, where the field is a list. */
function pathOf(parent: Path, field: FieldSchema, index: number | undefined): string {
  const path = member(textOf(parent), field.name);
  return field.repeated && index !== undefined ? entry(path, index) : path;
}

/** Most text is, and that is quickly seen. */
function isAscii(bytes: Uint8Array): boolean {
  if (bytes.length > MAX_SCANNED) return false;
  for (let i = 0; i < bytes.length; i++) if (bytes[i]! >= 0x80) return false;
  return true;
}

/** From here on a decoder is faster. */
const MAX_SCANNED = 64;

const utf8 = new TextDecoder('utf-8', { fatal: true });

/** Key of a map's entry, for the path; empty if it can't be read. */
function mapKey(bytes: Uint8Array): string {
  try {
    const reader = new BinaryReader(bytes);
    const [number, wireType] = reader.tag();
    return number === 1 && wireType === WireType.LengthDelimited ? reader.string().slice(0, 60) : '';
  } catch {
    return '';
  }
}
