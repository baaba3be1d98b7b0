import { createHash } from 'node:crypto';

/** A version for what has none: the first 16 hex digits of the SHA-256 of its bytes. */
export function contentVersion(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex').slice(0, 16);
}
