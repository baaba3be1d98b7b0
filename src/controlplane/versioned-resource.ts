// A resource as it is sent: its bytes, and a version made of them. The same content has the same version, whoever wrote
// it and after whatever restart, so a sidecar that comes back is sent only what it doesn't have.
import { hash } from 'node:crypto';
import type { Kind, Messages } from '../config/resource.ts';
import { Endpoints } from '../gen/outrigger/config/v1/endpoints.ts';
import { Consumer, PluginConfig, Route, Service } from '../gen/outrigger/config/v1/gateway.ts';
import { Listener } from '../gen/outrigger/config/v1/listener.ts';
import { Secret } from '../gen/outrigger/config/v1/secret.ts';
import { Sidecar } from '../gen/outrigger/config/v1/sidecar.ts';
import { Upstream } from '../gen/outrigger/config/v1/upstream.ts';
import type { Origin } from './finding.ts';
import { type References, referencesOf } from './references.ts';
import { withSortedMaps } from './sorted-maps.ts';

/** One resource in force. */
export interface VersionedResource {
  readonly kind: Kind;
  readonly name: string;
  /** First 16 hex digits of the SHA-256 of {@link bytes}. */
  readonly version: string;
  /** Canonical: maps sorted by key. */
  readonly bytes: Uint8Array;
  /** Where it was read. */
  readonly origin: Origin;
  /** Service that it was made of, `namespace/name`; undefined for a native one. */
  readonly service: string | undefined;
  /** What it names. */
  readonly references: References;
}

interface MessageCodec<M> {
  readonly encode: (message: M) => { finish(): Uint8Array };
  readonly decode: (bytes: Uint8Array) => M;
}

const CODECS: { readonly [K in Kind]: MessageCodec<Messages[K]> } = {
  Sidecar: { encode: (message) => Sidecar.encode(message), decode: (bytes) => Sidecar.decode(bytes) },
  Listener: { encode: (message) => Listener.encode(message), decode: (bytes) => Listener.decode(bytes) },
  Route: { encode: (message) => Route.encode(message), decode: (bytes) => Route.decode(bytes) },
  Service: { encode: (message) => Service.encode(message), decode: (bytes) => Service.decode(bytes) },
  PluginConfig: { encode: (message) => PluginConfig.encode(message), decode: (bytes) => PluginConfig.decode(bytes) },
  Consumer: { encode: (message) => Consumer.encode(message), decode: (bytes) => Consumer.decode(bytes) },
  Upstream: { encode: (message) => Upstream.encode(message), decode: (bytes) => Upstream.decode(bytes) },
  Endpoints: { encode: (message) => Endpoints.encode(message), decode: (bytes) => Endpoints.decode(bytes) },
  Secret: { encode: (message) => Secret.encode(message), decode: (bytes) => Secret.decode(bytes) },
};

/** Encodes a message and gives it its version. Its name is the resource's. */
export function versioned<K extends Kind>(
  kind: K,
  message: Messages[K],
  origin: Origin,
  service: string | undefined,
): VersionedResource {
  return make(kind, message.name, message, origin, service);
}

/** The same for bytes that came encoded; `name` is the resource's even where the message leaves it out. */
export function versionedFromBytes(kind: Kind, name: string, bytes: Uint8Array, origin: Origin): VersionedResource {
  return make(kind, name, CODECS[kind].decode(bytes), origin, undefined);
}

function make<K extends Kind>(
  kind: K,
  name: string,
  message: Messages[K],
  origin: Origin,
  service: string | undefined,
): VersionedResource {
  const codec: MessageCodec<Messages[K]> = CODECS[kind];
  const bytes = codec.encode(withSortedMaps(kind, message)).finish();
  const version = hash('sha256', bytes, 'hex').slice(0, 16);
  return { kind, name, version, bytes, origin, service, references: referencesOf(kind, message) };
}

/** Decodes a resource of a known kind. */
export function decodeMessage<K extends Kind>(kind: K, bytes: Uint8Array): Messages[K] {
  const codec: MessageCodec<Messages[K]> = CODECS[kind];
  return codec.decode(bytes);
}
