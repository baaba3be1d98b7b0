import type { Fields, ResponseHead } from '../exchange.ts';
import {
  classifyName,
  CONNECTION_SPECIFIC,
  CONTENT_LENGTH,
  isFieldValue,
  MALFORMED,
  parseContentLength,
  PSEUDO,
} from './field-syntax.ts';
import type { DecodedFields } from './hpack/decoder.ts';

/** A copy that the callee of an exchange may change. */
export function copyResponseHead(head: ResponseHead): ResponseHead {
  return {
    status: head.status,
    fields: head.fields.slice(),
    neverIndexed: head.neverIndexed,
    contentLength: head.contentLength,
  };
}

/**
 * Sorts and checks the fields of an answer's head (RFC 9113 section 8.3.2). The answer is the head, or what is wrong
 * with it in words.
 */
export function readResponseHead(decoded: DecodedFields): ResponseHead | string {
  const items = decoded.items;
  const fields: Fields = [];
  let status = 0;
  let contentLength = -1;
  for (let i = 0; i < decoded.length; i += 2) {
    const name = items[i]!;
    const value = items[i + 1]!;
    const treatment = classifyName(name);
    if (treatment === PSEUDO) {
      if (name !== ':status') return `the pseudo-field ${name}`;
      if (status !== 0) return 'two :status';
      if (fields.length > 0) return ':status after a regular field';
      status = readStatus(value);
      if (status === 0) return 'a malformed :status';
      continue;
    }
    if (treatment === MALFORMED) return 'a malformed field name';
    if (treatment === CONNECTION_SPECIFIC) return `the connection-specific field ${name}`;
    if (!isFieldValue(value)) return `a malformed value of ${name}`;
    if (treatment === CONTENT_LENGTH) {
      if (contentLength >= 0) return 'two content-length';
      contentLength = parseContentLength(value);
      if (contentLength < 0) return 'a malformed content-length';
      fields.push(name, String(contentLength)); // in one form: 03 might be read as octal by others
      continue;
    }
    fields.push(name, value);
  }
  if (status === 0) return 'no :status';
  return { status, fields, neverIndexed: decoded.neverIndexed, contentLength };
}

/** Three digits from 100 on; else 0. */
function readStatus(value: string): number {
  const status = value.length === 3 ? parseContentLength(value) : 0;
  return status >= 100 ? status : 0;
}
