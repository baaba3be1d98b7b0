// The fixtures of llhttp, replayed by the test beside this folder; here its counts are read.
import { fileURLToPath } from 'node:url';
import { missingFixtures } from './fixtures.ts';
import { runTool } from './run-tool.ts';
import { allPass } from './suite.ts';
import type { Suite } from './suite.ts';

const TEST = fileURLToPath(new URL('../h1-llhttp.test.js', import.meta.url));
const LEAST_TESTS = 150;
const TIMEOUT_MS = 120_000;
const SUMMARY = new Set(['tests', 'suites', 'pass', 'fail', 'cancelled', 'skipped', 'todo', 'duration_ms']);

export const llhttpSuite: Suite = {
  name: 'llhttp',
  summary: 'request and response fixtures of llhttp, strict',

  missing: () => missingFixtures('llhttp'),

  run: async (bench) => {
    const args = ['--test', '--test-reporter=tap', TEST];
    const { stdout } = await runTool(bench, process.execPath, args, TIMEOUT_MS);
    const { counts, failures, diagnostics } = readTap(stdout);
    const [tests = 0, passed = 0] = [counts.get('tests'), counts.get('pass')];
    return {
      tools: [],
      figures: [allPass('tests of fixtures', passed, tests, LEAST_TESTS)],
      failures,
      notes: diagnostics,
    };
  },
};

/** Reads the summary, the failed tests and what tests said beside, from TAP as node:test prints it. */
export function readTap(text: string): { counts: Map<string, number>; failures: string[]; diagnostics: string[] } {
  const counts = new Map<string, number>();
  const failures: string[] = [];
  const diagnostics: string[] = [];
  for (const line of text.split('\n')) {
    const failed = /^ {4,}not ok \d+ - (.*)$/.exec(line);
    const said = /^\s*# (.*)$/.exec(line)?.[1];
    if (failed !== null) failures.push(failed[1] ?? '');
    if (said === undefined || said.startsWith('Subtest: ')) continue;
    const [, key = '', count = ''] = /^(\w+) ([\d.]+)$/.exec(said) ?? [];
    if (SUMMARY.has(key)) counts.set(key, Number(count));
    else diagnostics.push(said);
  }
  if (!counts.has('tests')) throw new Error(`the test printed no summary: ${text.slice(-500)}`);
  return { counts, failures, diagnostics };
}
