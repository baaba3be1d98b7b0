// The runtime configuration: one immutable value, swapped whole. What didn't change between two snapshots is the same
// object, so a diff is a comparison of references and work follows the update.
import type { GatewaySpec } from './gateway.ts';
import type { PortPolicy, Provenance } from './policy.ts';
import type { ListenerTlsSpec, SecretSpec } from './tls.ts';

/** Identity of a service port of an upstream, `namespace/service/port`: live state is kept under it. */
export type PortKey = string;

export function portKey(upstream: string, servicePort: number): PortKey {
  return `${upstream}/${servicePort}`;
}

/** One endpoint as configured. Its identity within a port is address and port. */
export interface EndpointSpec {
  /** IP address without brackets. */
  readonly address: string;
  readonly port: number;
  readonly weight: number;
  readonly priority: number;
  readonly draining: boolean;
  readonly labels: ReadonlyMap<string, string>;
  /**
   * DNS name that it was found under, without final dot; empty for an address. What `pass_host: node` and probes call
   * it.
   */
  readonly host: string;
}

/** Endpoints that a DNS name stands for. */
export interface NameSpec {
  /** `addresses`: each address is an endpoint (APISIX `nodes`). `service`: SRV records first (APISIX `discovery_type: dns`). */
  readonly kind: 'addresses' | 'service';
  /** Lower case. With a final dot it is asked for as it is, without one under the search list (resolv.conf(5)). */
  readonly name: string;
  readonly port: number;
  /** Whether `port` was stated, so that it stands above that of an SRV record. */
  readonly portIsSet: boolean;
  /** Shared by its addresses. */
  readonly weight: number;
  readonly priority: number;
  readonly labels: ReadonlyMap<string, string>;
}

/** A service port with its effective policy and its endpoints. */
export interface UpstreamPort {
  readonly key: PortKey;
  /** `namespace/service`. */
  readonly upstream: string;
  readonly servicePort: number;
  readonly policy: PortPolicy;
  readonly provenance: Provenance;
  /** Ordered by address and port, without duplicates. */
  readonly endpoints: readonly EndpointSpec[];
  /** DNS names whose addresses are endpoints too; discovery/ adds those to `endpoints`. */
  readonly names: readonly NameSpec[];
}

/** A listening port. */
export interface ListenerSpec {
  readonly name: string;
  /** Left out: it has targets. `gateway`: routes. `outbound`: the targets of all other listeners, by authority. */
  readonly role?: (typeof LISTENER_ROLES)[number] | undefined;
  /** IP address to bind; undefined: the sidecar's `--bind`. */
  readonly address: string | undefined;
  readonly port: number;
  readonly protocols: 'auto' | 'http1' | 'http2';
  /** Undefined: plaintext. */
  readonly tls: ListenerTlsSpec | undefined;
  /** At least one, but for those with a role. A target's port may be missing from the snapshot: then it has no endpoints yet. */
  readonly targets: readonly TargetSpec[];
}

/** Roles of listeners that no resource describes, which are their names too. */
export const LISTENER_ROLES = ['gateway', 'outbound'] as const;

/** What is behind a listener. */
export interface TargetSpec {
  readonly port: PortKey;
  /** Lower-case authorities without port and final dot that pick this target; not looked at where the listener has one target. */
  readonly authorities: readonly string[];
}

/** The whole configuration at one moment. */
export interface Snapshot {
  /** Counts up from 1; 0 is the empty snapshot. */
  readonly number: number;
  readonly listeners: ReadonlyMap<string, ListenerSpec>;
  readonly ports: ReadonlyMap<PortKey, UpstreamPort>;
  /** By name, as far as the listeners and ports name them and they are here. */
  readonly secrets: ReadonlyMap<string, SecretSpec>;
  /** Undefined: the gateway is off. */
  readonly gateway: GatewaySpec | undefined;
}

export const EMPTY_SNAPSHOT: Snapshot = {
  number: 0,
  listeners: new Map(),
  ports: new Map(),
  secrets: new Map(),
  gateway: undefined,
};
