// HAProxy with one thread, an active TCP check, three retries and redispatch, upstream connections shared by all
// requests; no log.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { awaitPort, freePort } from '../await-ready.ts';
import { findProgram, readVersion } from '../installed.ts';
import { runningOn } from '../workbench.ts';
import type { Peer } from './peer.ts';

/** HAProxy as a reverse proxy. */
export const haproxyPeer: Peer = {
  name: 'haproxy',
  isJit: false,

  probe: () => {
    const program = findProgram('haproxy');
    if (program === undefined) return { missing: 'haproxy is not installed' };
    return { version: readVersion(program, ['-v'], /version ([\d.]+)/) };
  },

  start: async (bench, scenario, backendPort) => {
    const port = await freePort();
    const front = scenario.downstream === 'h2' ? ' proto h2' : '';
    const back = scenario.upstream === 'h2' ? ' proto h2' : '';
    const { both } = bench.certificate;
    const secure = ` ssl crt ${both} ssl-min-ver TLSv1.3 alpn ${front === '' ? 'http/1.1' : 'h2'}`;
    const file = join(bench.folder, 'haproxy.cfg');
    writeFileSync(
      file,
      `global
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
  server one 127.0.0.1:${backendPort} check inter 1s${back}
`,
    );
    const program = findProgram('haproxy') ?? 'haproxy';
    const child = await bench.children.start('proxy', program, ['-db', '-f', file]);
    await awaitPort(child, 'haproxy', port);
    return runningOn(bench, child, port);
  },
};
