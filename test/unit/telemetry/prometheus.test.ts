import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { CounterCell, LOCAL_REPLY_CELL } from '../../../src/telemetry/counters.ts';
import { LatencyHistogram } from '../../../src/telemetry/histogram.ts';
import { createExposition, DEFAULT_SERIES_CAPS } from '../../../src/telemetry/prometheus.ts';
import {
  certificateView,
  endpointView,
  FakeSidecarView,
  portView,
  SINCE_WALL_MS,
} from '../../support/fake-sidecar-view.ts';

/** Series → value; fails on a series that comes twice or has no TYPE before it. */
function parse(text: string): Map<string, number> {
  const series = new Map<string, number>();
  const types = new Map<string, string>();
  for (const line of text.split('\n')) {
    const type = /^# TYPE (\S+) (\S+)$/.exec(line);
    if (type) {
      assert.ok(!types.has(type[1]!), `${type[1]} is declared twice`);
      types.set(type[1]!, type[2]!);
    }
    if (line === '' || line.startsWith('#')) continue;
    const match = /^([a-z_][a-z0-9_]*)(\{.*\})? (\S+)$/.exec(line);
    assert.ok(match, line);
    const name = match[1]!;
    assert.ok(types.has(name) || types.has(name.replace(/_(bucket|sum|count)$/, '')), `${name} has no type`);
    const key = name + (match[2] ?? '');
    assert.ok(!series.has(key), `${key} comes twice`);
    series.set(key, Number(match[3]));
  }
  return series;
}

test('cells, ports, endpoints and the process come out under bounded names', async () => {
  const view = new FakeSidecarView();
  view.counters.count(CounterCell.Http1Opened);
  view.counters.count(CounterCell.Http1Opened);
  view.counters.count(CounterCell.Http1Closed);
  view.counters.add(CounterCell.DownstreamBytesSent, 1234);
  view.counters.count(LOCAL_REPLY_CELL.no_route);
  const latency = new LatencyHistogram();
  latency.record(400);
  latency.record(4000);
  latency.record(60_000_000);
  view.portList = [
    portView({ requests: 3, retries: 1, latency }, [
      endpointView({ address: '::1', attempts: 4, failures: 1, successes: 3 }),
    ]),
  ];
  // Also the only test that makes it twice: two registries must not disturb each other.
  const exposition = await createExposition(view);
  await exposition.render();
  const series = parse(await exposition.render());
  assert.match(exposition.contentType, /^text\/plain/);
  assert.equal(series.get('outrigger_downstream_connections_total{version="1"}'), 2);
  assert.equal(series.get('outrigger_downstream_connections{version="1"}'), 1);
  assert.equal(series.get('outrigger_downstream_connections{version="none"}'), 4);
  assert.equal(series.get('outrigger_downstream_connections_limit'), 9000);
  assert.equal(series.get('outrigger_downstream_sent_bytes_total'), 1234);
  assert.equal(series.get('outrigger_local_replies_total{kind="no_route"}'), 1);
  assert.equal(series.get('outrigger_local_replies_total{kind="overflow"}'), 0);
  assert.equal(series.get('outrigger_snapshot'), 7);
  assert.equal(series.get('outrigger_gateway_routes'), 3);
  assert.equal(series.get('outrigger_gateway_limit_evictions_total'), 1);
  assert.equal(series.get('outrigger_control_connected'), 1);
  assert.equal(series.get('outrigger_upstream_requests_total{upstream="shop/cart",port="80"}'), 3);
  assert.equal(series.get('outrigger_endpoint_attempts_total{upstream="shop/cart",port="80",endpoint="[::1]:80"}'), 4);
  const histogram = 'outrigger_upstream_request_duration_seconds';
  assert.equal(series.get(`${histogram}_bucket{upstream="shop/cart",port="80",le="0.0005"}`), 1);
  assert.equal(series.get(`${histogram}_bucket{upstream="shop/cart",port="80",le="0.005"}`), 2);
  assert.equal(series.get(`${histogram}_bucket{upstream="shop/cart",port="80",le="+Inf"}`), 3);
  assert.equal(series.get(`${histogram}_count{upstream="shop/cart",port="80"}`), 3);
  assert.equal(series.get(`${histogram}_sum{upstream="shop/cart",port="80"}`), 60.0044);
  assert.ok((series.get('process_cpu_seconds_total') ?? 0) > 0);
});

test('beyond the caps, ports and endpoints are summed and nothing is lost', async () => {
  const view = new FakeSidecarView();
  view.portList = Array.from({ length: 5 }, (_, p) => {
    const latency = new LatencyHistogram();
    latency.record(1000);
    return portView(
      { servicePort: p + 1, requests: 10, latency },
      Array.from({ length: 4 }, (_, e) => endpointView({ port: e + 1, attempts: 1 })),
    );
  });
  const exposition = await createExposition(view, { ...DEFAULT_SERIES_CAPS, ports: 3, endpoints: 6 });
  const series = parse(await exposition.render());
  const of = (name: string): [string, number][] => [...series].filter(([key]) => key.startsWith(name));
  const sum = (name: string): number => of(name).reduce((total, [, value]) => total + value, 0);
  assert.equal(of('outrigger_upstream_requests_total').length, 4);
  assert.equal(sum('outrigger_upstream_requests_total'), 50);
  assert.equal(series.get('outrigger_upstream_requests_total{upstream="other",port=""}'), 20);
  assert.equal(sum('outrigger_upstream_request_duration_seconds_count'), 5);
  // 6 of their own; ports 2 and 3 have a rest, and so have the ports beyond the cap.
  assert.equal(of('outrigger_endpoint_attempts_total').length, 9);
  assert.equal(sum('outrigger_endpoint_attempts_total'), 20);
  assert.equal(series.get('outrigger_endpoint_usable{upstream="other",port="",endpoint="other"}'), 8);
});

test('names from outside can’t break the format', async () => {
  const view = new FakeSidecarView();
  view.portList = [portView({ upstream: 'a"b\\c\nd' })];
  view.certificateList = [certificateView({ name: 'a"b\\c\nd' })];
  const text = await (await createExposition(view)).render();
  assert.ok(text.includes('outrigger_upstream_requests_total{upstream="a\\"b\\\\c\\nd",port="80"} 0'));
  const metric = 'outrigger_certificate_not_after_timestamp_seconds';
  assert.ok(text.includes(`${metric}{name="a\\"b\\\\c\\nd",kind="certificate"} `));
});

test('certificates, ports that verify nothing, and handshakes', async () => {
  const view = new FakeSidecarView();
  view.counters.count(CounterCell.DownstreamHandshakes);
  view.counters.count(CounterCell.DownstreamHandshakesResumed);
  view.counters.add(CounterCell.UpstreamHandshakesFailed, 3);
  const missing = certificateView({ name: 'Secret shop/none', info: undefined, error: 'the Secret is missing' });
  view.certificateList = [certificateView(), certificateView({ kind: 'authorities' }), missing];
  view.portList = [
    portView({ servicePort: 1, tlsVerified: true }),
    portView({ servicePort: 2, tlsVerified: false }),
    portView({ servicePort: 3 }),
    portView({ servicePort: 4, tlsVerified: false }),
    portView({ servicePort: 5, tlsVerified: false }),
  ];
  const exposition = await createExposition(view, { ...DEFAULT_SERIES_CAPS, ports: 3 });
  const series = parse(await exposition.render());
  const of = (name: string): [string, number][] => [...series].filter(([key]) => key.startsWith(name));
  const expiry = 'outrigger_certificate_not_after_timestamp_seconds';
  const seconds = SINCE_WALL_MS / 1000 + 86_400;
  assert.deepEqual(of(expiry), [
    [`${expiry}{name="Secret shop/tls",kind="certificate"}`, seconds],
    [`${expiry}{name="Secret shop/tls",kind="authorities"}`, seconds],
  ]);
  assert.deepEqual(of('outrigger_upstream_tls_unverified'), [
    ['outrigger_upstream_tls_unverified{upstream="shop/cart",port="1"}', 0],
    ['outrigger_upstream_tls_unverified{upstream="shop/cart",port="2"}', 1],
    ['outrigger_upstream_tls_unverified{upstream="other",port=""}', 2],
  ]);
  assert.deepEqual(of('outrigger_downstream_tls_handshakes_total'), [
    ['outrigger_downstream_tls_handshakes_total{result="full"}', 1],
    ['outrigger_downstream_tls_handshakes_total{result="resumed"}', 1],
    ['outrigger_downstream_tls_handshakes_total{result="failed"}', 0],
  ]);
  assert.equal(series.get('outrigger_upstream_tls_handshakes_total{result="failed"}'), 3);
});

test('docs/operating.md lists every metric, and no other', async () => {
  const view = new FakeSidecarView();
  const text = await (await createExposition(view)).render();
  const shown = [...text.matchAll(/^# TYPE (outrigger_\S+)/gm)].map(([, name]) => name);
  const page = await readFile('docs/operating.md', 'utf8');
  const listed = [...page.matchAll(/^\| `(outrigger_[a-z0-9_]+)/gm)].map(([, name]) => name);
  assert.deepEqual(new Set(listed), new Set(shown));
});
