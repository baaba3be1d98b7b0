// Which resources a refusal is about. A sidecar of this project names each: `Upstream default/foo: problem; Upstream
// default/bar: problem; and 3 more resources`. Others may leave the kind out, or name none.
import type { Kind } from '../config/resource.ts';

/** Most bytes of a reason that are kept. */
const MAX_REASON_BYTES = 4_000;

/** Why a resource was refused. */
export interface Refusal {
  /** The sidecar's words. */
  readonly reason: string;
  /** Since when it is refused, ms since 1970. */
  readonly sinceWallMs: number;
  /** Whether the sidecar named it; else it may be any of those that came together. */
  readonly isNamed: boolean;
}

/** What a refusal says of the resources of a response. */
export interface NackReason {
  /** Reasons of those that it names. */
  readonly named: ReadonlyMap<string, string>;
  /** Whether all others were taken. */
  readonly isComplete: boolean;
}

/** Reads the message of a refusal. `sent`: names of the resources that were sent together. */
export function readNackReason(kind: Kind | undefined, message: string, sent: ReadonlySet<string>): NackReason {
  const prefix = `${kind ?? ''} `;
  const hasKinds = message.startsWith(prefix);
  const named = new Map<string, string>();
  let last: string | undefined;
  let isComplete = true;
  for (const piece of message.split('; ')) {
    const name = nameIn(piece, hasKinds ? prefix : '', sent);
    if (name !== undefined) {
      named.set(name, piece);
      last = name;
    } else if (/^and \d+ more resources?$/.test(piece)) {
      isComplete = false;
    } else if (last !== undefined) {
      named.set(last, `${named.get(last)}; ${piece}`);
    }
  }
  return { named, isComplete: isComplete && named.size > 0 };
}

function nameIn(piece: string, prefix: string, sent: ReadonlySet<string>): string | undefined {
  if (!piece.startsWith(prefix)) return undefined;
  const end = piece.indexOf(': ', prefix.length);
  const name = piece.slice(prefix.length, end);
  return end > 0 && sent.has(name) ? name : undefined;
}

/** A reason as it is kept. */
export function cutReason(reason: string): string {
  const bytes = Buffer.from(reason);
  // A character that is cut in half becomes U+FFFD, which is taken off again.
  return bytes.length <= MAX_REASON_BYTES
    ? reason
    : bytes
        .subarray(0, MAX_REASON_BYTES)
        .toString()
        .replace(/\uFFFD$/u, '');
}
