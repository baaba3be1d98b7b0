import type { Kind } from '../../config/resource.ts';
import type { JsonObject } from '../store/store.ts';
import type { ObjectId } from './object-type.ts';

/** Something to be said about an object. */
export interface ObjectRemark {
  /** Field path in the words of the object, `upstream.nodes`; empty for the object as a whole. */
  readonly path: string;
  /** What is wrong or was done, and the fix where there is one. */
  readonly reason: string;
}

/** A resource that an object makes. */
export interface MadeResource {
  readonly kind: Kind;
  readonly name: string;
  /** Canonical. */
  readonly bytes: Uint8Array;
}

/** An object that was checked. */
export interface ReadObject extends ObjectId {
  /** As it is kept: keys without stray blanks, ids as text; nothing is filled in. */
  readonly value: JsonObject;
  /** What was repaired, such as blanks around keys. */
  readonly warnings: readonly ObjectRemark[];
  /** What sidecars get. A consumer's has no credentials yet, and a credential makes none of its own (join-consumer.ts). */
  readonly resources: readonly MadeResource[];
  /** Objects that it names, with the field that does. */
  readonly references: readonly (ObjectId & { readonly path: string })[];
}

/** What reading gives. */
export type ReadResult =
  | { readonly ok: true; readonly object: ReadObject }
  | { readonly ok: false; readonly problems: readonly ObjectRemark[]; readonly warnings: readonly ObjectRemark[] };

/** Reads what a JSON or YAML parser made of one object. */
export type ReadApisixObject = (id: ObjectId, value: unknown) => ReadResult;
