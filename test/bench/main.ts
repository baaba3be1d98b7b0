// `npm run bench`. README.md beside this file says how to read what it prints.
import { readFileSync, writeFileSync } from 'node:fs';
import { formatComparison } from './compare.ts';
import { measureGateway } from './gateway.ts';
import { parseOptions, USAGE } from './options.ts';
import type { Command, RunCommand } from './options.ts';
import { choosePeers } from './peers/choose.ts';
import type { Peer } from './peers/peer.ts';
import { measurePicks } from './pick.ts';
import { formatResult } from './report.ts';
import { parseBenchResult } from './result.ts';
import type { BenchResult } from './result.ts';
import { measureRoutes } from './route-match.ts';
import { runBench } from './run.ts';
import { chooseScenarios } from './scenario.ts';
import type { Scenario } from './scenario.ts';

process.exitCode = await main(process.argv.slice(2));

async function main(args: readonly string[]): Promise<number> {
  let command: Command;
  let scenarios: readonly Scenario[] = [];
  let peers: readonly Peer[] = [];
  try {
    command = parseOptions(args);
    if (command.kind === 'run') {
      scenarios = chooseScenarios(command.scenarios);
      peers = choosePeers(command.peers, command.before);
    }
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n\n${USAGE}`);
    return 2;
  }
  switch (command.kind) {
    case 'help':
      process.stdout.write(USAGE);
      return 0;
    case 'compare':
      process.stdout.write(formatComparison(load(command.before), load(command.after)));
      return 0;
    case 'micro':
      return runMicro(command.names);
    case 'pick':
      process.stdout.write(measurePicks());
      return 0;
    case 'gateway':
      process.stdout.write(await measureGateway());
      return 0;
    case 'routes':
      process.stdout.write(measureRoutes());
      return 0;
    case 'run':
      return run(command, scenarios, peers);
  }
}

async function run(command: RunCommand, scenarios: readonly Scenario[], peers: readonly Peer[]): Promise<number> {
  if (process.platform !== 'linux') {
    process.stderr.write('the bench reads CPU time from /proc, which only Linux has\n');
    return 1;
  }
  const plan = { rounds: command.rounds, seconds: command.seconds };
  const result = await runBench(scenarios, peers, plan, command.node);
  process.stdout.write(formatResult(result));
  if (command.json !== undefined) writeFileSync(command.json, `${JSON.stringify(result, undefined, 2)}\n`);
  return hasFailure(result) ? 1 : 0;
}

async function runMicro(names: readonly string[]): Promise<number> {
  const { measureMicro } = await import('./micro/micro.ts');
  try {
    process.stdout.write(measureMicro(names));
    return 0;
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    process.stderr.write(`${error.message}\n`);
    return 2;
  }
}

function hasFailure({ scenarios, left = [] }: BenchResult): boolean {
  return scenarios.some(({ failed }) => failed.length > 0) || left.some(({ hasFailed }) => hasFailed);
}

function load(file: string): BenchResult {
  return parseBenchResult(readFileSync(file, 'utf8'), file);
}
