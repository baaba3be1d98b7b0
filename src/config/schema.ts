// The fields of every message, read from the descriptor set that src/gen carries. It is the one source for whoever
// walks messages by name: the reader of native documents, the check of wire bytes, lint and describe.
import { BinaryReader } from '@bufbuild/protobuf/wire';
import { invariant } from '../base/assert.ts';
import { DESCRIPTOR_SET_BASE64 } from '../gen/descriptors.ts';

/** What a field holds; the words of the proto language. */
export type FieldType = (typeof TYPES)[number];

/** Index is FieldDescriptorProto.Type, from 1 on. */
const TYPES = [
  'double',
  'float',
  'int64',
  'uint64',
  'int32',
  'fixed64',
  'fixed32',
  'bool',
  'string',
  'group',
  'message',
  'bytes',
  'uint32',
  'enum',
  'sfixed32',
  'sfixed64',
  'sint32',
  'sint64',
] as const;

/** One field of a message. */
export interface FieldSchema {
  /** Name in the proto, snake_case: the word of YAML, JSON and field paths. */
  readonly name: string;
  /** camelCase name: the property of ts-proto's message, and what proto JSON writes. */
  readonly jsonName: string;
  readonly number: number;
  readonly type: FieldType;
  /** Full name of the message or enum, `outrigger.config.v1.Timeout`; empty for scalars. */
  readonly typeName: string;
  readonly repeated: boolean;
  /** A `map<…>`: repeated on the wire, an object in JSON. `typeName` is its entry message. */
  readonly map: boolean;
  /** Whether "not set" differs from the type's zero (proto3 `optional`, and every message field). */
  readonly presence: boolean;
  /** Marked `debug_redact`: what it holds is never shown. */
  readonly redact: boolean;
}

/** One message. */
export interface MessageSchema {
  /** Full name without a leading dot. */
  readonly name: string;
  /** In the order of the proto file. */
  readonly fields: readonly FieldSchema[];
  readonly byNumber: ReadonlyMap<number, FieldSchema>;
}

let known: ReadonlyMap<string, MessageSchema> | undefined;

/** The message of a full name, `outrigger.config.v1.Upstream`; undefined if no proto has it. */
export function messageSchema(fullName: string): MessageSchema | undefined {
  known ??= readDescriptorSet(Buffer.from(DESCRIPTOR_SET_BASE64, 'base64'));
  return known.get(fullName);
}

/** The message of a full name that must be there: it came from the schema itself or is written in the code. */
export function requiredSchema(fullName: string): MessageSchema {
  const schema = messageSchema(fullName);
  invariant(schema !== undefined, `no proto has the message ${fullName}`);
  return schema;
}

/** Fields of a message by its full name; none if no proto has it. */
export function messageFields(fullName: string): readonly FieldSchema[] {
  return messageSchema(fullName)?.fields ?? [];
}

/** What readers of descriptor.proto hand over: each field's number and its value, one call each. */
type Visit = (field: number, reader: BinaryReader) => boolean;

/** Reads the message in `bytes`; `visit` reads the fields that it wants and says so, the others are skipped. */
function read(bytes: Uint8Array, visit: Visit): void {
  const reader = new BinaryReader(bytes);
  while (reader.pos < reader.len) {
    const [field, wireType] = reader.tag();
    if (!visit(field, reader)) reader.skip(wireType, field);
  }
}

function readDescriptorSet(bytes: Uint8Array): ReadonlyMap<string, MessageSchema> {
  const messages = new Map<string, MessageSchema>();
  const maps = new Set<string>();
  read(bytes, (field, reader) => {
    if (field !== 1) return false;
    readFile(reader.bytes(), messages, maps);
    return true;
  });
  for (const [name, schema] of messages) {
    const fields = schema.fields.map((field) => (maps.has(field.typeName) ? { ...field, map: true } : field));
    messages.set(name, { name, fields, byNumber: new Map(fields.map((field) => [field.number, field])) });
  }
  return messages;
}

/** FileDescriptorProto: package = 2, message_type = 4. */
function readFile(bytes: Uint8Array, messages: Map<string, MessageSchema>, maps: Set<string>): void {
  let packageName = '';
  const found: Uint8Array[] = [];
  read(bytes, (field, reader) => {
    if (field === 2) packageName = reader.string();
    else if (field === 4) found.push(reader.bytes());
    else return false;
    return true;
  });
  for (const message of found) readMessage(message, packageName, messages, maps);
}

/** DescriptorProto: name = 1, field = 2, nested_type = 3, options = 7 (MessageOptions: map_entry = 7). */
function readMessage(bytes: Uint8Array, parent: string, messages: Map<string, MessageSchema>, maps: Set<string>): void {
  let name = '';
  let isMapEntry = false;
  const fields: FieldSchema[] = [];
  const nested: Uint8Array[] = [];
  read(bytes, (field, reader) => {
    if (field === 1) name = reader.string();
    else if (field === 2) fields.push(readField(reader.bytes()));
    else if (field === 3) nested.push(reader.bytes());
    else if (field === 7) {
      read(reader.bytes(), (option, options) => {
        if (option !== 7) return false;
        isMapEntry = options.bool();
        return true;
      });
    } else return false;
    return true;
  });
  const fullName = parent === '' ? name : `${parent}.${name}`;
  messages.set(fullName, { name: fullName, fields, byNumber: new Map() });
  if (isMapEntry) maps.add(fullName);
  for (const message of nested) readMessage(message, fullName, messages, maps);
}

/**
 * FieldDescriptorProto: name = 1, number = 3, label = 4 (3: repeated), type = 5, type_name = 6, options = 8 (FieldOptions:
 * debug_redact = 16), json_name = 10, proto3_optional = 17.
 */
function readField(bytes: Uint8Array): FieldSchema {
  let name = '';
  let jsonName = '';
  let number = 0;
  let label = 0;
  let type = 0;
  let typeName = '';
  let optional = false;
  let redact = false;
  read(bytes, (field, reader) => {
    if (field === 1) name = reader.string();
    else if (field === 3) number = reader.int32();
    else if (field === 4) label = reader.int32();
    else if (field === 5) type = reader.int32();
    else if (field === 6) typeName = reader.string().replace(/^\./, '');
    else if (field === 8) {
      read(reader.bytes(), (option, options) => {
        if (option !== 16) return false;
        redact = options.bool();
        return true;
      });
    } else if (field === 10) jsonName = reader.string();
    else if (field === 17) optional = reader.bool();
    else return false;
    return true;
  });
  const word = TYPES[type - 1];
  invariant(word !== undefined, `field ${name} has the unknown type ${type}`);
  const repeated = label === 3;
  const presence = !repeated && (optional || word === 'message');
  return { name, jsonName, number, type: word, typeName, repeated, map: false, presence, redact };
}
