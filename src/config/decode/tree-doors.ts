// The doors of the kinds that static listeners are made of. A sidecar without a control plane loads these only: the others
// bring all of the gateway.
import { Endpoints } from '../../gen/outrigger/config/v1/endpoints.ts';
import { Listener } from '../../gen/outrigger/config/v1/listener.ts';
import { Sidecar } from '../../gen/outrigger/config/v1/sidecar.ts';
import { Upstream } from '../../gen/outrigger/config/v1/upstream.ts';
import type { Decoded } from '../resource.ts';
import { type Door, passDoor } from './door.ts';
import { checkEndpoints } from './endpoints.ts';
import { checkListener } from './listener.ts';
import { checkSidecar } from './sidecar.ts';
import { checkUpstream } from './upstream.ts';

/** Kinds of the tree under a Sidecar, without Secrets. */
export type TreeKind = 'Sidecar' | 'Listener' | 'Upstream' | 'Endpoints';

/** How each is read and checked. */
export const TREE_DOORS: { readonly [K in TreeKind]: Door<K> } = {
  Sidecar: { decode: (bytes) => Sidecar.decode(bytes), check: checkSidecar },
  Listener: { decode: (bytes) => Listener.decode(bytes), check: checkListener },
  Upstream: { decode: (bytes) => Upstream.decode(bytes), check: checkUpstream },
  Endpoints: { decode: (bytes) => Endpoints.decode(bytes), check: checkEndpoints },
};

/** As decodeResource, of one of these kinds. */
export function decodeTreeResource<K extends TreeKind>(kind: K, name: string, bytes: Uint8Array): Decoded<K> {
  return passDoor(TREE_DOORS[kind], kind, name, bytes);
}
