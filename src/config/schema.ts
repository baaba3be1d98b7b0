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

/** Messages by full name, as far as they were asked for; of the others the bytes of their descriptor. */
let known: Map<string, MessageSchema | Uint8Array> | undefined;

/**
 * The message of a full name, `outrigger.config.v1.Upstream`; undefined if no proto has it. A message is read when it is
 * first asked for: reading all of them takes 10 ms of every start.
 */
export function messageSchema(fullName: string): MessageSchema | undefined {
  known ??= readDescriptorSet(Buffer.from(DESCRIPTOR_SET_BASE64, 'base64'));
  const found = known.get(fullName);
  if (!(found instanceof Uint8Array)) return found;
  const schema = readMessage(found, fullName);
  known.set(fullName, schema);
  return schema;
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

/** FileDescriptorSet: file = 1. The descriptor of each message, nested ones too, by the message's full name. */
function readDescriptorSet(bytes: Uint8Array): Map<string, MessageSchema | Uint8Array> {
  const messages = new Map<string, Uint8Array>();
  read(bytes, (field, reader) => {
    if (field !== 1) return false;
    readFile(reader.bytes(), messages);
    return true;
  });
  return messages;
}

/** FileDescriptorProto: package = 2, message_type = 4. */
function readFile(bytes: Uint8Array, messages: Map<string, Uint8Array>): void {
  let packageName = '';
  const found: Uint8Array[] = [];
  read(bytes, (field, reader) => {
    if (field === 2) packageName = reader.string();
    else if (field === 4) found.push(reader.bytes());
    else return false;
    return true;
  });
  for (const message of found) findMessages(message, packageName, messages);
}

/** DescriptorProto: name = 1, nested_type = 3. */
function findMessages(bytes: Uint8Array, parent: string, messages: Map<string, Uint8Array>): void {
  let name = '';
  const nested: Uint8Array[] = [];
  read(bytes, (field, reader) => {
    if (field === 1) name = reader.string();
    else if (field === 3) nested.push(reader.bytes());
    else return false;
    return true;
  });
  const fullName = parent === '' ? name : `${parent}.${name}`;
  messages.set(fullName, bytes);
  for (const message of nested) findMessages(message, fullName, messages);
}

/** DescriptorProto: field = 2, nested_type = 3. The entry message of a map is always nested in the message that has the map. */
function readMessage(bytes: Uint8Array, name: string): MessageSchema {
  const found: FieldSchema[] = [];
  const maps = new Set<string>();
  read(bytes, (field, reader) => {
    if (field === 2) found.push(readField(reader.bytes()));
    else if (field === 3) {
      const entry = mapEntryName(reader.bytes());
      if (entry !== undefined) maps.add(`${name}.${entry}`);
    } else return false;
    return true;
  });
  const fields = maps.size === 0 ? found : found.map((field) => ({ ...field, map: maps.has(field.typeName) }));
  return { name, fields, byNumber: new Map(fields.map((field) => [field.number, field])) };
}

/** Name of a message that is an entry of a map, else undefined: name = 1, options = 7 (MessageOptions: map_entry = 7). */
function mapEntryName(bytes: Uint8Array): string | undefined {
  let name: string | undefined;
  let isEntry = false;
  read(bytes, (field, reader) => {
    if (field === 1) name = reader.string();
    else if (field === 7) {
      read(reader.bytes(), (option, options) => {
        if (option !== 7) return false;
        isEntry = options.bool();
        return true;
      });
    } else return false;
    return true;
  });
  return isEntry ? name : undefined;
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
