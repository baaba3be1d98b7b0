// `externalNodes` of an ApisixUpstream: endpoints that no EndpointSlice names.
import { MAX_WEIGHT } from '../../model/defaults.ts';
import type { ExternalNode } from '../source.ts';
import { readHost } from './host.ts';
import type { Value } from './value.ts';

/** Weight of an external node that states none (APISIX's ingress controller). */
const DEFAULT_WEIGHT = 100;

/** Reads the list. Which Service a node of type Service names is looked up when all objects are known. */
export function readExternalNodes(list: Value | undefined): ExternalNode[] {
  const nodes: ExternalNode[] = [];
  const items = list?.list();
  if (items?.length === 0) list?.error('must hold at least one node', 'add one, or remove the list');
  for (const item of items ?? []) {
    const members = item.members(['type', 'name', 'port', 'weight']);
    if (members === undefined) continue;
    const type = members.get('type')?.word(['Domain', 'Service'] as const);
    const nameValue = members.get('name');
    const name = type === 'Service' ? nameValue?.text() : readHost(nameValue);
    const port = members.get('port')?.integer(1, 65_535);
    const weight = members.get('weight')?.integer(0, MAX_WEIGHT) ?? DEFAULT_WEIGHT;
    if (!members.has('type')) item.error('type is missing', 'write `type: Domain`');
    if (nameValue === undefined) item.error('name is missing', 'write the name or address of the node');
    if (type === undefined || nameValue === undefined || name === undefined) continue;
    nodes.push({ type, name, port, weight, path: nameValue.path, origin: nameValue.origin });
  }
  return nodes;
}
