// The origin behind every proxy, as cheap as can be had, since it shares its core with the load. HTTP/1.1 is answered
// by nginx from its configuration (`return 200`), the cheapest origin that is commonly installed; without nginx by a
// Node program on bare sockets. Calls are answered by such a program in any case (grpc-answerer.ts says why).
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { awaitPort, freePort } from '../await-ready.ts';
import { findProgram, readVersion } from '../installed.ts';
import { nginxPreamble } from '../peers/nginx.ts';
import type { Scenario } from '../scenario.ts';
import { runningOn } from '../workbench.ts';
import type { Running, Workbench } from '../workbench.ts';

const NODE_PROGRAM = fileURLToPath(new URL('./node-program.js', import.meta.url));

/** A backend that is up, and what it is. */
export interface Backend extends Running {
  readonly title: string;
}

/** Starts the origin for a scenario. */
export async function startBackend(bench: Workbench, scenario: Scenario): Promise<Backend> {
  const port = await freePort();
  const nginx = scenario.protocol === 'grpc' ? undefined : findProgram('nginx');
  const [program, args, title] =
    nginx === undefined
      ? [process.execPath, [NODE_PROGRAM, scenario.name, String(port)], `own answerer on Node ${process.version}`]
      : [nginx, nginxArguments(bench.folder, scenario, port), `nginx ${readVersion(nginx, ['-v'], /nginx\/([\d.]+)/)}`];
  const child = await bench.children.start('others', program, args);
  await awaitPort(child, 'the backend', port);
  return { ...runningOn(bench, child, port), title };
}

function nginxArguments(folder: string, scenario: Scenario, port: number): string[] {
  const file = join(folder, 'nginx-backend.conf');
  writeFileSync(
    file,
    `${nginxPreamble(folder, 'nginx-backend')}
  default_type text/plain;
  server {
    listen 127.0.0.1:${port};
    location / { return 200 "${scenario.responseBody.toString('latin1')}"; }
  }
}
`,
  );
  return ['-e', 'stderr', '-p', folder, '-c', file];
}
