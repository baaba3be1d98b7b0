// The configuration of all sources as one: listeners given by flags or the bootstrap file, those of the control plane, and
// the two that no resource describes. What didn't change is the same map as before.
import { EMPTY_SNAPSHOT, type ListenerSpec, type Snapshot } from '../model/snapshot.ts';

/** Port of a gateway that only the control plane asks for, as APISIX's. */
const GATEWAY_PORT = 9080;

/** A listener that no resource describes. Its name is its role, and no resource may have it. */
export function ownListener(
  role: NonNullable<ListenerSpec['role']>,
  at: { readonly host: string | undefined; readonly port: number },
): ListenerSpec {
  return { name: role, role, address: at.host, port: at.port, protocols: 'auto', tls: undefined, targets: [] };
}

const PUSHED_GATEWAY = ownListener('gateway', { host: undefined, port: GATEWAY_PORT });

/** Puts the fixed part and what the control plane gives together, one after the other. */
export class MergedSnapshot {
  private readonly fixed: Snapshot;
  private dynamic: Snapshot = EMPTY_SNAPSHOT;
  private merged: Snapshot = EMPTY_SNAPSHOT;

  constructor(fixed: Snapshot) {
    this.fixed = fixed;
  }

  /** The whole, with `dynamic` in the place of the one before. Listeners of the fixed part stand above others of their names. */
  take(dynamic: Snapshot, number: number): Snapshot {
    const { fixed, dynamic: before, merged } = this;
    const isPushed = (one: Snapshot): boolean => one.gateway !== undefined && !fixed.listeners.has('gateway');
    const { gateway, secrets } = dynamic;
    const sameListeners = dynamic.listeners === before.listeners && isPushed(dynamic) === isPushed(before);
    const own = isPushed(dynamic) ? [[PUSHED_GATEWAY.name, PUSHED_GATEWAY] as const] : [];
    const listeners =
      sameListeners && merged.number > 0
        ? merged.listeners
        : new Map([...fixed.listeners, ...dynamic.listeners, ...fixed.listeners, ...own]);
    const ports = fixed.ports.size === 0 ? dynamic.ports : new Map([...fixed.ports, ...dynamic.ports]);
    this.dynamic = dynamic;
    this.merged = { number, listeners, ports, secrets, gateway };
    return this.merged;
  }
}
