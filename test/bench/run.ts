import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { cpus, release, tmpdir } from 'node:os';
import { join } from 'node:path';
import { writeCertificate } from './certificate.ts';
import { Children } from './child.ts';
import { chooseCores } from './cores.ts';
import { findProgram, readVersion } from './installed.ts';
import { takingPart } from './peers/choose.ts';
import type { Peer } from './peers/peer.ts';
import type { Plan } from './plan.ts';
import type { BenchResult, LeftScenario, ScenarioResult } from './result.ts';
import { CannotRun, runScenario } from './run-scenario.ts';
import type { Scenario } from './scenario.ts';

/** Runs scenarios one after the other. `node` runs the proxies that are written for Node. Linux only. */
export async function runBench(
  scenarios: readonly Scenario[],
  peers: readonly Peer[],
  plan: Plan,
  node: string,
): Promise<BenchResult> {
  const started = new Date();
  const cores = chooseCores();
  const children = new Children(cores);
  const folder = mkdtempSync(join(tmpdir(), 'outrigger-bench-'));
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
  const bench = { children, folder, node, certificate: await writeCertificate(folder) };
  const results: ScenarioResult[] = [];
  const left: LeftScenario[] = [];
  for (const scenario of scenarios) {
    const some = takingPart(scenario, peers);
    const progress = (step: string): void => void process.stderr.write(`${scenario.name}: ${step}\n`);
    try {
      if (some.length === 0) throw new CannotRun('none of the peers takes part in it');
      results.push(...(await runScenario(bench, scenario, some, plan, progress)));
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      left.push({ scenario: scenario.name, reason, hasFailed: !(error instanceof CannotRun) });
    }
  }
  return {
    format: 1,
    startedAt: started.toISOString(),
    commit: commitId(),
    machine: {
      cpu: cpus()[0]?.model.trim() ?? 'unknown CPU',
      cores: cpus().length,
      kernel: release(),
      pinned: cores.pinned,
    },
    node: readVersion(node, ['--version'], /v([\d.]+)/),
    rounds: plan.rounds,
    seconds: plan.seconds,
    tookSeconds: (Date.now() - started.getTime()) / 1000,
    scenarios: results,
    left,
  };
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
