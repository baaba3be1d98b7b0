// The live objects behind the gateway listener: the table of routes, the consumers, the counters of limits. They are told
// of each snapshot and touch only what changed in it; counters outlive all of them.
import type { Clock } from '../base/clock.ts';
import type { GatewaySpec, RouteSpec } from '../model/gateway.ts';
import { DEFAULT_QUOTA_FIELDS } from '../model/gateway.ts';
import type { PortKey } from '../model/snapshot.ts';
import { createConsumerTable } from '../plugin/consumer-table.ts';
import { createLimitCounters } from '../plugin/limit-counters.ts';
import { pluginsOf, runPlugins, runRewrite } from '../plugin/plugins.ts';
import type { PluginAnswer, PluginContext, PluginRequest } from '../plugin/plugin.ts';
import type { GatewayPassage, LiveGateway, RunPlugins } from '../proxy/gateway.ts';
import { RouteTable } from '../route/route-table.ts';
import type { Cluster } from '../upstream/cluster.ts';

/** What a gateway needs from outside. */
export interface GatewayContext {
  readonly clock: Clock;
  readonly hostname: string;
  /** Whether `/apisix/admin/*` of loopback callers may go to the control plane. */
  readonly carriesAdmin: boolean;
}

/** What the gateway would do with a request. */
export interface GatewayForecast {
  /** Undefined: there is an answer, or the port isn't configured yet. */
  readonly cluster: Cluster | undefined;
  /** Set where it goes no further. */
  readonly answer: PluginAnswer | undefined;
  /** How it came to that, a line each. */
  readonly lines: readonly string[];
}

/** A gateway. */
export class LiveGatewayState implements LiveGateway {
  readonly hostname: string;
  readonly routes = new RouteTable();
  /** `consumersAreKnown` is for the owner to say: a snapshot may be there before they are. */
  readonly plugins: { -readonly [K in keyof PluginContext]: PluginContext[K] };
  private spec: GatewaySpec | undefined = undefined;
  private readonly carriesAdmin: boolean;
  private readonly clusters: ReadonlyMap<PortKey, Cluster>;

  constructor({ clock, hostname, carriesAdmin }: GatewayContext, clusters: ReadonlyMap<PortKey, Cluster>) {
    this.hostname = hostname;
    this.carriesAdmin = carriesAdmin;
    this.clusters = clusters;
    this.plugins = {
      consumers: createConsumerTable(new Map()),
      consumersAreKnown: true,
      counters: createLimitCounters(),
      quotaFields: DEFAULT_QUOTA_FIELDS,
      clock,
    };
  }

  /** Takes the gateway's part of a snapshot, whose clusters are there already. */
  apply(spec: GatewaySpec | undefined): void {
    if (spec === this.spec) return;
    const [routes, consumers] = [spec?.routes ?? new Map(), spec?.consumers ?? new Map()];
    this.routes.apply(routes);
    this.plugins.consumers.update(consumers);
    this.plugins.counters.update(routes, consumers);
    this.plugins.quotaFields = spec?.quotaFields ?? DEFAULT_QUOTA_FIELDS;
    this.spec = spec;
  }

  get isConfigured(): boolean {
    return this.spec !== undefined;
  }

  get adminApi(): Cluster | undefined {
    const port = this.carriesAdmin ? this.spec?.adminApi : undefined;
    return port === undefined ? undefined : this.clusters.get(port);
  }

  match(request: PluginRequest): RouteSpec | undefined {
    return this.routes.match(request);
  }

  readonly runPlugins: RunPlugins = (route, request) => runPlugins(route, request, this.plugins);

  cluster(port: PortKey): Cluster | undefined {
    return this.clusters.get(port);
  }

  /** Takes a request that isn't real through the gateway. Nothing is counted, so no limit is exceeded. */
  foresee(passage: GatewayPassage): GatewayForecast {
    // Plugins may change the head that routes were looked up with.
    const { match, refused } = this.routes.explain(passage);
    const cluster = passage.enter(this, (route, request) => runRewrite(route, request, this.plugins));
    const { answer, route, consumer, consumerSpec } = passage;
    if (cluster !== undefined && route === undefined) return { cluster, answer, lines: ["the Admin API's own route"] };
    const lines: string[] = [];
    for (const { route: other, uri, by } of refused) lines.push(`not routes/${other.id} (uri ${uri}): ${by}`);
    if (match !== undefined) {
      const { id, displayName, serviceId } = match.route;
      const name = displayName === '' ? '' : ` "${displayName}"`;
      const host = match.host === undefined ? 'any host' : `host ${match.host}`;
      lines.push(`routes/${id}${name} (uri ${match.uri}, ${host})`);
      if (serviceId !== '') lines.push(`services/${serviceId}`);
      if (consumer !== undefined) lines.push(`consumers/${consumer}`);
      for (const { name: plugin, owner } of pluginsOf(match.route, consumerSpec)) {
        lines.push(
          `${plugin} of ${owner}${plugin === 'limit-count' ? ', which may refuse it: nothing is counted here' : ''}`,
        );
      }
    }
    return { cluster, answer, lines };
  }
}
