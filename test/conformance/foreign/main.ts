// `npm run conformance`: runs suites and clients that others wrote against the sidecar of this build.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Children } from '../../bench/child.ts';
import { bodiesSuite } from './bodies.ts';
import { ghzSuite } from './ghz.ts';
import { grpcurlSuite } from './grpcurl.ts';
import { h2loadSuite } from './h2load.ts';
import { h2specSuite } from './h2spec.ts';
import { h2specdSuite } from './h2specd.ts';
import { hpackSuite } from './hpack.ts';
import { interopSuite } from './interop.ts';
import { llhttpSuite } from './llhttp.ts';
import { parseOptions, usage } from './options.ts';
import type { Options } from './options.ts';
import { formatDocument, formatSummary } from './report.ts';
import { writeCertificates } from './sidecar.ts';
import { slowClientsSuite } from './slow-clients.ts';
import { isGood } from './suite.ts';
import type { Bench, Result, Suite } from './suite.ts';
import { testsslSuite } from './testssl.ts';

const DOCUMENT = join('docs', 'conformance.md');

const SUITES: readonly Suite[] = [
  ...[h2specSuite, h2specdSuite, hpackSuite, llhttpSuite, interopSuite],
  ...[grpcurlSuite, ghzSuite, slowClientsSuite, testsslSuite, h2loadSuite, bodiesSuite],
];

process.exitCode = await main(process.argv.slice(2));

async function main(args: readonly string[]): Promise<number> {
  const help = usage(SUITES.map(({ name, summary }) => [name, summary]));
  let options: Options;
  try {
    options = parseOptions(
      args,
      SUITES.map(({ name }) => name),
    );
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n\n${help}`);
    return 2;
  }
  if (options.help) {
    process.stdout.write(help);
    return 0;
  }
  const folder = mkdtempSync(join(tmpdir(), 'outrigger-conformance-'));
  const children = new Children({ proxy: 0, others: 0, pinned: false });
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
  const bench = { children, folder, certificates: join(folder, 'certificates'), quick: options.quick };
  const step = (text: string): void => void process.stderr.write(`${text}\n`);
  await writeCertificates({ ...bench, progress: step });
  const results: Result[] = [];
  for (const suite of SUITES) {
    if (options.suites.length > 0 && !options.suites.includes(suite.name)) continue;
    const progress = (text: string): void => step(`${suite.name}: ${text}`);
    results.push(await runSuite({ ...bench, progress }, suite));
  }
  process.stdout.write(formatSummary(results));
  if (options.write) writeFileSync(DOCUMENT, formatDocument(results, process.versions.node));
  return results.every(isGood) ? 0 : 1;
}

async function runSuite(bench: Bench, suite: Suite): Promise<Result> {
  const reason = suite.missing();
  if (reason !== undefined) return { kind: 'skipped', suite, reason };
  try {
    return { kind: 'ran', suite, findings: await suite.run(bench) };
  } catch (error) {
    return { kind: 'broken', suite, reason: error instanceof Error ? error.message : String(error) };
  }
}
