// ApisixUpstream (v1, v2beta3 and v2) → our Upstream. What the document doesn't say stays absent, so that a port
// inherits it; what this door means by silence (two attempts) is written out.
import { Upstream, PortLevelSettings } from '../../gen/outrigger/config/v1/upstream.ts';
import type { Node } from '../../gen/outrigger/config/v1/upstream.ts';
import type { Origin } from '../finding.ts';
import type { ApisixUpstreamObject } from '../source.ts';
import { POLICY_FIELDS, type PolicyValues, readPolicy } from './policy.ts';
import type { ObjectHeader } from './object.ts';
import { readTlsAnnotations, withAnnotations, type TlsAnnotations } from './tls-annotations.ts';
import type { Value } from './value.ts';

const SPEC_FIELDS = ['ingressClassName', 'externalNodes', 'portLevelSettings', ...POLICY_FIELDS] as const;
const PORT_FIELDS = ['port', ...POLICY_FIELDS] as const;

/** Attempts where `retries` is left out: the ApisixUpstream document says that by default the retry count is 1. */
const DEFAULT_MAX_ATTEMPTS = 2;

/** Weight of an external node that states none (APISIX's ingress controller). */
const EXTERNAL_NODE_WEIGHT = 100;

/** Reads the spec. Whether it may be used is told by the report. */
export function readApisixUpstream(header: ObjectHeader): ApisixUpstreamObject {
  const { namespace, name, origin, spec } = header;
  const members = spec === undefined || spec.isEmpty ? undefined : spec.members(SPEC_FIELDS);
  const annotations = readTlsAnnotations(header.members.get('metadata'));
  const written = readPolicy(members ?? new Map(), { hasOuterActive: false });
  const policy = { ...written, tls: withAnnotations(written.tls, annotations, true) };
  const ports = readPorts(members?.get('portLevelSettings'), policy.checks?.active !== undefined, annotations);
  members?.get('ingressClassName')?.note('is not looked at: every ApisixUpstream that is read here is in force');
  const upstream = Upstream.fromPartial({
    ...policy,
    name: `${namespace}/${name}`,
    labels: sortedLabels(header.labels),
    nodes: readExternalNodes(members?.get('externalNodes')),
    portLevelSettings: ports.map(({ settings }) => settings),
    maxAttempts: policy.maxAttempts ?? DEFAULT_MAX_ATTEMPTS,
  });
  const portOrigins = new Map(ports.map(({ settings, origin: place }) => [settings.port, place]));
  const tlsSecrets = [
    tlsSecret(members?.get('tlsSecret'), policy),
    ...ports.map((port) => port.tlsSecret),
    annotations.caSecret && reference(annotations.caSecret.name, 'ca', annotations.caSecret.value),
  ];
  return {
    kind: 'ApisixUpstream',
    namespace,
    name,
    origin,
    upstream,
    portOrigins,
    tlsSecrets: tlsSecrets.filter((one) => one !== undefined),
  };
}

type TlsSecret = ApisixUpstreamObject['tlsSecrets'][number];

function tlsSecret(value: Value | undefined, { tls }: PolicyValues): TlsSecret | undefined {
  const name = tls?.clientCertId;
  return value === undefined || name === undefined ? undefined : reference(name, 'certificate', value);
}

function reference(name: string, part: TlsSecret['part'], { path, origin }: Value): TlsSecret {
  return { name, part, path, origin };
}

interface ReadPort {
  readonly settings: PortLevelSettings;
  readonly origin: Origin;
  readonly tlsSecret: TlsSecret | undefined;
}

function readPorts(list: Value | undefined, hasOuterActive: boolean, annotations: TlsAnnotations): ReadPort[] {
  const read = new Map<number, ReadPort>();
  for (const item of list?.list() ?? []) {
    const members = item.members(PORT_FIELDS);
    if (members === undefined) continue;
    const value = members.get('port');
    if (value === undefined) item.error('port is missing', 'name the Service port (its number, not the targetPort)');
    const port = value?.integer(1, 65_535);
    const written = readPolicy(members, { hasOuterActive });
    // A port with TLS of its own is a group of its own, which the annotations are for as well.
    const policy = { ...written, tls: withAnnotations(written.tls, annotations, false) };
    if (port === undefined) continue;
    if (read.has(port)) value?.error(`port ${port} stands here twice`, 'put its settings into one entry');
    const settings = PortLevelSettings.fromPartial({ ...policy, port });
    read.set(port, { settings, origin: item.origin, tlsSecret: tlsSecret(members.get('tlsSecret'), policy) });
  }
  return [...read.values()].sort((a, b) => a.settings.port - b.settings.port);
}

function readExternalNodes(list: Value | undefined): Node[] {
  const nodes: Node[] = [];
  for (const item of list?.list() ?? []) {
    const members = item.members(['type', 'name', 'port', 'weight']);
    if (members === undefined) continue;
    const type = members.get('type')?.word(['Domain', 'Service']);
    const host = members.get('name')?.text();
    const port = members.get('port')?.integer(1, 65_535);
    const weight = members.get('weight')?.integer(0, 1_000_000) ?? EXTERNAL_NODE_WEIGHT;
    if (!members.has('type')) item.error('type is missing', 'write `type: Domain`');
    if (!members.has('name')) item.error('name is missing', 'write the name or address of the node');
    if (type === 'Service')
      members.get('type')?.error('Service is not supported yet', 'name the host with `type: Domain`');
    if (type === 'Domain' && host !== undefined) nodes.push({ host, port, weight, priority: undefined });
  }
  return nodes;
}

/** Sorted, so that their order in the file makes no new version; an empty label says nothing and APISIX refuses it. */
function sortedLabels(labels: ReadonlyMap<string, string>): Record<string, string> {
  return Object.fromEntries([...labels].filter(([, text]) => text !== '').sort(([a], [b]) => (a < b ? -1 : 1)));
}
