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
import { type Kind, kindOf, KINDS } from '../config/resource.ts';
import type { Node } from '../gen/envoy/config/core/v3/base.ts';
import type { DeltaDiscoveryRequest, DeltaDiscoveryResponse } from '../gen/envoy/service/discovery/v3/discovery.ts';
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
}

/** State of one type, for display. */
export interface TypeStatus {
  readonly typeUrl: string;
  readonly subscribed: number;
  readonly wildcard: boolean;
  readonly awaitingAnswer: boolean;
  /** The last answer was a refusal; its reason. */
  readonly refused: string | undefined;
}

/** Told that there is no resource of this name. */
const ABSENT = '';

class TypeState {
  readonly url: string;
  readonly kind: Kind | undefined;
  readonly names = new Set<string>();
  /** Name → version that the client has, or {@link ABSENT}. */
  readonly held = new Map<string, string>();
  /** Names that must be answered even if the client has them: it asked again. */
  readonly asked = new Set<string>();
  wildcard = false;
  /** An empty answer is owed: the first `*` of a type that has nothing. */
  owesEmpty = false;
  /** Whether anything may be due. */
  dirty = false;
  awaiting: string | undefined;
  refused: string | undefined;

  constructor(url: string) {
    this.url = url;
    this.kind = kindOf(url);
  }
}

/** What is due of one type. */
interface Due {
  readonly adds: readonly VersionedResource[];
  /** Asked for, never there: told with the adds. */
  readonly absent: readonly string[];
  /** Was there, is gone. */
  readonly gone: readonly string[];
}

/** One stream. */
export class DeltaStream {
  private readonly host: DeltaStreamHost;
  private readonly types = new Map<string, TypeState>();
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

  status(): TypeStatus[] {
    return [...this.types.values()].map((type) => ({
      typeUrl: type.url,
      subscribed: type.names.size,
      wildcard: type.wildcard,
      awaitingAnswer: type.awaiting !== undefined,
      refused: type.refused,
    }));
  }

  /** A request: a change of interest, an answer, a statement of what is held, or all in one. */
  onRequest(request: DeltaDiscoveryRequest): void {
    this.node ??= request.node;
    let type = this.types.get(request.typeUrl);
    const first = type === undefined;
    type ??= new TypeState(request.typeUrl);
    this.types.set(type.url, type);
    this.takeAnswer(type, request);
    this.takeInterest(type, request, first);
    type.dirty = true;
    this.view ??= this.host.viewOf(this.node);
    this.flush(this.view);
  }

  /** There is a new snapshot. */
  onSnapshot(): void {
    if (this.view === undefined) return;
    const view = this.host.viewOf(this.node);
    this.view = view;
    for (const type of this.types.values()) type.dirty = true;
    this.flush(view);
  }

  private takeAnswer(type: TypeState, request: DeltaDiscoveryRequest): void {
    const nonce = request.responseNonce;
    if (nonce === '' || nonce !== type.awaiting) return;
    type.awaiting = undefined;
    type.refused = request.errorDetail?.message;
    if (type.refused === undefined) return;
    this.host.onNack({ nodeId: this.nodeId, typeUrl: type.url, nonce, reason: type.refused });
  }

  private takeInterest(type: TypeState, request: DeltaDiscoveryRequest, first: boolean): void {
    const { resourceNamesSubscribe: subscribe, resourceNamesUnsubscribe: unsubscribe } = request;
    const initial = new Map(first ? Object.entries(request.initialResourceVersions) : []);
    // A first request that names nothing is the old way to write `*`.
    if (subscribe.includes('*') || (first && subscribe.length === 0 && unsubscribe.length === 0)) {
      type.owesEmpty ||= !type.wildcard && initial.size === 0;
      type.wildcard = true;
    }
    for (const name of subscribe) {
      if (name === '*') continue;
      type.names.add(name);
      // Held, so says this very request: nothing to send unless it changed.
      if (!initial.has(name)) type.asked.add(name);
    }
    for (const [name, version] of initial) {
      if (type.wildcard || type.names.has(name)) type.held.set(name, version);
    }
    for (const name of unsubscribe) this.drop(type, name);
  }

  private drop(type: TypeState, name: string): void {
    if (name === '*') {
      type.wildcard = false;
      type.owesEmpty = false;
      for (const held of [...type.held.keys()]) if (!type.names.has(held)) type.held.delete(held);
      return;
    }
    if (!type.names.delete(name)) return;
    type.asked.delete(name);
    // Under `*` the client can't know whether it keeps the resource: it must be told.
    if (type.wildcard) type.asked.add(name);
    else type.held.delete(name);
  }

  private flush(view: View): void {
    const ordered = this.inAddOrder();
    for (const type of ordered) {
      if (!type.dirty) continue;
      const due = dueOf(type, view);
      if (due.adds.length === 0 && due.absent.length === 0 && !type.owesEmpty) {
        type.dirty = due.gone.length > 0;
        continue;
      }
      const complete = type.awaiting === undefined && this.sendAdds(type, due);
      if (!complete && due.adds.length > 0) return;
    }
    for (const type of ordered.reverse()) {
      if (!type.dirty) continue;
      const { gone } = dueOf(type, view);
      if (gone.length === 0) continue;
      if (type.awaiting !== undefined) return;
      for (const name of gone) forget(type, name);
      this.send(type, [], gone);
      type.dirty = false;
    }
  }

  private inAddOrder(): TypeState[] {
    const rank = (type: TypeState): number => (type.kind === undefined ? KINDS.length : ADD_ORDER.indexOf(type.kind));
    return [...this.types.values()].sort((a, b) => rank(a) - rank(b));
  }

  /** Sends what fits; true if that was all of the adds. */
  private sendAdds(type: TypeState, due: Due): boolean {
    let bytes = 0;
    let count = 0;
    for (const resource of due.adds) {
      bytes += resource.bytes.length + resource.name.length + 64;
      if (count > 0 && bytes > MAX_RESPONSE_BYTES) break;
      type.held.set(resource.name, resource.version);
      type.asked.delete(resource.name);
      count++;
    }
    for (const name of due.absent) {
      type.asked.delete(name);
      if (type.names.has(name)) type.held.set(name, ABSENT);
      else type.held.delete(name);
    }
    type.owesEmpty = false;
    this.send(type, due.adds.slice(0, count), due.absent);
    // What is left is looked for again when the answer comes.
    type.dirty = count < due.adds.length || due.gone.length > 0;
    return count === due.adds.length;
  }

  private send(type: TypeState, adds: readonly VersionedResource[], removed: readonly string[]): void {
    const nonce = String(++this.lastNonce);
    type.awaiting = nonce;
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

/** After a removal a name that is still asked for is known to be absent. */
function forget(type: TypeState, name: string): void {
  type.asked.delete(name);
  if (type.names.has(name)) type.held.set(name, ABSENT);
  else type.held.delete(name);
}

function dueOf(type: TypeState, view: View): Due {
  const adds: VersionedResource[] = [];
  const absent: string[] = [];
  const gone: string[] = [];
  const { kind } = type;
  const wild = new Map((type.wildcard && kind ? view.all(kind) : []).map((resource) => [resource.name, resource]));
  for (const resource of wild.values()) {
    if (type.held.get(resource.name) !== resource.version || type.asked.has(resource.name)) adds.push(resource);
  }
  for (const name of new Set([...type.names, ...type.asked])) {
    if (wild.has(name)) continue;
    const resource = kind && type.names.has(name) ? view.get(kind, name) : undefined;
    const held = type.held.get(name);
    if (resource !== undefined) {
      if (held !== resource.version || type.asked.has(name)) adds.push(resource);
    } else if (held === undefined || (held === ABSENT && type.asked.has(name))) {
      absent.push(name);
    }
  }
  for (const [name, held] of type.held) {
    if (held === ABSENT || wild.has(name)) continue;
    if (kind === undefined || !type.names.has(name) || view.get(kind, name) === undefined) gone.push(name);
  }
  return { adds, absent, gone };
}
