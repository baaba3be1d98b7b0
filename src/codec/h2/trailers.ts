import type { Fields } from '../exchange.ts';
import { classifyName, COOKIE, GRPC_TIMEOUT, isFieldValue, ORDINARY } from './field-syntax.ts';
import type { DecodedFields } from './hpack/decoder.ts';

/**
 * Checks trailers (RFC 9113 section 8.1): no pseudo-fields, nothing of the connection, and none of the fields that
 * frame or route a message (RFC 9110 section 6.5.1). The answer is the fields, or what is wrong in words.
 */
export function readTrailers(decoded: DecodedFields): Fields | string {
  const items = decoded.items;
  const fields: Fields = [];
  for (let i = 0; i < decoded.length; i += 2) {
    const name = items[i]!;
    const value = items[i + 1]!;
    const treatment = classifyName(name);
    if (treatment !== ORDINARY && treatment !== COOKIE && treatment !== GRPC_TIMEOUT) {
      return `the trailer field ${JSON.stringify(name)}`;
    }
    if (!isFieldValue(value)) return `a malformed value of ${name}`;
    fields.push(name, value);
  }
  return fields;
}
