import type { Resource } from '../config/resource.ts';
import { addListenerSecrets, addUpstreamSecrets } from '../config/tree.ts';

const NONE: ReadonlySet<string> = new Set();

/** Names of the Secrets that a Listener or an Upstream names; other kinds name none. */
export function namedSecrets(resource: Resource): ReadonlySet<string> {
  if (isOf('Listener', resource)) {
    if (resource.message.tls === undefined) return NONE;
    const names = new Set<string>();
    addListenerSecrets(resource.message, names);
    return names;
  }
  if (!isOf('Upstream', resource)) return NONE;
  const names = new Set<string>();
  addUpstreamSecrets(resource.message, names);
  return names;
}

function isOf<K extends Resource['kind']>(kind: K, resource: Resource): resource is Resource<K> {
  return resource.kind === kind;
}
