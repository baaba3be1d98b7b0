// One stream with its subscriptions and the store they fill. Knows no socket: requests leave through `send`, and the
// driver (xds-client.ts) brings responses, wishes and time.
import type { Rng } from '../base/rng.ts';
import type { Kind, WantedNames } from '../config/resource.ts';
import { kindOf, KINDS } from '../config/resource.ts';
import { DeltaSubscription } from './delta-subscription.ts';
import type { ResourceKey, ResourceStore } from './resource-store.ts';
import { SotwSubscription } from './sotw-subscription.ts';
import type {
  AdsRequest,
  Decode,
  DeliveredResponse,
  Flavour,
  Subscription,
  SubscriptionEffect,
  SubscriptionEvent,
} from './subscription.ts';

/**
 * Types that a control plane may not know. Some servers end the whole stream when asked for such a one, so it is asked
 * for last, and is parked where that happens again and again.
 */
export const OPTIONAL_KINDS: ReadonlySet<Kind> = new Set(['Secret']);

/** A moment on both clocks. */
export interface Moment {
  readonly nowMs: number;
  readonly wallMs: number;
}

/** What a session works with. */
export interface SessionContext {
  readonly flavour: Flavour;
  readonly decode: Decode;
  readonly rng: Rng;
  /** Types not asked for from this server. */
  readonly parked: ReadonlySet<Kind>;
  readonly send: (request: AdsRequest) => void;
}

/** What a batch of events did to the store. */
export interface SessionChanges {
  /** New content of something. */
  readonly content: readonly ResourceKey[];
  /** Something was answered, is absent, or was refused. */
  readonly settled: boolean;
}

/** The subscriptions of one stream. */
export class AdsSession {
  readonly store: ResourceStore;
  /** The server has answered something that we asked. */
  responded = false;
  /** Responses of types that were not asked for. */
  dropped = 0;
  /** When an optional type was first asked for on this stream; undefined once it is answered, and before. */
  optionalAskedMs: number | undefined = undefined;
  /** An optional type was answered. */
  optionalAnswered = false;
  private readonly context: SessionContext;
  private readonly subscriptions = new Map<Kind, Subscription>();
  private content: ResourceKey[] = [];
  private settled = false;

  constructor(store: ResourceStore, context: SessionContext) {
    this.store = store;
    this.context = context;
    for (const kind of KINDS) this.subscriptions.set(kind, this.subscribe(kind));
  }

  /** When to call {@link onDue}; Infinity: never. */
  get nextDueMs(): number {
    let next = Infinity;
    for (const subscription of this.subscriptions.values()) next = Math.min(next, subscription.nextDueMs);
    return next;
  }

  onConnected(at: Moment): void {
    this.handleAll({ kind: 'connected' }, at);
  }

  onDue(at: Moment): void {
    this.handleAll({ kind: 'due' }, at);
  }

  /** Brings the store and the subscriptions to these names. */
  want(wanted: WantedNames, at: Moment): void {
    this.store.retain(wanted);
    for (const kind of KINDS) {
      if (OPTIONAL_KINDS.has(kind) && !this.mayAskOptional(kind, wanted)) continue;
      this.handle(kind, { kind: 'want', names: wanted[kind] }, at);
      if (!OPTIONAL_KINDS.has(kind) || wanted[kind].size === 0 || this.optionalAnswered) continue;
      this.optionalAskedMs ??= at.nowMs;
    }
  }

  onResponse(response: DeliveredResponse, at: Moment): void {
    const kind = kindOf(response.typeUrl);
    const subscription = kind && this.subscriptions.get(kind);
    if (kind === undefined || subscription?.started !== true) {
      // Answering would subscribe to the type.
      this.dropped++;
      return;
    }
    this.responded = true;
    if (OPTIONAL_KINDS.has(kind)) {
      this.optionalAnswered = true;
      this.optionalAskedMs = undefined;
    }
    this.handle(kind, { kind: 'response', response }, at);
    this.store.typeVersions.set(kind, subscription.version);
  }

  /** These were taken out of the store since their time to live ran out. */
  onExpired(keys: readonly ResourceKey[], at: Moment): void {
    for (const { kind, name } of keys) this.handle(kind, { kind: 'expired', name }, at);
    this.content.push(...keys);
  }

  /** What changed since the last call. */
  takeChanges(): SessionChanges {
    const changes = { content: this.content, settled: this.settled };
    this.content = [];
    this.settled = false;
    return changes;
  }

  private subscribe(kind: Kind): Subscription {
    const { store, context } = this;
    const held = store.heldVersions(kind);
    const decode: Decode = (of, name, bytes) => {
      // The same bytes again: the same object, so that nothing downstream of here sees a change.
      const resource = store.get(of, name);
      if (resource !== undefined && Buffer.compare(resource.bytes, bytes) === 0) return { ok: true, resource };
      return context.decode(of, name, bytes);
    };
    if (context.flavour === 'delta') return new DeltaSubscription(kind, held, decode, context.rng);
    return new SotwSubscription(kind, held, store.typeVersions.get(kind) ?? '', decode, context.rng);
  }

  private mayAskOptional(kind: Kind, wanted: WantedNames): boolean {
    if (this.context.parked.has(kind)) {
      const reason = 'the control plane ends the stream when asked for this type, so it is not asked any more';
      for (const name of wanted[kind]) this.store.absent(kind, name, reason);
      return false;
    }
    const started = this.subscriptions.get(kind)?.started === true;
    return started || KINDS.every((other) => OPTIONAL_KINDS.has(other) || this.store.awaiting(other) === 0);
  }

  private handleAll(event: SubscriptionEvent, at: Moment): void {
    for (const kind of KINDS) this.handle(kind, event, at);
  }

  private handle(kind: Kind, event: SubscriptionEvent, at: Moment): void {
    for (const effect of this.subscriptions.get(kind)?.handle(event, at.nowMs) ?? []) this.apply(kind, effect, at);
  }

  private apply(kind: Kind, effect: SubscriptionEffect, { nowMs, wallMs }: Moment): void {
    const { store } = this;
    switch (effect.kind) {
      case 'request':
        this.context.send(effect.request);
        return;
      case 'accepted':
        this.settled ||= store.entry(kind, effect.name)?.state !== 'ACKED';
        if (store.accept(effect, nowMs, wallMs)) this.content.push({ kind, name: effect.name });
        return;
      case 'refreshed':
        store.refresh(kind, effect.name, effect.ttlMs, nowMs);
        return;
      case 'refused':
        store.refuse(kind, effect.name, effect.version, effect.error, wallMs);
        break;
      case 'removed':
        store.remove(kind, effect.name);
        break;
      case 'absent':
        store.absent(kind, effect.name, 'the control plane did not answer within 15 seconds');
        break;
    }
    this.settled = true;
  }
}
