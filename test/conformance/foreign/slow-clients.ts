// slowhttptest holds many connections with heads, bodies and reads that crawl. Meanwhile a canary calls on connections of
// its own: the sidecar must live and answer each at once.
import { get } from 'node:http';
import { readVersion } from '../../bench/installed.ts';
import { startHttp1Backend } from './plain-backend.ts';
import { plainText, runTool } from './run-tool.ts';
import { listenTo, withSidecar } from './sidecar.ts';
import { holds, none } from './suite.ts';
import type { Suite } from './suite.ts';
import { missingTool, tool } from './tools.ts';

const CONNECTIONS = 200;
const CANARY_EVERY_MS = 200;
/** A canary that takes longer has failed. */
const CANARY_MS = 2_000;

const ATTACKS = [
  // A head has 10 s; a body or an answer that moves at all may take its time.
  { name: 'slow heads', flags: ['-H', '-i', '2'], path: '/', isCut: true },
  { name: 'slow bodies', flags: ['-B', '-i', '2', '-s', '65536'], path: '/', isCut: false },
  { name: 'slow reads', flags: ['-X', '-w', '64', '-y', '256', '-n', '1', '-z', '32'], path: '/large', isCut: false },
] as const;

export const slowClientsSuite: Suite = {
  name: 'slow',
  summary: 'slow heads, bodies and reads (slowhttptest) beside a canary',

  missing: () => missingTool('slowhttptest'),

  run: async (bench) => {
    const seconds = bench.quick ? 6 : 15;
    const backend = await startHttp1Backend();
    try {
      return await withSidecar(bench, listenTo(backend.port, 'http'), async ({ ports: [port = 0] }) => {
        const figures = [];
        for (const { name, flags, path, isCut } of ATTACKS) {
          bench.progress(name);
          const canary = startCanary(port);
          const args = ['-c', String(CONNECTIONS), '-r', '100', '-l', String(seconds), ...flags];
          const url = `http://127.0.0.1:${port}${path}`;
          const { stdout } = await runTool(bench, tool('slowhttptest'), [...args, '-u', url], seconds * 1000 + 15_000);
          const { calls, failed } = await canary.stop();
          figures.push(none(`${name}: canaries that failed`, calls === 0 ? 1 : failed));
          figures.push(holds(`${name}: slowhttptest finds the service available`, readAvailable(plainText(stdout))));
          // A quick run ends before the heads' time is up.
          if (isCut && !bench.quick) figures.push(holds(`${name}: every connection was closed`, hasNoneLeft(stdout)));
        }
        return {
          tools: [`slowhttptest ${readVersion(tool('slowhttptest'), ['-h'], /version ([\d.]+)/)}`],
          figures,
          notes: [
            `${CONNECTIONS} connections for ${seconds} s each; a canary every ${CANARY_EVERY_MS} ms, ${CANARY_MS} ms each.`,
          ],
        };
      });
    } finally {
      backend.close();
    }
  },
};

/** Whether its probe was answered at the end. */
export function readAvailable(text: string): boolean {
  const last = [...text.matchAll(/service available:\s+(\w+)/g)].at(-1);
  if (last === undefined) throw new Error(`slowhttptest printed no status: ${text.slice(-500)}`);
  return last[1] === 'YES';
}

/** Whether it stopped because no connection was left to it. */
export function hasNoneLeft(text: string): boolean {
  return plainText(text).includes('No open connections left');
}

/** Calls on a new connection again and again until it is stopped. */
function startCanary(port: number): { stop(): Promise<{ calls: number; failed: number }> } {
  let calls = 0;
  let failed = 0;
  const underWay = new Set<Promise<void>>();
  const timer = setInterval(() => {
    calls++;
    const one = callOnce(port).then((ok) => {
      if (!ok) failed++;
      underWay.delete(one);
    });
    underWay.add(one);
  }, CANARY_EVERY_MS);
  return {
    stop: async () => {
      clearInterval(timer);
      await Promise.all(underWay);
      return { calls, failed };
    },
  };
}

function callOnce(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const request = get({ host: '127.0.0.1', port, path: '/', agent: false }, (response) => {
      response.on('end', () => resolve(response.statusCode === 200)).resume();
    });
    const timer = setTimeout(() => request.destroy(new Error('late')), CANARY_MS);
    request.on('error', () => resolve(false)).on('close', () => clearTimeout(timer));
  });
}
