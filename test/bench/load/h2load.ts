// h2load with one thread, for all that goes over HTTP/2.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { findProgram, readVersion } from '../installed.ts';
import type { Scenario } from '../scenario.ts';
import type { Workbench } from '../workbench.ts';
import { LATE_MS } from './load.ts';
import type { LoadOutcome, LoadTool } from './load.ts';

const MIB = 1024 * 1024;
/** Long calls of a measured second: they are counted, not timed, since an unfinished one can't be counted. */
const CALLS_PER_SECOND = 16;
/** How much longer than asked for such calls may take. */
const CALLS_PATIENCE = 20;

/** h2load, if it is installed. */
export function h2loadTool(): LoadTool | undefined {
  const program = findProgram('h2load');
  if (program === undefined) return undefined;
  return {
    title: `h2load ${readVersion(program, ['--version'], /nghttp2\/([\d.]+)/)}`,
    run: async (bench, scenario, port, seconds) => {
      const { requestBody, responseBody } = scenario;
      const isCounted = scenario.unit === 'MiB';
      const calls = CALLS_PER_SECOND * seconds;
      const extent = isCounted ? ['-n', String(calls)] : ['-D', String(seconds)];
      const args = h2loadArguments(bench, scenario, port, extent);
      const patienceMs = seconds * 1000 * (isCounted ? CALLS_PATIENCE : 1) + LATE_MS;
      const { stdout } = await bench.children.run('others', program, args, patienceMs);
      if (!isCounted) return parseH2loadResult(stdout, seconds);
      const outcome = parseH2loadResult(stdout, parseH2loadTime(stdout));
      if (outcome.trouble === '') checkBytes(stdout, calls * (responseBody?.length ?? 0));
      return { ...outcome, answered: (calls * ((requestBody?.length ?? 0) + (responseBody?.length ?? 0))) / MIB };
    },
  };
}

function h2loadArguments(bench: Workbench, scenario: Scenario, port: number, extent: readonly string[]): string[] {
  const args = ['-t', '1', '-c', String(scenario.connections), '-m', String(scenario.streams), ...extent];
  if (scenario.requestBody !== undefined) {
    const file = join(bench.folder, 'request-body');
    writeFileSync(file, scenario.requestBody);
    args.push('-d', file);
  }
  if (scenario.isGrpc) args.push('-H', 'content-type: application/grpc', '-H', 'te: trailers');
  args.push(`${scenario.tls ? 'https' : 'http'}://127.0.0.1:${port}${scenario.path}`);
  return args;
}

/** Reads h2load's summary. With a time asked for `finished in` is rounded, so that counts instead. */
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

/** Seconds that h2load took, from its summary: `finished in 1.02s` or `finished in 870.31ms`. */
export function parseH2loadTime(stdout: string): number {
  const [, value, unit] = /^finished in ([\d.]+)(m?s),/m.exec(stdout) ?? [];
  if (value === undefined) throw new Error(`h2load printed no time: ${stdout}`);
  return Number(value) / (unit === 'ms' ? 1000 : 1);
}

/** Throws if the bytes of DATA in the summary are not those of the whole answers. */
function checkBytes(stdout: string, expected: number): void {
  const bytes = Number(/^traffic: .* \((\d+)\) data$/m.exec(stdout)?.[1]);
  if (bytes !== expected) throw new Error(`${bytes} bytes of answers came instead of ${expected}`);
}
