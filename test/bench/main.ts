// `npm run bench`. README.md beside this file says how to read what it prints.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, release, tmpdir } from 'node:os';
import { join } from 'node:path';
import { writeCertificate } from './certificate.ts';
import { Children } from './child.ts';
import { formatComparison } from './compare.ts';
import { chooseCores } from './cores.ts';
import { findProgram, readVersion } from './installed.ts';
import { parseOptions, USAGE } from './options.ts';
import type { Command, RunCommand } from './options.ts';
import { measureGateway } from './gateway.ts';
import { haproxyPeer } from './peers/haproxy.ts';
import { nginxPeer } from './peers/nginx.ts';
import { nodeHttpPeer } from './peers/node-http.ts';
import { outriggerPeer, OWN_PROGRAM } from './peers/outrigger.ts';
import type { Peer } from './peers/peer.ts';
import { measurePicks } from './pick.ts';
import { formatResult } from './report.ts';
import { parseBenchResult } from './result.ts';
import type { BenchResult, ScenarioResult } from './result.ts';
import { measureRoutes } from './route-match.ts';
import { runScenario } from './run-scenario.ts';
import { chooseScenarios } from './scenario.ts';
import type { Scenario } from './scenario.ts';

const WARM_UP_SECONDS = 1;

process.exitCode = await main(process.argv.slice(2));

async function main(args: readonly string[]): Promise<number> {
  let command: Command;
  let scenarios: readonly Scenario[] = [];
  let peers: readonly Peer[] = [];
  try {
    command = parseOptions(args);
    if (command.kind === 'run') {
      scenarios = chooseScenarios(command.scenarios);
      peers = choosePeers(command);
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
  const cores = chooseCores();
  const children = new Children(cores);
  const folder = mkdtempSync(join(tmpdir(), 'outrigger-bench-'));
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
  const bench = { children, folder, node: command.node, certificate: await writeCertificate(folder) };
  const plan = { rounds: command.rounds, seconds: command.seconds, warmUpSeconds: WARM_UP_SECONDS };
  const startedAt = new Date().toISOString();
  const results: ScenarioResult[] = [];
  for (const scenario of scenarios) {
    const progress = (step: string): void => void process.stderr.write(`${scenario.name}: ${step}\n`);
    results.push(await runScenario(bench, scenario, peers, plan, progress));
  }
  const result: BenchResult = {
    format: 1,
    startedAt,
    commit: commitId(),
    machine: {
      cpu: cpus()[0]?.model.trim() ?? 'unknown CPU',
      cores: cpus().length,
      kernel: release(),
      pinned: cores.pinned,
    },
    node: readVersion(command.node, ['--version'], /v([\d.]+)/),
    rounds: plan.rounds,
    seconds: plan.seconds,
    scenarios: results,
  };
  process.stdout.write(formatResult(result));
  if (command.json !== undefined) writeFileSync(command.json, `${JSON.stringify(result, undefined, 2)}\n`);
  return results.some(({ failed }) => failed.length > 0) ? 1 : 0;
}

function choosePeers(command: RunCommand): readonly Peer[] {
  const all = [outriggerPeer('outrigger', OWN_PROGRAM), nginxPeer, haproxyPeer, nodeHttpPeer];
  if (command.before !== undefined) all.splice(1, 0, outriggerPeer('outrigger-before', command.before));
  const unknown = command.peers?.find((name) => !all.some((peer) => peer.name === name));
  if (unknown !== undefined) {
    throw new RangeError(`no peer ${unknown}; there are: ${all.map((peer) => peer.name).join(', ')}`);
  }
  return all.filter((peer) => command.peers?.includes(peer.name) ?? true);
}

function load(file: string): BenchResult {
  return parseBenchResult(readFileSync(file, 'utf8'), file);
}

function commitId(): string {
  if (findProgram('git') === undefined) return '';
  try {
    const git = (...args: string[]): string =>
      execFileSync('git', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
    return git('rev-parse', '--short', 'HEAD') + (git('status', '--porcelain') === '' ? '' : '+');
  } catch {
    return '';
  }
}
