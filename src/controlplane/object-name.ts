// How objects are told from each other: by kind, namespace and name.
import type { ConfigObject } from './source.ts';

/** Kind and name as findings and {@link RefusedObject} have it: `Service default/foo`, `Listener outbound/80`. */
export function objectName(object: ConfigObject): string {
  return object.kind === 'native'
    ? `${object.resourceKind} ${object.name}`
    : `${object.kind} ${object.namespace}/${object.name}`;
}
