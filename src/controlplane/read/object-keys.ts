// The keys of an object outside its spec. One that is misspelt would be dropped in silence, with all that stands behind
// it. Of metadata the keys of Kubernetes are known; it may get new ones, so one that is near to none of them is taken.
import { suggest } from '../../config/suggest.ts';
import { SPEC_FIELDS } from './policy.ts';
import { joinPath, type Value } from './value.ts';

/** Kinds whose keys are known here; native documents are checked where they are read. */
export type KeyedKind = 'ApisixUpstream' | 'Service' | 'EndpointSlice' | 'Secret' | 'List';

const COMMON = ['apiVersion', 'kind', 'metadata'];

/** Keys of an object of each kind. A Secret's `spec` has a finding of its own. */
const OBJECT_KEYS: Readonly<Record<KeyedKind, readonly string[]>> = {
  ApisixUpstream: [...COMMON, 'spec', 'status'],
  Service: [...COMMON, 'spec', 'status'],
  EndpointSlice: [...COMMON, 'addressType', 'endpoints', 'ports'],
  Secret: [...COMMON, 'type', 'data', 'stringData', 'immutable', 'spec'],
  List: [...COMMON, 'items'],
};

/** Keys of a spec that are written beside it by mistake. */
const SPEC_KEYS: Readonly<Record<KeyedKind, readonly string[]>> = {
  ApisixUpstream: SPEC_FIELDS,
  Service: ['ports', 'type', 'selector', 'clusterIP', 'externalName'],
  EndpointSlice: [],
  Secret: [],
  List: [],
};

/** Kubernetes' ObjectMeta. */
const METADATA_KEYS = [
  'name',
  'namespace',
  'labels',
  'annotations',
  'uid',
  'resourceVersion',
  'generation',
  'creationTimestamp',
  'deletionTimestamp',
  'deletionGracePeriodSeconds',
  'finalizers',
  'ownerReferences',
  'managedFields',
  'generateName',
  'selfLink',
  'clusterName',
];

/** Reports keys that an object of the kind doesn't have. */
export function reportUnknownKeys(members: ReadonlyMap<string, Value>, kind: KeyedKind): void {
  const known = OBJECT_KEYS[kind];
  for (const [key, value] of members) {
    if (known.includes(key)) continue;
    value.keyFinding('error', `unknown field (known: ${known.join(', ')})`, placeOf(key, kind));
  }
}

/** What may be meant by a key that no object of the kind has. */
function placeOf(key: string, kind: KeyedKind): string {
  const inSpec = SPEC_KEYS[kind];
  if (inSpec.includes(key)) return 'write it under spec';
  if (METADATA_KEYS.includes(key)) return 'write it under metadata';
  const near = suggest(key, OBJECT_KEYS[kind]) ?? prefixed('spec', suggest(key, inSpec));
  return near === undefined ? 'remove it' : `did you mean '${near}'?`;
}

function prefixed(parent: string, key: string | undefined): string | undefined {
  return key === undefined ? undefined : joinPath(parent, key);
}

/** Reports keys of `metadata` that Kubernetes doesn't have. */
export function reportUnknownMetadata(parts: ReadonlyMap<string, Value>): void {
  for (const [key, value] of parts) {
    if (METADATA_KEYS.includes(key)) continue;
    const near = suggest(key, METADATA_KEYS);
    if (near !== undefined) value.keyFinding('error', 'unknown field of metadata', `did you mean '${near}'?`);
    else value.keyFinding('warning', 'no field of metadata that Kubernetes has: it has no effect', 'remove it');
  }
}

/** The member of a key, or of one that was likely meant to be it. */
export function meantMember(
  members: ReadonlyMap<string, Value>,
  key: 'name' | 'namespace' | 'metadata',
): Value | undefined {
  const known = key === 'metadata' ? [...COMMON, 'spec', 'status'] : METADATA_KEYS;
  return members.get(key) ?? [...members].find(([word]) => !known.includes(word) && suggest(word, known) === key)?.[1];
}
