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
  return checkMessage(requiredSchema(fullName), bytes, '', problems);
}

/** Depth is bounded by the schema: only fields that it knows are entered, and it has no recursive message. */
function checkMessage(schema: MessageSchema, bytes: Uint8Array, path: string, problems: ProblemList): number {
  const reader = new BinaryReader(bytes);
  const counts = new Map<FieldSchema, number>();
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
      const count = counts.get(field) ?? 0;
      counts.set(field, count + 1);
      const at = member(path, field.name);
      if (field.type === 'message' && !field.repeated && count === 1) {
        problems.add(at, 'is there twice; a message that stands alone may be sent once');
      }
      unknown += checkField(reader, field, wireType, count, at, problems);
    }
  } catch (error) {
    problems.add(path, `undecodable bytes at offset ${reader.pos}: ${(error as Error).message}`);
  }
  return unknown;
}

/** Reads one occurrence; returns the unknown fields inside it. Throws on bytes that end too early. */
function checkField(
  reader: BinaryReader,
  field: FieldSchema,
  wireType: WireType,
  index: number,
  path: string,
  problems: ProblemList,
): number {
  const expected = wireTypeOf(field.type);
  if (wireType !== expected) {
    // Numbers of a list may come packed, and must be read in both forms.
    if (field.repeated && wireType === WireType.LengthDelimited) {
      const packed = new BinaryReader(reader.bytes());
      while (packed.pos < packed.len) checkScalar(packed, field, path, problems);
      return 0;
    }
    problems.add(path, `the wire holds ${WIRE_NAMES[wireType] ?? 'nothing known'} where ${field.type} belongs`);
    reader.skip(wireType, field.number);
    return 0;
  }
  if (field.type !== 'message') {
    checkScalar(reader, field, field.repeated ? entry(path, index) : path, problems);
    return 0;
  }
  const bytes = reader.bytes();
  const inner = requiredSchema(field.typeName);
  return checkMessage(
    inner,
    bytes,
    field.map ? keyed(path, mapKey(bytes)) : field.repeated ? entry(path, index) : path,
    problems,
  );
}

function checkScalar(reader: BinaryReader, field: FieldSchema, path: string, problems: ProblemList): void {
  if (field.type === 'string') {
    const bytes = reader.bytes();
    try {
      utf8.decode(bytes);
    } catch {
      problems.add(path, 'is not UTF-8');
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
    if (!fits) problems.add(path, `${value} does not fit in 32 bits`);
    return;
  }
  reader.skip(wireTypeOf(field.type), field.number);
}

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
