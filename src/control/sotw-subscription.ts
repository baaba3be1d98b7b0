// The state-of-the-world flavour. Every request states all names, the version accepted last and the newest nonce, and is
// built from the state of this moment: a server that ignored one because its nonce was stale finds the same in the next.
// For our types a response may hold only what changed, so absence from one means nothing and an empty one says nothing.
import type { Rng } from '../base/rng.ts';
import type { Kind } from '../config/resource.ts';
import { EVERYTHING } from '../config/resource.ts';
import { digestOf, examineResponse } from './examine-response.ts';
import { nackMessage, NackPace } from './nack.ts';
import type { Decode, DeliveredResponse, Subscription, SubscriptionEffect, SubscriptionEvent } from './subscription.ts';
import { AbsenceTimers } from './subscription.ts';

export class SotwSubscription implements Subscription {
  started = false;
  version: string;
  private readonly kind: Kind;
  private readonly decode: Decode;
  private readonly held: Map<string, string>;
  private readonly absence = new AbsenceTimers();
  private readonly pace: NackPace;
  private names: ReadonlySet<string> = new Set();
  private nonce = '';

  /**
   * `held`: name to version of what is held and good from an earlier stream to the same server; `version`: of the type,
   * from there too.
   */
  constructor(kind: Kind, held: ReadonlyMap<string, string>, version: string, decode: Decode, rng: Rng) {
    this.kind = kind;
    this.held = new Map(held);
    this.version = version;
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
        // A response may hold only what changed, so under `*` nothing could tell of a removal: it is never asked for.
        return this.onWant(event.names === EVERYTHING ? new Set() : event.names, nowMs);
      case 'also':
        return this.onWant(new Set([...this.names, ...event.names]), nowMs);
      case 'response':
        return this.onResponse(event.response, nowMs);
      case 'expired':
        this.held.delete(event.name);
        return [];
      case 'due': {
        const effects: SubscriptionEffect[] = [];
        for (const { nonce, error } of this.pace.take(nowMs)) effects.push(this.request(nonce, error));
        for (const name of this.absence.take(nowMs)) effects.push({ kind: 'absent', name });
        return effects;
      }
    }
  }

  private onWant(names: ReadonlySet<string>, nowMs: number): SubscriptionEffect[] {
    const added = [...names].filter((name) => !this.names.has(name));
    const dropped = [...this.names].filter((name) => !names.has(name));
    if (added.length === 0 && dropped.length === 0) return [];
    for (const name of dropped) {
      this.absence.stop(name);
      this.held.delete(name);
    }
    for (const name of added) if (!this.held.has(name)) this.absence.start(name, nowMs);
    // "I am on version 5" would let a server keep silent about a name that we lack: then ask for everything.
    if (!this.started && added.some((name) => !this.held.has(name))) this.version = '';
    this.started = true;
    this.names = new Set(names);
    // A request with the newest nonce answers the newest response: where a NACK of it waits, this is the NACK.
    const waiting = this.pace.flush();
    if (waiting.length === 0) return [this.request(this.nonce, '')];
    return waiting.map(({ nonce, error }) => this.request(nonce, error));
  }

  private onResponse(response: DeliveredResponse, nowMs: number): SubscriptionEffect[] {
    const { kind, names: wanted, held, decode } = this;
    const { accepted, refreshed, refused } = examineResponse(response, { kind, wanted, held, decode });
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
    const used = accepted.length + refreshed.length > 0;
    if (refused.length > 0) {
      const nack = { nonce: response.nonce, error: nackMessage(kind, refused) };
      const due = this.pace.refuse(digestOf(response), nack, nowMs);
      // What is sent for earlier responses still states the version before this one.
      for (const { nonce, error } of due.slice(0, -1)) effects.push(this.request(nonce, error));
      // The valid part is in force, so that is the version we are on; it also ends resending by comparing versions.
      if (used) this.version = response.version;
      this.nonce = response.nonce;
      for (const { nonce, error } of due.slice(-1)) effects.push(this.request(nonce, error));
      return effects;
    }
    const earlier = used ? this.pace.accept() : this.pace.flush();
    for (const { nonce, error } of earlier) effects.push(this.request(nonce, error));
    this.version = response.version;
    this.nonce = response.nonce;
    effects.push(this.request(this.nonce, ''));
    return effects;
  }

  private request(nonce: string, error: string): SubscriptionEffect {
    const { kind, version } = this;
    return { kind: 'request', request: { flavour: 'sotw', kind, version, names: [...this.names], nonce, error } };
  }
}
