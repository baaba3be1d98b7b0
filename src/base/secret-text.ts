// A text that must not be seen: a private key. Whatever prints it by accident, a log, JSON or an inspector, prints a
// mark instead.
import { createHash } from 'node:crypto';

const REDACTED = '[redacted]';

/** Holds a secret text. Two of equal text have equal digests, so comparisons work without showing it. */
export class SecretText {
  /** SHA-256 of the text, hexadecimal. */
  readonly digest: string;
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
    this.digest = createHash('sha256').update(text).digest('hex');
  }

  /** The text, for the one who uses it. */
  reveal(): string {
    return this.#text;
  }

  toString(): string {
    return REDACTED;
  }

  toJSON(): string {
    return REDACTED;
  }

  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return REDACTED;
  }
}
