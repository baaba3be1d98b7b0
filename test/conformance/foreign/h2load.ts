// h2load as a smoke test of load: so many requests over HTTP/1.1, h2c and TLS, each answered with 200.
import { readVersion } from '../../bench/installed.ts';
import { parseH2loadResult } from '../../bench/load/h2load.ts';
import { startHttp1Backend, startHttp2Backend } from './plain-backend.ts';
import { runTool } from './run-tool.ts';
import { listenTo, withSidecar, withTls } from './sidecar.ts';
import { allPass } from './suite.ts';
import type { Suite } from './suite.ts';
import { missingTool, tool } from './tools.ts';

const TIMEOUT_MS = 120_000;

export const h2loadSuite: Suite = {
  name: 'h2load',
  summary: 'load of HTTP/1.1, h2c and TLS requests without an error',

  missing: () => missingTool('h2load'),

  run: async (bench) => {
    const requests = bench.quick ? 5_000 : 50_000;
    const h1 = await startHttp1Backend();
    const h2 = await startHttp2Backend();
    try {
      const flags = [
        ...listenTo(h1.port, 'http'),
        ...listenTo(h2.port, 'grpc'),
        ...listenTo(h1.port, 'http', ...withTls(bench)),
      ];
      return await withSidecar(bench, flags, async ({ ports: [plain, bridged, tls] }) => {
        const run = async (name: string, more: readonly string[], url: string) => {
          bench.progress(name);
          const args = ['-t', '1', '-n', String(requests), '-c', '8', '-m', '16', ...more, url];
          const { stdout } = await runTool(bench, tool('h2load'), args, TIMEOUT_MS);
          return { name, ...parseH2loadResult(stdout, 1) };
        };
        const outcomes = [
          await run('HTTP/1.1 → HTTP/1.1', ['--h1'], `http://127.0.0.1:${plain}/`),
          await run('h2c → HTTP/1.1', [], `http://127.0.0.1:${plain}/`),
          await run('h2c → h2c', [], `http://127.0.0.1:${bridged}/`),
          await run('HTTP/2 over TLS → HTTP/1.1', [], `https://127.0.0.1:${tls}/`),
        ];
        return {
          tools: [`h2load ${readVersion(tool('h2load'), ['--version'], /nghttp2\/([\d.]+)/)}`],
          figures: outcomes.map(({ name, answered }) => allPass(name, answered, requests, requests)),
          failures: outcomes.flatMap(({ name, trouble }) => (trouble === '' ? [] : [`${name}: ${trouble}`])),
        };
      });
    } finally {
      h1.close();
      h2.close();
    }
  },
};
