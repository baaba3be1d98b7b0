// The incremental flavour. Names are sent as differences from what the server was told last; the answer to a response is
// a message of its own, and only answers carry a nonce. The server never rejects for a stale nonce here. `*` is a name
// like any other towards the server; what it stands for comes and goes by itself.
import type { Rng } from '../base/rng.ts';
import type { Kind } from '../config/resource.ts';
import { EVERYTHING } from '../config/resource.ts';
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
  Wish,
} from './subscription.ts';
import { AbsenceTimers } from './subscription.ts';
import { WholeAnswer } from './whole-answer.ts';

const NONE: ReadonlyMap<string, string> = new Map();
const NO_NAMES: ReadonlySet<string> = new Set();
const STAR: ReadonlySet<string> = new Set([EVERYTHING]);
const ANY_NAME: Pick<ReadonlySet<string>, 'has'> = { has: () => true };

/** What an earlier stream left of a type that is asked for with `*`. */
export interface EarlierAnswer {
  /** It was whole, and came from this server. */
  readonly isWhole: boolean;
  /** Names held of which the server can't be told a version. */
  readonly unclaimed: ReadonlySet<string>;
}

const NOTHING_EARLIER: EarlierAnswer = { isWhole: false, unclaimed: NO_NAMES };

export class DeltaSubscription implements Subscription {
  readonly version = '';
  started = false;
  private readonly kind: Kind;
  private readonly decode: Decode;
  private readonly held: Map<string, string>;
  private readonly absence = new AbsenceTimers();
  private readonly pace: NackPace;
  private readonly earlier: EarlierAnswer;
  /** As the server knows them: of everything, `*`. */
  private names: ReadonlySet<string> = NO_NAMES;
  /** The same, where they are names. */
  private list = new Set<string>();
  /** Of the wish for everything; undefined while it isn't wished. */
  private answer: WholeAnswer | undefined = undefined;

  /** `held`: name to the server's version of what is held and good from an earlier stream to the same server. */
  constructor(kind: Kind, held: ReadonlyMap<string, string>, decode: Decode, rng: Rng, earlier = NOTHING_EARLIER) {
    this.kind = kind;
    this.held = new Map(held);
    this.decode = decode;
    this.pace = new NackPace(rng);
    this.earlier = earlier;
  }

  get nextDueMs(): number {
    return Math.min(this.absence.nextDueMs, this.pace.nextDueMs, this.answer?.dueMs ?? Infinity);
  }

  handle(event: SubscriptionEvent, nowMs: number): SubscriptionEffect[] {
    switch (event.kind) {
      case 'connected':
        this.absence.connect(nowMs);
        return [];
      case 'want':
        return this.onWant(event.names, nowMs);
      case 'also':
        return this.onWantAlso(event.names, nowMs);
      case 'response':
        return this.onResponse(event.response, nowMs);
      case 'expired':
        this.held.delete(event.name);
        return [];
      case 'due': {
        const effects: SubscriptionEffect[] = this.pace.take(nowMs).map((nack) => this.nack(nack));
        for (const name of this.absence.take(nowMs)) effects.push({ kind: 'absent', name });
        if (this.answer !== undefined && nowMs >= this.answer.dueMs) this.finish(this.answer, effects);
        return effects;
      }
    }
  }

  private onWant(wish: Wish, nowMs: number): SubscriptionEffect[] {
    const names = wish === EVERYTHING ? STAR : wish;
    const subscribe = missing(names, this.names);
    const isMore = names.size - subscribe.length === this.names.size;
    const unsubscribe = isMore ? [] : missing(this.names, names);
    if (subscribe.length === 0 && unsubscribe.length === 0) return [];
    const wants = wish === EVERYTHING ? ANY_NAME : wish;
    const isFirst = !this.started;
    if (wish !== EVERYTHING) this.answer = undefined;
    else if (this.answer === undefined) {
      const { unclaimed, isWhole } = isFirst ? this.earlier : NOTHING_EARLIER;
      this.answer = new WholeAnswer(unclaimed, isWhole);
    }
    for (const name of unsubscribe) this.absence.stop(name);
    const held = isFirst || this.names === STAR ? this.held.keys() : unsubscribe;
    for (const name of held) if (!wants.has(name)) this.held.delete(name);
    for (const name of subscribe) if (!this.isHeld(name)) this.absence.start(name, nowMs);
    let initialVersions = NONE;
    // A version that the server never gave can't be claimed: such a resource is fetched anew.
    if (isFirst) initialVersions = new Map([...this.held].filter(([, version]) => version !== ''));
    this.started = true;
    this.list = new Set(wish === EVERYTHING ? [] : names);
    this.names = wish === EVERYTHING ? STAR : this.list;
    return [this.request({ subscribe, unsubscribe, initialVersions })];
  }

  /** The cost is that of the further names, however many there are. */
  private onWantAlso(names: readonly string[], nowMs: number): SubscriptionEffect[] {
    if (!this.started) return this.onWant(new Set(names), nowMs);
    const subscribe = names.filter((name) => !this.names.has(name));
    if (subscribe.length === 0 || this.answer !== undefined) return [];
    for (const name of subscribe) {
      this.list.add(name);
      this.absence.start(name, nowMs);
    }
    this.names = this.list;
    return [this.request({ subscribe })];
  }

  /** Whether nothing must come for a name that is asked for. */
  private isHeld(name: string): boolean {
    return name === EVERYTHING ? this.answer?.isWhole === true : this.held.has(name);
  }

  private onResponse(response: DeliveredResponse, nowMs: number): SubscriptionEffect[] {
    const { kind, held, decode, answer } = this;
    const wanted = answer === undefined ? this.names : ANY_NAME;
    const { accepted, refreshed, refused, removed } = examineResponse(response, { kind, wanted, held, decode });
    const effects: SubscriptionEffect[] = [];
    for (const each of accepted) {
      held.set(each.name, each.version);
      this.heardOf(each.name);
      effects.push({ kind: 'accepted', ...each });
    }
    for (const each of refreshed) {
      this.heardOf(each.name);
      effects.push({ kind: 'refreshed', ...each });
    }
    for (const each of refused) {
      held.delete(each.name);
      this.heardOf(each.name);
      effects.push({ kind: 'refused', ...each });
    }
    for (const name of removed) {
      held.delete(name);
      this.heardOf(name);
      effects.push({ kind: 'removed', name });
    }
    if (answer !== undefined) {
      this.absence.stop(EVERYTHING);
      if (answer.add(response, nowMs)) this.finish(answer, effects);
    }
    if (refused.length > 0) {
      const nack = { nonce: response.nonce, error: nackMessage(kind, refused) };
      for (const due of this.pace.refuse(digestOf(response), nack, nowMs)) effects.push(this.nack(due));
      return effects;
    }
    const saysSomething = accepted.length + refreshed.length + removed.length > 0;
    const earlier = saysSomething ? this.pace.accept() : this.pace.flush();
    for (const nack of earlier) effects.push(this.nack(nack));
    effects.push(this.request({ nonce: response.nonce }));
    return effects;
  }

  private heardOf(name: string): void {
    if (this.answer === undefined) this.absence.stop(name);
    else this.answer.confirm(name);
  }

  private finish(answer: WholeAnswer, effects: SubscriptionEffect[]): void {
    for (const name of answer.finish()) {
      this.held.delete(name);
      effects.push({ kind: 'removed', name });
    }
    effects.push({ kind: 'whole' });
  }

  private nack({ nonce, error }: Nack): SubscriptionEffect {
    return this.request({ nonce, error });
  }

  private request(parts: Partial<DeltaRequest>): SubscriptionEffect {
    const empty = { subscribe: [], unsubscribe: [], initialVersions: NONE, nonce: '', error: '' };
    return { kind: 'request', request: { flavour: 'delta', kind: this.kind, ...empty, ...parts } };
  }
}

function missing(names: ReadonlySet<string>, from: ReadonlySet<string>): string[] {
  const found: string[] = [];
  for (const name of names) if (!from.has(name)) found.push(name);
  return found;
}
