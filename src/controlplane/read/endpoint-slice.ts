// A Kubernetes EndpointSlice: which addresses serve which Service, and in which state.
import { canonicalIp } from '../../base/ip-address.ts';
import type { EndpointSliceObject, SliceEndpoint } from '../source.ts';
import type { ObjectHeader } from './object.ts';
import type { Value } from './value.ts';

/** The label that names the Service of a slice. */
export const SERVICE_NAME_LABEL = 'kubernetes.io/service-name';

/** Reads the slice. Whether it may be used is told by the report. */
export function readEndpointSlice(header: ObjectHeader): EndpointSliceObject {
  const { namespace, name, origin, members } = header;
  const service = header.labels.get(SERVICE_NAME_LABEL);
  if (service === undefined) {
    members
      .get('metadata')
      ?.keyFinding(
        'warning',
        `has no label ${SERVICE_NAME_LABEL} and belongs to no Service`,
        'add the label with the name of the Service',
      );
  }
  const addressType = filled(members.get('addressType'));
  const isFqdn = addressType?.word(['IPv4', 'IPv6', 'FQDN'] as const) === 'FQDN';
  if (isFqdn) addressType?.note('addresses of type FQDN are left out', 'use a slice of type IPv4 or IPv6');
  const endpoints = isFqdn ? [] : readEndpoints(filled(members.get('endpoints')));
  return {
    kind: 'EndpointSlice',
    namespace,
    name,
    origin,
    service,
    ports: readPorts(filled(members.get('ports'))),
    endpoints,
  };
}

function readPorts(list: Value | undefined): EndpointSliceObject['ports'] {
  const ports: { name: string; port: number | undefined }[] = [];
  for (const item of list?.list() ?? []) {
    const members = item.anyMembers();
    if (members === undefined) continue;
    const protocol = filled(members.get('protocol'))?.word(['TCP', 'UDP', 'SCTP'] as const) ?? 'TCP';
    if (protocol !== 'TCP') continue;
    const name = filled(members.get('name'))?.text() ?? '';
    ports.push({ name, port: filled(members.get('port'))?.integer(1, 65_535) });
  }
  return ports;
}

function readEndpoints(list: Value | undefined): SliceEndpoint[] {
  const endpoints: SliceEndpoint[] = [];
  for (const item of list?.list() ?? []) {
    const members = item.anyMembers();
    if (members === undefined) continue;
    const addresses = filled(members.get('addresses'))?.list() ?? [];
    const target = filled(members.get('targetRef'))?.anyMembers();
    const isPod = target?.get('kind')?.scalar() === 'Pod';
    endpoints.push({
      addresses: addresses.map(readAddress).filter((address) => address !== undefined),
      state: stateOf(filled(members.get('conditions'))),
      zone: filled(members.get('zone'))?.text(),
      node: filled(members.get('nodeName'))?.text(),
      pod: isPod ? filled(target?.get('name'))?.text() : undefined,
    });
  }
  return endpoints;
}

function readAddress(value: Value): string | undefined {
  const text = value.text();
  if (text === undefined) return undefined;
  const address = canonicalIp(text);
  if (address === undefined) value.error(`'${text}' is not an IP address`, 'write for example 10.0.0.5');
  return address;
}

/**
 * Kubernetes: `ready` unknown is ready, `serving` unknown is what `ready` says, `terminating` unknown is not
 * terminating. What terminates and still serves finishes what it has.
 */
function stateOf(conditions: Value | undefined): SliceEndpoint['state'] {
  const members = conditions?.anyMembers();
  const ready = filled(members?.get('ready'))?.boolean();
  const serving = filled(members?.get('serving'))?.boolean() ?? ready ?? true;
  const terminating = filled(members?.get('terminating'))?.boolean() ?? false;
  if (terminating) return serving ? 'draining' : 'left_out';
  return (ready ?? true) ? 'ready' : 'left_out';
}

function filled(value: Value | undefined): Value | undefined {
  return value === undefined || value.isEmpty ? undefined : value;
}
