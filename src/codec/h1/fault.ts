import type { ErrorKind } from '../../base/error.ts';

/**
 * Why a message was refused: a kind of the error table and a sentence for the caller and the log. The sentence is
 * fixed text, never bytes of the peer. Faults are constants, so refusing allocates nothing.
 */
export class Fault {
  readonly kind: ErrorKind;
  readonly detail: string;

  constructor(kind: ErrorKind, detail: string) {
    this.kind = kind;
    this.detail = detail;
  }
}

/** A fault of syntax or framing: 400. */
export function malformed(detail: string): Fault {
  return new Fault('bad_request', detail);
}
