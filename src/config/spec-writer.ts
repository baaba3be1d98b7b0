// A message → proto JSON with snake_case names, what spec-reader.ts reads.
import { isObject } from './envelope.ts';
import { REDACTED } from './redact.ts';
import { type FieldSchema, requiredSchema } from './schema.ts';

/**
 * The JSON of `message`, a ts-proto message of the type `fullName`. What isn't set is left out, unknown fields too. A
 * field that is never shown stands as `[redacted]`.
 */
export function writeSpec(fullName: string, message: object): Record<string, unknown> {
  const properties: Readonly<Record<string, unknown>> = { ...message };
  const spec: Record<string, unknown> = {};
  for (const field of requiredSchema(fullName).fields) {
    const value = properties[field.jsonName];
    if (value === undefined || (!field.presence && isZero(value))) continue;
    spec[field.name] = writeValue(field, value);
  }
  return spec;
}

/** The zero of a field without presence, an empty list or map. */
function isZero(value: unknown): boolean {
  if (Array.isArray(value) || value instanceof Uint8Array) return value.length === 0;
  return value === '' || value === 0 || value === false || (isObject(value) && Object.keys(value).length === 0);
}

function writeValue(field: FieldSchema, value: unknown): unknown {
  if (field.map) return { ...(value as object) };
  if (Array.isArray(value)) return value.map((item: unknown) => writeSingle(field, item));
  return writeSingle(field, value);
}

function writeSingle(field: FieldSchema, value: unknown): unknown {
  if (field.redact) return (value as string | Uint8Array).length === 0 ? '' : REDACTED;
  if (field.type === 'message') return writeSpec(field.typeName, value as object);
  if (value instanceof Uint8Array) return Buffer.from(value).toString('base64');
  return value;
}
