// What is served now: one immutable snapshot, put in place whole, and whoever wants to hear of the next one.
import type { Cancel } from '../base/clock.ts';
import { parseHostPort } from '../config/host-port.ts';
import type { Kind } from '../config/resource.ts';
import type { Node } from '../gen/envoy/config/core/v3/base.ts';
import { identify } from './node-identity.ts';
import { Snapshot } from './snapshot.ts';
import type { Translation } from './translate/translator.ts';
import type { VersionedResource } from './versioned-resource.ts';
import type { View } from './views.ts';

/** Holds the snapshot in force. */
export class SnapshotCache {
  private translation: Translation = { services: [], others: [], findings: [] };
  private adminApi: string | undefined;
  private snapshot = new Snapshot(this.translation);
  private readonly listeners = new Set<() => void>();

  /** Puts the next snapshot in place and tells everybody. */
  put(translation: Translation): void {
    this.translation = translation;
    this.next();
  }

  /**
   * Tells sidecars where the Admin API of this control plane is, `HOST:PORT` as it is bound; undefined: it has none. Of one
   * that is bound to all addresses only the port is told: the host is then that of the control plane.
   */
  setAdminApi(address: string | undefined): void {
    const adminApi = address === undefined ? undefined : withoutWildcard(address);
    if (adminApi === this.adminApi) return;
    this.adminApi = adminApi;
    this.next();
  }

  /** What a node may see now. */
  viewOf(node: Node | undefined): View {
    return this.snapshot.viewOf(identify(node));
  }

  /** A resource in force, whoever may see it; derived Listeners with every target. */
  get(kind: Kind, name: string): VersionedResource | undefined {
    return this.snapshot.resources.get(kind, name);
  }

  /** Services that a node lists and that aren't there now. */
  missingServices(node: Node | undefined): string[] {
    return this.snapshot.missingServices(identify(node));
  }

  /** Calls `listener` after each {@link put}. */
  subscribe(listener: () => void): Cancel {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  private next(): void {
    this.snapshot = new Snapshot(this.translation, this.snapshot, this.adminApi);
    for (const listener of [...this.listeners]) listener();
  }
}

const WILDCARDS: ReadonlySet<string> = new Set(['', '0.0.0.0', '::', '*']);

function withoutWildcard(address: string): string {
  const read = parseHostPort(address, { defaultHost: '', defaultPort: undefined, minPort: 1 });
  return read.ok && WILDCARDS.has(read.host) ? `:${read.port}` : address;
}
