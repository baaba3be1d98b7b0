import { parseArgs } from 'node:util';
import { DEFAULT_SCENARIOS, SCENARIOS } from './scenario.ts';

/** What the command line asks for. */
export type Command =
  | RunCommand
  | CompareCommand
  | { readonly kind: 'pick' }
  | { readonly kind: 'micro'; readonly names: readonly string[] }
  | { readonly kind: 'routes' }
  | { readonly kind: 'gateway' }
  | { readonly kind: 'help' };

/** `bench [SCENARIO…]` */
export interface RunCommand {
  readonly kind: 'run';
  readonly scenarios: readonly string[];
  readonly rounds: number;
  readonly seconds: number;
  /** File to write the result to. */
  readonly json: string | undefined;
  /** The Node for proxies that are written for Node. */
  readonly node: string;
  /** Only these peers; undefined: all. */
  readonly peers: readonly string[] | undefined;
  /** main.js of another build of the sidecar, measured beside this one. */
  readonly before: string | undefined;
}

/** `bench compare A B` */
export interface CompareCommand {
  readonly kind: 'compare';
  readonly before: string;
  readonly after: string;
}

/** The text of `--help`. */
export const USAGE = `usage: npm run bench -- [SCENARIO…] [options]
       npm run bench -- compare BEFORE.json AFTER.json
       npm run bench -- micro [NAME…]         what single steps of the path cost, without any network
       npm run bench -- pick                  what choosing an endpoint costs, each balancer
       npm run bench -- routes                what finding the route of a request costs, with 1 and 10,000 of them
       npm run bench -- gateway               what 10,000 routes and upstreams cost the sidecar: start, memory, CPU, changes

Measures proxies side by side on this machine: CPU per request, requests a second, times, memory.

Scenarios; without a name the first ${DEFAULT_SCENARIOS.length}, in under ten minutes:

${SCENARIOS.map(({ name, summary }) => `  ${name.padEnd(15)}${summary}\n`).join('')}  ${'all'.padEnd(15)}every one

  --rounds N     rounds per peer, 1 to 100 (default 5)
  --seconds N    measured seconds of a round, 1 to 60 (default 1)
  --peers A,B    only these peers; outrigger stands for outrigger-reload and its like too
  --node PATH    the Node that runs the sidecar and the node-http peer (default: this one)
  --before FILE  dist/src/main.js of another build of the sidecar, measured beside this one as outrigger-before
  --json FILE    write the result to FILE
`;

/** Reads the command line. Throws a RangeError or TypeError that says what is wrong with it. */
export function parseOptions(args: readonly string[]): Command {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      rounds: { type: 'string', default: '5' },
      seconds: { type: 'string', default: '1' },
      json: { type: 'string' },
      node: { type: 'string', default: process.execPath },
      peers: { type: 'string' },
      before: { type: 'string' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) return { kind: 'help' };
  if (positionals[0] === 'compare') {
    const [, before, after, more] = positionals;
    if (before === undefined || after === undefined || more !== undefined) {
      throw new RangeError('compare takes two files');
    }
    return { kind: 'compare', before, after };
  }
  const [first, ...names] = positionals;
  if (first === 'micro') return { kind: first, names };
  if (first === 'pick' || first === 'routes' || first === 'gateway') {
    if (names.length > 0) throw new RangeError(`${first} takes no further names`);
    return { kind: first };
  }
  return {
    kind: 'run',
    scenarios: positionals,
    rounds: wholeNumber('--rounds', values.rounds, 100),
    seconds: wholeNumber('--seconds', values.seconds, 60),
    json: values.json,
    node: values.node,
    peers: values.peers?.split(','),
    before: values.before,
  };
}

function wholeNumber(flag: string, text: string, max: number): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1 || value > max) {
    throw new RangeError(`${flag} must be a whole number from 1 to ${max}, not ${text}`);
  }
  return value;
}
