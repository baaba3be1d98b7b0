// An Upstream of APISIX, by id or inline. Its fields are those of our message, so most go over as they are; what differs is
// what APISIX demands beyond (all three timeouts, active checks beside passive ones) and how ids and nodes are written.
import { describeType, isObject, PROTO_PACKAGE } from '../../config/envelope.ts';
import { entry, member } from '../../config/problem-list.ts';
import { requiredSchema } from '../../config/schema.ts';
import type { JsonObject } from '../store/store.ts';
import { defaultPort, repeatedNodes, repetitionMessage } from '../read/repeated-nodes.ts';
import { makeResource } from './make-resource.ts';
import { type ReadNodes, readNodes } from './nodes.ts';
import type { ReadObject } from './read-object.ts';
import {
  checkCommon,
  checkLabels,
  checkName,
  checkNotEmpty,
  checkTimeout,
  checkTimes,
  COMMON_FIELDS,
  type Made,
  readId,
  type Reading,
  without,
} from './reading.ts';

const NOTHING: Made = { resources: [], references: [] };

/** Reads an object of the type `upstreams`. */
export function readUpstreamObject(reading: Reading): Made {
  checkCommon(reading);
  return readUpstream(reading.value, '', reading.id.id, reading);
}

/** Fields of an Upstream, for who looks for them in the wrong place. */
export function upstreamFields(): readonly string[] {
  return requiredSchema(`${PROTO_PACKAGE}.Upstream`).fields.map(({ name }) => name);
}

/** Reads one that stands at `path` of its object and becomes the resource `name`. */
export function readUpstream(
  value: unknown,
  path: string,
  name: string,
  { problems, warnings }: Pick<Reading, 'problems' | 'warnings'>,
): Made {
  if (!isObject(value)) {
    problems.add(path, `must be an object, not ${describeType(value)}`);
    return NOTHING;
  }
  const at = (field: string): string => member(path, field);
  const before = problems.size;
  checkTimes(value, path, problems);
  checkName(value, path, problems);
  if (path !== '') {
    readId(value['id'], at('id'), problems);
    checkLabels(value['labels'], at('labels'), problems);
  }
  checkTimeout(value['timeout'], at('timeout'), problems);
  const { checks } = value;
  if (isObject(checks)) {
    if (checks['active'] === undefined) {
      problems.add(at('checks.active'), 'required: passive checks need active ones to bring an endpoint back');
    }
    checkLists(checks, at('checks'), ['http_statuses', 'req_headers'], problems);
    checkThresholds(checks['active'], at('checks.active'), 1, problems);
    checkThresholds(checks['passive'], at('checks.passive'), 0, problems);
  }
  const nodes = value['nodes'] === undefined ? undefined : readNodes(value['nodes'], at('nodes'), problems);
  checkSource(value, at, problems);
  const references: ReadObject['references'][number][] = [];
  const named = (tls: unknown, tlsPath: string): unknown => {
    if (!isObject(tls) || tls['client_cert_id'] === undefined) return tls;
    const idPath = member(tlsPath, 'client_cert_id');
    const id = readId(tls['client_cert_id'], idPath, problems);
    if (id === undefined) return without(tls, ['client_cert_id']);
    references.push({ type: 'ssls', id, path: idPath });
    return { ...tls, client_cert_id: `ssls/${id}` };
  };
  const ports = value['port_level_settings'];
  const spec = {
    ...without(value, [...COMMON_FIELDS, 'name', 'nodes', 'tls', 'port_level_settings']),
    nodes: nodes?.list,
    tls: named(value['tls'], at('tls')),
    port_level_settings: Array.isArray(ports)
      ? ports.map((port: unknown, i) =>
          isObject(port) && port['tls'] !== undefined
            ? { ...port, tls: named(port['tls'], `${entry(at('port_level_settings'), i)}.tls`) }
            : port,
        )
      : ports,
  };
  const objectPath = (inner: string): string => {
    const own = nodes?.objectPath(inner) ?? inner;
    return own === '' || own === 'name' ? path : at(own);
  };
  const resource = makeResource('Upstream', name, spec, objectPath, problems);
  if (problems.size === before && nodes !== undefined) warnRepeated(nodes, value, objectPath, warnings);
  return { resources: [resource], references };
}

const MAX_THRESHOLD = 254;

/** Checks how many results in a row turn an endpoint (APISIX: at most 254; passive ones from 0 on, which is never). */
function checkThresholds(checks: unknown, path: string, least: number, problems: Reading['problems']): void {
  if (!isObject(checks)) return;
  for (const side of ['healthy', 'unhealthy']) {
    const counts = checks[side];
    if (!isObject(counts)) continue;
    for (const name of ['successes', 'http_failures', 'tcp_failures', 'timeouts']) {
      const count = counts[name];
      if (typeof count !== 'number') continue;
      if (Number.isInteger(count) && count >= least && count <= MAX_THRESHOLD) continue;
      const reason = `must be a whole number between ${least} and ${MAX_THRESHOLD}, not ${count}`;
      problems.add(member(path, `${side}.${name}`), reason);
    }
  }
}

/** Exactly one of nodes and a registry says where the endpoints are; nodes may be empty (nobody is there then). */
function checkSource(value: JsonObject, at: (field: string) => string, problems: Reading['problems']): void {
  if (value['service_name'] === '') problems.add(at('service_name'), 'must not be empty');
  const registry = ['service_name', 'discovery_type'].find((name) => value[name] !== undefined);
  if (value['nodes'] === undefined) {
    if (registry === undefined) problems.add(at('nodes'), 'required; or service_name with discovery_type');
  } else if (registry !== undefined) problems.add(at(registry), 'not together with nodes: leave one of them out');
}

/** Looks for empty lists of the given names at any depth. */
function checkLists(value: JsonObject, path: string, names: readonly string[], problems: Reading['problems']): void {
  for (const [key, inner] of Object.entries(value)) {
    if (names.includes(key)) checkNotEmpty(inner, member(path, key), problems);
    else if (isObject(inner)) checkLists(inner, member(path, key), names, problems);
  }
}

/** Nodes that stand twice are one node with the last one's weight; in APISIX too. */
function warnRepeated(
  { list }: ReadNodes,
  { scheme }: JsonObject,
  objectPath: (inner: string) => string,
  warnings: Reading['warnings'],
): void {
  const byDefault = defaultPort({ scheme: typeof scheme === 'string' ? scheme : undefined });
  const hosts = list.filter(isObject).map(({ host, port }) => ({
    host: String(host),
    port: typeof port === 'number' ? port : byDefault,
  }));
  for (const { earlier, last } of repeatedNodes(hosts)) {
    const { message, fix } = repetitionMessage(objectPath(entry('nodes', last)));
    warnings.add(objectPath(entry('nodes', earlier)), `${message}; ${fix}`);
  }
}
