import { findProgram, readVersion } from '../installed.ts';
import { BULK_BYTES } from '../scenario.ts';
import { LATE_MS } from './load.ts';
import type { LoadTool } from './load.ts';

/** Seconds that a gibibyte may take. */
const PATIENCE_SECONDS = 20;

/** curl, if it is installed: takes one large answer after the other until the time is over; counts whole ones. */
export function curlTool(): LoadTool | undefined {
  const program = findProgram('curl');
  if (program === undefined) return undefined;
  return {
    title: `curl ${readVersion(program, ['--version'], /curl ([\d.]+)/)}`,
    run: async (bench, scenario, port, seconds) => {
      const version = scenario.downstream === 'h2' ? '--http2-prior-knowledge' : '--http1.1';
      const url = `http://127.0.0.1:${port}${scenario.path}`;
      const format = '%{http_code} %{size_download} %{time_total}';
      let answered = 0;
      let spent = 0;
      while (spent < seconds) {
        const args = ['-s', version, '-o', '/dev/null', '-w', format, '-m', String(PATIENCE_SECONDS), url];
        const { stdout } = await bench.children.run('others', program, args, PATIENCE_SECONDS * 1000 + LATE_MS);
        const [status, bytes, took = Number.NaN] = stdout.split(' ').map(Number);
        spent += took;
        if (status !== 200 || bytes !== BULK_BYTES) {
          return { answered, seconds: spent, trouble: `status ${status} with ${bytes} bytes` };
        }
        answered++;
      }
      return { answered, seconds: spent, trouble: '' };
    },
  };
}
