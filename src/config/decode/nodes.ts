// Where the endpoints of an Upstream come from when no Endpoints resource gives them: inline nodes, or a registry.
import type { Node } from '../../gen/outrigger/config/v1/upstream.ts';
import { canonicalDnsName, endpointHostProblem } from '../dns-name.ts';
import { parseHostPort } from '../host-port.ts';
import { entry, member, type ProblemList, quote } from '../problem-list.ts';
import type { PolicyFields } from './upstream.ts';
import { checkPort, checkWord } from './values.ts';

const REGISTRIES = ['dns'];
/** Registries of APISIX. */
const PLANNED_REGISTRIES = ['consul', 'consul_kv', 'eureka', 'kubernetes', 'nacos', 'tars'];

/**
 * Checks inline nodes. A bare IPv6 address is fine in the list form, where the port stands apart (APISIX's Admin API wants
 * brackets); weights and priorities are bounded by their types.
 */
export function checkNodes(nodes: readonly Node[], problems: ProblemList): void {
  for (const [i, node] of nodes.entries()) {
    const path = entry('nodes', i);
    const reason = endpointHostProblem(node.host);
    if (reason !== undefined) problems.add(member(path, 'host'), reason);
    checkPort(problems, member(path, 'port'), node.port);
  }
}

/** A domain name with or without a port, as a registry is asked for it. */
export interface ServiceName {
  /** Lower case; a final dot stays. */
  readonly name: string;
  /** 0 where none is stated. */
  readonly port: number;
}

/** Reads `service_name` of `discovery_type: dns`, or says what is wrong with it. */
export function readServiceName(text: string): { readonly ok: true; readonly service: ServiceName } | Refusal {
  const parsed = parseHostPort(text, { defaultHost: undefined, defaultPort: 0, minPort: 1 });
  if (!parsed.ok) return parsed;
  const name = canonicalDnsName(parsed.host);
  if (name === undefined) {
    return { ok: false, reason: `${quote(text)} is no DNS name with or without a port; an address goes into nodes` };
  }
  return { ok: true, service: { name, port: parsed.port } };
}

interface Refusal {
  readonly ok: false;
  readonly reason: string;
}

/** Whether a level says where the endpoints come from. An empty text says nothing. */
export function setsDiscovery({ serviceName, discoveryType }: PolicyFields): boolean {
  return isText(serviceName) || isText(discoveryType);
}

/** Checks the registry of one level. */
export function checkDiscovery(policy: PolicyFields, hasNodes: boolean, problems: ProblemList, path: string): void {
  const at = (name: string): string => member(path, name);
  const { serviceName, discoveryType } = policy;
  const [hasName, hasType] = [isText(serviceName), isText(discoveryType)];
  if (hasName && !hasType) problems.add(at('discovery_type'), 'required beside service_name: dns');
  if (hasType && !hasName) problems.add(at('service_name'), 'required beside discovery_type');
  if (hasType) checkWord(problems, at('discovery_type'), discoveryType, REGISTRIES, PLANNED_REGISTRIES);
  if (serviceName !== undefined && hasName && (!hasType || discoveryType === 'dns')) {
    const read = readServiceName(serviceName);
    if (!read.ok) problems.add(at('service_name'), read.reason);
  }
  if (hasNodes && (hasName || hasType)) {
    problems.add(at(hasName ? 'service_name' : 'discovery_type'), 'not together with nodes: leave one of them out');
  }
  if (Object.keys(policy.discoveryArgs).length > 0 && (!hasType || discoveryType === 'dns')) {
    problems.add(at('discovery_args'), 'dns takes no arguments: leave them out');
  }
}

function isText(value: string | undefined): boolean {
  return value !== undefined && value !== '';
}
