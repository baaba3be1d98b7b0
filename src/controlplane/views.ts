// Which sidecar gets what. A view is the part of a snapshot that one sidecar may see; sidecars that may see the same
// share one.
import { canonicalIp, isLoopbackIp } from '../config/ip-address.ts';
import type { Kind } from '../config/resource.ts';
import type { Node } from '../gen/envoy/config/core/v3/base.ts';
import { Listener } from '../gen/outrigger/config/v1/listener.ts';
import { Sidecar } from '../gen/outrigger/config/v1/sidecar.ts';
import type { Origin } from './finding.ts';
import type { DerivedService } from './translate/service.ts';
import type { Translation } from './translate/translator.ts';
import { referencesOf } from './references.ts';
import { decodeMessage, versioned, type VersionedResource } from './versioned-resource.ts';

/** Who asks, as far as it decides what is seen. */
export interface NodeIdentity {
  readonly id: string;
  /** Addresses of the node's own Pod, canonical, without loopback ones: many sidecars share those. */
  readonly podIps: readonly string[];
  /** `namespace/name` of the services that it wants; undefined: all but those that its own Pod backs. */
  readonly services: readonly string[] | undefined;
}

/** The resources that one sidecar may see. Immutable. */
export interface View {
  get(kind: Kind, name: string): VersionedResource | undefined;
  /** All resources of a kind, for a subscription to `*`. */
  all(kind: Kind): readonly VersionedResource[];
}

const DEFAULT_SIDECAR = 'default';
const NOWHERE: Origin = { file: '', line: 1, column: 1 };

/** Reads `pod_ip` (one address, or several with commas) and `services` of the node's metadata. */
export function identify(node: Node | undefined): NodeIdentity {
  const metadata: Readonly<Record<string, unknown>> = node?.metadata ?? {};
  const podIp = metadata['pod_ip'];
  const podIps = typeof podIp === 'string' ? podIp.split(',').map((text) => canonicalIp(text.trim())) : [];
  const listed = metadata['services'];
  const services = Array.isArray(listed) ? listed.filter((name) => typeof name === 'string' && name !== '') : [];
  return {
    id: node?.id ?? '',
    podIps: podIps.filter((ip) => ip !== undefined).filter((ip) => !isLoopbackIp(ip)),
    services: services.length === 0 ? undefined : services.map(withNamespace),
  };
}

function withNamespace(name: string): string {
  return name.includes('/') ? name : `default/${name}`;
}

/** All resources of one moment, and the views of it. */
export class Snapshot {
  private readonly services = new Map<string, DerivedService>();
  /** Services behind each port number, in the order of their names. */
  private readonly byPort = new Map<number, DerivedService[]>();
  /** Services by the address of a Pod behind them. */
  private readonly byBacker = new Map<string, string[]>();
  /** Native ones stand over derived ones of the same name. Derived Listeners and Sidecars are not here. */
  private readonly resources = new Map<Kind, Map<string, VersionedResource>>();
  /** Upstreams that native Listeners name: who gets the Listener may see them too. */
  private readonly namedByListeners = new Set<string>();
  /** Derived Listeners with every target. */
  private readonly fullListeners = new Map<number, VersionedResource>();
  /** All Listeners by name, and the root that names them: what a view without exceptions holds. */
  private readonly allListeners = new Map<string, VersionedResource>();
  private readonly fullSidecar: VersionedResource;
  private readonly views = new Map<string, View>();

  /** `previous`: the snapshot before; what is alike is taken from it instead of being made again. */
  constructor(translation: Translation, previous?: Snapshot) {
    for (const service of translation.services) this.index(service);
    for (const resource of translation.others) {
      this.put(resource);
      if (resource.kind !== 'Listener') continue;
      for (const upstream of referencesOf(resource).upstreams) this.namedByListeners.add(upstream);
    }
    for (const [port, services] of this.byPort) {
      const isSame = sameNames(services, previous?.byPort.get(port));
      const listener = (isSame ? previous?.fullListeners.get(port) : undefined) ?? deriveListener(port, services);
      this.fullListeners.set(port, listener);
      this.allListeners.set(listener.name, listener);
    }
    for (const listener of this.resources.get('Listener')?.values() ?? [])
      this.allListeners.set(listener.name, listener);
    const names = [...this.allListeners.keys()].sort();
    this.fullSidecar = deriveSidecar(DEFAULT_SIDECAR, names);
  }

  /** The view of a node. */
  viewOf(node: NodeIdentity): View {
    const listed = node.services !== undefined;
    const names = new Set(node.services ?? node.podIps.flatMap((ip) => this.byBacker.get(ip) ?? []));
    const own = this.resources.get('Sidecar')?.has(node.id) === true ? node.id : DEFAULT_SIDECAR;
    const key = JSON.stringify([listed, [...names].sort(), own]);
    let view = this.views.get(key);
    if (view === undefined) {
      const listeners = listed ? this.listenersOf(names) : this.listenersWithout(names);
      view = this.makeView((service) => names.has(service) === listed, listeners, own);
      this.views.set(key, view);
    }
    return view;
  }

  /** Services that a node lists and that aren't there. */
  missingServices(node: NodeIdentity): string[] {
    return (node.services ?? []).filter((name) => !this.services.has(name));
  }

  /** How many different views were asked for. */
  get viewCount(): number {
    return this.views.size;
  }

  private index(service: DerivedService): void {
    this.services.set(service.name, service);
    for (const resource of service.resources) this.put(resource);
    for (const port of service.ports) append(this.byPort, port, service);
    for (const address of service.backers) append(this.byBacker, address, service.name);
  }

  private put(resource: VersionedResource): void {
    const ofKind = this.resources.get(resource.kind) ?? new Map<string, VersionedResource>();
    ofKind.set(resource.name, resource);
    this.resources.set(resource.kind, ofKind);
  }

  /** All Listeners, those on the ports of `excluded` without these targets. */
  private listenersWithout(excluded: ReadonlySet<string>): ReadonlyMap<string, VersionedResource> {
    if (excluded.size === 0) return this.allListeners;
    const listeners = new Map(this.allListeners);
    for (const port of this.portsOf(excluded)) {
      const full = this.fullListeners.get(port);
      if (full === undefined || listeners.get(full.name) !== full) continue;
      const left = this.onPort(port).filter(({ name }) => !excluded.has(name));
      if (left.length === 0) listeners.delete(full.name);
      else listeners.set(full.name, deriveListener(port, left));
    }
    return listeners;
  }

  /** The native Listeners, and those on the ports of `wanted` with these targets alone. */
  private listenersOf(wanted: ReadonlySet<string>): ReadonlyMap<string, VersionedResource> {
    const listeners = new Map<string, VersionedResource>();
    for (const port of this.portsOf(wanted)) {
      const targets = this.onPort(port).filter(({ name }) => wanted.has(name));
      const full = this.fullListeners.get(port);
      const isFull = targets.length === this.onPort(port).length;
      const listener = (isFull ? full : undefined) ?? deriveListener(port, targets);
      listeners.set(listener.name, listener);
    }
    for (const [name, listener] of this.resources.get('Listener') ?? []) listeners.set(name, listener);
    return listeners;
  }

  private portsOf(services: ReadonlySet<string>): Set<number> {
    return new Set([...services].flatMap((name) => this.services.get(name)?.ports ?? []));
  }

  private onPort(port: number): readonly DerivedService[] {
    return this.byPort.get(port) ?? [];
  }

  private makeView(
    selects: (service: string) => boolean,
    listeners: ReadonlyMap<string, VersionedResource>,
    ownSidecar: string,
  ): View {
    const sidecars = new Map<string, VersionedResource>();
    for (const name of new Set([DEFAULT_SIDECAR, ownSidecar])) {
      const sidecar = this.resources.get('Sidecar')?.get(name) ?? this.sidecarFor(listeners);
      sidecars.set(name, sidecar);
    }
    const resources = new Map<Kind, ReadonlyMap<string, VersionedResource>>(this.resources);
    resources.set('Listener', listeners).set('Sidecar', sidecars);
    const get: View['get'] = (kind, name) => {
      const resource = resources.get(kind)?.get(name);
      return resource !== undefined && isSeen(resource) ? resource : undefined;
    };
    // Found when the first Secret is asked for: most sidecars ask for none.
    let secrets: ReadonlySet<string> | undefined;
    const isSeen = ({ kind, name, service }: VersionedResource): boolean => {
      if (kind === 'Secret') return (secrets ??= secretsNamedFrom(ownSidecar, get)).has(name);
      return service === undefined || selects(service) || this.namedByListeners.has(service);
    };
    return { get, all: (kind) => [...(resources.get(kind)?.values() ?? [])].filter(isSeen) };
  }

  private sidecarFor(listeners: ReadonlyMap<string, VersionedResource>): VersionedResource {
    // A view only ever lacks listeners of the full set, never has others: as many are the same ones.
    if (listeners.size === this.allListeners.size) return this.fullSidecar;
    return deriveSidecar(DEFAULT_SIDECAR, [...listeners.keys()].sort());
  }
}

/** Secrets that the Listeners of a Sidecar, and the Upstreams behind them, name. */
function secretsNamedFrom(sidecar: string, get: View['get']): ReadonlySet<string> {
  const root = get('Sidecar', sidecar);
  const names = root === undefined ? [] : decodeMessage('Sidecar', root.bytes).listeners;
  const listeners = names.map((name) => get('Listener', name)).filter((one) => one !== undefined);
  const behind = new Set(listeners.flatMap((listener) => referencesOf(listener).upstreams));
  const upstreams = [...behind].map((name) => get('Upstream', name)).filter((one) => one !== undefined);
  return new Set([...listeners, ...upstreams].flatMap((one) => referencesOf(one).secrets.map(({ name }) => name)));
}

function append<K, V>(map: Map<K, V[]>, key: K, value: V): void {
  const list = map.get(key);
  if (list === undefined) map.set(key, [value]);
  else list.push(value);
}

function sameNames(a: readonly DerivedService[], b: readonly DerivedService[] | undefined): boolean {
  return b !== undefined && a.length === b.length && a.every(({ name }, i) => name === b[i]?.name);
}

function deriveListener(port: number, services: readonly DerivedService[]): VersionedResource {
  const targets = services.map(({ name }) => ({ upstream: name, servicePort: port, authorities: [] }));
  const message = Listener.fromPartial({ name: `outbound/${port}`, port, targets });
  return versioned('Listener', message, services[0]?.origin ?? NOWHERE, undefined);
}

function deriveSidecar(name: string, listeners: string[]): VersionedResource {
  return versioned('Sidecar', Sidecar.fromPartial({ name, listeners }), NOWHERE, undefined);
}
