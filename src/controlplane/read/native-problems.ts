// An ApisixUpstream is held to the same bounds as an Upstream of our own, by the same checks; what they find is told in
// the words of the document and where it stands there. So what this door lets through, no sidecar refuses.
import { decodeResource } from '../../config/decode/decode.ts';
import { Upstream } from '../../gen/outrigger/config/v1/upstream.ts';
import { locate } from './locate.ts';
import type { ObjectHeader } from './object.ts';
import { withoutStreams } from './stream-scheme.ts';
import { pathIn, type UpstreamAnnotation } from './upstream-annotation.ts';

/** Policy fields whose names or places differ by more than their case. */
const FIELDS: ReadonlyMap<string, string> = new Map([
  ['type', 'loadbalancer.type'],
  ['hash_on', 'loadbalancer.hashOn'],
  ['key', 'loadbalancer.key'],
  ['max_attempts', 'retries'],
  ['checks', 'healthCheck'],
  ['tls', 'tlsSecret'],
  ['service_name', 'discovery.serviceName'],
  ['discovery_type', 'discovery.type'],
  ['discovery_args', 'discovery.args'],
]);

/** Members of health checks of which the same is true. */
const MEMBERS: ReadonlyMap<string, string> = new Map([
  ['https_verify_certificate', 'strictTLS'],
  ['req_headers', 'requestHeaders'],
  ['http_statuses', 'httpCodes'],
  ['timeouts', 'timeout'],
]);

/**
 * Reports what a sidecar would refuse. `portPaths`: where in the document each of the port level settings stands, by
 * port.
 */
export function reportNativeProblems(
  header: ObjectHeader,
  whole: Upstream,
  annotation: UpstreamAnnotation,
  portPaths: ReadonlyMap<number, string>,
): void {
  const upstream = withoutStreams(whole);
  const decoded = decodeResource('Upstream', upstream.name, Upstream.encode(upstream).finish());
  if (decoded.ok) return;
  const { report } = header.object;
  for (const { path, reason } of decoded.problems) {
    const [, index, inPort] = /^port_level_settings\[(\d+)\]\.?(.*)$/.exec(path) ?? [];
    const level = portPaths.get(upstream.portLevelSettings[Number(index)]?.port ?? 0) ?? 'spec';
    const field = inPort ?? path;
    const name = /^\w*/.exec(field)?.[0] ?? '';
    if (annotation.value !== undefined && annotation.names.has(name) && reportsOwn(field)) {
      report.add('error', annotation.value.origin, pathIn(annotation.value, field), reason, undefined);
      continue;
    }
    const place = name === 'labels' ? `metadata.${field}` : `${level}.${documentPath(field)}`.replace(/\.$/, '');
    report.add('error', locate(header.object, place), place, reason, undefined);
  }
}

/** Of `timeout` the spec and the annotation have members of their own. */
function reportsOwn(field: string): boolean {
  return !/^timeout\.(connect|send|read)$/.test(field);
}

/** `checks.active.http_path` → `healthCheck.active.httpPath`. */
function documentPath(field: string): string {
  const [first = '', ...rest] = field.split('.');
  const members = rest.map((step) => {
    const [name = ''] = step.split('[', 1);
    return (MEMBERS.get(name) ?? camelCase(name)) + step.slice(name.length);
  });
  return [FIELDS.get(first) ?? camelCase(first), ...members].join('.');
}

function camelCase(name: string): string {
  return name.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
}
