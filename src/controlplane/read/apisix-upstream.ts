// ApisixUpstream (v1, v2beta3 and v2) → our Upstream. What the document doesn't say stays absent, so that a port
// inherits it; what this door means by silence (two attempts) is written out.
import { PortLevelSettings, Upstream } from '../../gen/outrigger/config/v1/upstream.ts';
import type { Origin } from '../finding.ts';
import type { ApisixUpstreamObject, TlsSetting } from '../source.ts';
import { readExternalNodes } from './external-nodes.ts';
import { reportNativeProblems } from './native-problems.ts';
import type { ObjectHeader } from './object.ts';
import { PORT_FIELDS, type PolicyValues, readPolicy, SPEC_FIELDS } from './policy.ts';
import { readTlsAnnotations, withAnnotations, type TlsAnnotations } from './tls-annotations.ts';
import {
  readUpstreamAnnotation,
  type UpstreamAnnotation,
  withBalancerAnnotation,
  withUpstreamAnnotation,
} from './upstream-annotation.ts';
import type { Value } from './value.ts';

/** Attempts where `retries` is left out: the ApisixUpstream document says that by default the retry count is 1. */
const DEFAULT_MAX_ATTEMPTS = 2;

/** What the annotations of an object say. */
interface Annotations {
  readonly tls: TlsAnnotations;
  readonly upstream: UpstreamAnnotation;
}

/** Reads the spec. Whether it may be used is told by the report. */
export function readApisixUpstream(header: ObjectHeader): ApisixUpstreamObject {
  const { namespace, name, origin, spec } = header;
  const members = spec === undefined || spec.isEmpty ? undefined : spec.members(SPEC_FIELDS);
  if (members === undefined && !header.object.report.failed) {
    header.object.warn('has no spec: all of its policy is the default', 'write it under `spec`');
  }
  const metadata = header.members.get('metadata');
  const annotations = { tls: readTlsAnnotations(metadata), upstream: readUpstreamAnnotation(metadata) };
  const written = readPolicy(members ?? new Map(), { hasOuterActive: false });
  const policy = {
    ...withUpstreamAnnotation(written, annotations.upstream),
    tls: withAnnotations(written.tls, annotations.tls, true),
  };
  const ports = readPorts(members?.get('portLevelSettings'), policy.checks?.active !== undefined, annotations);
  members?.get('ingressClassName')?.note('is not looked at: every ApisixUpstream that is read here is in force');
  const upstream = Upstream.fromPartial({
    ...policy,
    name: `${namespace}/${name}`,
    desc: annotations.upstream.desc,
    labels: sortedLabels(header.labels),
    portLevelSettings: ports.map(({ settings }) => settings),
    maxAttempts: policy.maxAttempts ?? DEFAULT_MAX_ATTEMPTS,
  });
  const externalNodes = readExternalNodes(members?.get('externalNodes'));
  if (externalNodes.length > 0) refuseDiscovery(members?.get('discovery'), ports);
  if (!header.object.report.failed) {
    const paths = new Map(ports.map(({ settings, path }) => [settings.port, path]));
    reportNativeProblems(header, upstream, annotations.upstream, paths);
  }
  const portOrigins = new Map(ports.map(({ settings, origin: place }) => [settings.port, place]));
  const { caSecret } = annotations.tls;
  const tlsSecrets = [
    tlsSecret(members?.get('tlsSecret'), policy),
    ...ports.map((port) => port.tlsSecret),
    caSecret && reference(caSecret.name, 'ca', caSecret.value),
  ];
  return {
    kind: 'ApisixUpstream',
    namespace,
    name,
    origin,
    upstream,
    externalNodes,
    portOrigins,
    tlsSecrets: tlsSecrets.filter((one) => one !== undefined),
    tlsSettings: [
      ...tlsSetting('whole', undefined, members?.get('tlsSecret')),
      ...ports.flatMap(({ settings, tlsValue }) => tlsSetting('port', settings.port, tlsValue)),
      ...annotations.tls.values.flatMap((value) => tlsSetting('all', undefined, value)),
    ],
  };
}

function tlsSetting(reach: TlsSetting['reach'], port: number | undefined, value: Value | undefined): TlsSetting[] {
  return value === undefined ? [] : [{ reach, port, path: value.path, origin: value.keyOrigin }];
}

function refuseDiscovery(outer: Value | undefined, ports: readonly ReadPort[]): void {
  for (const value of [outer, ...ports.map(({ discovery }) => discovery)]) {
    value?.keyFinding('error', 'not together with externalNodes', 'remove one of the two');
  }
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
  readonly path: string;
  readonly tlsSecret: TlsSecret | undefined;
  readonly tlsValue: Value | undefined;
  readonly discovery: Value | undefined;
}

function readPorts(list: Value | undefined, hasOuterActive: boolean, annotations: Annotations): ReadPort[] {
  const read = new Map<number, ReadPort>();
  for (const item of list?.list() ?? []) {
    const members = item.members(PORT_FIELDS);
    if (members === undefined) continue;
    const value = members.get('port');
    if (value === undefined) item.error('port is missing', 'name the Service port (its number, not the targetPort)');
    const port = value?.integer(1, 65_535);
    const written = readPolicy(members, { hasOuterActive });
    // A port with TLS of its own is a group of its own, which the annotations are for as well.
    const policy = {
      ...withBalancerAnnotation(written, annotations.upstream),
      tls: withAnnotations(written.tls, annotations.tls, false),
    };
    if (port === undefined) continue;
    if (read.has(port)) value?.error(`port ${port} stands here twice`, 'put its settings into one entry');
    const settings = PortLevelSettings.fromPartial({ ...policy, port });
    read.set(port, {
      settings,
      origin: item.origin,
      path: item.path,
      tlsSecret: tlsSecret(members.get('tlsSecret'), policy),
      tlsValue: members.get('tlsSecret'),
      discovery: members.get('discovery'),
    });
  }
  return [...read.values()].sort((a, b) => a.settings.port - b.settings.port);
}

/** Sorted, so that their order in the file makes no new version; an empty label says nothing and APISIX refuses it. */
function sortedLabels(labels: ReadonlyMap<string, string>): Record<string, string> {
  return Object.fromEntries([...labels].filter(([, text]) => text !== '').sort(([a], [b]) => (a < b ? -1 : 1)));
}
