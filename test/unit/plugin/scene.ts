// A gateway's plugins with time in the test's hand: requests come in at will, and what the caller and the endpoint would see comes out.
import { SecretText } from '../../../src/base/secret-text.ts';
import type { RequestHead } from '../../../src/codec/exchange.ts';
import { ERROR_TABLE } from '../../../src/model/error-table.ts';
import {
  DEFAULT_QUOTA_FIELDS,
  type ConsumerSpec,
  type LimitCountPolicy,
  type LimitRule,
  type PluginSpec,
  type QuotaFieldNames,
} from '../../../src/model/gateway.ts';
import { createConsumerTable, type ConsumerTable } from '../../../src/plugin/consumer-table.ts';
import { createLimitCounters, type LimitCounters } from '../../../src/plugin/limit-counters.ts';
import type { PluginAnswer, PluginContext, PluginRequest } from '../../../src/plugin/plugin.ts';
import { runPlugins } from '../../../src/plugin/plugins.ts';
import { FakeClock } from '../../support/fake-clock.ts';

/** A limit by `remote_addr`, but for `changes`. */
export function limitRule(
  count: number | string,
  windowS: number | string,
  changes: Partial<LimitRule> = {},
): LimitRule {
  return {
    count: String(count),
    windowS: String(windowS),
    keyType: 'var',
    key: 'remote_addr',
    headerPrefix: undefined,
    ...changes,
  };
}

/** `limit-count` as APISIX has it by default, but for `changes`. */
export function limitCount(
  limits: LimitRule[],
  changes: Partial<LimitCountPolicy> = {},
  owner = 'routes/1',
): PluginSpec {
  return {
    owner,
    name: 'limit-count',
    policy: {
      limits,
      areRules: false,
      windowType: 'fixed',
      rejectedCode: 503,
      rejectedMsg: undefined,
      group: '',
      showsQuota: true,
      allowsDegradation: false,
      ...changes,
    },
  };
}

/** A consumer with one key of its own, further keys by credential id, and plugins. */
export function consumer(
  name: string,
  key: string | undefined,
  others: { credentials?: Record<string, string>; plugins?: PluginSpec[]; customId?: string } = {},
): ConsumerSpec {
  const credentials = Object.entries(others.credentials ?? {});
  return {
    name,
    customId: others.customId ?? '',
    keys: [
      ...(key === undefined ? [] : [{ key: new SecretText(key), credentialId: '' }]),
      ...credentials.map(([credentialId, text]) => ({ key: new SecretText(text), credentialId })),
    ],
    plugins: others.plugins ?? [],
  };
}

/** Consumers by name. */
export function byName(...consumers: ConsumerSpec[]): ReadonlyMap<string, ConsumerSpec> {
  return new Map(consumers.map((one) => [one.name, one]));
}

/** A request of 10.0.0.9. */
export function pluginRequest(
  head: Partial<RequestHead> = {},
  others: Partial<Omit<PluginRequest, 'head'>> = {},
): PluginRequest {
  return {
    head: {
      method: 'GET',
      scheme: 'http',
      authority: 'web.example',
      path: '/hello',
      protocol: '',
      version: 11,
      fields: [],
      neverIndexed: undefined,
      contentLength: -1,
      ...head,
    },
    remoteAddress: '10.0.0.9',
    remotePort: 51_000,
    localAddress: '10.0.0.1',
    localPort: 9080,
    hostname: 'node-1',
    consumer: undefined,
    consumerSpec: undefined,
    routeId: '1',
    serviceId: '',
    answerFields: [],
    ...others,
  };
}

/** What came of a request. */
export interface Outcome {
  /** 200: it went on. */
  readonly status: number;
  readonly answer: PluginAnswer | undefined;
  readonly request: PluginRequest;
  /** Fields that the caller gets because of plugins, in lower case. */
  readonly fields: ReadonlyMap<string, string>;
}

/** The plugins with their counters and consumers. */
export class PluginScene {
  readonly clock = new FakeClock();
  readonly counters: LimitCounters;
  readonly consumers: ConsumerTable;
  consumersAreKnown = true;
  quotaFields: QuotaFieldNames = DEFAULT_QUOTA_FIELDS;
  /** The configuration in force; {@link run} adds what it is given. */
  private routes: ReadonlyMap<string, { readonly plugins: readonly PluginSpec[] }> = new Map();
  private byName: ReadonlyMap<string, ConsumerSpec>;

  constructor(consumers: readonly ConsumerSpec[] = [], maxCounters?: number) {
    this.byName = byName(...consumers);
    this.consumers = createConsumerTable(this.byName);
    this.counters = createLimitCounters(maxCounters);
    this.counters.update(this.routes, this.byName);
  }

  /** Puts a whole configuration in force: lists of plugins of routes by id, and consumers. */
  apply(routes: Readonly<Record<string, readonly PluginSpec[]>>, consumers: readonly ConsumerSpec[] = []): void {
    this.routes = new Map(Object.entries(routes).map(([id, plugins]) => [id, { plugins }]));
    this.byName = byName(...consumers);
    this.consumers.update(this.byName);
    this.counters.update(this.routes, this.byName);
  }

  /** A route for each place of a limit. */
  private addRoute(plugins: readonly PluginSpec[]): void {
    const id = plugins.find(({ name }) => name === 'limit-count')?.owner ?? '';
    if (this.routes.get(id)?.plugins === plugins) return;
    this.routes = new Map(this.routes).set(id, { plugins });
    this.counters.update(this.routes, this.byName);
  }

  /** Runs `plugins`, a route's, for a request. */
  run(plugins: readonly PluginSpec[], request = pluginRequest()): Outcome {
    this.addRoute(plugins);
    const { consumers, consumersAreKnown, counters, quotaFields, clock } = this;
    const context: PluginContext = { consumers, consumersAreKnown, counters, quotaFields, clock };
    const answer = runPlugins({ plugins }, request, context);
    const fields = new Map<string, string>();
    const all = [...request.answerFields, ...(answer?.fields ?? [])];
    for (let i = 0; i < all.length; i += 2) fields.set(all[i]!.toLowerCase(), all[i + 1]!);
    const status =
      answer === undefined ? 200 : answer.status === 0 ? ERROR_TABLE[answer.kind].httpStatus : answer.status;
    return { status, answer, request, fields };
  }

  /** Statuses of as many requests as `requests` makes. */
  statuses(plugins: readonly PluginSpec[], requests: readonly PluginRequest[]): number[] {
    return requests.map((request) => this.run(plugins, request).status);
  }
}

/** `count` requests like one another. */
export function requests(
  count: number,
  head: Partial<RequestHead> = {},
  others: Partial<Omit<PluginRequest, 'head'>> = {},
) {
  return Array.from({ length: count }, () =>
    pluginRequest({ ...head, fields: [...(head.fields ?? [])] }, { ...others, answerFields: [] }),
  );
}
