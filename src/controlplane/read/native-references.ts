import type { Resource } from '../../config/resource.ts';
import type { ObjectReference } from '../source.ts';
import { locate } from './locate.ts';
import type { Value } from './value.ts';

const FIELDS = [
  ['upstream_id', 'upstreamId', 'Upstream'],
  ['service_id', 'serviceId', 'Service'],
  ['plugin_config_id', 'pluginConfigId', 'PluginConfig'],
] as const;

/** What a native Route or Service names, with the place of each field. */
export function nativeReferences(object: Value, { kind, name, message }: Resource): ObjectReference[] {
  if (kind !== 'Route' && kind !== 'Service') return [];
  const fields: Readonly<Record<string, unknown>> = { ...message };
  return FIELDS.flatMap(([field, property, wanted]) => {
    const named = fields[property];
    if (typeof named !== 'string' || named === '') return [];
    const path = `spec.${field}`;
    return [{ kind: wanted, name: named, object: `${kind} ${name}`, path, origin: locate(object, path) }];
  });
}
