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
import { TypeState } from './type-state.ts';
import type { View } from './views.ts';
import type { VersionedResource } from './versioned-resource.ts';

/** A response that grows beyond this is sent in parts; many gRPC clients take no more than 4 MiB. */
const MAX_RESPONSE_BYTES = 2 * 1024 * 1024;

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
  send(response: DeltaDiscoveryResponse): void;
  onNack(nack: Nack): void;
  /** ms since 1970. */
  wallMs(): number;
}

/** A resource that was refused, for display. */
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
  /** What was refused and hasn't been sent anew since, by name. */
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
    return this.types.map((type) => ({
      typeUrl: type.url,
      subscribed: type.names.size,
      wildcard: type.wildcard,
      awaitingAnswer: type.awaiting !== undefined,
      due: type.due,
      sent: type.sent,
      acknowledged: type.acknowledged,
      refused: refusedNames(type),
    }));
  }

  standing(kind: Kind, name: string): Standing {
    const type = this.types.find(({ url }) => url === typeUrl(kind));
    if (type === undefined || !type.wants(name)) return 'unconcerned';
    const { awaiting } = type;
    const isSent = awaiting !== undefined && (awaiting.added.has(name) || awaiting.removed.has(name));
    if (isSent || type.adds.has(name) || type.absent.has(name) || type.gone.has(name)) return 'waiting';
    const refusal = type.refusals.get(name);
    return refusal === undefined ? 'acknowledged' : { refused: refusal.reason };
  }

  wantsAll(kind: Kind): boolean {
    return this.types.some(({ url, wildcard }) => wildcard && url === typeUrl(kind));
  }

  /** A request: a change of interest, an answer, a statement of what is held, or all in one. */
  onRequest(request: DeltaDiscoveryRequest): void {
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
    // It isn't known what such a refusal meant; now something was taken.
    if (errorDetail === undefined) forgetUnnamed(type);
    const refused =
      errorDetail === undefined ? new Map<string, Refusal>() : this.refusals(type, awaiting.added, errorDetail.message);
    for (const name of [...awaiting.added, ...awaiting.removed]) if (!refused.has(name)) type.refusals.delete(name);
    for (const [name, refusal] of refused) type.refusals.set(name, refusal);
    type.acknowledged += awaiting.added.size - [...refused.keys()].filter((name) => awaiting.added.has(name)).length;
    if (errorDetail === undefined) return;
    this.host.onNack({ nodeId: this.nodeId, typeUrl: type.url, nonce: responseNonce, reason: errorDetail.message });
  }

  /** What is refused, of the resources of a response. Where the message doesn't tell which, it may be any. */
  private refusals(type: TypeState, sent: ReadonlySet<string>, message: string): Map<string, Refusal> {
    const wallMs = this.host.wallMs();
    const { named, isComplete } = readNackReason(type.kind, message, sent);
    const since = (name: string): number => type.refusals.get(name)?.sinceWallMs ?? wallMs;
    const refusals = new Map<string, Refusal>();
    for (const [name, reason] of named) {
      refusals.set(name, { reason: cutReason(reason), sinceWallMs: since(name), isNamed: true });
    }
    if (isComplete) return refusals;
    const others = [...sent].filter((name) => !named.has(name));
    const any: Refusal = {
      reason: cutReason(message),
      sinceWallMs: Math.min(wallMs, ...others.slice(0, 1).map(since)),
      isNamed: false,
    };
    // A response that only removed names was refused as a whole.
    for (const name of sent.size === 0 ? [''] : others) refusals.set(name, any);
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

  /** Sends what fits. What is left follows when the answer has come. */
  private sendAdds(type: TypeState): void {
    const adds: VersionedResource[] = [];
    let bytes = 0;
    for (const resource of type.adds.values()) {
      bytes += resource.bytes.length + resource.name.length + 64;
      if (adds.length > 0 && bytes > MAX_RESPONSE_BYTES) break;
      adds.push(resource);
    }
    type.owesEmpty = false;
    this.send(type, adds, [...type.absent]);
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

function forgetUnnamed(type: TypeState): void {
  for (const [name, { isNamed }] of type.refusals) if (!isNamed) type.refusals.delete(name);
}

function refusedNames({ refusals }: TypeState): RefusedName[] {
  const shown = new Map<Refusal, RefusedName>();
  for (const [name, refusal] of refusals) {
    const { reason, sinceWallMs, isNamed } = refusal;
    shown.set(refusal, { name: isNamed ? name : '', reason, sinceWallMs });
  }
  return [...shown.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
}
