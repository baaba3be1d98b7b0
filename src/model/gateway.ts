// What the gateway listener goes by: routes with everything that they take from their service, plugin config and upstream
// already in them. Plugins of consumers come in only when a request shows whose it is.
import type { ErrorKind } from '../base/error.ts';
import type { SecretText } from '../base/secret-text.ts';
import type { PortKey } from './snapshot.ts';
import type { VarsExpression } from './vars.ts';

/** `key-auth` of a route. */
export interface KeyAuthPolicy {
  /** Lower case. */
  readonly header: string;
  readonly query: string;
  readonly hidesCredentials: boolean;
  readonly realm: string;
  /** Undefined: who shows no valid key is refused. */
  readonly anonymousConsumer: string | undefined;
}

/** One limit: so many requests in so many seconds. */
export interface LimitRule {
  /** A whole number as text, or a template of variables. */
  readonly count: string;
  readonly windowS: string;
  readonly keyType: 'var' | 'var_combination' | 'constant';
  readonly key: string;
  /** Of the quota fields, between `X-` and `-RateLimit-…`; undefined: those that the metadata name. */
  readonly headerPrefix: string | undefined;
}

/** `limit-count`. */
export interface LimitCountPolicy {
  /** None: nothing is limited (a consumer for whom the plugin is switched off). */
  readonly limits: readonly LimitRule[];
  /** Whether they are `rules`: one of which no variable has a value is passed over then, instead of taking `remote_addr`. */
  readonly areRules: boolean;
  readonly windowType: 'fixed' | 'sliding';
  readonly rejectedCode: number;
  /** Undefined: a page of our own. */
  readonly rejectedMsg: string | undefined;
  /** Empty: counters of its own. */
  readonly group: string;
  readonly showsQuota: boolean;
  /** Whether requests that can't be counted pass. */
  readonly allowsDegradation: boolean;
}

/** A plugin where it is set. */
export type PluginSpec = {
  /** Resource that sets it, `routes/1`, `services/2`, `plugin_configs/3`, `consumers/jack`. */
  readonly owner: string;
} & (
  | { readonly name: 'key-auth'; readonly policy: KeyAuthPolicy }
  | { readonly name: 'limit-count'; readonly policy: LimitCountPolicy }
);

/** Timeouts that stand in the place of the upstream's. */
export interface RouteTimeouts {
  readonly connectMs: number;
  readonly sendMs: number;
  readonly readMs: number;
}

/** A route that is on. */
export interface RouteSpec {
  readonly id: string;
  readonly displayName: string;
  /** At least one; each starts with `/`. */
  readonly uris: readonly string[];
  /** Lower case; none: any host. */
  readonly hosts: readonly string[];
  /** None: any. */
  readonly methods: readonly string[];
  /** Canonical IP addresses and CIDR blocks; none: any. */
  readonly remoteAddrs: readonly string[];
  /** Undefined: none. */
  readonly vars: VarsExpression | undefined;
  readonly priority: number;
  /** Empty: none. */
  readonly serviceId: string;
  /** In the order in which they run, without those that are switched off. */
  readonly plugins: readonly PluginSpec[];
  /** Where it goes: a port of the snapshot. Undefined where there is a fault. */
  readonly target: PortKey | undefined;
  /** What each request is answered with, since the route can't be served. */
  readonly fault: { readonly kind: ErrorKind; readonly detail: string } | undefined;
  readonly timeouts: RouteTimeouts | undefined;
  /** Whether upgrades may pass. */
  readonly passesUpgrades: boolean;
}

/** Who calls. */
export interface ConsumerSpec {
  readonly name: string;
  /** Label `custom_id`; empty: none. */
  readonly customId: string;
  /** What it is known by; `credentialId` is empty for the key of the consumer itself. */
  readonly keys: readonly { readonly key: SecretText; readonly credentialId: string }[];
  /** They take the place of a route's plugins of the same names. */
  readonly plugins: readonly PluginSpec[];
}

/** Names of the quota fields of `limit-count`. */
export interface QuotaFieldNames {
  readonly limit: string;
  readonly remaining: string;
  readonly reset: string;
}

export const DEFAULT_QUOTA_FIELDS: QuotaFieldNames = {
  limit: 'X-RateLimit-Limit',
  remaining: 'X-RateLimit-Remaining',
  reset: 'X-RateLimit-Reset',
};

/** The gateway's part of a snapshot. What didn't change between two of them is the same object. */
export interface GatewaySpec {
  /** By id. */
  readonly routes: ReadonlyMap<string, RouteSpec>;
  /** By name. */
  readonly consumers: ReadonlyMap<string, ConsumerSpec>;
  readonly quotaFields: QuotaFieldNames;
  /** Port of the control plane's Admin API; undefined: it has none. */
  readonly adminApi: PortKey | undefined;
}
