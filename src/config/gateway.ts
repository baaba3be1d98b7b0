// Routes with everything that they take from their Service, PluginConfig and Upstream, and consumers.
//
// What a Route names and what isn't there makes it a route with a fault. They are told apart in the order of APISIX:
//
//   unknown_plugin_config   known before anything runs: each request is answered with it at once
//   unknown_service         the same
//   no_upstream             comes up only when an endpoint is to be chosen: the plugins run first, so that a caller
//   unknown_upstream        without a key is told that (401), and what a limit refuses is refused by the limit
import { isDeepStrictEqual } from 'node:util';
import {
  type ConsumerSpec,
  DEFAULT_QUOTA_FIELDS,
  type GatewaySpec,
  type QuotaFieldNames,
  type RouteSpec,
} from '../model/gateway.ts';
import { type PortKey, portKey } from '../model/snapshot.ts';
import { consumerSpec } from './consumer-specs.ts';
import { METADATA_PREFIX } from './decode/plugin-config.ts';
import { canonicalBlock } from '../base/ip-address.ts';
import { LastPass } from './last-pass.ts';
import { pluginSpecs, type PluginSource, sharePlugins } from './plugin-specs.ts';
import type { PortCollector } from './port-collector.ts';
import type { Resource, Resources } from './resource.ts';
import { canonicalRouteHost } from './route-host.ts';
import { toMs } from './seconds.ts';
import { type UpstreamChoice, upstreamChoice } from './upstream-choice.ts';
import { parseVars } from './vars.ts';
import { sameEntries } from './same-entries.ts';

/** What a RouteSpec was made from. Of its Upstream only whether it is there. */
interface Origin {
  readonly route: Resource<'Route'>;
  readonly pluginConfig: Resource<'PluginConfig'> | undefined;
  readonly service: Resource<'Service'> | undefined;
  readonly choice: UpstreamChoice | undefined;
  readonly hasUpstream: boolean;
}

/** A route, and what it was made from; `spec` is undefined while it is off. */
interface Made {
  readonly id: string;
  readonly origin: Origin;
  readonly spec: RouteSpec | undefined;
}

type Routes = ReadonlyMap<string, RouteSpec>;

/** What each map of routes was made of, in the order of the resources. */
const passes = new WeakMap<Routes, readonly Made[]>();

/**
 * The gateway that the resources make; what didn't change is taken from `previous`, which is itself the answer if nothing
 * did. `adminApi` is the port of the Admin API. Ports that routes go to are told to `ports`.
 */
export function gatewaySpec(
  resources: Resources,
  previous: GatewaySpec | undefined,
  adminApi: PortKey | undefined,
  ports: PortCollector,
): GatewaySpec {
  const routes = routeSpecs(resources, previous?.routes, ports);
  const consumers = consumerSpecs(resources, previous?.consumers);
  const quotaFields = quotaFieldNames(resources, previous?.quotaFields ?? DEFAULT_QUOTA_FIELDS);
  const isSame =
    previous !== undefined &&
    routes === previous.routes &&
    consumers === previous.consumers &&
    quotaFields === previous.quotaFields &&
    adminApi === previous.adminApi;
  return isSame ? previous : { routes, consumers, quotaFields, adminApi };
}

function routeSpecs(resources: Resources, previous: Routes | undefined, ports: PortCollector): Routes {
  const lastPass = (previous && passes.get(previous)) ?? [];
  const last = new LastPass(lastPass);
  const pass: Made[] = [];
  let kept = 0;
  for (const route of resources.all('Route')) {
    const { pluginConfigId, serviceId } = route.message;
    const pluginConfig = pluginConfigId === undefined ? undefined : resources.get('PluginConfig', pluginConfigId);
    const service = serviceId === undefined ? undefined : resources.get('Service', serviceId);
    const choice = upstreamChoice(route.message, service?.message);
    const upstream = choice && resources.get('Upstream', choice.upstreamId);
    const hasUpstream = upstream !== undefined;
    let made = last.find(route.name);
    const origin = made?.origin;
    const isSame =
      origin?.route === route &&
      origin.pluginConfig === pluginConfig &&
      origin.service === service &&
      origin.hasUpstream === hasUpstream;
    if (made === undefined || !isSame) {
      made = makeRoute({ route, pluginConfig, service, choice, hasUpstream }, made?.spec);
    } else if (made === lastPass[pass.length]) kept++;
    pass.push(made);
    const target = made.spec?.target;
    if (target !== undefined && upstream !== undefined) ports.use(target, upstream, choice?.servicePort ?? 0);
  }
  if (previous !== undefined && kept === pass.length && kept === lastPass.length && passes.has(previous))
    return previous;
  const routes = new Map<string, RouteSpec>();
  for (const { id, spec } of pass) if (spec !== undefined) routes.set(id, spec);
  const result = previous !== undefined && sameEntries(routes, previous) ? previous : routes;
  passes.set(result, pass);
  return result;
}

function makeRoute(origin: Origin, previous: RouteSpec | undefined): Made {
  const { name, message } = origin.route;
  if (message.status === 0) return { id: name, origin, spec: undefined };
  const made = makeSpec(origin, previous);
  return { id: name, origin, spec: previous !== undefined && isSameRoute(made, previous) ? previous : made };
}

const NONE: readonly string[] = [];

function makeSpec(origin: Origin, previous: RouteSpec | undefined): RouteSpec {
  const { pluginConfig, service, choice } = origin;
  const { name, message } = origin.route;
  const plugins = pluginSpecs(
    source('routes', origin.route),
    pluginConfig && source('plugin_configs', pluginConfig),
    service && source('services', service),
  );
  const fault = faultOf(origin);
  const vars = message.vars === undefined ? undefined : parseVars(message.vars, 'vars');
  const { timeout } = message;
  return {
    id: name,
    displayName: message.displayName ?? '',
    uris: message.uris,
    hosts: mapped(message.hosts.length > 0 ? message.hosts : (service?.message.hosts ?? NONE), canonicalRouteHost),
    methods: message.methods,
    remoteAddrs: mapped(message.remoteAddrs, (block) => canonicalBlock(block) ?? block),
    vars: vars?.ok === true ? vars.expression : undefined,
    priority: message.priority ?? 0,
    serviceId: message.serviceId ?? '',
    plugins: previous === undefined ? plugins : sharePlugins(plugins, previous.plugins),
    target: fault === undefined && choice ? portKey(choice.upstreamId, choice.servicePort ?? 0) : undefined,
    fault,
    timeouts: timeout && {
      connectMs: toMs(timeout.connect ?? 0),
      sendMs: toMs(timeout.send ?? 0),
      readMs: toMs(timeout.read ?? 0),
    },
    passesUpgrades: message.enableWebsocket ?? service?.message.enableWebsocket ?? false,
  };
}

/** One list for all routes that have nothing there. */
function mapped(list: readonly string[], spelling: (value: string) => string): readonly string[] {
  return list.length === 0 ? NONE : list.map(spelling);
}

function source(
  collection: PluginSource['collection'],
  { name, message }: Resource<'Route' | 'Service' | 'PluginConfig'>,
): PluginSource {
  return { plugins: message.plugins, collection, name };
}

function faultOf({ route, pluginConfig, service, choice, hasUpstream }: Origin): RouteSpec['fault'] {
  const { pluginConfigId, serviceId } = route.message;
  if (pluginConfigId !== undefined && pluginConfig === undefined) {
    return { kind: 'unknown_plugin_config', detail: `there is no PluginConfig ${pluginConfigId}` };
  }
  if (serviceId !== undefined && service === undefined) {
    return { kind: 'unknown_service', detail: `there is no Service ${serviceId}` };
  }
  if (choice === undefined) {
    const who = service === undefined ? 'the Route names' : 'neither the Route nor its Service names';
    return { kind: 'no_upstream', detail: `${who} ${service === undefined ? 'no' : 'an'} Upstream` };
  }
  return hasUpstream ? undefined : { kind: 'unknown_upstream', detail: `there is no Upstream ${choice.upstreamId}` };
}

/** As isDeepStrictEqual, but cheap where a Service of ten thousand routes is sent again. */
function isSameRoute(a: RouteSpec, b: RouteSpec): boolean {
  return (
    a.id === b.id &&
    a.displayName === b.displayName &&
    areSame(a.uris, b.uris) &&
    areSame(a.hosts, b.hosts) &&
    areSame(a.methods, b.methods) &&
    areSame(a.remoteAddrs, b.remoteAddrs) &&
    a.priority === b.priority &&
    a.serviceId === b.serviceId &&
    a.plugins === b.plugins &&
    a.target === b.target &&
    a.passesUpgrades === b.passesUpgrades &&
    isEqual(a.vars, b.vars) &&
    isEqual(a.fault, b.fault) &&
    isEqual(a.timeouts, b.timeouts)
  );
}

function areSame(a: readonly string[], b: readonly string[]): boolean {
  return a === b || (a.length === b.length && a.every((value, i) => value === b[i]));
}

function isEqual(a: unknown, b: unknown): boolean {
  return a === b || (a !== undefined && b !== undefined && isDeepStrictEqual(a, b));
}

function consumerSpecs(
  resources: Resources,
  previous: ReadonlyMap<string, ConsumerSpec> | undefined,
): ReadonlyMap<string, ConsumerSpec> {
  const consumers = new Map<string, ConsumerSpec>();
  let kept = 0;
  for (const resource of resources.all('Consumer')) {
    const before = previous?.get(resource.name);
    const spec = consumerSpec(resource, before);
    if (spec === before) kept++;
    consumers.set(resource.name, spec);
  }
  return previous !== undefined && kept === consumers.size && kept === previous.size ? previous : consumers;
}

function quotaFieldNames(resources: Resources, previous: QuotaFieldNames): QuotaFieldNames {
  const metadata = resources.get('PluginConfig', `${METADATA_PREFIX}limit-count`)?.message.metadata?.limitCount;
  const limit = metadata?.limitHeader ?? DEFAULT_QUOTA_FIELDS.limit;
  const remaining = metadata?.remainingHeader ?? DEFAULT_QUOTA_FIELDS.remaining;
  const reset = metadata?.resetHeader ?? DEFAULT_QUOTA_FIELDS.reset;
  const isSame = limit === previous.limit && remaining === previous.remaining && reset === previous.reset;
  return isSame ? previous : { limit, remaining, reset };
}
