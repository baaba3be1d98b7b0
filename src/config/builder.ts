// Resources → Snapshot, with the gateway. A sidecar without a control plane has none, and makes its snapshot with
// tree-snapshot.ts alone.
import type { GatewaySpec } from '../model/gateway.ts';
import { portKey, type Snapshot } from '../model/snapshot.ts';
import { ADMIN_API_UPSTREAM, adminApiUpstream } from './admin-api.ts';
import { gatewaySpec } from './gateway.ts';
import type { PortCollector } from './port-collector.ts';
import type { Resource, Resources } from './resource.ts';
import { hasGateway } from './tree.ts';
import { treeSnapshot } from './tree-snapshot.ts';

/** What is known of the gateway beside the resources. */
export interface GatewayContext {
  /** Whether it was turned on at the start; else the root of the tree decides. */
  readonly on: boolean;
  /** Whether there can be one at all: Routes come by the delta flavour only. Default true. */
  readonly isPossible?: boolean;
  /** Host of the control plane that the resources came from; undefined: none is known. */
  readonly controlHost: string | undefined;
}

const NO_GATEWAY: GatewayContext = { on: false, controlHost: undefined };

/** The snapshot that the tree under the root of `nodeId` makes (see treeSnapshot), and the gateway while it is on. */
export function buildSnapshot(
  nodeId: string,
  resources: Resources,
  previous: Snapshot,
  context: GatewayContext = NO_GATEWAY,
): Snapshot {
  return treeSnapshot(nodeId, resources, previous, (root, collector) => {
    const isOn = context.isPossible !== false && hasGateway(root, context.on);
    return isOn ? gatewayOf(resources, previous.gateway, root, context, collector) : undefined;
  });
}

function gatewayOf(
  resources: Resources,
  previous: GatewaySpec | undefined,
  root: Resource<'Sidecar'> | undefined,
  { controlHost }: GatewayContext,
  collector: PortCollector,
): GatewaySpec {
  // An Upstream of that name is somebody else's: a route to it must not end at the Admin API.
  let name = ADMIN_API_UPSTREAM;
  while (resources.get('Upstream', name) !== undefined) name += '-';
  const adminApi = adminApiUpstream(root, controlHost, name);
  const key = adminApi && portKey(name, 0);
  if (adminApi !== undefined && key !== undefined) collector.use(key, adminApi, 0);
  return gatewaySpec(resources, previous, key, collector);
}
