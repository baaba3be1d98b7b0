// The plugins, in the order in which they run, and how those of a route and of a consumer are run together. Which of them a
// list sets is looked up once for each list; so a request costs two looks into weak maps, and the merge with its consumer's
// plugins nothing: the place of each plugin is asked of the consumer first, then of the route.
import type { ConsumerSpec, PluginSpec, RouteSpec } from '../model/gateway.ts';
import { KEY_AUTH } from './key-auth.ts';
import { LIMIT_COUNT } from './limit-count.ts';
import type { Plugin, PluginAnswer, PluginContext, PluginRequest } from './plugin.ts';

/** All plugins, in the order in which they run; those of `rewrite` stand first. */
export const PLUGINS: readonly Plugin[] = [KEY_AUTH, LIMIT_COUNT];

const REWRITE_COUNT = PLUGINS.filter(({ phase }) => phase === 'rewrite').length;

/** A list of plugins, each at its place in {@link PLUGINS}. */
type Places = readonly (PluginSpec | undefined)[];

const NOTHING: Places = PLUGINS.map(() => undefined);

const placesOfList = new WeakMap<readonly PluginSpec[], Places>();

/**
 * Runs the plugins of a route: those of `rewrite`, then those of `access`, of which the consumer's own, if the request turned
 * out to be one's, stand in the place of the route's of the same names (APISIX: Consumer over Route). Returns the answer of the first
 * that ends the request. `route` is what the request matched; call it only where it has plugins.
 */
export function runPlugins(
  route: Pick<RouteSpec, 'plugins'>,
  request: PluginRequest,
  context: PluginContext,
): PluginAnswer | undefined {
  const answer = runRewrite(route, request, context);
  if (answer !== undefined) return answer;
  const ofRoute = placesOf(route.plugins);
  const consumer = request.consumerSpec;
  const ofConsumer = consumer === undefined || consumer.plugins.length === 0 ? NOTHING : placesOf(consumer.plugins);
  for (let at = REWRITE_COUNT; at < PLUGINS.length; at++) {
    const spec = ofConsumer[at] ?? ofRoute[at];
    const refusal = spec && PLUGINS[at]!.run(spec, request, context);
    if (refusal !== undefined) return refusal;
  }
  return undefined;
}

/** The first half of {@link runPlugins}: finds out who calls, and counts nothing. */
export function runRewrite(
  route: Pick<RouteSpec, 'plugins'>,
  request: PluginRequest,
  context: PluginContext,
): PluginAnswer | undefined {
  const places = placesOf(route.plugins);
  for (let at = 0; at < REWRITE_COUNT; at++) {
    const spec = places[at];
    const answer = spec && PLUGINS[at]!.run(spec, request, context);
    if (answer !== undefined) return answer;
  }
  return undefined;
}

/** The plugins that a request of `consumer` meets on a route, in the order in which they run. */
export function pluginsOf(route: Pick<RouteSpec, 'plugins'>, consumer: ConsumerSpec | undefined): PluginSpec[] {
  const [ofRoute, ofConsumer] = [placesOf(route.plugins), consumer ? placesOf(consumer.plugins) : NOTHING];
  return PLUGINS.map((_, at) => (at < REWRITE_COUNT ? undefined : ofConsumer[at]) ?? ofRoute[at]).filter(
    (spec) => spec !== undefined,
  );
}

function placesOf(list: readonly PluginSpec[]): Places {
  let places = placesOfList.get(list);
  if (places === undefined) {
    places = PLUGINS.map(({ name }) => list.find((spec) => spec.name === name));
    placesOfList.set(list, places);
  }
  return places;
}
