// A strict reader of DER (X.690): the few shapes that a certificate is made of. It looks at bytes in place, copies
// nothing and never goes back, so its work is bounded by the length of the input.

/** One element: its identifier octet and where its contents stand in {@link bytes}. */
export interface DerElement {
  readonly bytes: Uint8Array;
  /** Class, constructed bit and tag number in one octet; tag numbers above 30 are not read. */
  readonly tag: number;
  /** First byte of the contents. */
  readonly start: number;
  /** After the last byte of the contents. */
  readonly end: number;
}

/** Thrown for bytes that are not DER. It names no content. */
export class DerError extends Error {}

/** Identifier octets (X.680 section 8.6). */
export const DER_TAG = { boolean: 0x01, octetString: 0x04, oid: 0x06, sequence: 0x30 } as const;

/** Contents of 16 MiB and more are refused: no certificate is so long. */
const MAX_LENGTH_OCTETS = 3;

/** The one element that these bytes are. Throws {@link DerError} also where something follows it. */
export function readDer(bytes: Uint8Array): DerElement {
  const element = readElement(bytes, 0, bytes.length);
  if (element.end !== bytes.length) throw new DerError('bytes follow the element');
  return element;
}

/** The elements of a constructed one, in order; more than `max` are refused. Throws {@link DerError}. */
export function readDerChildren(parent: DerElement, max: number): DerElement[] {
  const children: DerElement[] = [];
  for (let at = parent.start; at < parent.end;) {
    if (children.length === max) throw new DerError('too many elements');
    const child = readElement(parent.bytes, at, parent.end);
    children.push(child);
    at = child.end;
  }
  return children;
}

/** The contents, borrowed. */
export function derContents(element: DerElement): Uint8Array {
  return element.bytes.subarray(element.start, element.end);
}

function readElement(bytes: Uint8Array, at: number, limit: number): DerElement {
  const tag = octet(bytes, at, limit);
  if ((tag & 0x1f) === 0x1f) throw new DerError('a tag number above 30');
  let length = octet(bytes, at + 1, limit);
  let start = at + 2;
  if (length >= 0x80) {
    // Long form. DER has no indefinite length (0x80) and uses as few octets as will do (X.690 section 10.1).
    const octets = length - 0x80;
    if (octets === 0 || octets > MAX_LENGTH_OCTETS) throw new DerError('a length that DER does not have');
    length = 0;
    for (let i = 0; i < octets; i++) length = length * 256 + octet(bytes, start + i, limit);
    start += octets;
    if (length < 0x80 || length < 256 ** (octets - 1)) throw new DerError('a length in more octets than it needs');
  }
  if (length > limit - start) throw new DerError('the element is cut off');
  return { bytes, tag, start, end: start + length };
}

function octet(bytes: Uint8Array, at: number, limit: number): number {
  const value = at < limit ? bytes[at] : undefined;
  if (value === undefined) throw new DerError('the element is cut off');
  return value;
}
