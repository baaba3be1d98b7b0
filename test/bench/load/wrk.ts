import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { findProgram, readVersion } from '../installed.ts';
import type { Scenario } from '../scenario.ts';
import { LATE_MS } from './load.ts';
import type { LoadOutcome, LoadTool } from './load.ts';

/** wrk calls this once at the end; without other hooks no request passes through Lua. */
const SCRIPT = `done = function(summary, latency, requests)
  local e = summary.errors
  io.write(string.format('RESULT %d %d %d %d %d %d %d\\n', summary.requests, summary.duration,
    e.connect, e.read, e.write, e.status, e.timeout))
end
`;

/** wrk with one thread, if it is installed. */
export function wrkTool(): LoadTool | undefined {
  const program = findProgram('wrk');
  if (program === undefined) return undefined;
  return {
    title: `wrk ${readVersion(program, ['-v'], /wrk (?:debian\/)?([\d.]+)/)}`,
    run: async (bench, scenario, port, seconds) => {
      const script = join(bench.folder, 'wrk.lua');
      writeFileSync(script, SCRIPT + requestScript(scenario));
      const args = ['-t', '1', '-c', String(scenario.connections), '-d', `${seconds}s`, '-s', script];
      if (scenario.isClosing) args.push('-H', 'Connection: close');
      const url = `${scenario.tls ? 'https' : 'http'}://127.0.0.1:${port}${scenario.path}`;
      const { stdout } = await bench.children.run('others', program, [...args, url], seconds * 1000 + LATE_MS);
      return parseWrkResult(stdout);
    },
  };
}

/** What the one request is that wrk makes beforehand and sends again and again. */
function requestScript({ requestBody }: Scenario): string {
  if (requestBody === undefined) return '';
  return `wrk.method = 'POST'\nwrk.body = '${requestBody.toString('latin1')}'\n`;
}

/** Reads the line that the script prints. */
export function parseWrkResult(stdout: string): LoadOutcome {
  const line = /^RESULT ([\d ]+)$/m.exec(stdout)?.[1];
  if (line === undefined) throw new Error(`wrk printed no result: ${stdout}`);
  const [requests = 0, durationUs = 0, connect = 0, read = 0, write = 0, status = 0, timeout = 0] = line
    .split(' ')
    .map(Number);
  const trouble = Object.entries({ connect, read, write, status, timeout })
    .filter(([, count]) => count > 0)
    .map(([what, count]) => `${count} × ${what}`)
    .join(', ');
  return { answered: requests - status, seconds: durationUs / 1e6, trouble };
}
