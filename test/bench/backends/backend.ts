// The origin behind every proxy, as cheap as can be had, since it shares its core with the load. HTTP/1.1 is answered
// by nginx from its configuration (`return 200`), the cheapest origin that is commonly installed; without nginx by a
// Node program on bare sockets. HTTP/2 is answered by such a program in any case (h2-answerer.ts says why). A large
// answer is a file without contents, sent by nginx.
import { truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { awaitPort, freePort } from '../await-ready.ts';
import { findProgram, readVersion } from '../installed.ts';
import { nginxPreamble } from '../peers/nginx.ts';
import { BULK_BYTES } from '../scenario.ts';
import type { Scenario } from '../scenario.ts';
import { runningOn } from '../workbench.ts';
import type { Running, Workbench } from '../workbench.ts';

const NODE_PROGRAM = fileURLToPath(new URL('./node-program.js', import.meta.url));
/** nginx takes no longer word in a configuration than 4 KiB. */
const WORD_BYTES = 1024;

/** A backend that is up, and what it is. */
export interface Backend extends Running {
  readonly title: string;
}

/** The program that a scenario's origin can't do without, if it isn't installed. */
export function neededByBackend(scenario: Scenario): string | undefined {
  return scenario.responseBody === undefined && findProgram('nginx') === undefined ? 'nginx' : undefined;
}

/** Starts the origin for a scenario. */
export async function startBackend(bench: Workbench, scenario: Scenario): Promise<Backend> {
  const port = await freePort();
  const isNginx = scenario.upstream === 'h1' || scenario.responseBody === undefined;
  const nginx = isNginx ? findProgram('nginx') : undefined;
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
  client_header_buffer_size 16k;
  sendfile on;
  server {
    listen ${scenario.backendAddress}:${port}${scenario.upstream === 'h2' ? ' http2' : ''};
    location / { ${scenario.responseBody === undefined ? bulkFile(folder) : returned(scenario.responseBody)} }
  }
}
`,
  );
  return ['-e', 'stderr', '-p', folder, '-c', file];
}

/** A long body is put together of a variable. */
function returned(body: Buffer): string {
  const text = body.toString('latin1');
  if (text.length <= WORD_BYTES) return `return 200 "${text}";`;
  const word = text.slice(0, WORD_BYTES);
  const times = text.length / WORD_BYTES;
  if (word.repeat(times) !== text) throw new Error('a long body of a scenario must be a pattern of 1 KiB');
  return `set $word "${word}"; return 200 "${'$word'.repeat(times)}";`;
}

function bulkFile(folder: string): string {
  const file = join(folder, 'bulk');
  writeFileSync(file, '');
  truncateSync(file, BULK_BYTES);
  return `root ${folder};`;
}
