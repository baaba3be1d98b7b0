import type { Resource } from '../config/resource.ts';
import { listenerSecrets, upstreamSecrets } from '../config/secret-references.ts';

const NONE: ReadonlySet<string> = new Set();

/** Names of the Secrets that a Listener or an Upstream names; other kinds name none. */
export function namedSecrets(resource: Resource): ReadonlySet<string> {
  const references = isOf('Listener', resource)
    ? listenerSecrets(resource.message)
    : isOf('Upstream', resource)
      ? upstreamSecrets(resource.message)
      : [];
  return references.length === 0 ? NONE : new Set(references.map(({ name }) => name));
}

function isOf<K extends Resource['kind']>(kind: K, resource: Resource): resource is Resource<K> {
  return resource.kind === kind;
}
