// Types that a control plane may not know. Some servers end the whole stream when asked for such a one, so it is asked
// for last, and is parked where that happens again and again: the others must live. When a stream on which it wasn't
// asked for ends, the server may have become a newer one: the next stream asks once more.
import type { Kind } from '../config/resource.ts';
import { GATEWAY_KINDS, isGatewayKind } from '../config/resource.ts';

/** Those types, in the order in which they are asked for. */
export const OPTIONAL_KINDS: ReadonlySet<Kind> = new Set([...GATEWAY_KINDS, 'Secret']);

/** A stream that ends within this time of asking for one, without an answer to it, counts against it, ms. */
const BLAME_MS = 5_000;
/** So many such streams in a row park the type. */
const STRIKES = 3;

/** How a stream ended. */
export interface StreamEnd {
  /** The transport was connected, so the server has heard of what was asked. */
  readonly connected: boolean;
  /** Optional types that were asked for and not answered, each with the time since, ms. */
  readonly unanswered: ReadonlyMap<Kind, number>;
  readonly error: string;
}

/** What is parked at which server. */
export class ParkedTypes {
  private readonly strikes = new Map<number, Map<Kind, number>>();

  /** Types not to ask the server with that index for. */
  at(index: number): ReadonlySet<Kind> {
    const parked = new Set<Kind>();
    for (const [kind, count] of this.strikesOf(index)) if (count >= STRIKES) parked.add(kind);
    return parked;
  }

  /** The server answered for an optional type. */
  answered(index: number, kind: Kind): void {
    this.strikesOf(index).delete(kind);
  }

  /** A stream ended. Returns the types that this parked. */
  ended(index: number, { connected, unanswered, error }: StreamEnd): Kind[] {
    if (!connected) return [];
    const strikes = this.strikesOf(index);
    const blamed = suspects(unanswered, error);
    // It bore the question.
    for (const [kind, askedForMs] of unanswered) if (askedForMs > BLAME_MS) strikes.delete(kind);
    if (blamed.length === 0) {
      for (const kind of this.at(index)) if (!unanswered.has(kind)) strikes.set(kind, STRIKES - 1);
      return [];
    }
    const parked: Kind[] = [];
    for (const kind of blamed) {
      const count = (strikes.get(kind) ?? 0) + 1;
      strikes.set(kind, count);
      if (count === STRIKES) parked.push(kind);
    }
    return parked;
  }

  private strikesOf(index: number): Map<Kind, number> {
    let strikes = this.strikes.get(index);
    if (strikes === undefined) this.strikes.set(index, (strikes = new Map()));
    return strikes;
  }
}

/** Which types may be why the stream ended. */
function suspects(unanswered: ReadonlyMap<Kind, number>, error: string): readonly Kind[] {
  // A server that goes away doesn't mean a type.
  if (error.startsWith('UNAVAILABLE')) return [];
  const kinds = [...unanswered].filter(([, askedForMs]) => askedForMs <= BLAME_MS).map(([kind]) => kind);
  // The mesh needs Secrets: they are suspected only where the gateway's types can't be it.
  const gateway = kinds.filter(isGatewayKind);
  return gateway.length > 0 ? gateway : kinds;
}
