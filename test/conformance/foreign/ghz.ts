// ghz: many calls at once, unary and in both directions; each must be answered with OK.
import { GREETER, GREETER_PROTO, startGreeterBackend } from './greeter-backend.ts';
import { runTool } from './run-tool.ts';
import { listenTo, withSidecar, withTls } from './sidecar.ts';
import { allPass } from './suite.ts';
import type { Suite } from './suite.ts';
import { goVersion, missingTool, tool } from './tools.ts';

const TIMEOUT_MS = 120_000;
const CONNECTIONS = 4;
const CALLS_AT_ONCE = 40;

export const ghzSuite: Suite = {
  name: 'ghz',
  summary: 'load of unary and bidirectional calls without an error',

  missing: () => missingTool('ghz'),

  run: async (bench) => {
    const greeter = await startGreeterBackend();
    const calls = bench.quick ? 2_000 : 20_000;
    try {
      const flags = [...listenTo(greeter.port, 'grpc'), ...listenTo(greeter.port, 'grpc', ...withTls(bench))];
      return await withSidecar(bench, flags, async ({ ports: [plain, tls] }) => {
        const run = async (name: string, how: readonly string[], port: number | undefined, method: string) => {
          bench.progress(name);
          const data = method === 'Chat' ? '[{"text":"a"},{"text":"b"},{"text":"c"}]' : '{"name":"Ada"}';
          const args = [
            ...how,
            ...['--proto', GREETER_PROTO, '--import-paths', 'proto', '--call', `${GREETER}.${method}`, '-d', data],
            ...['-n', String(calls), '-c', String(CALLS_AT_ONCE), '--connections', String(CONNECTIONS)],
            ...['--format', 'json', `127.0.0.1:${port}`],
          ];
          const { stdout, stderr } = await runTool(bench, tool('ghz'), args, TIMEOUT_MS);
          return { name, ...readGhz(stdout, stderr) };
        };
        const outcomes = [
          await run('unary, plaintext', ['--insecure'], plain, 'Greet'),
          await run('unary, TLS', ['--skipTLS'], tls, 'Greet'),
          await run('bidirectional, plaintext', ['--insecure'], plain, 'Chat'),
        ];
        return {
          tools: [goVersion('ghz')],
          figures: outcomes.map(({ name, ok }) => allPass(name, ok, calls, calls)),
          failures: outcomes.flatMap(({ name, errors }) => errors.map((error) => `${name}: ${error}`)),
        };
      });
    } finally {
      await greeter.close();
    }
  },
};

/** Reads the report of ghz: calls that ended with OK, and each error with its count. */
export function readGhz(stdout: string, stderr = ''): { ok: number; errors: string[] } {
  let report: { statusCodeDistribution?: Record<string, number>; errorDistribution?: Record<string, number> };
  try {
    report = JSON.parse(stdout) as typeof report;
  } catch (error) {
    throw new Error(`ghz printed no report: ${stderr || stdout}`, { cause: error });
  }
  const errors = Object.entries(report.errorDistribution ?? {}).map(([error, count]) => `${count} × ${error}`);
  return { ok: report.statusCodeDistribution?.['OK'] ?? 0, errors };
}
