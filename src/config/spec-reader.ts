// Proto JSON with snake_case names → bytes of the message, strictly. Fields and types come from the schema, so there is
// no second list of them. Generated fromJSON coerces what it gets ("5" to 5, an unknown key to nothing); here each of
// these is a problem with its place.
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { InvariantError } from '../base/assert.ts';
import { describeType, isObject, unknownKey } from './envelope.ts';
import { entry, keyed, member, type ProblemList } from './problem-list.ts';
import { type FieldSchema, type MessageSchema, requiredSchema } from './schema.ts';

/**
 * Encodes `value` as the message `fullName`: fields in the order of their numbers, maps sorted by key, what equals the
 * default of a field without presence left out. What is wrong goes to `problems`; the bytes are then not to be used.
 */
export function readSpec(fullName: string, value: unknown, path: string, problems: ProblemList): Uint8Array {
  const writer = new BinaryWriter();
  writeMessage(requiredSchema(fullName), value, path, problems, writer);
  return writer.finish();
}

/** Name or camelCase name → field, and the fields in wire order. */
interface Keys {
  readonly byKey: ReadonlyMap<string, FieldSchema>;
  readonly names: readonly string[];
  readonly inOrder: readonly FieldSchema[];
}

const keysOf = new WeakMap<MessageSchema, Keys>();

function keys(schema: MessageSchema): Keys {
  let found = keysOf.get(schema);
  if (found === undefined) {
    found = {
      byKey: new Map(
        schema.fields.flatMap((field) => [[field.jsonName, field] as const, [field.name, field] as const]),
      ),
      names: schema.fields.map((field) => field.name),
      inOrder: [...schema.fields].sort((a, b) => a.number - b.number),
    };
    keysOf.set(schema, found);
  }
  return found;
}

function writeMessage(
  schema: MessageSchema,
  value: unknown,
  path: string,
  problems: ProblemList,
  writer: BinaryWriter,
): void {
  if (!isObject(value)) {
    problems.add(path, `must be an object, not ${describeType(value)}${emptyHint(value)}`);
    return;
  }
  const { byKey, names, inOrder } = keys(schema);
  const given = new Map<FieldSchema, unknown>();
  for (const [key, inner] of Object.entries(value)) {
    if (inner === undefined) continue;
    const field = byKey.get(key);
    if (field === undefined) unknownKey(problems, path, key, names);
    else if (given.has(field))
      problems.add(member(path, field.name), `is there twice, as ${field.name} and ${field.jsonName}`);
    else given.set(field, inner);
  }
  for (const field of inOrder) {
    if (given.has(field)) writeField(field, given.get(field), member(path, field.name), problems, writer);
  }
}

function writeField(
  field: FieldSchema,
  value: unknown,
  path: string,
  problems: ProblemList,
  writer: BinaryWriter,
): void {
  if (field.map) writeMap(field, value, path, problems, writer);
  else if (field.repeated) {
    if (!Array.isArray(value)) {
      problems.add(path, `must be a list, not ${describeType(value)}${emptyHint(value)}`);
      return;
    }
    writeList(field, value, path, problems, writer);
  } else if (checkValue(field, value, path, problems)) {
    const isDefault = value === '' || value === 0 || value === false;
    if (field.presence || !isDefault) writeValue(field, value, path, problems, writer);
  }
}

function writeList(
  field: FieldSchema,
  items: readonly unknown[],
  path: string,
  problems: ProblemList,
  writer: BinaryWriter,
): void {
  // Lists of numbers are packed, as proto3 encoders do.
  const packed = field.type === 'uint32' && items.length > 0;
  if (packed) writer.tag(field.number, WireType.LengthDelimited).fork();
  for (const [i, item] of items.entries()) {
    const at = entry(path, i);
    if (!checkValue(field, item, at, problems)) continue;
    if (packed) writer.uint32(item as number);
    else writeValue(field, item, at, problems, writer);
  }
  if (packed) writer.join();
}

function writeMap(field: FieldSchema, value: unknown, path: string, problems: ProblemList, writer: BinaryWriter): void {
  if (!isObject(value)) {
    problems.add(path, `must be an object, not ${describeType(value)}${emptyHint(value)}`);
    return;
  }
  const of = requiredSchema(field.typeName).byNumber.get(2);
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  for (const [key, inner] of entries) {
    if (of === undefined || !checkValue(of, inner, keyed(path, key), problems)) continue;
    writer.tag(field.number, WireType.LengthDelimited).fork();
    writer.tag(1, WireType.LengthDelimited).string(key);
    writeValue(of, inner, keyed(path, key), problems, writer);
    writer.join();
  }
}

/** Whether a scalar has the field's type and bounds. A message is checked as it is written. */
function checkValue(field: FieldSchema, value: unknown, path: string, problems: ProblemList): boolean {
  const reason = typeProblem(field, value);
  if (reason !== undefined) problems.add(path, reason);
  return reason === undefined;
}

function typeProblem(field: FieldSchema, value: unknown): string | undefined {
  const not = `not ${describeType(value)}${emptyHint(value)}`;
  switch (field.type) {
    case 'message':
      return undefined;
    case 'string':
      if (typeof value !== 'string') return `must be a string, ${not}${quoteHint(value)}`;
      return !/\p{Surrogate}/u.test(value) ? undefined : 'has half of a surrogate pair, which no UTF-8 has';
    case 'bool':
      return typeof value === 'boolean' ? undefined : `must be true or false, ${not}`;
    case 'double':
      return typeof value === 'number' ? undefined : `must be a number, ${not}${unitHint(value)}`;
    case 'uint32':
    case 'int32': {
      if (typeof value !== 'number') return `must be a number, ${not}`;
      const [least, most] = field.type === 'uint32' ? [0, 4294967295] : [-2147483648, 2147483647];
      if (Number.isInteger(value) && value >= least && value <= most) return undefined;
      return `must be a whole number between ${least} and ${most}, not ${value}`;
    }
    case 'bytes':
      if (typeof value === 'string' && (isPem(value) || isBase64(value))) return undefined;
      return 'must be PEM text, or a string of base64';
    default:
      // A test walks all native messages, so that none has a field of a type that isn't read here.
      throw new InvariantError(`native documents have no ${field.type} fields (${field.name})`);
  }
}

/** Writes what {@link checkValue} let through. */
function writeValue(
  field: FieldSchema,
  value: unknown,
  path: string,
  problems: ProblemList,
  writer: BinaryWriter,
): void {
  switch (field.type) {
    case 'message':
      writer.tag(field.number, WireType.LengthDelimited).fork();
      writeMessage(requiredSchema(field.typeName), value, path, problems, writer);
      writer.join();
      return;
    case 'string':
      writer.tag(field.number, WireType.LengthDelimited).string(value as string);
      return;
    case 'bytes':
      writer.tag(field.number, WireType.LengthDelimited).bytes(bytesOf(value as string));
      return;
    case 'bool':
      writer.tag(field.number, WireType.Varint).bool(value as boolean);
      return;
    case 'double':
      writer.tag(field.number, WireType.Bit64).double(value as number);
      return;
    case 'uint32':
      writer.tag(field.number, WireType.Varint).uint32(value as number);
      return;
    case 'int32':
      writer.tag(field.number, WireType.Varint).int32(value as number);
      return;
    default:
      throw new InvariantError(`${field.type} passed the check of types`);
  }
}

/** The bytes fields of native messages hold PEM, which may stand as it is: no base64 begins with five dashes and a word. */
function isPem(text: string): boolean {
  return text.startsWith('-----BEGIN ');
}

function bytesOf(text: string): Uint8Array {
  return Buffer.from(text, isPem(text) ? 'utf8' : 'base64');
}

/** Standard or URL-safe alphabet, with or without padding (RFC 4648 sections 4 and 5). */
function isBase64(text: string): boolean {
  return /^[A-Za-z0-9+/_-]*={0,2}$/.test(text) && text.replace(/=+$/, '').length % 4 !== 1;
}

function emptyHint(value: unknown): string {
  return value === null ? '; leave the field out for its default' : '';
}

function quoteHint(value: unknown): string {
  return typeof value === 'number' || typeof value === 'boolean' ? '; put it in quotes' : '';
}

function unitHint(value: unknown): string {
  return typeof value === 'string' && /^\s*[\d.]+\s*(ms|s|m|h)?\s*$/.test(value)
    ? '; times are seconds, written as a plain number'
    : '';
}
