// Routes and plugins of the gateway, of which a test changes what it is about.
import type { KeyAuthPolicy, PluginSpec, RouteSpec } from '../../src/model/gateway.ts';

/** A route for every path, without plugins and without a target. */
export function routeSpec(id: string, others: Partial<RouteSpec> = {}): RouteSpec {
  return {
    id,
    displayName: '',
    uris: ['/*'],
    hosts: [],
    methods: [],
    remoteAddrs: [],
    vars: undefined,
    priority: 0,
    serviceId: '',
    plugins: [],
    target: undefined,
    fault: undefined,
    timeouts: undefined,
    passesUpgrades: false,
    ...others,
  };
}

/** `key-auth` as APISIX has it by default, but for `changes`. */
export function keyAuth(changes: Partial<KeyAuthPolicy> = {}, owner = 'routes/1'): PluginSpec {
  return {
    owner,
    name: 'key-auth',
    policy: {
      header: 'apikey',
      query: 'apikey',
      hidesCredentials: false,
      realm: 'key',
      anonymousConsumer: undefined,
      ...changes,
    },
  };
}
