// A Kubernetes Service: its TCP ports and the protocol that each speaks. Everything else in it is for Kubernetes.
import type { Origin } from '../finding.ts';
import type { ServiceObject, ServicePort } from '../source.ts';
import { readHost } from './host.ts';
import type { ObjectHeader } from './object.ts';
import { didYouMean, type Value } from './value.ts';

const PROTOCOLS = ['TCP', 'UDP', 'SCTP'] as const;

/** Reads the spec. Whether it may be used is told by the report. */
export function readService(header: ObjectHeader): ServiceObject {
  const { namespace, name, origin, spec } = header;
  const members = spec === undefined || spec.isEmpty ? new Map<string, Value>() : (spec.anyMembers() ?? new Map());
  const type = filled(members.get('type'));
  const external = type?.scalar() === 'ExternalName';
  const externalName = external ? readExternalName(type, filled(members.get('externalName'))) : undefined;
  const clusterIp = filled(members.get('clusterIP'));
  if (clusterIp?.scalar() === 'None') {
    clusterIp.note(
      'headless: its endpoints are balanced like those of any Service; names of single Pods get no listener',
    );
  }
  const ports = readPorts(portsOf(members));
  if (spec !== undefined && ports.length === 0 && !external && !spec.report.failed) {
    spec.keyFinding('warning', 'has no TCP port and gets no listener', 'list its ports under `ports`');
  } else if (spec === undefined) {
    reportMissingSpec(header);
  }
  return { kind: 'Service', namespace, name, origin, ports, externalName, family: preferredFamily(members) };
}

/** Kubernetes answers the Service's name with a CNAME record to this one. */
function readExternalName(type: Value | undefined, value: Value | undefined): string | undefined {
  if (value === undefined) {
    type?.error('a Service of type ExternalName needs externalName', 'write the name that it stands for');
    return undefined;
  }
  return readHost(value);
}

function reportMissingSpec(header: ObjectHeader): void {
  header.members
    .get('metadata')
    ?.keyFinding('warning', 'the Service has no spec and gets no listener', 'list its ports under `spec.ports`');
}

/** The ApisixUpstream document writes a Service's ports as `portLevelSettings`. */
function portsOf(members: ReadonlyMap<string, Value>): Value | undefined {
  const ports = filled(members.get('ports'));
  for (const [key, value] of members) {
    if (key !== 'portLevelSettings') continue;
    if (ports === undefined) {
      value.keyFinding('warning', 'a Service has no portLevelSettings; they are read as its ports', 'write `ports`');
      return filled(value);
    }
    value.keyFinding(
      'warning',
      'a Service has no portLevelSettings; they are ignored',
      'move them to the ApisixUpstream',
    );
  }
  return ports;
}

function readPorts(list: Value | undefined): ServicePort[] {
  const ports = new Map<number, ServicePort>();
  for (const item of list?.list() ?? []) {
    const members = item.anyMembers();
    if (members === undefined) continue;
    const number = filled(members.get('port'));
    if (number === undefined) item.error('port is missing', 'write the port number of the Service');
    const port = number?.integer(1, 65_535);
    const protocol = filled(members.get('protocol'))?.word(PROTOCOLS) ?? 'TCP';
    const name = filled(members.get('name'))?.text() ?? '';
    const appProtocol = filled(members.get('appProtocol'))?.text();
    const target = filled(members.get('targetPort'))?.scalar();
    if (port === undefined) continue;
    if (protocol !== 'TCP') {
      item.note(`${protocol} port ${port} is left out: only TCP is carried`);
    } else if (ports.has(port)) {
      number?.error(`port ${port} stands here twice`, 'give each port a number of its own');
    } else {
      const place: Origin = (filled(members.get('appProtocol')) ?? item).origin;
      const targetPort = typeof target === 'number' ? target : undefined;
      ports.set(port, { name, port, targetPort, appProtocol, origin: place });
    }
  }
  return [...ports.values()];
}

/** Of a dual-stack Service each Pod stands in two slices, once per family; the first family is the one it prefers. */
function preferredFamily(members: ReadonlyMap<string, Value>): 4 | 6 | undefined {
  const families = filled(members.get('ipFamilies'))?.list() ?? [];
  if (families.length < 2) return undefined;
  const first = families[0]?.scalar();
  return first === 'IPv4' ? 4 : first === 'IPv6' ? 6 : undefined;
}

function filled(value: Value | undefined): Value | undefined {
  return value === undefined || value.isEmpty ? undefined : value;
}

/** `appProtocol` → scheme of the upstream. Undefined: not one that is carried. Names are compared without case. */
export function schemeOfAppProtocol(appProtocol: string): string | undefined {
  return SCHEMES.get(appProtocol.toLowerCase());
}

/** The known names, for a message. */
export function suggestAppProtocol(appProtocol: string): string | undefined {
  return didYouMean(appProtocol, SCHEMES.keys());
}

/**
 * HTTP/2 with prior knowledge is what the scheme `grpc` speaks, so `kubernetes.io/h2c` is one with it. WebSocket begins
 * as HTTP/1.1 (RFC 6455).
 */
const SCHEMES: ReadonlyMap<string, string> = new Map([
  ['http', 'http'],
  ['https', 'https'],
  ['grpc', 'grpc'],
  ['grpcs', 'grpcs'],
  ['h2c', 'grpc'],
  ['http2', 'grpc'],
  ['kubernetes.io/h2c', 'grpc'],
  ['ws', 'http'],
  ['kubernetes.io/ws', 'http'],
  ['wss', 'https'],
  ['kubernetes.io/wss', 'https'],
]);
