// h2spec, strict, in front of a plain h2c server: as a caller it breaks the rules of HTTP/2, HPACK and their framing in
// 147 ways, and looks whether each is met as the RFCs ask.
import { startHttp2Backend } from './plain-backend.ts';
import { plainText, runTool } from './run-tool.ts';
import { listenTo, withSidecar, withTls } from './sidecar.ts';
import { allPass } from './suite.ts';
import type { Suite } from './suite.ts';
import { goVersion, missingTool, tool } from './tools.ts';

/** Cases of the smallest version in use. */
const LEAST_CASES = 146;
const TIMEOUT_MS = 300_000;

export const h2specSuite: Suite = {
  name: 'h2spec',
  summary: 'HTTP/2 and HPACK rules on the callers’ side, strict, plaintext and TLS',

  missing: () => missingTool('h2spec'),

  run: async (bench) => {
    const backend = await startHttp2Backend();
    try {
      return await withSidecar(
        bench,
        [...listenTo(backend.port, 'grpc'), ...listenTo(backend.port, 'grpc', ...withTls(bench))],
        async ({ ports: [plain, tls] }) => {
          const run = async (how: string, port: number | undefined, more: readonly string[]) => {
            bench.progress(how);
            const args = ['-h', '127.0.0.1', '-p', String(port), '-S', '-o', '2', ...more];
            const { stdout, stderr } = await runTool(bench, tool('h2spec'), args, TIMEOUT_MS);
            return readH2spec(plainText(stdout), how, stderr);
          };
          const outcomes = [await run('plaintext', plain, []), await run('TLS', tls, ['-t', '-k'])];
          return {
            tools: [goVersion('h2spec')],
            figures: outcomes.map(({ how, passed, total }) => allPass(how, passed, total, LEAST_CASES)),
            failures: outcomes.flatMap(({ failures }) => failures),
          };
        },
      );
    } finally {
      backend.close();
    }
  },
};

/** Reads what h2spec prints. Throws if it has no summary. */
export function readH2spec(
  text: string,
  how: string,
  stderr = '',
): { how: string; passed: number; total: number; failures: string[] } {
  const summary = /^(\d+) tests, (\d+) passed, (\d+) skipped, (\d+) failed$/m.exec(text);
  if (summary === null) throw new Error(`h2spec printed no summary: ${stderr || text.slice(-500)}`);
  const failures: string[] = [];
  let section = '';
  for (const line of text.slice(Math.max(text.indexOf('\nFailures:'), 0)).split('\n')) {
    section = /^\s+([\d.]+)\. /.exec(line)?.[1] ?? section;
    const failed = /^\s+× (\d+): (.*)$/.exec(line);
    const actual = /^\s+Actual: (.*)$/.exec(line);
    if (failed !== null) failures.push(`${how}: ${section}/${failed[1]} ${failed[2]}`);
    if (actual !== null && failures.length > 0) failures.push(`${failures.pop() ?? ''} (${actual[1]})`);
  }
  const seen = text.includes('\nFailures:') ? failures : [];
  return { how, passed: Number(summary[2]), total: Number(summary[1]), failures: seen };
}
