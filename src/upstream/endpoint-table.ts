// The live endpoints of one upstream port, in the order of the configuration, and how they follow it. Besides, in the
// order of their turns: who comes takes the place of one that goes, so those that stay keep theirs, and a rotation
// over them stays exact however many are replaced.
import type { EndpointSpec } from '../model/snapshot.ts';
import { endpointId, type LiveEndpoint } from './endpoint.ts';

/** What new specs did to the endpoints. */
export interface EndpointChanges {
  /** Those that were there before. */
  readonly kept: readonly LiveEndpoint[];
  readonly added: readonly LiveEndpoint[];
  /** Of those kept, whose spec is another one now. */
  readonly changed: readonly LiveEndpoint[];
}

/** Who makes and ends endpoints. */
export interface EndpointOwner {
  createEndpoint(spec: EndpointSpec): LiveEndpoint;
  /** It is configured no more; its row still holds. Called before any is made. */
  removeEndpoint(endpoint: LiveEndpoint): void;
}

/** Endpoints by id (`address:port`) and in order. */
export class EndpointTable {
  private byId = new Map<string, LiveEndpoint>();
  private inOrder: readonly LiveEndpoint[] = [];
  private inTurn: readonly LiveEndpoint[] = [];

  get size(): number {
    return this.inOrder.length;
  }

  /** As configured: by address, then port. */
  get ordered(): readonly LiveEndpoint[] {
    return this.inOrder;
  }

  /** The same in the order that balancers have them in. */
  get turns(): readonly LiveEndpoint[] {
    return this.inTurn;
  }

  get(id: string): LiveEndpoint | undefined {
    return this.byId.get(id);
  }

  clear(): void {
    this.byId.clear();
    this.inOrder = [];
    this.inTurn = [];
  }

  /**
   * Makes `specs` the endpoints. Unchanged specs are the same objects as before: those at the beginning and at the end are
   * passed over, and only what stands between is looked up by address and port.
   */
  take(specs: readonly EndpointSpec[], owner: EndpointOwner): EndpointChanges {
    const { byId, inOrder } = this;
    let first = 0;
    while (first < specs.length && first < inOrder.length && inOrder[first]!.spec === specs[first]) first++;
    let end = specs.length;
    let oldEnd = inOrder.length;
    while (end > first && oldEnd > first && inOrder[oldEnd - 1]!.spec === specs[end - 1]) {
      end--;
      oldEnd--;
    }
    const wanted = new Map<string, EndpointSpec>();
    for (const spec of specs.slice(first, end)) wanted.set(endpointId(spec.address, spec.port), spec);
    const removed = new Set<LiveEndpoint>();
    for (const endpoint of inOrder.slice(first, oldEnd)) {
      if (wanted.has(endpoint.id)) continue;
      removed.add(endpoint);
      byId.delete(endpoint.id);
      owner.removeEndpoint(endpoint);
    }
    const added: LiveEndpoint[] = [];
    const changed: LiveEndpoint[] = [];
    const kept: LiveEndpoint[] = [];
    const between: LiveEndpoint[] = [];
    for (const [id, spec] of wanted) {
      let endpoint = byId.get(id);
      if (endpoint === undefined) {
        endpoint = owner.createEndpoint(spec);
        byId.set(id, endpoint);
        added.push(endpoint);
      } else {
        kept.push(endpoint);
        if (endpoint.spec !== spec) changed.push(endpoint);
        endpoint.spec = spec;
      }
      between.push(endpoint);
    }
    const head = inOrder.slice(0, first);
    const tail = inOrder.slice(oldEnd);
    this.inOrder = [...head, ...between, ...tail];
    if (removed.size > 0 || added.length > 0) this.replaceTurns(removed, added);
    return { kept: [...head, ...kept, ...tail], added, changed };
  }

  private replaceTurns(removed: ReadonlySet<LiveEndpoint>, added: readonly LiveEndpoint[]): void {
    const turns: LiveEndpoint[] = [];
    let next = 0;
    for (const endpoint of this.inTurn) {
      if (!removed.has(endpoint)) turns.push(endpoint);
      else if (next < added.length) turns.push(added[next++]!);
    }
    while (next < added.length) turns.push(added[next++]!);
    this.inTurn = turns;
  }
}
