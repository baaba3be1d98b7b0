// The sidecar as its users start it: the program of the build that this file belongs to, in a process of its own.
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { awaitReadyLine } from '../../bench/await-ready.ts';
import { runTool } from './run-tool.ts';
import type { Bench } from './suite.ts';

/** main.js of this build. */
export const PROGRAM = fileURLToPath(new URL('../../../src/main.js', import.meta.url));

/** Characters of its log to show where it died. */
const LAST_WORDS = 1_000;

/** A sidecar that is up. */
export interface Sidecar {
  /** Ports of its listeners, in the order of the flags. */
  readonly ports: readonly number[];
  readonly admin: number;
  readonly pid: number;
  /** Ends it. Throws if it was dead before, or did not end with status 0. */
  stop(): Promise<void>;
}

/** Starts `outrigger run` with these flags; `--listen` takes LISTEN. */
export async function startSidecar(bench: Bench, flags: readonly string[]): Promise<Sidecar> {
  const child = await bench.children.start('proxy', process.execPath, [
    PROGRAM,
    ...['run', '--admin', '127.0.0.1:0', '--health', '127.0.0.1:0', '--drain-timeout', '1s', '--log-level', 'warn'],
    ...flags,
  ]);
  const ready = readReadyLine(await awaitReadyLine(child, 'the sidecar'));
  return {
    ...ready,
    pid: child.pid,
    stop: async () => {
      if (child.hasEnded()) throw new Error(`the sidecar ended under test: ${child.stderr().slice(-LAST_WORDS)}`);
      await bench.children.stop(child);
      const code = await child.ended;
      if (code !== 0)
        throw new Error(`the sidecar ended with ${code ?? 'a signal'}: ${child.stderr().slice(-LAST_WORDS)}`);
    },
  };
}

/** Runs `use` against a sidecar; it must be alive afterwards and end cleanly. */
export async function withSidecar<T>(
  bench: Bench,
  flags: readonly string[],
  use: (sidecar: Sidecar) => Promise<T>,
): Promise<T> {
  const sidecar = await startSidecar(bench, flags);
  let result: T;
  try {
    result = await use(sidecar);
  } catch (error) {
    await sidecar.stop().catch((death: unknown) => {
      throw new Error(String(death), { cause: error });
    });
    throw error;
  }
  await sidecar.stop();
  return result;
}

/** Flags of a listener on a free port in front of a port of loopback. */
export function listenTo(port: number, scheme: 'http' | 'grpc' | 'grpcs', ...more: readonly string[]): string[] {
  return ['--listen', '127.0.0.1:0', '--to', `127.0.0.1:${port}`, '--scheme', scheme, ...more];
}

/** Flags of a listener that takes TLS, with the certificate of the run. */
export function withTls(bench: Bench): string[] {
  const { certificates } = bench;
  return ['--tls-cert', join(certificates, 'server.pem'), '--tls-key', join(certificates, 'server-key.pem')];
}

/** Fills a folder with the certificates of the run. */
export async function writeCertificates(bench: Bench): Promise<void> {
  const { code, stderr } = await runTool(bench, process.execPath, [PROGRAM, 'certs', bench.certificates], 20_000);
  if (code !== 0) throw new Error(`outrigger certs failed: ${stderr}`);
}

/** Ports of the line that the sidecar prints when it is ready. */
export function readReadyLine(line: unknown): { ports: number[]; admin: number } {
  const { listeners, admin } = line as { listeners?: { address?: string }[]; admin?: string };
  const port = (address = ''): number => Number(address.slice(address.lastIndexOf(':') + 1));
  const ports = (listeners ?? []).map(({ address }) => port(address));
  if (ports.length === 0 || ![...ports, port(admin)].every((each) => each > 0)) {
    throw new Error(`the ready line names no ports: ${JSON.stringify(line)}`);
  }
  return { ports, admin: port(admin) };
}
