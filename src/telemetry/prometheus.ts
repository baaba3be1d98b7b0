// The Prometheus exposition. Values are read from the cells when somebody scrapes, and no series is kept between two
// scrapes: prom-client's own counters cost half a microsecond an increment and hold an object a series. prom-client
// renders (its registry asks a metric for `get()` and nothing else), and brings the process's own metrics. It is
// imported with the first scrape.
import type { Metric, Registry } from 'prom-client';
import { certificateSeries, type CertificateMetrics } from './certificate-series.ts';
import { CounterCell, type Counters } from './counters.ts';
import { BUCKET_BOUNDS_US, type LatencyHistogram } from './histogram.ts';
import { ENDPOINT_METRICS, PORT_METRICS, PROCESS_COUNTERS, type Labels } from './metric-names.ts';

/** Numbers of an endpoint. Counters since it appeared. */
export interface EndpointMetrics {
  readonly address: string;
  readonly port: number;
  readonly usable: boolean;
  readonly inFlight: number;
  readonly connections: number;
  readonly attempts: number;
  readonly successes: number;
  readonly failures: number;
  readonly ejected: boolean;
  readonly ejections: number;
}

/** Numbers of a service port of an upstream. Counters since it appeared. */
export interface PortMetrics {
  /** `namespace/service`. */
  readonly upstream: string;
  readonly servicePort: number;
  readonly inFlight: number;
  readonly requests: number;
  readonly successes: number;
  readonly failures: number;
  readonly retries: number;
  readonly retriesRefused: number;
  readonly pending: number;
  readonly connections: number;
  readonly retriesInFlight: number;
  readonly overflowRequests: number;
  readonly overflowPending: number;
  readonly overflowRetries: number;
  readonly overflowConnections: number;
  readonly overflowEndpoints: number;
  /** Endpoints ejected now. */
  readonly ejected: number;
  readonly ejections: number;
  readonly ejectionsOverflow: number;
  readonly panicPicks: number;
  readonly hashFallbacks: number;
  /** Whether its endpoints' certificates are verified; undefined without TLS. */
  readonly tlsVerified: boolean | undefined;
  /** Undefined while the port had no traffic. */
  readonly latency: LatencyHistogram | undefined;
  endpoints(): Iterable<EndpointMetrics>;
}

/** Numbers of the gateway. */
export interface GatewayMetrics {
  readonly routes: number;
  readonly consumers: number;
  /** Counters of limits held, and how many had to go before their window was over. */
  readonly limitCounters: number;
  readonly limitEvictions: number;
}

/** What a scrape reads. */
export interface MetricsSource {
  readonly counters: Counters;
  ports(): Iterable<PortMetrics>;
  /** The certificates and authorities in use. */
  certificates(): Iterable<CertificateMetrics>;
  /** Downstream connections open now, spoken or not, and the most there may be. */
  downstreamConnections(): { readonly open: number; readonly limit: number };
  snapshotNumber(): number;
  /** Undefined while the gateway is off. */
  gateway(): GatewayMetrics | undefined;
  /** Whether the stream to the control plane is up; undefined without a control plane. */
  controlConnected(): boolean | undefined;
  ready(): { readonly ready: boolean };
}

/**
 * Bounds of the exposition. Beyond them ports are summed as upstream="other", endpoints as endpoint="other" of their
 * port, and of certificates the earliest time stands as name="other".
 */
export interface SeriesCaps {
  /** Default 2,000. */
  readonly ports: number;
  /** Of all ports together. Default 2,000. */
  readonly endpoints: number;
  /** Default 1,000. */
  readonly certificates: number;
}

export const DEFAULT_SERIES_CAPS: SeriesCaps = { ports: 2000, endpoints: 2000, certificates: 1000 };

/** Text of a scrape. */
export interface Exposition {
  /** Value of Content-Type. */
  readonly contentType: string;
  /** The whole text as of now. */
  readonly render: () => Promise<string>;
}

/** One metric name with its series, as prom-client's registry reads it. */
class Family {
  readonly name: string;
  readonly help: string;
  readonly type: 'counter' | 'gauge' | 'histogram';
  values: { metricName: string; labels: Labels; value: number }[] = [];

  constructor(type: 'counter' | 'gauge' | 'histogram', name: string, help: string) {
    this.type = type;
    this.name = name;
    this.help = help;
  }

  add(labels: Labels, value: number, suffix = ''): void {
    this.values.push({ metricName: this.name + suffix, labels, value });
  }

  /** Called by the registry. */
  get(): Promise<unknown> {
    const { name, help, type, values } = this;
    return Promise.resolve({ name, help, type, values, aggregator: 'sum' });
  }
}

/** Bounds shown, µs: those of the histogram that Prometheus users expect. */
const SHOWN_BOUNDS_US = [
  500, 1000, 2500, 5000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000, 5_000_000, 10_000_000,
];
const SHOWN_BUCKETS = SHOWN_BOUNDS_US.map((bound) => ({
  bucket: BUCKET_BOUNDS_US.indexOf(bound),
  le: String(bound / 1_000_000),
}));

/** Loads prom-client and prepares the exposition; one per process, since the process's own metrics start observers. */
export async function createExposition(
  source: MetricsSource,
  caps: SeriesCaps = DEFAULT_SERIES_CAPS,
): Promise<Exposition> {
  // A CommonJS module: what Node can't name statically is on `default`.
  const { default: promClient } = await import('prom-client');
  const processRegistry: Registry = new promClient.Registry();
  promClient.collectDefaultMetrics({ register: processRegistry });
  return {
    contentType: processRegistry.contentType,
    async render() {
      const registry = new promClient.Registry();
      for (const family of collect(source, caps)) registry.registerMetric(family as unknown as Metric);
      return `${await registry.metrics()}\n${await processRegistry.metrics()}`;
    },
  };
}

function collect(source: MetricsSource, caps: SeriesCaps): Family[] {
  return [...processFamilies(source), certificateFamily(source, caps), ...portFamilies(source, caps)];
}

function processFamilies(source: MetricsSource): Family[] {
  const { counters } = source;
  const families = PROCESS_COUNTERS.map(([name, help, series]) => {
    const family = new Family('counter', name, help);
    for (const [labels, cell] of series) family.add(labels, counters.total(cell));
    return family;
  });
  const open = (opened: number, closed: number): number => Math.max(0, counters.total(opened) - counters.total(closed));
  const downstream = new Family('gauge', 'outrigger_downstream_connections', 'Downstream connections open now.');
  const http1 = open(CounterCell.Http1Opened, CounterCell.Http1Closed);
  const http2 = open(CounterCell.Http2Opened, CounterCell.Http2Closed);
  const { open: all, limit } = source.downstreamConnections();
  downstream.add({ version: '1' }, http1);
  downstream.add({ version: '2' }, http2);
  downstream.add({ version: 'none' }, Math.max(0, all - http1 - http2));
  const most = new Family(
    'gauge',
    'outrigger_downstream_connections_limit',
    'Downstream connections that may be open at once.',
  );
  most.add({}, limit);
  const upstream = new Family('gauge', 'outrigger_upstream_connections', 'Upstream connections open now.');
  upstream.add({}, open(CounterCell.UpstreamOpened, CounterCell.UpstreamClosed));
  const snapshot = new Family('gauge', 'outrigger_snapshot', 'Number of the configuration in force.');
  snapshot.add({}, source.snapshotNumber());
  const ready = new Family('gauge', 'outrigger_ready', 'Whether the sidecar is ready (1) or not (0).');
  ready.add({}, source.ready().ready ? 1 : 0);
  families.push(downstream, most, upstream, snapshot, ready);
  const gateway = source.gateway();
  if (gateway) families.push(...gatewayFamilies(gateway));
  const connected = source.controlConnected();
  if (connected !== undefined) {
    const control = new Family('gauge', 'outrigger_control_connected', 'Whether a control plane is connected (1).');
    control.add({}, connected ? 1 : 0);
    families.push(control);
  }
  return families;
}

function gatewayFamilies({ routes, consumers, limitCounters, limitEvictions }: GatewayMetrics): Family[] {
  const rows = [
    ['gauge', 'outrigger_gateway_routes', 'Routes that are on.', routes],
    ['gauge', 'outrigger_gateway_consumers', 'Consumers known.', consumers],
    ['gauge', 'outrigger_gateway_limit_counters', 'Counters of limit-count that are held.', limitCounters],
    [
      'counter',
      'outrigger_gateway_limit_evictions_total',
      'Counters of limit-count that gave way to others before their window was over.',
      limitEvictions,
    ],
  ] as const;
  return rows.map(([type, name, help, value]) => {
    const family = new Family(type, name, help);
    family.add({}, value);
    return family;
  });
}

function certificateFamily(source: MetricsSource, caps: SeriesCaps): Family {
  const family = new Family(
    'gauge',
    'outrigger_certificate_not_after_timestamp_seconds',
    'When a certificate in use expires, s since 1970 (of "other": the first of them).',
  );
  for (const { name, kind, notAfterMs } of certificateSeries(source.certificates(), caps.certificates)) {
    family.add({ name, kind }, notAfterMs / 1000);
  }
  return family;
}

const OTHER_PORT: Labels = { upstream: 'other', port: '' };

function portFamilies(source: MetricsSource, caps: SeriesCaps): Family[] {
  const ports = PORT_METRICS.map(([type, name, help]) => new Family(type, name, help));
  const latency = new Family(
    'histogram',
    'outrigger_upstream_request_duration_seconds',
    'From the request to the end of the answer.',
  );
  const unverified = new Family(
    'gauge',
    'outrigger_upstream_tls_unverified',
    'Whether certificates of endpoints are not verified (1; of "other": how many ports). Only ports with TLS.',
  );
  const endpoints = ENDPOINT_METRICS.map(([type, name, help]) => new Family(type, name, help));
  const beyondPorts = { numbers: new Sum(), latency: new Sum(), unverified: new Sum(), endpoints: new Sum() };
  let portCount = 0;
  let endpointCount = 0;
  for (const port of source.ports()) {
    const own = portCount++ < caps.ports;
    const labels: Labels = { upstream: port.upstream, port: String(port.servicePort) };
    const numbers = PORT_METRICS.map(([, , , key]) => port[key]);
    if (own) addNumbers(ports, labels, numbers);
    else beyondPorts.numbers.add(numbers);
    if (port.latency) {
      const counts = histogramNumbers(port.latency);
      if (own) addHistogram(latency, labels, counts);
      else beyondPorts.latency.add(counts);
    }
    if (port.tlsVerified !== undefined) {
      const flag = port.tlsVerified ? 0 : 1;
      if (own) unverified.add(labels, flag);
      else beyondPorts.unverified.add([flag]);
    }
    const beyondEndpoints = own ? new Sum() : beyondPorts.endpoints;
    for (const endpoint of port.endpoints()) {
      const values = ENDPOINT_METRICS.map(([, , , key]) => Number(endpoint[key]));
      if (own && endpointCount++ < caps.endpoints)
        addNumbers(endpoints, { ...labels, endpoint: nameOf(endpoint) }, values);
      else beyondEndpoints.add(values);
    }
    if (own && beyondEndpoints.numbers)
      addNumbers(endpoints, { ...labels, endpoint: 'other' }, beyondEndpoints.numbers);
  }
  if (beyondPorts.numbers.numbers) addNumbers(ports, OTHER_PORT, beyondPorts.numbers.numbers);
  if (beyondPorts.latency.numbers) addHistogram(latency, OTHER_PORT, beyondPorts.latency.numbers);
  if (beyondPorts.unverified.numbers) addNumbers([unverified], OTHER_PORT, beyondPorts.unverified.numbers);
  if (beyondPorts.endpoints.numbers) {
    addNumbers(endpoints, { ...OTHER_PORT, endpoint: 'other' }, beyondPorts.endpoints.numbers);
  }
  return [...ports, latency, unverified, ...endpoints];
}

/** Sums, position by position, what has no series of its own. */
class Sum {
  /** Undefined while nothing was added. */
  numbers: readonly number[] | undefined = undefined;

  add(more: readonly number[]): void {
    this.numbers = this.numbers ? this.numbers.map((number, i) => number + (more[i] ?? 0)) : more;
  }
}

function nameOf({ address, port }: EndpointMetrics): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}

function addNumbers(families: readonly Family[], labels: Labels, numbers: readonly number[]): void {
  families.forEach((family, i) => family.add(labels, numbers[i] ?? 0));
}

/** The shown buckets (each with all below it), the count, and the sum in s. */
function histogramNumbers(latency: LatencyHistogram): number[] {
  const buckets = SHOWN_BUCKETS.map(({ bucket }) => latency.countUpTo(bucket));
  return [...buckets, latency.count, latency.sumUs / 1_000_000];
}

function addHistogram(family: Family, labels: Labels, numbers: readonly number[]): void {
  const [count = 0, sum = 0] = numbers.slice(SHOWN_BUCKETS.length);
  SHOWN_BUCKETS.forEach(({ le }, i) => family.add({ ...labels, le }, numbers[i] ?? 0, '_bucket'));
  family.add({ ...labels, le: '+Inf' }, count, '_bucket');
  family.add(labels, sum, '_sum');
  family.add(labels, count, '_count');
}
