import { parseArgs } from 'node:util';

/** What the command line asks for. */
export interface Options {
  readonly help: boolean;
  /** Names of suites; empty: all. */
  readonly suites: readonly string[];
  /** Smaller counts, for every push. */
  readonly quick: boolean;
  /** Rewrite docs/conformance.md. */
  readonly write: boolean;
}

/** The text of `--help`; `suites` are lines of name and summary. */
export function usage(suites: readonly (readonly [name: string, summary: string])[]): string {
  return `usage: npm run conformance -- [SUITE…] [options]

Runs test suites and clients that others wrote against the sidecar as users start it. A suite whose tool or fixtures are
missing is skipped; node scripts/install-conformance-tools.mjs installs what needs no root. Exit status 1 if a figure is
below what is expected.

Suites; without a name every one:

${suites.map(([name, summary]) => `  ${name.padEnd(12)}${summary}\n`).join('')}
  --quick        smaller counts; the document stays as it is
  --write        rewrites docs/conformance.md after a whole run (npm run conformance gives it)
`;
}

/** Reads the command line. Throws a TypeError or RangeError that says what is wrong with it. */
export function parseOptions(args: readonly string[], known: readonly string[]): Options {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      quick: { type: 'boolean', default: false },
      write: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  const unknown = positionals.find((name) => !known.includes(name));
  if (unknown !== undefined) throw new RangeError(`no suite ${unknown}; there are: ${known.join(', ')}`);
  const whole = !values.quick && positionals.length === 0;
  return { help: values.help, suites: positionals, quick: values.quick, write: values.write && whole };
}
