// Routes and Services of APISIX.
import { describeType } from '../../config/envelope.ts';
import type { ProblemList } from '../../config/problem-list.ts';
import type { JsonObject } from '../store/store.ts';
import { makeResource } from './make-resource.ts';
import { pluginPath, readPlugins } from './plugins.ts';
import type { ReadObject } from './read-object.ts';
import {
  checkCommon,
  checkFields,
  checkName,
  checkNotEmpty,
  checkTimeout,
  COMMON_FIELDS,
  type FieldTable,
  type Made,
  readId,
  type Reading,
} from './reading.ts';
import { readUpstream, upstreamFields } from './upstream.ts';

/** Fields of both, and of no interest to the matching of requests. */
const SHARED_FIELDS = [
  ...COMMON_FIELDS,
  'name',
  'desc',
  'labels',
  'hosts',
  'plugins',
  'upstream',
  'upstream_id',
  'service_port',
  'enable_websocket',
];
/** Fields that go over as they are. */
const SHARED_WIRE_FIELDS = ['desc', 'labels', 'service_port', 'enable_websocket'];
const ROUTE_WIRE_FIELDS = [...SHARED_WIRE_FIELDS, 'methods', 'priority', 'status', 'timeout'];

/** Fields of a Route of which only one may be there, for one and for several. */
const EITHER_OR = [
  ['uri', 'uris'],
  ['host', 'hosts'],
  ['remote_addr', 'remote_addrs'],
] as const;

/** Of these a Route must have one (APISIX). */
const TARGETS = ['plugins', 'upstream', 'upstream_id', 'service_id'];

let routeFields: FieldTable | undefined;
let serviceFields: FieldTable | undefined;

/** Reads an object of the type `routes`. */
export function readRoute(reading: Reading): Made {
  const { id, value, problems } = reading;
  routeFields ??= {
    known: [
      ...SHARED_FIELDS,
      ...EITHER_OR.flat().filter((name) => name !== 'hosts'),
      ...['methods', 'vars', 'priority', 'status', 'timeout', 'plugin_config_id', 'service_id'],
    ],
    refused: new Map([
      ['script', ''],
      ['script_id', ''],
      ['filter_func', 'write the condition in vars'],
      ['service_protocol', 'set scheme of the upstream'],
    ]),
    inside: { name: 'upstream', fields: upstreamFields() },
  };
  checkFields(value, '', routeFields, problems);
  checkCommon(reading);
  checkTimeout(value['timeout'], 'timeout', problems);
  if (!TARGETS.some((name) => value[name] !== undefined)) {
    problems.add('', `must have at least one of ${TARGETS.join(', ')}`);
  }
  const lists: Record<string, unknown> = {};
  for (const [one, several] of EITHER_OR) lists[several] = readEither(value, one, several, problems);
  if (value['uris'] === undefined && value['uri'] === undefined) problems.add('uri', 'required: uri or uris');
  const target = readTarget(reading);
  const serviceId = readReference('service_id', 'services', reading);
  const configId = readReference('plugin_config_id', 'plugin_configs', reading);
  const spec = {
    ...pick(value, ROUTE_WIRE_FIELDS),
    ...lists,
    ...target.spec,
    display_name: value['name'],
    vars: readVars(value['vars'], problems),
    service_id: serviceId[0]?.id,
    plugin_config_id: configId[0]?.id,
  };
  const objectPath = (path: string): string => {
    for (const [one, several] of EITHER_OR) {
      const isOne = value[several] === undefined;
      if (isOne && (path === several || path.startsWith(`${several}[`))) return one;
    }
    return sharedPath(path);
  };
  const route = makeResource('Route', id.id, spec, objectPath, problems);
  return {
    resources: [route, ...target.made.resources],
    references: [...target.made.references, ...serviceId, ...configId],
  };
}

/** Reads an object of the type `services`. */
export function readService(reading: Reading): Made {
  const { id, value, problems } = reading;
  serviceFields ??= {
    known: SHARED_FIELDS,
    refused: new Map([['script', '']]),
    inside: { name: 'upstream', fields: upstreamFields() },
  };
  checkFields(value, '', serviceFields, problems);
  checkCommon(reading);
  checkNotEmpty(value['hosts'], 'hosts', problems);
  const target = readTarget(reading);
  const spec = {
    ...pick(value, SHARED_WIRE_FIELDS),
    hosts: value['hosts'],
    ...target.spec,
    display_name: value['name'],
  };
  const service = makeResource('Service', id.id, spec, sharedPath, problems);
  return { resources: [service, ...target.made.resources], references: target.made.references };
}

function sharedPath(path: string): string {
  if (path === 'name') return '';
  return path === 'display_name' ? 'name' : pluginPath(path);
}

function pick(value: JsonObject, names: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(names.map((name) => [name, value[name]]));
}

/** The list that the two fields stand for. */
function readEither(value: JsonObject, one: string, several: string, problems: ProblemList): unknown {
  const single = value[one];
  const list = value[several];
  if (single === undefined) {
    checkNotEmpty(list, several, problems);
    return list;
  }
  if (list !== undefined) problems.add(several, `not together with ${one}: write all in ${several}`);
  if (typeof single === 'string') return [single];
  problems.add(one, `must be a string, not ${describeType(single)}`);
  return undefined;
}

/** On the wire the conditions are JSON text. */
function readVars(vars: unknown, problems: ProblemList): string | undefined {
  if (vars === undefined) return undefined;
  if (Array.isArray(vars)) return vars.length === 0 ? undefined : JSON.stringify(vars);
  problems.add('vars', `must be a list of conditions [variable, operator, value], not ${describeType(vars)}`);
  return undefined;
}

type References = ReadObject['references'];

function readReference(field: string, type: References[number]['type'], { value, problems }: Reading): References {
  const id = readId(value[field], field, problems);
  return id === undefined ? [] : [{ type, id, path: field }];
}

/** Plugins, and where the requests go. An inline upstream becomes a resource of its own; an id stands above it. */
function readTarget(reading: Reading): { readonly spec: Record<string, unknown>; readonly made: Made } {
  const { id, value, problems, warnings } = reading;
  checkName(value, '', problems);
  const plugins =
    value['plugins'] === undefined ? undefined : readPlugins(value['plugins'], 'plugins', 'route', problems);
  const byId = readReference('upstream_id', 'upstreams', reading);
  const name = `${id.type}/${id.id}`;
  const inline =
    value['upstream'] === undefined ? undefined : readUpstream(value['upstream'], 'upstream', name, reading);
  const hasId = value['upstream_id'] !== undefined;
  if (hasId && inline !== undefined) warnings.add('upstream', 'has no effect: upstream_id stands above it');
  const upstreamId = hasId ? byId[0]?.id : inline && name;
  const made: Made = inline === undefined || hasId ? { resources: [], references: byId } : { ...inline };
  return { spec: { plugins, upstream_id: upstreamId }, made };
}
