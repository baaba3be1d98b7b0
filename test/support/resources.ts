import assert from 'node:assert/strict';
import { decodeResource } from '../../src/config/decode/decode.ts';
import {
  describeProblems,
  type GatewayKind,
  type Kind,
  type Messages,
  type Resource,
  type Resources,
} from '../../src/config/resource.ts';
import { Endpoints } from '../../src/gen/outrigger/config/v1/endpoints.ts';
import { Consumer, PluginConfig, Route, Service } from '../../src/gen/outrigger/config/v1/gateway.ts';
import { Listener } from '../../src/gen/outrigger/config/v1/listener.ts';
import { Secret } from '../../src/gen/outrigger/config/v1/secret.ts';
import { Sidecar } from '../../src/gen/outrigger/config/v1/sidecar.ts';
import { Upstream } from '../../src/gen/outrigger/config/v1/upstream.ts';

/** A message of which a test says only what it is about. */
export type DeepPartial<T> = T extends Uint8Array
  ? T
  : T extends readonly (infer U)[]
    ? readonly DeepPartial<U>[]
    : T extends object
      ? { readonly [K in keyof T]?: DeepPartial<T[K]> }
      : T;

/** The part of ts-proto's codecs that is used here; their own types are per message. */
interface Codec {
  encode(message: never): { finish(): Uint8Array };
  fromPartial(partial: never): unknown;
}

const CODECS: Readonly<Record<Kind, Codec>> = {
  Sidecar,
  Listener,
  Route,
  Service,
  PluginConfig,
  Consumer,
  Upstream,
  Endpoints,
  Secret,
};

/** Bytes of a message. */
export function encode<K extends Kind>(kind: K, partial: DeepPartial<Messages[K]>): Uint8Array {
  const codec = CODECS[kind];
  return codec.encode(codec.fromPartial(partial as never) as never).finish();
}

/** A checked resource; fails the test if it isn't sound. */
export function resource<K extends Kind>(kind: K, name: string, partial: DeepPartial<Messages[K]>): Resource<K> {
  const decoded = decodeResource(kind, name, encode(kind, partial));
  assert.ok(decoded.ok, decoded.ok ? '' : describeProblems(decoded.problems));
  return decoded.resource;
}

/** Resources by kind and name, changed by hand. */
export class ResourceStore implements Resources {
  private readonly byKind = new Map<Kind, Map<string, Resource>>();

  constructor(...resources: readonly Resource[]) {
    this.set(...resources);
  }

  get<K extends Kind>(kind: K, name: string): Resource<K> | undefined {
    return this.byKind.get(kind)?.get(name) as Resource<K> | undefined;
  }

  all<K extends GatewayKind>(kind: K): Iterable<Resource<K>> {
    return (this.byKind.get(kind)?.values() ?? []) as Iterable<Resource<K>>;
  }

  set(...resources: readonly Resource[]): void {
    for (const one of resources) {
      let ofKind = this.byKind.get(one.kind);
      if (ofKind === undefined) this.byKind.set(one.kind, (ofKind = new Map()));
      ofKind.set(one.name, one);
    }
  }

  remove(kind: Kind, name: string): void {
    this.byKind.get(kind)?.delete(name);
  }
}
