// Which sidecar gets what. A view is the part of a snapshot that one sidecar may see; sidecars that may see the same
// share one.
import { canonicalIp } from '../config/ip-address.ts';
import type { Kind } from '../config/resource.ts';
import type { Node } from '../gen/envoy/config/core/v3/base.ts';
import { Listener } from '../gen/outrigger/config/v1/listener.ts';
import { Sidecar } from '../gen/outrigger/config/v1/sidecar.ts';
import type { Origin } from './finding.ts';
import type { DerivedService, Translation } from './translate/translator.ts';
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
    podIps: podIps.filter((ip) => ip !== undefined).filter((ip) => !ip.startsWith('127.') && ip !== '::1'),
    services: services.length === 0 ? undefined : services.map(withNamespace),
  };
}

function withNamespace(name: string): string {
  return name.includes('/') ? name : `default/${name}`;
}

/** All resources of one moment, and the views of it. */
export class Snapshot {
  private readonly services: readonly DerivedService[];
  /** Native ones stand over derived ones of the same name. */
  private readonly resources = new Map<Kind, Map<string, VersionedResource>>();
  /** Services by the address of a Pod behind them. */
  private readonly byBacker = new Map<string, string[]>();
  /** Upstreams that native Listeners name: who gets the Listener may see them too. */
  private readonly namedByListeners = new Set<string>();
  private readonly fullListeners = new Map<number, VersionedResource>();
  private readonly views = new Map<string, View>();

  constructor(translation: Translation) {
    this.services = translation.services;
    for (const service of translation.services) {
      for (const resource of service.resources) this.put(resource);
      for (const address of service.backers) {
        const names = this.byBacker.get(address) ?? [];
        names.push(service.name);
        this.byBacker.set(address, names);
      }
    }
    for (const resource of translation.others) {
      this.put(resource);
      if (resource.kind !== 'Listener') continue;
      for (const target of decodeMessage('Listener', resource.bytes).targets) this.namedByListeners.add(target.upstream);
    }
  }

  /** The view of a node. */
  viewOf(node: NodeIdentity): View {
    const only = node.services === undefined ? undefined : new Set(node.services);
    const names = only ?? new Set(node.podIps.flatMap((ip) => this.byBacker.get(ip) ?? []));
    const own = this.resources.get('Sidecar')?.has(node.id) === true ? node.id : DEFAULT_SIDECAR;
    const key = JSON.stringify([only !== undefined, [...names].sort(), own]);
    let view = this.views.get(key);
    if (view === undefined) {
      view = this.makeView((service) => names.has(service) === (only !== undefined), own);
      this.views.set(key, view);
    }
    return view;
  }

  /** How many different views were asked for. */
  get viewCount(): number {
    return this.views.size;
  }

  private put(resource: VersionedResource): void {
    const ofKind = this.resources.get(resource.kind) ?? new Map<string, VersionedResource>();
    ofKind.set(resource.name, resource);
    this.resources.set(resource.kind, ofKind);
  }

  private makeView(selects: (service: string) => boolean, ownSidecar: string): View {
    const listeners = new Map<string, VersionedResource>();
    for (const listener of this.derivedListeners(selects)) listeners.set(listener.name, listener);
    for (const [name, listener] of this.resources.get('Listener') ?? []) listeners.set(name, listener);
    const sidecars = new Map<string, VersionedResource>();
    for (const name of new Set([DEFAULT_SIDECAR, ownSidecar])) {
      const sidecar = this.resources.get('Sidecar')?.get(name) ?? deriveSidecar(name, [...listeners.keys()].sort());
      sidecars.set(name, sidecar);
    }
    const resources = new Map(this.resources).set('Listener', listeners).set('Sidecar', sidecars);
    const isSeen = ({ service }: VersionedResource): boolean =>
      service === undefined || selects(service) || this.namedByListeners.has(service);
    return {
      get: (kind, name) => {
        const resource = resources.get(kind)?.get(name);
        return resource !== undefined && isSeen(resource) ? resource : undefined;
      },
      all: (kind) => [...(resources.get(kind)?.values() ?? [])].filter(isSeen),
    };
  }

  /** One Listener per port number; the services on it in the order of their names. */
  private derivedListeners(selects: (service: string) => boolean): VersionedResource[] {
    const all = new Map<number, DerivedService[]>();
    for (const service of this.services) {
      for (const port of service.ports) {
        const onPort = all.get(port) ?? [];
        onPort.push(service);
        all.set(port, onPort);
      }
    }
    const listeners: VersionedResource[] = [];
    for (const [port, services] of all) {
      const selected = services.filter((service) => selects(service.name));
      if (selected.length === 0) continue;
      const whole = selected.length === services.length;
      const listener = (whole ? this.fullListeners.get(port) : undefined) ?? deriveListener(port, selected);
      if (whole) this.fullListeners.set(port, listener);
      listeners.push(listener);
    }
    return listeners;
  }
}

function deriveListener(port: number, services: readonly DerivedService[]): VersionedResource {
  const targets = services.map(({ name }) => ({ upstream: name, servicePort: port, authorities: [] }));
  const message = Listener.fromPartial({ name: `outbound/${port}`, port, targets });
  return versioned('Listener', message, services[0]?.origin ?? NOWHERE, undefined);
}

function deriveSidecar(name: string, listeners: string[]): VersionedResource {
  return versioned('Sidecar', Sidecar.fromPartial({ name, listeners }), NOWHERE, undefined);
}
