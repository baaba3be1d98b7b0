import { fileURLToPath } from 'node:url';
import { LATE_MS } from './load.ts';
import type { LoadOutcome, LoadTool } from './load.ts';

const PROGRAM = fileURLToPath(new URL('./node-program.js', import.meta.url));

/**
 * The load client that comes with this bench. It needs several times the CPU of wrk or h2load, so a fast proxy idles
 * behind it: figures of CPU per request stay comparable within a run, requests a second don't say much.
 */
export function nodeTool(): LoadTool {
  return {
    title: `built-in client on Node ${process.version}`,
    run: async (bench, scenario, port, seconds) => {
      const args = [PROGRAM, scenario.name, String(port), String(seconds), scenario.tls ? 'tls' : 'plain'];
      const { stdout } = await bench.children.run('others', process.execPath, args, seconds * 1000 + LATE_MS);
      return JSON.parse(stdout) as LoadOutcome;
    },
  };
}
