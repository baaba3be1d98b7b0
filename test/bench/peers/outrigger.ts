// The sidecar as its users start it: one static listener, everything else by default. `--before FILE` puts a second
// build beside it, so that a change is measured against what it replaces in the same run.
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { awaitReadyLine, freePort } from '../await-ready.ts';
import { readVersion } from '../installed.ts';
import { runningOn } from '../workbench.ts';
import type { Peer } from './peer.ts';

/** The program of the build that this bench belongs to. */
export const OWN_PROGRAM = fileURLToPath(new URL('../../../src/main.js', import.meta.url));

/** A build of the sidecar; `program` is its main.js. */
export function outriggerPeer(name: string, program: string): Peer {
  return {
    name,

    probe: (bench) => {
      if (!existsSync(program)) return { missing: `${program} doesn't exist` };
      return { version: `on Node ${readVersion(bench.node, ['--version'], /v([\d.]+)/)}` };
    },

    start: async (bench, scenario, backendPort) => {
      const listen = `127.0.0.1:${await freePort()}`;
      const scheme = scenario.protocol === 'grpc' ? 'grpc' : 'http';
      const child = await bench.children.start('proxy', bench.node, [
        program,
        'run',
        ...['--listen', listen, '--to', `127.0.0.1:${backendPort}`, '--scheme', scheme],
        ...(scenario.tls ? ['--tls-cert', bench.certificate.certificate, '--tls-key', bench.certificate.key] : []),
        ...['--admin', '127.0.0.1:0', '--health', '127.0.0.1:0'],
      ]);
      const port = listenerPort(await awaitReadyLine(child, name));
      return runningOn(bench, child, port);
    },
  };
}

/** The port of the one listener in the line that the sidecar prints when it is ready. */
function listenerPort(ready: unknown): number {
  const listeners = typeof ready === 'object' && ready !== null && 'listeners' in ready ? ready.listeners : undefined;
  const first: unknown = Array.isArray(listeners) ? listeners[0] : undefined;
  const address = typeof first === 'object' && first !== null && 'address' in first ? first.address : undefined;
  const port = typeof address === 'string' ? Number(address.slice(address.lastIndexOf(':') + 1)) : Number.NaN;
  if (!Number.isInteger(port)) throw new Error(`the ready line names no listener: ${JSON.stringify(ready)}`);
  return port;
}
