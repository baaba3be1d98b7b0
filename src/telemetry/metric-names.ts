// Every counter and gauge that Prometheus sees, defined once: name, help, labels, and where its value stands. Only the
// histogram and the few gauges that are computed stand in prometheus.ts.
import { CounterCell, ERROR_KINDS, LOCAL_REPLY_CELL } from './counters.ts';

/** Label names and values of a series. */
export type Labels = Record<string, string>;

/** Process-wide counters: metric, help, then pairs of labels and cell. */
export const PROCESS_COUNTERS: readonly [
  name: string,
  help: string,
  series: readonly [labels: Labels, cell: number][],
][] = [
  [
    'outrigger_downstream_connections_total',
    'Downstream connections by HTTP version.',
    [
      [{ version: '1' }, CounterCell.Http1Opened],
      [{ version: '2' }, CounterCell.Http2Opened],
    ],
  ],
  [
    'outrigger_downstream_connections_refused_total',
    'Downstream connections that were refused.',
    [[{}, CounterCell.ConnectionsRefused]],
  ],
  [
    'outrigger_downstream_requests_total',
    'Requests by HTTP version.',
    [
      [{ version: '1.0' }, CounterCell.RequestsHttp10],
      [{ version: '1.1' }, CounterCell.RequestsHttp11],
      [{ version: '2' }, CounterCell.RequestsHttp2],
    ],
  ],
  [
    'outrigger_downstream_responses_total',
    'Answers by class of the HTTP status.',
    [
      [{ class: '1xx' }, CounterCell.Responses1xx],
      [{ class: '2xx' }, CounterCell.Responses2xx],
      [{ class: '3xx' }, CounterCell.Responses3xx],
      [{ class: '4xx' }, CounterCell.Responses4xx],
      [{ class: '5xx' }, CounterCell.Responses5xx],
    ],
  ],
  [
    'outrigger_downstream_grpc_responses_total',
    'gRPC answers by outcome.',
    [
      [{ outcome: 'ok' }, CounterCell.GrpcOk],
      [{ outcome: 'error' }, CounterCell.GrpcFailed],
    ],
  ],
  [
    'outrigger_local_replies_total',
    'Answers and cuts that the sidecar itself made, by kind.',
    ERROR_KINDS.map((kind) => [{ kind }, LOCAL_REPLY_CELL[kind]]),
  ],
  [
    'outrigger_session_refused_total',
    'Requests and connections refused before the proxy saw them.',
    [[{}, CounterCell.SessionRefused]],
  ],
  ['outrigger_downstream_resets_total', 'Requests cut by the caller.', [[{}, CounterCell.DownstreamResets]]],
  ['outrigger_upstream_resets_total', 'Attempts cut by the upstream.', [[{}, CounterCell.UpstreamResets]]],
  ['outrigger_downstream_received_bytes_total', 'Bytes from callers.', [[{}, CounterCell.DownstreamBytesReceived]]],
  ['outrigger_downstream_sent_bytes_total', 'Bytes to callers.', [[{}, CounterCell.DownstreamBytesSent]]],
  ['outrigger_upstream_received_bytes_total', 'Bytes from upstreams.', [[{}, CounterCell.UpstreamBytesReceived]]],
  ['outrigger_upstream_sent_bytes_total', 'Bytes to upstreams.', [[{}, CounterCell.UpstreamBytesSent]]],
  ['outrigger_upstream_connections_total', 'Upstream connections opened.', [[{}, CounterCell.UpstreamOpened]]],
  [
    'outrigger_upstream_connect_failures_total',
    'Upstream connections that could not be opened.',
    [[{}, CounterCell.UpstreamConnectFailed]],
  ],
  [
    'outrigger_downstream_tls_handshakes_total',
    'TLS handshakes with callers by result.',
    [
      [{ result: 'full' }, CounterCell.DownstreamHandshakes],
      [{ result: 'resumed' }, CounterCell.DownstreamHandshakesResumed],
      [{ result: 'failed' }, CounterCell.DownstreamHandshakesFailed],
    ],
  ],
  [
    'outrigger_upstream_tls_handshakes_total',
    'TLS handshakes with endpoints by result.',
    [
      [{ result: 'full' }, CounterCell.UpstreamHandshakes],
      [{ result: 'resumed' }, CounterCell.UpstreamHandshakesResumed],
      [{ result: 'failed' }, CounterCell.UpstreamHandshakesFailed],
    ],
  ],
];

/** Metrics of an upstream port: type, metric, help, field of PortMetrics. Labels: upstream, port. */
export const PORT_METRICS = [
  ['counter', 'outrigger_upstream_requests_total', 'Requests of an upstream port.', 'requests'],
  ['counter', 'outrigger_upstream_successes_total', 'Requests that ended well for the caller.', 'successes'],
  ['counter', 'outrigger_upstream_failures_total', 'Requests that did not.', 'failures'],
  ['counter', 'outrigger_upstream_retries_total', 'Attempts after the first.', 'retries'],
  ['counter', 'outrigger_upstream_retries_refused_total', 'Attempts the retry budget refused.', 'retriesRefused'],
  ['gauge', 'outrigger_upstream_requests_in_flight', 'Requests in flight.', 'inFlight'],
  ['gauge', 'outrigger_upstream_pending_requests', 'Attempts that wait for a connection.', 'pending'],
  ['gauge', 'outrigger_upstream_port_connections', 'Connections open or opening.', 'connections'],
  ['gauge', 'outrigger_upstream_retries_in_flight', 'Further attempts in flight.', 'retriesInFlight'],
  ['counter', 'outrigger_upstream_overflow_requests_total', 'Requests that max_requests refused.', 'overflowRequests'],
  [
    'counter',
    'outrigger_upstream_overflow_pending_total',
    'Attempts that max_pending_requests refused.',
    'overflowPending',
  ],
  ['counter', 'outrigger_upstream_overflow_retries_total', 'Retries that max_retries refused.', 'overflowRetries'],
  [
    'counter',
    'outrigger_upstream_overflow_connections_total',
    'Times that max_connections stood in the way of a connection.',
    'overflowConnections',
  ],
  [
    'counter',
    'outrigger_upstream_overflow_endpoints_total',
    'Requests for which every endpoint had max_requests_per_endpoint in flight.',
    'overflowEndpoints',
  ],
  ['gauge', 'outrigger_upstream_endpoints_ejected', 'Endpoints ejected by outlier_detection.', 'ejected'],
  ['counter', 'outrigger_upstream_ejections_total', 'Ejections.', 'ejections'],
  [
    'counter',
    'outrigger_upstream_ejections_overflow_total',
    'Detections that max_ejection_percent kept from ejecting.',
    'ejectionsOverflow',
  ],
  [
    'counter',
    'outrigger_upstream_picks_without_health_total',
    'Picks while checks and detection were ignored.',
    'panicPicks',
  ],
  ['counter', 'outrigger_upstream_hash_fallbacks_total', 'Requests without a value to hash.', 'hashFallbacks'],
] as const;

/** Metrics of an endpoint: type, metric, help, field of EndpointMetrics. Labels: upstream, port, endpoint. */
export const ENDPOINT_METRICS = [
  ['counter', 'outrigger_endpoint_attempts_total', 'Attempts sent to an endpoint.', 'attempts'],
  ['counter', 'outrigger_endpoint_successes_total', 'Attempts answered well.', 'successes'],
  ['counter', 'outrigger_endpoint_failures_total', 'Attempts that failed.', 'failures'],
  ['gauge', 'outrigger_endpoint_attempts_in_flight', 'Attempts in flight.', 'inFlight'],
  ['gauge', 'outrigger_endpoint_connections', 'Connections open.', 'connections'],
  ['gauge', 'outrigger_endpoint_ejected', 'Whether it is ejected (of "other": how many).', 'ejected'],
  ['counter', 'outrigger_endpoint_ejections_total', 'Ejections.', 'ejections'],
  ['gauge', 'outrigger_endpoint_usable', 'Whether the balancer picks it (of "other": how many).', 'usable'],
] as const;
