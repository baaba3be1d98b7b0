// `discovery` of an ApisixUpstream: endpoints that a registry names.
import { readServiceName } from '../../config/decode/nodes.ts';
import type { PortLevelSettings } from '../../gen/outrigger/config/v1/upstream.ts';
import type { Value } from './value.ts';

const DNS = 'dns';

/** Reads the group; of all registries DNS is the one that this version asks. */
export function readDiscovery(
  value: Value | undefined,
): Partial<Pick<PortLevelSettings, 'serviceName' | 'discoveryType'>> {
  const members = value?.members(['serviceName', 'type', 'args']);
  if (value === undefined || members === undefined) return {};
  const nameValue = members.get('serviceName');
  const serviceName = nameValue?.text();
  const typeValue = members.get('type');
  const type = typeValue?.text();
  if (nameValue === undefined || typeValue === undefined) {
    value.error('needs serviceName and type', 'write for example `discovery: {type: dns, serviceName: web.example}`');
  }
  if (type !== undefined && type !== DNS) {
    typeValue?.error(
      `'${type}' is not supported by this version`,
      'write `type: dns`, or name the nodes in externalNodes',
    );
    return {};
  }
  members.get('args')?.warn('dns takes no arguments: they have no effect', 'remove them');
  if (serviceName === undefined || type === undefined) return {};
  const read = readServiceName(serviceName);
  if (!read.ok) nameValue?.error(read.reason, 'write a DNS name with or without a port, say web.example:8080');
  return { serviceName, discoveryType: type };
}
