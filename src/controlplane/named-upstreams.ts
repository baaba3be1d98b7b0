// Which Upstreams native Listeners and the gateway name: who gets the Listener may see them, and every gateway may see its
// own. Counted, so that a change costs what it names.
import { LayeredMap } from './layered-map.ts';
import type { Moves } from './resource-index.ts';
import type { VersionedResource } from './versioned-resource.ts';

type Counts = LayeredMap<string, number>;

/** Names of Upstreams. */
export class NamedUpstreams {
  private readonly byListeners: Counts;
  private readonly byGateway: Counts;

  private constructor(byListeners: Counts, byGateway: Counts) {
    this.byListeners = byListeners;
    this.byGateway = byGateway;
  }

  /** Nothing is named. */
  static empty(): NamedUpstreams {
    return new NamedUpstreams(LayeredMap.empty(), LayeredMap.empty());
  }

  /** Whether a native Listener, a Route or a Service names it. */
  has(upstream: string): boolean {
    return this.byListeners.has(upstream) || this.byGateway.has(upstream);
  }

  /** Those that Routes and Services name. */
  ofGateway(): Iterable<string> {
    return this.byGateway.keys();
  }

  /** After these moves of native resources; `turned`: names that something of either names now or named before, not both. */
  with({ removed, added }: Moves): { readonly named: NamedUpstreams; readonly turned: ReadonlySet<string> } {
    const [listeners, gateway] = [new Map<string, number>(), new Map<string, number>()];
    const count = ({ kind, references }: VersionedResource, by: number): void => {
      const counts = kind === 'Listener' ? listeners : gateway;
      for (const name of references.upstreams) counts.set(name, (counts.get(name) ?? 0) + by);
    };
    for (const resource of removed) count(resource, -1);
    for (const resource of added) count(resource, 1);
    const named = new NamedUpstreams(counted(this.byListeners, listeners), counted(this.byGateway, gateway));
    const turned = new Set<string>();
    for (const name of [...listeners.keys(), ...gateway.keys()]) {
      const isSame =
        this.byListeners.has(name) === named.byListeners.has(name) &&
        this.byGateway.has(name) === named.byGateway.has(name);
      if (!isSame) turned.add(name);
    }
    return { named, turned };
  }
}

function counted(before: Counts, by: ReadonlyMap<string, number>): Counts {
  const changes = new Map<string, number | undefined>();
  for (const [name, more] of by) {
    const count = (before.get(name) ?? 0) + more;
    changes.set(name, count === 0 ? undefined : count);
  }
  return before.with(changes);
}
