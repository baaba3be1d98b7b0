// What a run found, for the terminal and as docs/conformance.md. The document holds nothing that differs between two
// runs with the same result.
import { isGood } from './suite.ts';
import type { Result } from './suite.ts';

/** One line for each figure, and what failed or is missing. */
export function formatSummary(results: readonly Result[]): string {
  return results.flatMap(summaryLines).join('\n') + '\n';
}

function summaryLines(result: Result): string[] {
  const { name } = result.suite;
  switch (result.kind) {
    case 'skipped':
      return [`skip ${name}: ${result.reason}`];
    case 'broken':
      return [`FAIL ${name}: ${result.reason}`];
    case 'ran':
      return [
        ...result.findings.figures.map(
          ({ name: figure, value, expected, met }) =>
            `${met ? 'ok  ' : 'FAIL'} ${name}: ${figure}: ${value}${met ? '' : `, expected ${expected}`}`,
        ),
        ...(result.findings.failures ?? []).map((failure) => `     ${name}: ${failure}`),
      ];
  }
}

/** The document. `node` is the version that ran the sidecar. */
export function formatDocument(results: readonly Result[], node: string): string {
  const rows = results.flatMap((result) => {
    const { name } = result.suite;
    if (result.kind === 'skipped') return [[name, '', `not run: ${result.reason}`, '']];
    if (result.kind === 'broken') return [[name, '', '**broke off**', '']];
    return result.findings.figures.map(({ name: figure, value, expected, met }) => [
      name,
      figure,
      met ? value : `**${value}**`,
      expected,
    ]);
  });
  const head = `# Conformance

Test suites and clients that others wrote, run against the sidecar as users start it (\`node dist/src/main.js run …\`) on
Node ${node}. \`npm run conformance\` writes this page; it skips what isn't installed, which
\`node scripts/install-conformance-tools.mjs\` helps with, and fails if a figure is below what is expected. OUTRIGGER_FIXTURES
names the folder of the HPACK stories (\`hpack/\`) and of llhttp's fixtures (\`llhttp/\`).
`;
  return [head, formatRows([['suite', 'figure', 'result', 'expected'], ...rows]), ...results.map(section)].join('\n');
}

function section(result: Result): string {
  const { name, summary } = result.suite;
  const parts = [`## ${name}: ${summary}\n`];
  if (result.kind === 'skipped') parts.push(`Not run: ${result.reason}.\n`);
  if (result.kind === 'broken') parts.push('Broke off.\n');
  if (result.kind === 'ran') {
    const { tools, table, failures = [], notes = [] } = result.findings;
    if (tools.length > 0) parts.push(`With ${tools.join(', ')}.\n`);
    if (notes.length > 0) parts.push(`${notes.join('\n\n')}\n`);
    if (table !== undefined) parts.push(formatRows(table));
    if (failures.length > 0)
      parts.push(`Not passed:\n\n${failures.map((failure) => `* ${withoutPorts(failure)}\n`).join('')}`);
    if (!isGood(result) && failures.length === 0) parts.push('Not passed: see the figures above.\n');
  }
  return parts.join('\n');
}

/** Ports differ between runs. */
function withoutPorts(text: string): string {
  return text.replaceAll(/127\.0\.0\.1:\d+/g, '127.0.0.1');
}

/** A Markdown table; the first row is its head. */
function formatRows([head = [], ...rows]: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |\n`;
  return [line(head), `|${head.map(() => '---|').join('')}\n`, ...rows.map(line)].join('');
}
