import type { Kind, Resource, Resources } from '../config/resource.ts';
import { namedSecrets } from './named-secrets.ts';
import type { ResourceView } from './resource-view.ts';
import type { HoldContext } from './route-hold.ts';

/** What is known when it is chosen what is handed on. */
export interface WarmingInput extends HoldContext {
  /** What serves now. */
  readonly inForce: ResourceView;
  /** Names of the roots, best first: the node's own and `default`. */
  readonly roots: readonly string[];
  /** Whether there is none yet and an answer may still come; with `*`: whether not all there is of the kind has come. */
  readonly isPending: (kind: Kind, name: string) => boolean;
  /** Whether the gateway is on with the root in `resources`. */
  readonly hasGateway: (resources: Resources) => boolean;
}

/** Whether a Secret that it names is on its way. */
export function lacksSecret(resource: Resource | undefined, { isPending }: WarmingInput): boolean {
  if (resource === undefined) return false;
  for (const name of namedSecrets(resource)) if (isPending('Secret', name)) return true;
  return false;
}
