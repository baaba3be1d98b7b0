// Envoy with one worker thread, an active TCP check, two retries of what never reached the origin, 60 s for a request as the
// sidecar and HAProxy have, no log. Its limits of connections and requests are lifted; the rest is as it comes.
import type { CertificateFiles } from '../certificate.ts';
import { MANY_ENDPOINTS, MANY_ROUTES } from '../scenario.ts';
import type { Scenario, Version } from '../scenario.ts';
import { installedPeer } from './installed-peer.ts';
import { loopbackAddress } from './loopback.ts';
import { checkSeconds } from './mesh-resources.ts';
import type { Peer } from './peer.ts';

const PROTO = 'type.googleapis.com/envoy';
const LIMIT = 1_000_000;

/** What Envoy is to do; the scenario says the rest. */
interface Shape {
  readonly endpoints: number;
  readonly routes: number;
}

/** Envoy in front of the one origin. */
export const envoyPeer = peerOf('envoy', { endpoints: 1, routes: 1 });
/** Envoy with many endpoints, all of them the one origin. */
export const envoyManyEndpointsPeer = peerOf('envoy-many-endpoints', { endpoints: MANY_ENDPOINTS, routes: 1 });
/** Envoy with many prefix routes to one cluster. */
export const envoyManyRoutesPeer = peerOf('envoy-many-routes', { endpoints: 1, routes: MANY_ROUTES });

function peerOf(name: string, shape: Shape): Peer {
  return installedPeer({
    name,
    program: 'envoy',
    version: ['--version', /\/(\d+\.\d+\.\d+)\//],
    file: `${name}.json`,
    args: (file) => [
      ...['-c', file, '--concurrency', '1', '--disable-hot-restart'],
      ...['--use-dynamic-base-id', '--log-level', 'error'],
    ],
    configuration: (bench, scenario, port, backendPort) =>
      JSON.stringify(configuration(shape, bench.certificate, scenario, port, backendPort)),
  });
}

function configuration(
  shape: Shape,
  certificate: CertificateFiles,
  scenario: Scenario,
  port: number,
  backendPort: number,
): object {
  return {
    static_resources: {
      listeners: [
        {
          name: 'bench',
          address: { socket_address: { address: '127.0.0.1', port_value: port } },
          filter_chains: [
            {
              filters: [{ name: 'http', typed_config: connectionManager(scenario, shape.routes) }],
              ...(scenario.tls ? { transport_socket: secure(scenario.downstream, certificate) } : {}),
            },
          ],
        },
      ],
      clusters: [cluster(scenario, shape.endpoints, backendPort)],
    },
  };
}

function connectionManager(scenario: Scenario, routes: number): object {
  const route = {
    cluster: 'origin',
    timeout: '60s',
    retry_policy: { retry_on: 'connect-failure,refused-stream', num_retries: 2 },
  };
  const prefixes = routes === 1 ? ['/'] : Array.from({ length: routes }, (_, index) => `/r${index}/`);
  return {
    '@type': `${PROTO}.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager`,
    stat_prefix: 'bench',
    codec_type: scenario.downstream === 'h2' ? 'HTTP2' : 'HTTP1',
    // Adds X-Forwarded-For.
    use_remote_address: true,
    common_http_protocol_options: { idle_timeout: '600s' },
    http2_protocol_options: { max_concurrent_streams: 1024 },
    route_config: {
      virtual_hosts: [
        { name: 'all', domains: ['*'], routes: prefixes.map((prefix) => ({ match: { prefix }, route })) },
      ],
    },
    http_filters: [{ name: 'router', typed_config: { '@type': `${PROTO}.extensions.filters.http.router.v3.Router` } }],
  };
}

function cluster(scenario: Scenario, endpoints: number, backendPort: number): object {
  const interval = `${checkSeconds(endpoints)}s`;
  const check = {
    timeout: '1s',
    interval,
    no_traffic_interval: interval,
    unhealthy_threshold: 2,
    healthy_threshold: 2,
    tcp_health_check: {},
  };
  const thresholds = ['DEFAULT', 'HIGH'].map((priority) => ({
    priority,
    max_connections: LIMIT,
    max_pending_requests: LIMIT,
    max_requests: LIMIT,
    max_retries: LIMIT,
  }));
  const protocol = scenario.upstream === 'h2' ? 'http2_protocol_options' : 'http_protocol_options';
  return {
    name: 'origin',
    type: 'STATIC',
    connect_timeout: '5s',
    lb_policy: 'ROUND_ROBIN',
    health_checks: [check],
    circuit_breakers: { thresholds },
    typed_extension_protocol_options: {
      'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
        '@type': `${PROTO}.extensions.upstreams.http.v3.HttpProtocolOptions`,
        common_http_protocol_options: { idle_timeout: '600s' },
        explicit_http_config: { [protocol]: {} },
      },
    },
    load_assignment: {
      cluster_name: 'origin',
      endpoints: [
        {
          lb_endpoints: Array.from({ length: endpoints }, (_, index) => ({
            endpoint: {
              address: { socket_address: { address: loopbackAddress(index), port_value: backendPort } },
            },
          })),
        },
      ],
    },
  };
}

function secure(downstream: Version, { certificate, key }: CertificateFiles): object {
  return {
    name: 'tls',
    typed_config: {
      '@type': `${PROTO}.extensions.transport_sockets.tls.v3.DownstreamTlsContext`,
      common_tls_context: {
        alpn_protocols: [downstream === 'h2' ? 'h2' : 'http/1.1'],
        tls_params: { tls_minimum_protocol_version: 'TLSv1_3', tls_maximum_protocol_version: 'TLSv1_3' },
        tls_certificates: [{ certificate_chain: { filename: certificate }, private_key: { filename: key } }],
      },
    },
  };
}
