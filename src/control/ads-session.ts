// One stream with its subscriptions and the store they fill. Knows no socket: requests leave through `send`, and the
// driver (xds-client.ts) brings responses, wishes and time.
import type { Rng } from '../base/rng.ts';
import { redact } from '../config/redact.ts';
import type { Decoded, Kind, WantedNames } from '../config/resource.ts';
import { EVERYTHING, isGatewayKind, kindOf, KINDS } from '../config/resource.ts';
import { DeltaSubscription } from './delta-subscription.ts';
import { OPTIONAL_KINDS } from './parked-types.ts';
import type { Exposure } from './plaintext.ts';
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
  Wish,
} from './subscription.ts';

/** A type that is asked for last is asked for when this long nothing came, whoever is still unanswered, ms. */
const QUIET_MS = 1_000;

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
  /** Why no private key may come by this stream; undefined: they may. */
  readonly exposure: Exposure | undefined;
  readonly send: (request: AdsRequest) => void;
  /** Told once of each kind that is wanted and not asked for at all, with the reason. */
  readonly onNotAsked: (kind: Kind, reason: string) => void;
}

/** What a batch of events did to the store. */
export interface SessionChanges {
  /** There is new content, or none any more. */
  readonly content: readonly ResourceKey[];
  /** Beside that something was answered, is absent, or was refused. */
  readonly settled: boolean;
}

/** The subscriptions of one stream. */
export class AdsSession {
  readonly store: ResourceStore;
  /** The server has answered something that we asked. */
  responded = false;
  /** The stream runs on a connected transport. */
  isConnected = false;
  /** Responses of types that were not asked for. */
  dropped = 0;
  /** Optional types that are asked for on this stream and not answered, each with when, counted from its being connected. */
  readonly optionalAskedMs = new Map<Kind, number>();
  /** Optional types that were answered. */
  readonly optionalAnswered = new Set<Kind>();
  private readonly context: SessionContext;
  private readonly subscriptions = new Map<Kind, Subscription>();
  private wanted: WantedNames | undefined = undefined;
  /** When the server has been quiet for {@link QUIET_MS}; Infinity before its first response. */
  private quietAtMs = Infinity;
  /** When an optional type is asked for although others aren't answered; Infinity: nothing waits for that. */
  private askOptionalAtMs = Infinity;
  private content: ResourceKey[] = [];
  private settled = false;
  private readonly notAsked = new Set<Kind>();

  constructor(store: ResourceStore, context: SessionContext) {
    this.store = store;
    this.context = context;
    for (const kind of KINDS) this.subscriptions.set(kind, this.subscribe(kind));
  }

  /** When to call {@link onDue}; Infinity: never. */
  get nextDueMs(): number {
    let next = this.askOptionalAtMs;
    for (const subscription of this.subscriptions.values()) next = Math.min(next, subscription.nextDueMs);
    return next;
  }

  onConnected(at: Moment): void {
    this.isConnected = true;
    // Until now the server can't have heard of it.
    for (const kind of this.optionalAskedMs.keys()) this.optionalAskedMs.set(kind, at.nowMs);
    this.handleAll({ kind: 'connected' }, at);
  }

  onDue(at: Moment): void {
    this.handleAll({ kind: 'due' }, at);
    if (at.nowMs >= this.askOptionalAtMs) this.wantOptional(at);
  }

  /** Brings the store and the subscriptions to these names. */
  want(wanted: WantedNames, at: Moment): void {
    this.store.retain(wanted);
    this.wanted = wanted;
    for (const kind of KINDS) {
      if (!OPTIONAL_KINDS.has(kind)) this.handle(kind, { kind: 'want', names: wanted[kind] }, at);
    }
    this.wantOptional(at);
  }

  /** Asks for further names of a kind, beside all that is wanted. */
  wantAlso(kind: Kind, names: readonly string[], at: Moment): void {
    this.store.request(kind, names);
    this.handle(kind, { kind: 'also', names }, at);
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
    this.quietAtMs = at.nowMs + QUIET_MS;
    if (this.askOptionalAtMs < Infinity) this.askOptionalAtMs = this.quietAtMs;
    if (OPTIONAL_KINDS.has(kind)) {
      this.optionalAnswered.add(kind);
      this.optionalAskedMs.delete(kind);
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
    const { exposure } = context;
    const decode: Decode = (of, name, bytes) => {
      const resource = store.get(of, name);
      // The same bytes again: the same object, so that nothing downstream of here sees a change.
      const isHeld = resource !== undefined && Buffer.compare(resource.bytes, bytes) === 0;
      const decoded: Decoded = isHeld ? { ok: true, resource } : context.decode(of, name, bytes);
      if (exposure === undefined || !decoded.ok) return decoded;
      if (of !== 'Secret' && !redact(of, bytes).redacted) return decoded;
      return { ok: false, problems: [{ path: '', reason: exposure.notTaken }] };
    };
    if (context.flavour === 'delta') {
      const earlier = isGatewayKind(kind) ? store.earlierAnswer(kind) : undefined;
      return new DeltaSubscription(kind, held, decode, context.rng, earlier);
    }
    return new SotwSubscription(kind, held, store.typeVersions.get(kind) ?? '', decode, context.rng);
  }

  /** Asks for optional types where their turn has come. */
  private wantOptional(at: Moment): void {
    const { wanted } = this;
    this.askOptionalAtMs = Infinity;
    if (wanted === undefined) return;
    for (const kind of OPTIONAL_KINDS) {
      const names = wanted[kind];
      if (!this.mayAsk(kind, names)) continue;
      const isWished = names === EVERYTHING || names.size > 0;
      if (this.subscriptions.get(kind)?.started !== true && this.isOtherAwaited(wanted) && at.nowMs < this.quietAtMs) {
        if (isWished) this.askOptionalAtMs = this.quietAtMs;
        continue;
      }
      this.handle(kind, { kind: 'want', names }, at);
      if (!isWished) this.optionalAskedMs.delete(kind);
      else if (!this.optionalAnswered.has(kind) && !this.optionalAskedMs.has(kind)) {
        this.optionalAskedMs.set(kind, at.nowMs);
      }
    }
  }

  private mayAsk(kind: Kind, names: Wish): boolean {
    const { store, context } = this;
    if (context.exposure !== undefined && (kind === 'Secret' || kind === 'Consumer')) {
      if (names === EVERYTHING) this.leaveOut(kind, context.exposure.notAsked(kind));
      else for (const name of names) store.withhold(kind, name, context.exposure.notAsked(kind));
      return false;
    }
    if (context.parked.has(kind)) {
      const reason = 'the control plane ends the stream when asked for this type, so it is not asked any more';
      if (names === EVERYTHING) this.leaveOut(kind, reason);
      else for (const name of names) store.absent(kind, name, reason);
      return false;
    }
    if (names !== EVERYTHING) for (const name of names) store.ask(kind, name);
    return true;
  }

  /** Nothing of a kind is asked for; what is in force stays. */
  private leaveOut(kind: Kind, reason: string): void {
    this.store.answered(kind, true);
    if (this.notAsked.has(kind)) return;
    this.notAsked.add(kind);
    this.context.onNotAsked(kind, reason);
  }

  /** Whether a type that isn't optional is unanswered. Of the roots one is enough: servers are silent about the other. */
  private isOtherAwaited(wanted: WantedNames): boolean {
    return KINDS.some((kind) => {
      const awaited = this.store.awaiting(kind);
      if (kind === 'Sidecar') return awaited > 0 && awaited === wanted.Sidecar.size;
      return awaited > 0 && !OPTIONAL_KINDS.has(kind);
    });
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
      case 'accepted': {
        const wasGood = store.entry(kind, effect.name)?.state === 'ACKED';
        if (store.accept(effect, nowMs, wallMs)) this.content.push({ kind, name: effect.name });
        else this.settled ||= !wasGood;
        return;
      }
      case 'refreshed':
        store.refresh(kind, effect.name, effect.ttlMs, nowMs);
        return;
      case 'refused':
        if (effect.isNameless !== true) store.refuse(kind, effect.name, effect.version, effect.error, wallMs);
        break;
      case 'removed':
        if (store.remove(kind, effect.name)) {
          this.content.push({ kind, name: effect.name });
          return;
        }
        break;
      case 'absent':
        if (effect.name === EVERYTHING) store.answered(kind, true);
        else store.absent(kind, effect.name, 'the control plane did not answer within 15 seconds');
        break;
      case 'whole':
        store.answered(kind);
        break;
    }
    this.settled = true;
  }
}
