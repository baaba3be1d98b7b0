// What the gateway listener does with a request before it is one for an upstream port, in this order: the Admin API's own
// route, the route, its plugins, its target. Everything after that is as on any other listener.
import type { ErrorKind } from '../base/error.ts';
import type { Fields, RequestHead, ResponseSender } from '../codec/exchange.ts';
import { findField, removeField } from '../codec/fields.ts';
import type { ConsumerSpec, RouteSpec } from '../model/gateway.ts';
import type { TimeoutPolicy } from '../model/policy.ts';
import type { PortKey } from '../model/snapshot.ts';
import type { PluginAnswer, PluginRequest } from '../plugin/plugin.ts';
import { lookupPath } from '../policy/lookup-path.ts';
import type { Cluster } from '../upstream/cluster.ts';
import { isLoopback } from './forwarding.ts';

/** Undefined: the request goes on. */
export type RunPlugins = (route: RouteSpec, request: PluginRequest) => PluginAnswer | undefined;

/** What the gateway goes by now; asked anew for each request. */
export interface LiveGateway {
  /** Whether a configuration has come. */
  readonly isConfigured: boolean;
  /** Name of this machine. */
  readonly hostname: string;
  /** Where `/apisix/admin/*` of loopback callers goes; undefined: nowhere. */
  readonly adminApi: Cluster | undefined;
  match(request: PluginRequest): RouteSpec | undefined;
  readonly runPlugins: RunPlugins;
  cluster(port: PortKey): Cluster | undefined;
}

/** The path of the Admin API, and everything below it. */
const ADMIN_PATH = /^\/apisix\/admin(?:[/?]|$)/;

/** A caller that came by another proxy: who that one let in can't be known. */
const PASSED_ON_FIELDS = ['x-forwarded-for', 'forwarded', 'via', 'x-real-ip'];

const NO_ROUTE: PluginAnswer = {
  kind: 'no_route',
  status: 0,
  fields: [],
  body: '{"error_msg":"404 Route Not Found"}\n',
  detail: 'no route fits',
};

/** The passage of one request through the gateway: what it matched, and what plugins have found out and want. */
export class GatewayPassage implements PluginRequest {
  readonly head: RequestHead;
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly localAddress: string;
  readonly localPort: number;
  readonly hostname: string;
  consumer: string | undefined = undefined;
  consumerSpec: ConsumerSpec | undefined = undefined;
  readonly answerFields: string[] = [];
  /** Undefined: none matched, or the request is the Admin API's. */
  route: RouteSpec | undefined = undefined;
  /** Set where the request goes no further. */
  answer: PluginAnswer | undefined = undefined;
  /** The upstream's timeouts that `ownTimeouts` were made over. */
  private timeoutsOver: TimeoutPolicy | undefined = undefined;
  private ownTimeouts: TimeoutPolicy | undefined = undefined;

  constructor(
    head: RequestHead,
    sender: Pick<ResponseSender, 'remoteAddress' | 'remotePort' | 'localAddress' | 'localPort'>,
    hostname: string,
  ) {
    this.head = head;
    this.remoteAddress = sender.remoteAddress;
    this.remotePort = sender.remotePort;
    this.localAddress = sender.localAddress;
    this.localPort = sender.localPort;
    this.hostname = hostname;
  }

  get routeId(): string {
    return this.route?.id ?? '';
  }

  get serviceId(): string {
    return this.route?.serviceId ?? '';
  }

  /** Finds the upstream port; undefined: there is an {@link answer}. `run` runs the plugins of a route that has some. */
  enter(gateway: LiveGateway, run: RunPlugins = gateway.runPlugins): Cluster | undefined {
    const { head } = this;
    if (gateway.adminApi !== undefined && ADMIN_PATH.test(head.path) && this.comesFromHere()) return gateway.adminApi;
    if (!gateway.isConfigured) return this.refuse('not_configured', '');
    if (lookupPath(head.path) === undefined) {
      return this.refuse('bad_request', 'the path has a dot segment beside an encoded slash');
    }
    const route = (this.route = gateway.match(this));
    if (route === undefined) {
      this.answer = NO_ROUTE;
      return undefined;
    }
    const { fault, plugins } = route;
    if (fault !== undefined && !PASSES_PLUGINS_FIRST.has(fault.kind)) return this.refuse(fault.kind, fault.detail);
    if (plugins.length > 0) {
      this.answer = run(route, this);
      if (this.answer !== undefined) return undefined;
    }
    if (fault !== undefined) return this.refuse(fault.kind, fault.detail);
    // The endpoint sees an ordinary request (APISIX `enable_websocket: false`).
    if (!route.passesUpgrades) head.protocol = '';
    const cluster = route.target === undefined ? undefined : gateway.cluster(route.target);
    return cluster ?? this.refuse('no_endpoints', `${route.target} is not configured yet`);
  }

  /** The timeouts of the call, where the route sets those of its upstream aside. */
  timeouts(policy: TimeoutPolicy): TimeoutPolicy {
    const timeouts = this.route?.timeouts;
    if (timeouts === undefined) return policy;
    if (this.timeoutsOver !== policy) {
      this.timeoutsOver = policy;
      this.ownTimeouts = { ...policy, ...timeouts, sendIsSet: true, readIsSet: true };
    }
    return this.ownTimeouts ?? policy;
  }

  /** Sets what plugins want of the caller's answer. */
  addTo(fields: Fields): void {
    const { answerFields } = this;
    for (let i = 0; i < answerFields.length; i += 2) {
      removeField(fields, answerFields[i]!);
      fields.push(answerFields[i]!, answerFields[i + 1]!);
    }
  }

  private refuse(kind: ErrorKind, detail: string): undefined {
    this.answer = { kind, status: 0, fields: [], body: undefined, detail };
    return undefined;
  }

  private comesFromHere(): boolean {
    const { head, remoteAddress } = this;
    return isLoopback(remoteAddress) && PASSED_ON_FIELDS.every((name) => findField(head.fields, name) === undefined);
  }
}

/** Faults that show only when an endpoint is looked for: authentication and limits come before. */
const PASSES_PLUGINS_FIRST: ReadonlySet<ErrorKind> = new Set(['unknown_upstream', 'no_upstream']);
