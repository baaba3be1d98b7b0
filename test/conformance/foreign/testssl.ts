// testssl: protocols, ciphers and known attacks of the TLS listener. Findings from MEDIUM on count, but for those that
// are about the certificate of the run, whose authority is private.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { readVersion } from '../../bench/installed.ts';
import { startHttp1Backend } from './plain-backend.ts';
import { runTool } from './run-tool.ts';
import { listenTo, withSidecar, withTls } from './sidecar.ts';
import { none } from './suite.ts';
import type { Suite } from './suite.ts';
import { findTool } from './tools.ts';

const TIMEOUT_MS = 240_000;
const COUNTED = new Set(['MEDIUM', 'HIGH', 'CRITICAL']);
const NAMES = ['testssl', 'testssl.sh'];

/** One finding of its report. */
export interface Finding {
  readonly id: string;
  readonly severity: string;
  readonly finding: string;
}

export const testsslSuite: Suite = {
  name: 'testssl',
  summary: 'TLS protocols, ciphers and known attacks',

  missing: () => (findTestssl() === undefined ? 'testssl is not installed' : undefined),

  run: async (bench) => {
    const program = findTestssl() ?? '';
    const backend = await startHttp1Backend();
    try {
      return await withSidecar(bench, listenTo(backend.port, 'http', ...withTls(bench)), async ({ ports: [port] }) => {
        const report = join(bench.folder, 'testssl.json');
        const args = [
          ...['--quiet', '--color', '0', '--warnings', 'off', '--nodns', 'min', '--ip', 'one', '--jsonfile', report],
          ...['--protocols', '--std', '--fs', '--server-preference', '--server-defaults', '--vulnerable'],
          `127.0.0.1:${port}`,
        ];
        bench.progress('scan');
        const { code, stdout } = await runTool(bench, program, args, TIMEOUT_MS);
        if (code === undefined) throw new Error('testssl did not end in time');
        const { counted, ofCertificate, total } = readFindings(readReport(report, stdout));
        if (total < 30) throw new Error(`testssl looked at ${total} things only: ${stdout.slice(-500)}`);
        return {
          tools: [`testssl ${readVersion(program, ['--version'], /testssl\S*\s+([\d.]+)/)}`],
          figures: [none('findings from MEDIUM on', counted.length)],
          failures: counted.map(describe),
          notes: ofCertificate.map((finding) => `Of the run’s own certificate, not counted: ${describe(finding)}.`),
        };
      });
    } finally {
      backend.close();
    }
  },
};

function findTestssl(): string | undefined {
  return NAMES.map(findTool).find((path) => path !== undefined);
}

function readReport(file: string, stdout: string): Finding[] {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as Finding[];
  } catch (error) {
    throw new Error(`testssl wrote no report: ${stdout.slice(-500)}`, { cause: error });
  }
}

/** Picks the findings that count. */
export function readFindings(findings: readonly Finding[]): {
  counted: Finding[];
  ofCertificate: Finding[];
  total: number;
} {
  const grave = findings.filter(({ severity }) => COUNTED.has(severity));
  const isOfCertificate = ({ id }: Finding): boolean => id.startsWith('cert_');
  return {
    counted: grave.filter((finding) => !isOfCertificate(finding)),
    ofCertificate: grave.filter(isOfCertificate),
    total: findings.length,
  };
}

function describe({ id, severity, finding }: Finding): string {
  return `${id} ${severity}: ${finding.replace(/\.$/, '')}`;
}
