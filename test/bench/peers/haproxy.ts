// HAProxy with one thread, an active TCP check, three retries and redispatch, upstream connections shared by all
// requests; no log.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { awaitPort, freePort } from '../await-ready.ts';
import { findProgram, readVersion } from '../installed.ts';
import { MANY_ENDPOINTS, type Scenario } from '../scenario.ts';
import { runningOn } from '../workbench.ts';
import { loopbackAddress } from './loopback.ts';
import { checkSeconds } from './mesh-resources.ts';
import type { Peer } from './peer.ts';

/** HAProxy in front of the one origin. */
export const haproxyPeer = peerOf('haproxy', 1);
/** HAProxy with many endpoints, all of them the one origin. */
export const haproxyManyEndpointsPeer = peerOf('haproxy-many-endpoints', MANY_ENDPOINTS);

function peerOf(name: string, endpoints: number): Peer {
  return {
    name,
    isJit: false,

    probe: () => {
      const program = findProgram('haproxy');
      if (program === undefined) return { missing: 'haproxy is not installed' };
      return { version: readVersion(program, ['-v'], /version ([\d.]+)/) };
    },

    start: async (bench, scenario, backendPort) => {
      const port = await freePort();
      const file = join(bench.folder, `${name}.cfg`);
      writeFileSync(file, configuration(scenario, endpoints, bench.certificate.both, port, backendPort));
      const program = findProgram('haproxy') ?? 'haproxy';
      const child = await bench.children.start('proxy', program, ['-db', '-f', file]);
      await awaitPort(child, name, port);
      return runningOn(bench, child, port);
    },
  };
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
