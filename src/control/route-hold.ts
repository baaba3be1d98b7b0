// When a Route or Service that was edited goes on in its old version, although nothing that the new one names is on its
// way by name. The old one must serve, or there is nothing to be lost:
//
//   the new one names …                               until
//   an Upstream or Endpoints of which only bad came   a good one comes, or the server has none
//   a Service or PluginConfig that isn't here         that comes, 15 s at most (absence-grace.ts)
//
// While an old Route goes on, so does what it names, though the server removed it.
import { redact } from '../config/redact.ts';
import { needsEndpoints } from '../config/effective-policy.ts';
import type { Kind, Resource, Resources } from '../config/resource.ts';
import type { UpstreamChoice } from '../config/upstream-choice.ts';
import { namesUpstream, upstreamChoice } from '../config/upstream-choice.ts';
import type { KeyAuth } from '../gen/outrigger/config/v1/gateway.ts';
import { portKey } from '../model/snapshot.ts';

/** Against what it is decided. */
export interface HoldContext {
  /** The newest good version of everything. */
  readonly latest: Resources;
  /** What serves now. */
  readonly inForce: Resources;
  /** Whether there is none yet and an answer may still come. */
  readonly isPending: (kind: Kind, name: string) => boolean;
  /** Whether only bad ones came. */
  readonly isRefused: (kind: Kind, name: string) => boolean;
  /** Whether a Service or PluginConfig that isn't here may still come. */
  readonly isAwaited: (kind: 'Service' | 'PluginConfig', name: string) => boolean;
}

/** Why the old version goes on; undefined: it doesn't. */
export type Hold = 'refused' | 'absent' | undefined;

/**
 * Whether `old`, which is in force, goes on in the place of `route`. `next` has the Services that will be in force, but
 * for those that are removed.
 */
export function routeHold(
  route: Resource<'Route'>,
  old: Resource<'Route'> | undefined,
  next: Resources,
  context: HoldContext,
): Hold {
  const { message } = route;
  if (old === undefined || old === route || message.status === 0 || !serves(old, next, context)) return undefined;
  const { serviceId, pluginConfigId } = message;
  const service = serviceId === undefined ? undefined : next.get('Service', serviceId);
  const choice = upstreamChoice(message, service?.message);
  if (choice !== undefined && hasRefused(choice, context)) return 'refused';
  const lacksService = isAbsent('Service', serviceId, context);
  const lacksPluginConfig = isAbsent('PluginConfig', pluginConfigId, context);
  return lacksService || lacksPluginConfig ? 'absent' : undefined;
}

/** The same of a Service. */
export function serviceHold(
  { message }: Resource<'Service'>,
  old: Resource<'Service'> | undefined,
  context: HoldContext,
): Hold {
  if (old === undefined || !namesUpstream(message)) return undefined;
  if (namesUpstream(old.message) && !isThere(old.message, context)) return undefined;
  return hasRefused(message, context) ? 'refused' : undefined;
}

/** What a Route of `resources` takes from others, as far as that comes under `*` and is there. */
export function takenFrom({ message }: Resource<'Route'>, resources: Resources): Resource[] {
  const { serviceId, pluginConfigId } = message;
  const service = serviceId === undefined ? undefined : resources.get('Service', serviceId);
  const pluginConfig = pluginConfigId === undefined ? undefined : resources.get('PluginConfig', pluginConfigId);
  const consumer = anonymousConsumer(
    message.plugins?.keyAuth ?? pluginConfig?.message.plugins?.keyAuth ?? service?.message.plugins?.keyAuth,
  );
  const anonymous = consumer === undefined ? undefined : resources.get('Consumer', consumer);
  return [service, pluginConfig, anonymous].filter((one) => one !== undefined);
}

/**
 * Whether it may go on after its removal with a Route that takes from it. A Consumer with a key may not: with the key
 * its removal takes a right away.
 */
export function mayOutlive({ kind, bytes }: Resource): boolean {
  return kind !== 'Consumer' || !redact(kind, bytes).redacted;
}

function anonymousConsumer(plugin: KeyAuth | undefined): string | undefined {
  return plugin?.disabled === true ? undefined : plugin?.anonymousConsumer;
}

/** Whether a Route in force answers calls if it goes on, as far as that depends on what it names. */
function serves({ message }: Resource<'Route'>, next: Resources, context: HoldContext): boolean {
  const { latest, inForce } = context;
  const { serviceId, pluginConfigId, status } = message;
  if (status === 0) return false;
  if (pluginConfigId !== undefined && inForce.get('PluginConfig', pluginConfigId) === undefined) return false;
  let service: Resource<'Service'> | undefined;
  if (serviceId !== undefined) {
    const isRemoved = latest.get('Service', serviceId) === undefined;
    service = (isRemoved ? inForce : next).get('Service', serviceId);
    if (service === undefined) return false;
  }
  const choice = upstreamChoice(message, service?.message);
  return choice !== undefined && isThere(choice, context);
}

/** Whether an Upstream will be in force, with its Endpoints. */
function isThere({ upstreamId, servicePort = 0 }: UpstreamChoice, context: HoldContext): boolean {
  const upstream = nextOf('Upstream', upstreamId, context);
  if (upstream === undefined) return false;
  if (servicePort === 0 || !needsEndpoints(upstream, servicePort)) return true;
  return nextOf('Endpoints', portKey(upstreamId, servicePort), context) !== undefined;
}

/** What is in force stays while its server, a new one, hasn't answered. */
function nextOf<K extends Kind>(kind: K, name: string, { latest, inForce, isPending }: HoldContext) {
  return latest.get(kind, name) ?? (isPending(kind, name) ? inForce.get(kind, name) : undefined);
}

function hasRefused({ upstreamId, servicePort = 0 }: UpstreamChoice, { isRefused }: HoldContext): boolean {
  if (isRefused('Upstream', upstreamId)) return true;
  return servicePort !== 0 && isRefused('Endpoints', portKey(upstreamId, servicePort));
}

function isAbsent(kind: 'Service' | 'PluginConfig', name: string | undefined, context: HoldContext): boolean {
  return name !== undefined && context.latest.get(kind, name) === undefined && context.isAwaited(kind, name);
}
