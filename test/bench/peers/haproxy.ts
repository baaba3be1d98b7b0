// HAProxy with one thread, an active TCP check, three retries and redispatch, upstream connections shared by all
// requests; no log.
import { MANY_ENDPOINTS, type Scenario } from '../scenario.ts';
import { installedPeer } from './installed-peer.ts';
import { loopbackAddress } from './loopback.ts';
import { checkSeconds } from './mesh-resources.ts';
import type { Peer } from './peer.ts';

/** HAProxy in front of the one origin. */
export const haproxyPeer = peerOf('haproxy', 1);
/** HAProxy with many endpoints, all of them the one origin. */
export const haproxyManyEndpointsPeer = peerOf('haproxy-many-endpoints', MANY_ENDPOINTS);

function peerOf(name: string, endpoints: number): Peer {
  return installedPeer({
    name,
    program: 'haproxy',
    version: ['-v', /version ([\d.]+)/],
    file: `${name}.cfg`,
    args: (file) => ['-db', '-f', file],
    configuration: (bench, scenario, port, backendPort) =>
      configuration(scenario, endpoints, bench.certificate.both, port, backendPort),
  });
}

function configuration(
  scenario: Scenario,
  endpoints: number,
  certificate: string,
  port: number,
  backendPort: number,
): string {
  const front = scenario.downstream === 'h2' ? ' proto h2' : '';
  const back = scenario.upstream === 'h2' ? ' proto h2' : '';
  const secure = ` ssl crt ${certificate} ssl-min-ver TLSv1.3 alpn ${front === '' ? 'http/1.1' : 'h2'}`;
  const check = `check inter ${checkSeconds(endpoints)}s`;
  const servers = Array.from(
    { length: endpoints },
    (_, index) => `  server s${index} ${loopbackAddress(index)}:${backendPort} ${check}${back}\n`,
  );
  return `global
  nbthread 1
  maxconn 12288
  no strict-limits

defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  option http-keep-alive
  option forwardfor
  option redispatch
  retries 3
  http-reuse always

frontend bench
  bind 127.0.0.1:${port}${scenario.tls ? secure : front}
  default_backend origin

backend origin
  balance roundrobin
${servers.join('')}`;
}
