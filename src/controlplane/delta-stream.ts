// One incremental ADS stream, without its transport: requests and snapshots in, responses out. Per type:
//
//            request                    response is due
//   (new) ────────────▶ subscribed ───────────────────────▶ awaiting the answer
//                            ▲                                     │
//                            └──── ACK or NACK of that nonce ──────┘
//
// While an answer is awaited nothing further of that type is sent; what changes meanwhile goes into one response.
// Across types: make before break. What is new or changed goes out from the leaves of the tree to its root, and no
// type overtakes one before it that still owes something; what is gone follows, from the root to the leaves.
//
// A request is looked at by the names that it holds, a new snapshot by the names that changed.
import { type Kind, KINDS, typeUrl } from '../config/resource.ts';
import type { Node } from '../gen/envoy/config/core/v3/base.ts';
import type { DeltaDiscoveryRequest, DeltaDiscoveryResponse } from '../gen/envoy/service/discovery/v3/discovery.ts';
import type { AppliedStream, Standing } from './applied.ts';
import { cutReason, readNackReason, type Refusal } from './nack-reason.ts';
import { type Sent, TypeState } from './type-state.ts';
import type { View } from './views.ts';
import type { VersionedResource } from './versioned-resource.ts';

/**
 * A response is cut once it holds more than this, counted as name, content and {@link OVERHEAD_BYTES} of each resource, and
 * never before: one of more says that another part follows, or may, and one of less that it is the last of its type. The
 * protocol has no other mark for the end of the answer to `*`, and a sidecar (control/whole-answer.ts) counts the same way.
 */
const PART_BYTES = 1024 * 1024;
/** What a resource takes in a response beside its name and content, roughly. */
const OVERHEAD_BYTES = 64;
/**
 * No response holds more than this, counted so, but one of a single resource that is larger by itself: nothing bounds a
 * resource but the bodies of the Admin API and the size of a file (10 and 32 MiB). Many gRPC clients take no more than
 * 4 MiB; the rest of that is for what isn't counted, less than 1 MiB since no part of small ones holds more than 16 384.
 */
const MAX_RESPONSE_BYTES = 3 * 1024 * 1024;

/** Why a gateway lacks Consumers that it doesn't ask for. */
const CONSUMERS_NOT_ASKED = 'it does not ask for Consumers: over plaintext they are exchanged on loopback only';

/** Leaves first. */
const ADD_ORDER: readonly Kind[] = KINDS.toReversed();

/** What is told of a response that a sidecar refused. */
export interface Nack {
  readonly nodeId: string;
  readonly typeUrl: string;
  readonly nonce: string;
  /** The sidecar's words. */
  readonly reason: string;
}

/** How a stream reaches the world. */
export interface DeltaStreamHost {
  viewOf(node: Node | undefined): View;
  /** The same with what may not be sent over this stream; undefined: everything may. */
  readonly fullViewOf?: (node: Node | undefined) => View;
  send(response: DeltaDiscoveryResponse): void;
  onNack(nack: Nack): void;
  /** ms since 1970. */
  wallMs(): number;
}

/** A resource that was refused, or that a sidecar lacks though it is there, for display. */
export interface RefusedName extends Pick<Refusal, 'reason' | 'sinceWallMs'> {
  /** Empty where the refusal doesn't tell which it means. */
  readonly name: string;
}

/** State of one type, for display. */
export interface TypeStatus {
  readonly typeUrl: string;
  readonly subscribed: number;
  readonly wildcard: boolean;
  readonly awaitingAnswer: boolean;
  /** Resources and removals that wait to be sent. */
  readonly due: number;
  /** Resources sent, each version once, and those of them that were acknowledged. */
  readonly sent: number;
  readonly acknowledged: number;
  /**
   * What was refused and hasn't been sent anew since, by name; then, without a name, why it lacks resources of the type
   * that are there.
   */
  readonly refused: readonly RefusedName[];
}

/** One stream. */
export class DeltaStream implements AppliedStream {
  private readonly host: DeltaStreamHost;
  /** In {@link ADD_ORDER}. */
  private types: readonly TypeState[] = [];
  private node: Node | undefined;
  private view: View | undefined;
  private lastNonce = 0;
  /** Of its first request. */
  private sinceWallMs = 0;

  constructor(host: DeltaStreamHost) {
    this.host = host;
  }

  /** Id of the sidecar; empty before its first request. */
  get nodeId(): string {
    return this.node?.id ?? '';
  }

  /** Name and version of its program, `outrigger/0.1.0`; empty where it says neither. */
  get program(): string {
    const { userAgentName = '', userAgentVersion = '' } = this.node ?? {};
    return [userAgentName, userAgentVersion].filter((word) => word !== '').join('/');
  }

  status(): TypeStatus[] {
    const types = this.types.map((type) => this.typeStatus(type, this.lacksSome(type) && withheld(type.kind)));
    // A gateway that never heard of its Consumers isn't in sync with them, though it didn't ask.
    if (this.asksForConsumers !== false || !this.hasAny('Consumer')) return types;
    const consumers = this.typeOf('Consumer') ?? new TypeState(typeUrl('Consumer'));
    const rest = types.filter((_, i) => this.types[i] !== consumers);
    return [...rest, this.typeStatus(consumers, CONSUMERS_NOT_ASKED)];
  }

  /** `lacks`: why it lacks resources of the type. */
  private typeStatus(type: TypeState, lacks: string | false): TypeStatus {
    const why = lacks === false ? [] : [{ name: '', reason: lacks, sinceWallMs: this.sinceWallMs }];
    return {
      typeUrl: type.url,
      subscribed: type.names.size,
      wildcard: type.wildcard,
      awaitingAnswer: type.awaiting !== undefined,
      due: type.due,
      sent: type.sent,
      acknowledged: type.acknowledged,
      refused: [...refusedNames(type), ...why],
    };
  }

  standing(kind: Kind, name: string): Standing {
    const type = this.typeOf(kind);
    if (type === undefined || !type.wants(name)) return this.standingUnasked(kind, name);
    const { awaiting } = type;
    const isSent = awaiting !== undefined && (awaiting.added.has(name) || awaiting.removed.has(name));
    if (isSent || type.adds.has(name) || type.absent.has(name) || type.gone.has(name)) return 'waiting';
    const refusal = type.refusals.get(name);
    if (refusal !== undefined) return { refused: refusal.reason };
    return this.isWithheld(kind, name) ? { refused: withheld(kind) } : 'acknowledged';
  }

  /** A gateway is concerned by Consumers also where it doesn't ask for them. */
  private standingUnasked(kind: Kind, name: string): Standing {
    if (kind !== 'Consumer' || this.asksForConsumers !== false || this.fullView?.get(kind, name) === undefined) {
      return 'unconcerned';
    }
    // Its requests come one by one: until it has answered for Routes, that for Consumers may still be on its way.
    return this.typeOf('Route')?.awaiting === undefined ? { refused: CONSUMERS_NOT_ASKED } : 'waiting';
  }

  wantsAll(kind: Kind): boolean {
    return this.typeOf(kind)?.wildcard === true;
  }

  private typeOf(kind: Kind): TypeState | undefined {
    return this.types.find(({ url }) => url === typeUrl(kind));
  }

  /** Whether a sidecar with a gateway asks for all Consumers; undefined: it has no gateway. */
  private get asksForConsumers(): boolean | undefined {
    return this.wantsAll('Route') ? this.wantsAll('Consumer') : undefined;
  }

  /** What it would see if everything could be sent over this stream. */
  private get fullView(): View | undefined {
    return this.view && (this.host.fullViewOf?.(this.node) ?? this.view);
  }

  private hasAny(kind: Kind): boolean {
    return (this.fullView?.all(kind).length ?? 0) > 0;
  }

  /** Whether a resource is there that may not be sent over this stream. */
  private isWithheld(kind: Kind, name: string): boolean {
    if (this.host.fullViewOf === undefined) return false;
    return this.fullView?.get(kind, name) !== undefined && this.view?.get(kind, name) === undefined;
  }

  /** Whether one of the resources that it asked for is withheld. */
  private lacksSome({ kind, names, wildcard }: TypeState): boolean {
    if (kind === undefined || this.host.fullViewOf === undefined) return false;
    if ([...names].some((name) => this.isWithheld(kind, name))) return true;
    return wildcard && this.fullView?.all(kind).length !== this.view?.all(kind).length;
  }

  /** A request: a change of interest, an answer, a statement of what is held, or all in one. */
  onRequest(request: DeltaDiscoveryRequest): void {
    if (this.view === undefined) this.sinceWallMs = this.host.wallMs();
    this.node ??= request.node;
    const view = (this.view ??= this.host.viewOf(this.node));
    const known = this.types.find(({ url }) => url === request.typeUrl);
    const type = known ?? new TypeState(request.typeUrl);
    if (known === undefined) this.types = [...this.types, type].sort((a, b) => rank(a) - rank(b));
    this.takeAnswer(type, request);
    takeInterest(type, request, known === undefined, view);
    this.flush();
  }

  /** There is a new snapshot. */
  onSnapshot(): void {
    const before = this.view;
    if (before === undefined) return;
    const view = this.host.viewOf(this.node);
    this.view = view;
    for (const type of this.types) {
      // What nobody knows doesn't change.
      const changed = type.kind === undefined ? [] : view.changedSince(before.moment, type.kind);
      if (changed === undefined) type.reviewAll(view);
      else for (const name of changed) type.review(name, view);
    }
    this.flush();
  }

  private takeAnswer(type: TypeState, { responseNonce, errorDetail }: DeltaDiscoveryRequest): void {
    const { awaiting } = type;
    if (awaiting === undefined || responseNonce !== awaiting.nonce) return;
    type.awaiting = undefined;
    // A refusal of a response that held nothing is about no resource that could be sent anew.
    if (errorDetail === undefined) type.refusals.delete('');
    const refused =
      errorDetail === undefined ? new Map<string, Refusal>() : this.refusals(type, awaiting, errorDetail.message);
    for (const name of [...awaiting.added, ...awaiting.removed]) if (!refused.has(name)) type.refusals.delete(name);
    for (const [name, refusal] of refused) type.refusals.set(name, refusal);
    type.acknowledged += awaiting.added.size - [...refused.keys()].filter((name) => awaiting.added.has(name)).length;
    if (errorDetail === undefined) return;
    this.host.onNack({ nodeId: this.nodeId, typeUrl: type.url, nonce: responseNonce, reason: errorDetail.message });
  }

  /** What is refused, of a response. Where the message doesn't tell which, it may be any of what it doesn't name. */
  private refusals(type: TypeState, { added, removed }: Sent, message: string): Map<string, Refusal> {
    const wallMs = this.host.wallMs();
    const { named, isComplete } = readNackReason(type.kind, message, added);
    const since = (name: string): number => type.refusals.get(name)?.sinceWallMs ?? wallMs;
    const refusals = new Map<string, Refusal>();
    for (const [name, reason] of named) {
      refusals.set(name, { reason: cutReason(reason), sinceWallMs: since(name), isNamed: true });
    }
    if (isComplete) return refusals;
    // A response that only removed names was refused as a whole.
    const others = [...(added.size === 0 ? removed : added)].filter((name) => !named.has(name));
    const any: Refusal = {
      reason: cutReason(message),
      sinceWallMs: Math.min(wallMs, ...others.slice(0, 1).map(since)),
      // Where there is only one, it is that one.
      isNamed: others.length === 1,
    };
    for (const name of added.size + removed.size === 0 ? [''] : others) refusals.set(name, any);
    return refusals;
  }

  private flush(): void {
    for (const type of this.types) {
      if (type.adds.size + type.absent.size === 0 && !type.owesEmpty) continue;
      if (type.awaiting === undefined) this.sendAdds(type);
      if (type.adds.size > 0) return;
    }
    for (const type of this.types.toReversed()) {
      if (type.gone.size === 0) continue;
      if (type.awaiting !== undefined) return;
      this.send(type, [], [...type.gone]);
    }
  }

  /** Sends a part. What is left follows when the answer has come. */
  private sendAdds(type: TypeState): void {
    type.owesEmpty = false;
    this.send(type, nextPart(type.adds.values()), [...type.absent]);
  }

  private send(type: TypeState, adds: readonly VersionedResource[], removed: readonly string[]): void {
    const nonce = String(++this.lastNonce);
    for (const resource of adds) type.noteAdded(resource);
    for (const name of removed) type.noteRemoved(name);
    type.awaiting = { nonce, added: new Set(adds.map(({ name }) => name)), removed: new Set(removed) };
    this.host.send({
      systemVersionInfo: '',
      typeUrl: type.url,
      nonce,
      controlPlane: { identifier: 'outrigger' },
      removedResources: [...removed],
      resources: adds.map(({ name, version, bytes }) => ({
        name,
        version,
        aliases: [],
        resource: { typeUrl: type.url, value: Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length) },
        ttl: undefined,
      })),
    });
  }
}

function nextPart(due: Iterable<VersionedResource>): readonly VersionedResource[] {
  const part: VersionedResource[] = [];
  let bytes = 0;
  for (const resource of due) {
    const size = resource.bytes.length + resource.name.length + OVERHEAD_BYTES;
    // It alone is a part that may be cut after, which those before it are not yet: they follow it.
    if (bytes + size > MAX_RESPONSE_BYTES) return [resource];
    part.push(resource);
    bytes += size;
    if (bytes > PART_BYTES) break;
  }
  return part;
}

function rank({ kind }: TypeState): number {
  return kind === undefined ? KINDS.length : ADD_ORDER.indexOf(kind);
}

function takeInterest(type: TypeState, request: DeltaDiscoveryRequest, isFirst: boolean, view: View): void {
  const { resourceNamesSubscribe: subscribe, resourceNamesUnsubscribe: unsubscribe } = request;
  const initial = new Map(isFirst ? Object.entries(request.initialResourceVersions) : []);
  const wasWildcard = type.wildcard;
  // A first request that names nothing is the old way to write `*`.
  if (subscribe.includes('*') || (isFirst && subscribe.length === 0 && unsubscribe.length === 0)) {
    type.owesEmpty ||= !type.wildcard && initial.size === 0;
    type.wildcard = true;
  }
  for (const name of subscribe) if (name !== '*') type.subscribe(name, initial.has(name));
  for (const [name, version] of initial) type.claim(name, version);
  for (const name of unsubscribe) {
    if (name === '*') type.unsubscribeAll();
    else type.unsubscribe(name);
  }
  if (wasWildcard !== type.wildcard) {
    type.reviewAll(view);
    return;
  }
  for (const name of [...subscribe, ...initial.keys(), ...unsubscribe]) if (name !== '*') type.review(name, view);
}

function withheld(kind: Kind | undefined): string {
  return `a ${kind} that holds a secret is not sent to it: over plaintext it is sent on loopback only`;
}

function refusedNames({ refusals }: TypeState): RefusedName[] {
  const shown = new Map<Refusal, RefusedName>();
  for (const [name, refusal] of refusals) {
    const { reason, sinceWallMs, isNamed } = refusal;
    shown.set(refusal, { name: isNamed ? name : '', reason, sinceWallMs });
  }
  return [...shown.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
}
