// What the subscription to one resource type on one ADS stream is made of. There are two flavours, delta-subscription.ts
// and sotw-subscription.ts, behind the one interface here. Both are machines without clock, socket or logger: the same
// events at the same times give the same effects.
//
//                    want (names)                 response                     due
//   not started ───────────────────► subscribed ───────────► answered ──────────────────► late NACKs, absent names
//   (no request                       │     ▲  each want that changes something: a request     │
//    of the type yet)                 └─────┘  each response: exactly one answer ◄──────────────┘
//
// A type is asked for by names or, in the delta flavour alone, with `*`; never both, so what comes under `*` needs no
// name. Nothing is sent for a type before something of it is wanted, since a first request without names would ask for
// everything.
import type { Decoded, EVERYTHING, Kind, Resource } from '../config/resource.ts';

/** The two ways in which ADS speaks. */
export type Flavour = 'delta' | 'sotw';

/** What is wanted of a type: these names, or all there are. */
export type Wish = ReadonlySet<string> | typeof EVERYTHING;

/** A resource as it came, before it was looked at. */
export interface DeliveredResource {
  /** Undefined where it can't be read from the bytes. */
  readonly name: string | undefined;
  /** Type URL of the payload; empty where there is none. */
  readonly typeUrl: string;
  /** The server's version of this resource; empty where it gives none. */
  readonly version: string;
  /** Time to live, ms; undefined: for ever. */
  readonly ttlMs: number | undefined;
  /** Undefined: a heartbeat, or an alias that doesn't resolve. */
  readonly bytes: Uint8Array | undefined;
  /** Other names it is known by. */
  readonly aliases: readonly string[];
}

/** A response of either flavour. */
export interface DeliveredResponse {
  readonly typeUrl: string;
  /** State of the world: version of the type. Delta: for logs only. */
  readonly version: string;
  readonly nonce: string;
  readonly resources: readonly DeliveredResource[];
  /** Names that the server says don't exist. Delta only. */
  readonly removed: readonly string[];
}

/** A request of the delta flavour. */
export interface DeltaRequest {
  readonly flavour: 'delta';
  readonly kind: Kind;
  readonly subscribe: readonly string[];
  readonly unsubscribe: readonly string[];
  /** Name to version of what is held; only in the first request of a type on a stream. */
  readonly initialVersions: ReadonlyMap<string, string>;
  /** Of the response that this answers; empty: it answers none. */
  readonly nonce: string;
  /** Empty: an ACK, or no answer. */
  readonly error: string;
}

/** A request of the state-of-the-world flavour. */
export interface SotwRequest {
  readonly flavour: 'sotw';
  readonly kind: Kind;
  /** Version accepted last; empty at first. */
  readonly version: string;
  /** All names wanted. */
  readonly names: readonly string[];
  /** The newest nonce of the type on this stream; empty before the first response. */
  readonly nonce: string;
  /** Empty: not a NACK. */
  readonly error: string;
}

export type AdsRequest = DeltaRequest | SotwRequest;

/** What happens to a subscription. */
export type SubscriptionEvent =
  /** The stream runs on a connected transport: names that are asked for can be missed from now on. */
  | { readonly kind: 'connected' }
  /** All that is wanted from now on. */
  | { readonly kind: 'want'; readonly names: Wish }
  /** Further names that are wanted. */
  | { readonly kind: 'also'; readonly names: readonly string[] }
  | { readonly kind: 'response'; readonly response: DeliveredResponse }
  /** The time to live of a held resource ran out. */
  | { readonly kind: 'expired'; readonly name: string }
  /** `nextDueMs` has come. */
  | { readonly kind: 'due' };

/** A resource that is good. */
export interface Accepted {
  readonly name: string;
  readonly version: string;
  readonly ttlMs: number | undefined;
  readonly resource: Resource;
}

/** A resource that is not. */
export interface Refused {
  /** `#2` for the third resource of a response where the name can't be read. */
  readonly name: string;
  readonly version: string;
  /** Every problem it has. */
  readonly error: string;
  /** `name` is only its place in the response. */
  readonly isNameless?: true;
}

/** What follows from an event. */
export type SubscriptionEffect =
  | { readonly kind: 'request'; readonly request: AdsRequest }
  | ({ readonly kind: 'accepted' } & Accepted)
  /** A heartbeat: the time to live starts again, nothing else. */
  | { readonly kind: 'refreshed'; readonly name: string; readonly ttlMs: number | undefined }
  | ({ readonly kind: 'refused' } & Refused)
  /** The server says that it doesn't exist (any more). */
  | { readonly kind: 'removed'; readonly name: string }
  /** {@link ABSENCE_MS} went by without an answer; `*`: to the wish for everything. */
  | { readonly kind: 'absent'; readonly name: string }
  /** All there is came; what was held and isn't in it was told as removed. */
  | { readonly kind: 'whole' };

/** One resource type on one stream. */
export interface Subscription {
  /** A request of this type was made on this stream. A response before that is not for us. */
  readonly started: boolean;
  /** State of the world: version of the type that was accepted last. Empty in delta. */
  readonly version: string;
  /** When to send `due`; Infinity: never. */
  readonly nextDueMs: number;
  handle(event: SubscriptionEvent, nowMs: number): SubscriptionEffect[];
}

/** Checks bytes. The name is the one that the resource is delivered under. */
export type Decode = (kind: Kind, name: string, bytes: Uint8Array) => Decoded;

/** A resource that doesn't come within this time of being asked for doesn't exist (gRFC A57 and Envoy agree on it). */
export const ABSENCE_MS = 15_000;

/** Names that are asked for and unanswered, each with the time at which it counts as absent. */
export class AbsenceTimers {
  private readonly dueMs = new Map<string, number>();
  private connected = false;

  /** Starts for `name`; runs only once the transport is connected. */
  start(name: string, nowMs: number): void {
    this.dueMs.delete(name); // so that the map stays in order of time
    this.dueMs.set(name, this.connected ? nowMs + ABSENCE_MS : Infinity);
  }

  stop(name: string): void {
    this.dueMs.delete(name);
  }

  connect(nowMs: number): void {
    if (this.connected) return;
    this.connected = true;
    for (const name of this.dueMs.keys()) this.dueMs.set(name, nowMs + ABSENCE_MS);
  }

  get nextDueMs(): number {
    // All run equally long and time doesn't go back: the first one is the next.
    for (const dueMs of this.dueMs.values()) return dueMs;
    return Infinity;
  }

  /** Names that are absent now; each is told once. */
  take(nowMs: number): string[] {
    const names: string[] = [];
    for (const [name, dueMs] of this.dueMs) {
      if (dueMs > nowMs) break;
      names.push(name);
    }
    for (const name of names) this.dueMs.delete(name);
    return names;
  }
}
