// Endpoints that no EndpointSlice names: nodes and registries that an ApisixUpstream states, and the host that a Service
// of type ExternalName stands for. What the ApisixUpstream states stands above all else.
import { readServiceName } from '../../config/decode/nodes.ts';
import { canonicalIp } from '../../base/ip-address.ts';
import type { Endpoints } from '../../gen/outrigger/config/v1/endpoints.ts';
import { type Node, PortLevelSettings, type Upstream } from '../../gen/outrigger/config/v1/upstream.ts';
import type { Finding } from '../finding.ts';
import { defaultPort, repeatedNodes, repetitionMessage } from '../read/repeated-nodes.ts';
import type { ApisixUpstreamObject, ExternalNode, ServiceObject, ServicePort } from '../source.ts';

type Report = (finding: Finding) => void;

/** Whether an ApisixUpstream needs no Service: it says itself where endpoints are. */
export function namesEndpoints({ externalNodes, upstream }: ApisixUpstreamObject): boolean {
  return (
    externalNodes.length > 0 ||
    upstream.discoveryType !== undefined ||
    upstream.portLevelSettings.some(({ discoveryType }) => discoveryType !== undefined)
  );
}

/**
 * The ports of a service: those of its Service. Where that states none, those of `portLevelSettings`; where there are
 * none either, those of the external nodes, or of the name that a registry is asked for, each by default 80, or 443 for
 * https and grpcs.
 */
export function portsOf(
  service: ServiceObject | undefined,
  decoration: ApisixUpstreamObject | undefined,
): readonly ServicePort[] {
  if (service !== undefined && service.ports.length > 0) return service.ports;
  if (decoration === undefined) return [];
  const { portOrigins, externalNodes, upstream, origin } = decoration;
  if (service?.externalName === undefined && !namesEndpoints(decoration)) return [];
  if (portOrigins.size > 0) return [...portOrigins].map(([port, place]) => portOf(port, place));
  const byDefault = defaultPort(upstream);
  if (externalNodes.length > 0) {
    const numbers = new Map(externalNodes.map((node) => [node.port ?? byDefault, node.origin]));
    return [...numbers].map(([port, place]) => portOf(port, place));
  }
  if (upstream.serviceName === undefined) return [];
  const read = readServiceName(upstream.serviceName);
  return [portOf((read.ok && read.service.port) || byDefault, origin)];
}

function portOf(port: number, origin: ServicePort['origin']): ServicePort {
  return { name: '', port, targetPort: undefined, appProtocol: undefined, origin };
}

/** The nodes of an ApisixUpstream. One whose Service is of no use is left out, and reported. */
export function nodesOf(
  { namespace, name, externalNodes, upstream }: ApisixUpstreamObject,
  services: ReadonlyMap<string, ServiceObject | undefined>,
  report: Report,
): Node[] {
  const object = `ApisixUpstream ${namespace}/${name}`;
  const found = externalNodes.flatMap((from) => {
    const { port, weight } = from;
    const service = services.get(from.name);
    const host = from.type === 'Domain' ? from.name : service?.externalName;
    if (host !== undefined) return [{ from, node: { host, port, weight, priority: undefined, metadata: {} } }];
    report({ severity: 'error', ...from.origin, object, path: from.path, ...uselessService(namespace, from, service) });
    return [];
  });
  const byDefault = defaultPort(upstream);
  for (const { earlier, last } of repeatedNodes(
    found.map(({ node: { host, port = byDefault } }) => ({ host, port })),
  )) {
    const [from, standing] = [found[earlier]?.from, found[last]?.from];
    if (from === undefined || standing === undefined) continue;
    report({ severity: 'warning', ...from.origin, object, path: from.path, ...repetitionMessage(standing.path) });
  }
  return found.map(({ node }) => node);
}

function uselessService(
  namespace: string,
  { name }: ExternalNode,
  service: ServiceObject | undefined,
): Pick<Finding, 'message' | 'fix'> {
  const full = `${namespace}/${name}`;
  if (service === undefined) {
    const fix = 'add a Service of type ExternalName, or name the host with `type: Domain`';
    return { message: `no Service ${full} is there: the node is left out`, fix };
  }
  const fix = `name its host with \`type: Domain\`, say ${name}.${namespace}.svc, or give the Service that type`;
  return { message: `the Service ${full} is not of type ExternalName: the node is left out`, fix };
}

/**
 * The Upstream of a Service of type ExternalName: its name is looked up for each port. One port makes it a node; with
 * several, each has its own port to connect to, and asks the registry of names.
 */
export function withExternalName(upstream: Upstream, host: string, ports: readonly ServicePort[]): Upstream {
  const own = new Map(upstream.portLevelSettings.map((settings) => [settings.port, settings]));
  const open = ports.filter(({ port }) => own.get(port)?.discoveryType === undefined);
  const [only] = open;
  if (only === undefined) return upstream;
  if (ports.length === 1) {
    return { ...upstream, nodes: [{ host, port: only.port, weight: undefined, priority: undefined, metadata: {} }] };
  }
  for (const { port } of open) {
    const settings = own.get(port) ?? PortLevelSettings.fromPartial({ port });
    own.set(port, { ...settings, serviceName: `${host}:${port}`, discoveryType: 'dns' });
  }
  return { ...upstream, portLevelSettings: [...own.values()].sort((a, b) => a.port - b.port) };
}

/** The Endpoints of a Service of type ExternalName that stands for an address; undefined for a name. */
export function addressEndpoints(name: string, host: string, port: number): Endpoints | undefined {
  const address = canonicalIp(host);
  if (address === undefined) return undefined;
  const endpoint = { address, port, weight: undefined, priority: undefined, locality: undefined, state: undefined };
  return { name, endpoints: [{ ...endpoint, labels: {} }] };
}
