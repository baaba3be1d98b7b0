// The program as a user starts it: `node dist/src/main.js COMMAND`, with its ready line and its log.
import { spawn, type ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const MAIN = fileURLToPath(new URL('../../src/main.js', import.meta.url));

export interface ReadyLine {
  readonly ready: boolean;
  readonly listeners?: readonly { readonly name: string; readonly address: string; readonly error?: string }[];
  readonly admin?: string;
  readonly health?: string;
  readonly ads?: string;
  readonly adminApi?: string;
  readonly gateway?: string;
  readonly outbound?: string;
}

export interface Program {
  readonly ready: ReadyLine;
  readonly process: ChildProcess;
  /** Everything on stderr so far. */
  log(): string;
  /** SIGTERM, then the exit status. */
  stop(): Promise<number | null>;
  /** SIGKILL. */
  kill(): Promise<void>;
}

/** Starts a command and waits for its ready line. `under`: a command that runs another, with its arguments. */
export async function startProgram(
  args: readonly string[],
  readyWithinMs = 20_000,
  under: readonly string[] = [],
): Promise<Program> {
  const [command = '', ...rest] = [...under, process.execPath, MAIN, ...args];
  const child = spawn(command, rest, { stdio: ['ignore', 'pipe', 'pipe'] });
  let log = '';
  let out = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (log += text));
  const exited = new Promise<number | null>((resolve) => child.once('exit', (code) => resolve(code)));
  const ready = await new Promise<ReadyLine>((resolve, reject) => {
    const timer = setTimeout(() => {
      child.kill('SIGKILL');
      reject(new Error(`${args.join(' ')} was not ready in time:\n${log}`));
    }, readyWithinMs);
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      out += text;
      const end = out.indexOf('\n');
      if (end < 0) return;
      clearTimeout(timer);
      resolve(JSON.parse(out.slice(0, end)) as ReadyLine);
    });
    void exited.then((code) => {
      clearTimeout(timer);
      reject(new Error(`${args.join(' ')} ended with status ${code}:\n${log}`));
    });
  });
  return {
    ready,
    process: child,
    log: () => log,
    stop: () => {
      child.kill('SIGTERM');
      return exited;
    },
    kill: async () => {
      child.kill('SIGKILL');
      await exited;
    },
  };
}

/** Runs a command to its end. */
export function runProgram(
  args: readonly string[],
  environment: NodeJS.ProcessEnv = process.env,
): Promise<{ status: number | null; out: string; log: string }> {
  const child = spawn(process.execPath, [MAIN, ...args], { stdio: ['ignore', 'pipe', 'pipe'], env: environment });
  let out = '';
  let log = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (out += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (log += text));
  return new Promise((resolve) => child.once('close', (status) => resolve({ status, out, log })));
}

/** Port of a `HOST:PORT`. */
export function portOf(address: string | undefined): number {
  return Number(address?.slice(address.lastIndexOf(':') + 1));
}
