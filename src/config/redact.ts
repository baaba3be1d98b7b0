// Takes private keys and the keys of consumers out of encoded resources. Which fields hold one is said in the proto files, by `debug_redact`;
// there is no second list of them. The bytes are cut and joined, never decoded into a message, so what stays is
// byte by byte what came.
import { BinaryReader, BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { PROTO_PACKAGE } from './envelope.ts';
import type { Kind } from './resource.ts';
import { type FieldSchema, type MessageSchema, requiredSchema } from './schema.ts';

/** What stands where something was taken out. */
export const REDACTED = '[redacted]';

/** Bytes that may be shown. */
export interface Redacted {
  readonly bytes: Uint8Array;
  /** Whether something was taken out, or had been before. */
  readonly redacted: boolean;
}

/**
 * The resource with each field that is marked `debug_redact` and isn't empty holding `[redacted]`, at any depth. Fields
 * that the schema doesn't know stay. Bytes that are no such message can't be searched: nothing of them remains.
 */
export function redact(kind: Kind, bytes: Uint8Array): Redacted {
  const schema = requiredSchema(`${PROTO_PACKAGE}.${kind}`);
  if (!mustBeSearched(schema)) return { bytes, redacted: false };
  try {
    const result = redactMessage(schema, bytes);
    return result === undefined ? { bytes, redacted: false } : { bytes: result, redacted: true };
  } catch {
    return { bytes: new Uint8Array(0), redacted: true };
  }
}

/** The message without what must not be shown; undefined if there is nothing of it. Throws on bytes that are broken. */
function redactMessage(schema: MessageSchema, bytes: Uint8Array): Uint8Array | undefined {
  const reader = new BinaryReader(bytes);
  const parts: Uint8Array[] = [];
  let copiedTo = 0;
  while (reader.pos < reader.len) {
    const start = reader.pos;
    const [number, wireType] = reader.tag();
    const field = schema.byNumber.get(number);
    if (field === undefined || !isOrHoldsSecret(field)) {
      reader.skip(wireType, number);
      continue;
    }
    let shown: Uint8Array | undefined = NOTHING;
    if (wireType === WireType.LengthDelimited) shown = redactField(field, reader.bytes());
    // In another wire type than its own a decoder would put the field among the unknown ones, with its value.
    else reader.skip(wireType, number);
    if (shown === undefined) continue;
    parts.push(bytes.subarray(copiedTo, start), shown);
    copiedTo = reader.pos;
  }
  if (copiedTo === 0) return undefined;
  return Buffer.concat([...parts, bytes.subarray(copiedTo)]);
}

/** The occurrence of the field to show, tag included; undefined: as it is. */
function redactField(field: FieldSchema, value: Uint8Array): Uint8Array | undefined {
  if (!field.redact) {
    const inner = redactMessage(requiredSchema(field.typeName), value);
    return inner && encoded(field, inner);
  }
  if (value.length === 0) return undefined;
  // Only a text or bytes can hold the mark.
  return field.type === 'string' || field.type === 'bytes' ? encoded(field, Buffer.from(REDACTED)) : NOTHING;
}

const NOTHING = new Uint8Array(0);

function encoded(field: FieldSchema, value: Uint8Array): Uint8Array {
  return new BinaryWriter().tag(field.number, WireType.LengthDelimited).bytes(value).finish();
}

const searched = new Map<string, boolean>();

/** Whether a field of the message, at any depth, is marked. No native message contains itself, so this ends. */
function mustBeSearched(schema: MessageSchema): boolean {
  let answer = searched.get(schema.name);
  if (answer === undefined) searched.set(schema.name, (answer = schema.fields.some(isOrHoldsSecret)));
  return answer;
}

function isOrHoldsSecret(field: FieldSchema): boolean {
  return field.redact || (field.type === 'message' && mustBeSearched(requiredSchema(field.typeName)));
}
