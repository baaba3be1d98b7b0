// The resource kinds, their type URLs, and what a decoded resource is. Everything that carries resources (control/,
// controlplane/, the state file, static configuration) speaks of them in these words.
import type { Endpoints } from '../gen/outrigger/config/v1/endpoints.ts';
import type { Consumer, PluginConfig, Route, Service } from '../gen/outrigger/config/v1/gateway.ts';
import type { Listener } from '../gen/outrigger/config/v1/listener.ts';
import type { Secret } from '../gen/outrigger/config/v1/secret.ts';
import type { Sidecar } from '../gen/outrigger/config/v1/sidecar.ts';
import type { Upstream } from '../gen/outrigger/config/v1/upstream.ts';

/** Kinds from the root of the tree on. */
export const KINDS = [
  'Sidecar',
  'Listener',
  'Route',
  'Service',
  'PluginConfig',
  'Consumer',
  'Upstream',
  'Endpoints',
  'Secret',
] as const;
export type Kind = (typeof KINDS)[number];

/** Kinds of which a sidecar wants all or none: all while its gateway is on. One that the server removes is gone at once. */
export const GATEWAY_KINDS = ['Route', 'Service', 'PluginConfig', 'Consumer'] as const satisfies readonly Kind[];
export type GatewayKind = (typeof GATEWAY_KINDS)[number];

/** Whether a kind is one of {@link GATEWAY_KINDS}. */
export function isGatewayKind(kind: Kind): kind is GatewayKind {
  return GATEWAY_KINDS.some((known) => known === kind);
}

/** Message of each kind. */
export interface Messages {
  Sidecar: Sidecar;
  Listener: Listener;
  Route: Route;
  Service: Service;
  PluginConfig: PluginConfig;
  Consumer: Consumer;
  Upstream: Upstream;
  Endpoints: Endpoints;
  Secret: Secret;
}

const PREFIX = 'type.googleapis.com/outrigger.config.v1.';

/** `type.googleapis.com/outrigger.config.v1.Upstream` and so on. */
export function typeUrl(kind: Kind): string {
  return PREFIX + kind;
}

/** The kind of a type URL; undefined if it isn't one of ours. */
export function kindOf(url: string): Kind | undefined {
  const name = url.startsWith(PREFIX) ? url.slice(PREFIX.length) : '';
  return KINDS.find((kind) => kind === name);
}

/** One thing that is wrong with a resource. */
export interface Problem {
  /** Field path in the words of the resource, `port_level_settings[1].tls`; empty for the resource as a whole. */
  readonly path: string;
  /** What is wrong, and the fix where there is one. */
  readonly reason: string;
}

/** `path: reason`, joined. What error_detail, GetSnapshot and lint print. */
export function describeProblems(problems: readonly Problem[]): string {
  return problems.map(({ path, reason }) => (path === '' ? reason : `${path}: ${reason}`)).join('; ');
}

/** A resource that was checked. `message` may be used without further checks. */
export interface Resource<K extends Kind = Kind> {
  readonly kind: K;
  readonly name: string;
  readonly message: Messages[K];
  /** The bytes as they came (or as encoded, for a static one). */
  readonly bytes: Uint8Array;
  /** Fields on the wire that this version doesn't know. */
  readonly unknownFields: number;
}

/** What decoding gives: a resource, or every problem that it has. */
export type Decoded<K extends Kind = Kind> =
  | { readonly ok: true; readonly resource: Resource<K> }
  | { readonly ok: false; readonly problems: readonly Problem[] };

/** Resources in force, by kind and name. */
export interface Resources {
  get<K extends Kind>(kind: K, name: string): Resource<K> | undefined;
  /** All of a gateway kind, in no particular order. */
  all<K extends GatewayKind>(kind: K): Iterable<Resource<K>>;
}

/** Stands for all names of a gateway kind. */
export const EVERYTHING = '*';

/** What a sidecar wants of each kind, found by walking the tree: names, or {@link EVERYTHING} of a gateway kind. */
export type WantedNames = Readonly<
  Record<Exclude<Kind, GatewayKind>, ReadonlySet<string>> & Record<GatewayKind, ReadonlySet<string> | typeof EVERYTHING>
>;
