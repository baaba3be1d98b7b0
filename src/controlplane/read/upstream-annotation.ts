// What the ApisixUpstream has no field for and our Upstream has: keep-alive, retry conditions, breakers and the like. It
// stands as YAML or JSON in one annotation, in the names of the native Upstream, and counts for the whole Service; a
// cluster with the CRD installed would drop fields of the spec that it doesn't know.
import { parseDocument } from 'yaml';
import { isObject } from '../../config/envelope.ts';
import { ProblemList } from '../../config/problem-list.ts';
import { readSpec } from '../../config/spec-reader.ts';
import { Upstream } from '../../gen/outrigger/config/v1/upstream.ts';
import type { PolicyValues } from './policy.ts';
import type { Value } from './value.ts';

/** Name of the annotation. */
export const UPSTREAM_ANNOTATION = 'outrigger.config/upstream';

/** Fields of an Upstream that an ApisixUpstream says itself, and where. */
const SAID_ELSEWHERE: ReadonlyMap<string, string> = new Map([
  ['name', 'metadata.name'],
  ['labels', 'metadata.labels'],
  ['nodes', 'spec.externalNodes'],
  ['port_level_settings', 'spec.portLevelSettings'],
  ['type', 'spec.loadbalancer.type'],
  ['hash_on', 'spec.loadbalancer.hashOn'],
  ['key', 'spec.loadbalancer.key'],
  ['scheme', 'spec.scheme'],
  ['retries', 'spec.retries'],
  ['max_attempts', 'spec.retries'],
  ['timeout.connect', 'spec.timeout.connect'],
  ['timeout.send', 'spec.timeout.send'],
  ['timeout.read', 'spec.timeout.read'],
  ['pass_host', 'spec.passHost'],
  ['upstream_host', 'spec.upstreamHost'],
  ['checks', 'spec.healthCheck'],
  ['tls', 'spec.tlsSecret, and in the annotations outrigger.config/tls-ca-secret and outrigger.config/tls-verify'],
  ['service_name', 'spec.discovery.serviceName'],
  ['discovery_type', 'spec.discovery.type'],
  ['discovery_args', 'spec.discovery'],
]);

/** What the annotation says. Whether its values are in their bounds is seen where the whole Upstream is checked. */
export interface UpstreamAnnotation {
  readonly desc: string | undefined;
  readonly policy: PolicyValues;
  /** Names of the fields, in the words of the native Upstream. */
  readonly names: ReadonlySet<string>;
  /** Undefined where the object has none. */
  readonly value: Value | undefined;
}

const NOTHING: UpstreamAnnotation = { desc: undefined, policy: {}, names: new Set(), value: undefined };

/** Reads it from `metadata`. */
export function readUpstreamAnnotation(metadata: Value | undefined): UpstreamAnnotation {
  const value = metadata?.child('annotations')?.child(UPSTREAM_ANNOTATION);
  const text = value?.text();
  if (value === undefined || text === undefined) return NOTHING;
  const given = parse(text, value);
  if (given === undefined) return NOTHING;
  const problems = new ProblemList();
  const upstream = Upstream.decode(readSpec('outrigger.config.v1.Upstream', given, '', problems));
  for (const { path, reason } of problems.list()) value.at(pathIn(value, path)).error(reason);
  const names = new Set(Object.keys(given).map(snakeCase));
  for (const [name, place] of SAID_ELSEWHERE) {
    if (isGiven(given, name)) value.at(pathIn(value, name)).error('is not for this annotation', `say it in ${place}`);
  }
  const policy = Object.entries(upstream).filter(([name]) => names.has(snakeCase(name)) && name !== 'desc');
  return { desc: upstream.desc, policy: Object.fromEntries(policy), names, value };
}

function parse(text: string, value: Value): Readonly<Record<string, unknown>> | undefined {
  const fix = 'write for example {retry_timeout: 5}';
  try {
    const document = parseDocument(text, { prettyErrors: false });
    const [fault] = document.errors;
    if (fault !== undefined) throw fault;
    const given: unknown = document.toJS();
    if (isObject(given)) return given;
    value.error('must be a map of fields of an Upstream', fix);
  } catch (error) {
    value.error(`is no valid YAML: ${(error as Error).message}`, fix);
  }
  return undefined;
}

/** The policy of the whole Service with what the annotation adds; of `timeout` each has members of its own. */
export function withUpstreamAnnotation(policy: PolicyValues, { policy: added }: UpstreamAnnotation): PolicyValues {
  const { connect, send, read } = policy.timeout ?? {};
  const timeout = added.timeout && { ...added.timeout, connect, send, read };
  return { ...policy, ...added, ...(timeout && { timeout }) };
}

/** A port with a balancer of its own is a group of its own, which the annotation is for as well. */
export function withBalancerAnnotation(policy: PolicyValues, { policy: added }: UpstreamAnnotation): PolicyValues {
  if (policy.type === undefined) return policy;
  const { ewmaFormula, hashBalanceFactor } = added;
  return {
    ...policy,
    ...(ewmaFormula !== undefined && { ewmaFormula }),
    ...(hashBalanceFactor !== undefined && { hashBalanceFactor }),
  };
}

/** Path of a field inside the annotation. */
export function pathIn(annotation: Value, field: string): string {
  return field === '' ? annotation.path : `${annotation.path}.${field}`;
}

function isGiven(map: Readonly<Record<string, unknown>>, path: string): boolean {
  const [first = '', ...rest] = path.split('.');
  return Object.entries(map).some(([key, inner]) => {
    if (snakeCase(key) !== first) return false;
    return rest.length === 0 || (isObject(inner) && isGiven(inner, rest.join('.')));
  });
}

/** `retryOn` → `retry_on`: the reader of native documents takes both. */
function snakeCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
