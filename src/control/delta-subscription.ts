// The incremental flavour. Names are sent as differences from what the server was told last; the answer to a response is
// a message of its own, and only answers carry a nonce. The server never rejects for a stale nonce here.
import type { Rng } from '../base/rng.ts';
import type { Kind } from '../config/resource.ts';
import { digestOf, examineResponse } from './examine-response.ts';
import type { Nack } from './nack.ts';
import { nackMessage, NackPace } from './nack.ts';
import type {
  Decode,
  DeliveredResponse,
  DeltaRequest,
  Subscription,
  SubscriptionEffect,
  SubscriptionEvent,
} from './subscription.ts';
import { AbsenceTimers } from './subscription.ts';

const NONE: ReadonlyMap<string, string> = new Map();

export class DeltaSubscription implements Subscription {
  readonly version = '';
  started = false;
  private readonly kind: Kind;
  private readonly decode: Decode;
  private readonly held: Map<string, string>;
  private readonly absence = new AbsenceTimers();
  private readonly pace: NackPace;
  private names: ReadonlySet<string> = new Set();

  /** `held`: name to the server's version of what is held and good from an earlier stream to the same server. */
  constructor(kind: Kind, held: ReadonlyMap<string, string>, decode: Decode, rng: Rng) {
    this.kind = kind;
    this.held = new Map(held);
    this.decode = decode;
    this.pace = new NackPace(rng);
  }

  get nextDueMs(): number {
    return Math.min(this.absence.nextDueMs, this.pace.nextDueMs);
  }

  handle(event: SubscriptionEvent, nowMs: number): SubscriptionEffect[] {
    switch (event.kind) {
      case 'connected':
        this.absence.connect(nowMs);
        return [];
      case 'want':
        return this.onWant(event.names, nowMs);
      case 'response':
        return this.onResponse(event.response, nowMs);
      case 'expired':
        this.held.delete(event.name);
        return [];
      case 'due': {
        const effects: SubscriptionEffect[] = this.pace.take(nowMs).map((nack) => this.answer(nack));
        for (const name of this.absence.take(nowMs)) effects.push({ kind: 'absent', name });
        return effects;
      }
    }
  }

  private onWant(names: ReadonlySet<string>, nowMs: number): SubscriptionEffect[] {
    const subscribe = [...names].filter((name) => !this.names.has(name));
    const unsubscribe = [...this.names].filter((name) => !names.has(name));
    if (subscribe.length === 0 && unsubscribe.length === 0) return [];
    for (const name of unsubscribe) {
      this.absence.stop(name);
      this.held.delete(name);
    }
    for (const name of subscribe) if (!this.held.has(name)) this.absence.start(name, nowMs);
    let initialVersions = NONE;
    if (!this.started) {
      // A version that the server never gave can't be claimed: such a resource is fetched anew.
      initialVersions = new Map([...this.held].filter(([name, version]) => names.has(name) && version !== ''));
      for (const name of [...this.held.keys()]) if (!names.has(name)) this.held.delete(name);
    }
    this.started = true;
    this.names = new Set(names);
    return [this.request({ subscribe, unsubscribe, initialVersions })];
  }

  private onResponse(response: DeliveredResponse, nowMs: number): SubscriptionEffect[] {
    const { kind, names: wanted, held, decode } = this;
    const { accepted, refreshed, refused, removed } = examineResponse(response, { kind, wanted, held, decode });
    const effects: SubscriptionEffect[] = [];
    for (const each of accepted) {
      held.set(each.name, each.version);
      this.absence.stop(each.name);
      effects.push({ kind: 'accepted', ...each });
    }
    for (const each of refreshed) {
      this.absence.stop(each.name);
      effects.push({ kind: 'refreshed', ...each });
    }
    for (const each of refused) {
      held.delete(each.name);
      this.absence.stop(each.name);
      effects.push({ kind: 'refused', ...each });
    }
    for (const name of removed) {
      held.delete(name);
      this.absence.stop(name);
      effects.push({ kind: 'removed', name });
    }
    if (refused.length > 0) {
      const nack = { nonce: response.nonce, error: nackMessage(kind, refused) };
      for (const due of this.pace.refuse(digestOf(response), nack, nowMs)) effects.push(this.answer(due));
      return effects;
    }
    const saysSomething = accepted.length + refreshed.length + removed.length > 0;
    const earlier = saysSomething ? this.pace.accept() : this.pace.flush();
    for (const nack of earlier) effects.push(this.answer(nack));
    effects.push(this.request({ nonce: response.nonce }));
    return effects;
  }

  private answer({ nonce, error }: Nack): SubscriptionEffect {
    return this.request({ nonce, error });
  }

  private request(parts: Partial<DeltaRequest>): SubscriptionEffect {
    const empty = { subscribe: [], unsubscribe: [], initialVersions: NONE, nonce: '', error: '' };
    return { kind: 'request', request: { flavour: 'delta', kind: this.kind, ...empty, ...parts } };
  }
}
