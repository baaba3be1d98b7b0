import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { findProgram, readVersion } from '../installed.ts';
import { LATE_MS } from './load.ts';
import type { LoadOutcome, LoadTool } from './load.ts';

/** h2load with one thread, if it is installed. */
export function h2loadTool(): LoadTool | undefined {
  const program = findProgram('h2load');
  if (program === undefined) return undefined;
  return {
    title: `h2load ${readVersion(program, ['--version'], /nghttp2\/([\d.]+)/)}`,
    run: async (bench, scenario, port, seconds) => {
      const args = ['-t', '1', '-c', String(scenario.connections), '-m', String(scenario.streams), '-D', `${seconds}`];
      if (scenario.requestBody !== undefined) {
        const file = join(bench.folder, 'request-body');
        writeFileSync(file, scenario.requestBody);
        args.push('-d', file);
      }
      if (scenario.protocol === 'grpc') args.push('-H', 'content-type: application/grpc', '-H', 'te: trailers');
      args.push(`${scenario.tls ? 'https' : 'http'}://127.0.0.1:${port}${scenario.path}`);
      const { stdout } = await bench.children.run('others', program, args, seconds * 1000 + LATE_MS);
      return parseH2loadResult(stdout, seconds);
    },
  };
}

/** Reads h2load's summary. `finished in` is rounded, so the time asked for counts. */
export function parseH2loadResult(stdout: string, seconds: number): LoadOutcome {
  const requests = /^requests: (\d+) total, .* (\d+) failed, (\d+) errored, (\d+) timeout$/m.exec(stdout);
  const statuses = /^status codes: (\d+) 2xx, (\d+) 3xx, (\d+) 4xx, (\d+) 5xx$/m.exec(stdout);
  if (requests === null || statuses === null) throw new Error(`h2load printed no summary: ${stdout}`);
  const [, , failed, errored, timeout] = requests.map(Number);
  const [, answered = 0, ...others] = statuses.map(Number);
  const wrong = others.reduce((sum, count) => sum + count, 0);
  const trouble = Object.entries({ failed, errored, timeout, 'other status': wrong })
    .filter(([, count]) => count !== 0)
    .map(([what, count]) => `${count} × ${what}`)
    .join(', ');
  return { answered, seconds, trouble };
}
