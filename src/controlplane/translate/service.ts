// One Service, the ApisixUpstream of its name and its EndpointSlices → an Upstream, the ports that get a listener, and the
// Endpoints of those whose endpoints the slices name.
import { canonicalIp } from '../../base/ip-address.ts';
import type { Endpoints } from '../../gen/outrigger/config/v1/endpoints.ts';
import { Upstream } from '../../gen/outrigger/config/v1/upstream.ts';
import type { Finding, Origin } from '../finding.ts';
import { isCarried, withoutStreams } from '../read/stream-scheme.ts';
import type {
  ApisixUpstreamObject,
  EndpointSliceObject,
  NativeObject,
  RefusedObject,
  ServiceObject,
  ServicePort,
} from '../source.ts';
import { versioned, type VersionedResource } from '../versioned-resource.ts';
import { joinEndpoints } from './endpoints.ts';
import { addressEndpoints, namesEndpoints, nodesOf, portsOf, withExternalName } from './external.ts';
import { reportIdleTls } from './idle-tls.ts';
import { makeUpstream, reportUnknownPorts } from './upstream.ts';

/** What was made of one Service. */
export interface DerivedService {
  /** `namespace/name`. */
  readonly name: string;
  readonly origin: Origin;
  /** Service port numbers; each gets a listener. */
  readonly ports: readonly number[];
  /** Its Upstream, and Endpoints per port. */
  readonly resources: readonly VersionedResource[];
  /** Addresses of all Pods behind it, ready or not, and of its nodes. */
  readonly backers: ReadonlySet<string>;
  readonly findings: readonly Finding[];
}

/** Everything that one Service is made of. */
export interface Inputs {
  readonly service: ServiceObject | undefined;
  readonly decoration: ApisixUpstreamObject | undefined;
  /** A native Upstream of the name, which takes the place of the policy that is made here. */
  readonly native: NativeObject | undefined;
  /** The policy of the name that is refused, and of which nothing is in force. */
  readonly refusedPolicy:
    | {
        readonly refused: RefusedObject;
        /** No Upstream is sent, so that a sidecar keeps the one that it has. Else the one in force stays without it. */
        readonly isWithheld: boolean;
      }
    | undefined;
  readonly slices: readonly EndpointSliceObject[];
  /** The Services that external nodes of the decoration name. */
  readonly named: ReadonlyMap<string, ServiceObject | undefined>;
}

type Report = (finding: Finding) => void;

/** Makes everything of a name; undefined if nothing of it is there. */
export function derive(name: string, inputs: Inputs): DerivedService | undefined {
  const { service, decoration, refusedPolicy, slices } = inputs;
  const isWithheld = refusedPolicy?.isWithheld === true;
  const main = decoration ?? service;
  if (main === undefined) return sliceWithoutService(name, slices);
  const findings: Finding[] = [];
  const report: Report = (finding) => void findings.push(finding);
  if (service === undefined && decoration !== undefined && !namesEndpoints(decoration)) {
    report(policyOfNothing(name, decoration));
    if (inputs.native === undefined) reportIdleTls(name, decoration, decoration.upstream, [], report);
    const policy = versioned('Upstream', withoutStreams(decoration.upstream), decoration.origin, undefined);
    const resources = isWithheld ? [] : [policy];
    return { name, origin: decoration.origin, ports: [], resources, backers: new Set(), findings };
  }
  const stated = portsOf(service, decoration);
  if (decoration !== undefined) reportUnknownPorts(name, decoration, stated, report);
  if (service?.externalName !== undefined && stated.length === 0) report(withoutPorts(name, service));
  const policy = makeUpstream(name, service, decoration, report);
  const carried = stated.filter(({ port }) => isCarried(policy, port));
  const upstream = withEndpoints(withoutStreams(policy), carried, inputs, report);
  if (decoration !== undefined && inputs.native === undefined && (carried.length > 0 || stated.length === 0)) {
    const numbers = carried.map(({ port }) => port);
    reportIdleTls(name, decoration, policy, numbers, report);
  }
  if (refusedPolicy !== undefined) report(withoutPolicy(name, main, refusedPolicy));
  const ports = carried.filter((port) => service !== undefined || hasSource(name, inputs, upstream, port, report));
  const endpoints = endpointsOf(name, inputs, upstream, ports, report);
  const resources = [
    ...(isWithheld ? [] : [versioned('Upstream', upstream, main.origin, name)]),
    ...endpoints.map((message) => versioned('Endpoints', message, slices[0]?.origin ?? main.origin, name)),
  ];
  const numbers = ports.map(({ port }) => port).sort((a, b) => a - b);
  const backers = backersOf(inputs, upstream);
  return { name, origin: service?.origin ?? main.origin, ports: numbers, resources, backers, findings };
}

/** The Upstream with the endpoints that it holds itself. */
function withEndpoints(
  upstream: Upstream,
  ports: readonly ServicePort[],
  { service, decoration, named }: Inputs,
  report: Report,
): Upstream {
  if (decoration !== undefined && decoration.externalNodes.length > 0) {
    return { ...upstream, nodes: nodesOf(decoration, named, report) };
  }
  const host = service?.externalName;
  if (host === undefined || upstream.discoveryType !== undefined || canonicalIp(host) !== undefined) return upstream;
  return withExternalName(upstream, host, ports);
}

/** Without a Service, a port that neither nodes nor a registry serve is a slip: no slices can belong to it. */
function hasSource(
  name: string,
  { decoration }: Inputs,
  upstream: Upstream,
  { port, origin }: ServicePort,
  report: Report,
): boolean {
  if ((decoration?.externalNodes.length ?? 0) > 0 || asksRegistry(upstream, port)) return true;
  const message = `port ${port} has neither nodes nor discovery, and there is no Service ${name}: it gets no listener`;
  const fix = 'add discovery to the port or to the whole, or add the Service';
  const [object, path] = [`ApisixUpstream ${name}`, 'spec.portLevelSettings'];
  report({ severity: 'warning', ...origin, object, path, message, fix });
  return false;
}

function asksRegistry({ discoveryType, portLevelSettings }: Upstream, port: number): boolean {
  return (portLevelSettings.find((one) => one.port === port)?.discoveryType ?? discoveryType) !== undefined;
}

/** The Endpoints of each port whose endpoints stand neither in the Upstream nor in a registry. */
function endpointsOf(
  name: string,
  { service, decoration, native, refusedPolicy, slices }: Inputs,
  made: Upstream,
  ports: readonly ServicePort[],
  report: Report,
): Endpoints[] {
  const upstream = native === undefined ? made : Upstream.decode(native.bytes);
  const hasStatedNodes = native === undefined && decoration !== undefined && decoration.externalNodes.length > 0;
  const open = ports.filter(({ port }) => upstream.nodes.length === 0 && !asksRegistry(upstream, port));
  const object = `Service ${name}`;
  const isPlain = service !== undefined && service.externalName === undefined;
  // Where the endpoints of a policy that isn't sent stand is not known.
  if (isPlain && refusedPolicy?.isWithheld !== true) {
    const unused = ports.length > 0 && (open.length === 0 || hasStatedNodes);
    const who =
      native === undefined ? 'ApisixUpstream of its name has externalNodes' : 'native Upstream of its name has nodes';
    const message = unused
      ? `its EndpointSlices have no effect: the ${who} or discovery`
      : 'no EndpointSlice names this Service: its calls are answered with no_endpoints';
    if (unused === slices.length > 0) report({ severity: 'note', ...service.origin, object, path: '', message });
  }
  return open.map((port) => {
    const full = `${name}/${port.port}`;
    // Nodes that are all left out are no reason to call somebody else.
    if (service === undefined || hasStatedNodes) return { name: full, endpoints: [] };
    const byAddress = service.externalName && addressEndpoints(full, service.externalName, port.port);
    if (byAddress) return byAddress;
    const { endpoints, otherPortNames } = joinEndpoints(service, port, slices);
    if (otherPortNames !== undefined) report(otherNames(object, port, otherPortNames));
    return { name: full, endpoints };
  });
}

function withoutPolicy(
  name: string,
  main: ServiceObject | ApisixUpstreamObject,
  { refused, isWithheld }: NonNullable<Inputs['refusedPolicy']>,
): Finding {
  const { file, line } = refused.origin;
  const kind = refused.object.startsWith('Upstream ') ? 'native Upstream' : 'ApisixUpstream';
  const because = `its ${kind} (${file}:${line}) is refused`;
  const place = { ...main.origin, object: `${main.kind} ${name}`, path: '', fix: `correct the ${kind}` };
  if (!isWithheld) {
    return { severity: 'warning', ...place, message: `${because}: the policy in force stays as it was without it` };
  }
  const message = `has no policy, since ${because}: sidecars that have one keep it, others answer its calls with no_endpoints`;
  return { severity: 'error', ...place, message };
}

function otherNames(object: string, { name, port, origin }: ServicePort, others: readonly string[]): Finding {
  const names = others.map((other) => `'${other}'`).join(', ');
  const message = `no EndpointSlice has a port named '${name}' (they have ${names}): port ${port} has no endpoints`;
  const fix = 'give the port the same name in the Service and in its EndpointSlices';
  return { severity: 'warning', ...origin, object, path: 'spec.ports', message, fix };
}

/** A sidecar beside one of these addresses leaves the ports of the service to its application. */
function backersOf({ service, slices }: Inputs, { nodes }: Upstream): ReadonlySet<string> {
  const hosts = [...nodes.map(({ host }) => host), service?.externalName ?? ''];
  const addresses = hosts.map((host) => canonicalIp(host)).filter((address) => address !== undefined);
  return new Set([...slices.flatMap(({ endpoints }) => endpoints.flatMap((one) => one.addresses)), ...addresses]);
}

function withoutPorts(name: string, { origin }: ServiceObject): Finding {
  const message = 'a Service of type ExternalName without ports gets no listener';
  const fix = 'list its ports under spec.ports, or as portLevelSettings of an ApisixUpstream';
  return { severity: 'note', ...origin, object: `Service ${name}`, path: '', message, fix };
}

function policyOfNothing(name: string, { origin }: ApisixUpstreamObject): Finding {
  const message = 'no Service of this name and namespace is there: no listener is made';
  const fix = 'add the Service, correct name and namespace, or name the endpoints by externalNodes or discovery';
  return { severity: 'warning', ...origin, object: `ApisixUpstream ${name}`, path: '', message, fix };
}

function sliceWithoutService(name: string, slices: readonly EndpointSliceObject[]): DerivedService | undefined {
  const [first] = slices;
  if (first === undefined) return undefined;
  const object = `EndpointSlice ${first.namespace}/${first.name}`;
  const message = `no Service ${name} is there`;
  const finding: Finding = { severity: 'note', ...first.origin, object, path: '', message };
  return { name, origin: first.origin, ports: [], resources: [], backers: new Set(), findings: [finding] };
}
