// What one writes in TypeScript without codecs of one's own: node:http or node:https with an Agent, node:http2 on both
// sides.
import { fileURLToPath } from 'node:url';
import { awaitPort, freePort } from '../await-ready.ts';
import { readVersion } from '../installed.ts';
import { runningOn } from '../workbench.ts';
import type { Peer } from './peer.ts';

const PROGRAM = fileURLToPath(new URL('./node-http-program.js', import.meta.url));

/** A proxy of streams over Node's own HTTP modules. */
export const nodeHttpPeer: Peer = {
  name: 'node-http',
  isJit: true,

  probe: (bench) => ({ version: `on Node ${readVersion(bench.node, ['--version'], /v([\d.]+)/)}` }),

  start: async (bench, scenario, backendPort) => {
    const port = await freePort();
    const args = [PROGRAM, scenario.downstream, String(port), String(backendPort)];
    if (scenario.tls) args.push(bench.certificate.certificate, bench.certificate.key);
    const child = await bench.children.start('proxy', bench.node, args);
    await awaitPort(child, 'node-http', port);
    return runningOn(bench, child, port);
  },
};
