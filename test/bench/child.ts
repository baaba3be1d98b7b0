// Child processes that can't outlive the run: each leads a process group of its own, and what still lives is killed by
// group when this program ends, however it ends short of SIGKILL.
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import type { Cores } from './cores.ts';

/** Where a child runs. */
export type Place = 'proxy' | 'others';

/** A running child. */
export interface Child {
  readonly pid: number;
  /** When it was started, by `performance.now()`. */
  readonly startedAtMs: number;
  /** Fulfilled when it has ended, with the exit code, or undefined after a signal. */
  readonly ended: Promise<number | undefined>;
  /** What came on stdout so far. */
  stdout(): string;
  /** The last 4 KiB of stderr. */
  stderr(): string;
  hasEnded(): boolean;
}

/** How a program that was run to its end came out. */
export interface Outcome {
  readonly stdout: string;
  readonly stderr: string;
}

/** Milliseconds between SIGTERM and SIGKILL. */
const GRACE_MS = 3_000;
const STDERR_BYTES = 4_096;

/** Starts, waits for and ends the programs of a run. */
export class Children {
  private readonly cores: Cores;
  private readonly live = new Set<number>();

  constructor(cores: Cores) {
    this.cores = cores;
    process.on('exit', () => this.killAll());
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
      process.on(signal, () => process.exit(1));
    }
  }

  /** Starts a program on its core. Throws if it can't be started. */
  async start(place: Place, command: string, args: readonly string[]): Promise<Child> {
    const pinned = this.cores.pinned ? ['taskset', '-c', String(this.cores[place])] : [];
    const [program = command, ...rest] = [...pinned, command, ...args];
    const startedAtMs = performance.now();
    const spawned = spawn(program, rest, { detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
    await new Promise<void>((started, failed) => {
      spawned.once('spawn', started);
      spawned.once('error', failed);
    });
    const pid = spawned.pid ?? 0;
    this.live.add(pid);
    return watch(spawned, pid, startedAtMs, () => this.live.delete(pid));
  }

  /** Runs a program to its end. Throws with its stderr if it fails or takes longer than `timeoutMs`. */
  async run(place: Place, command: string, args: readonly string[], timeoutMs: number): Promise<Outcome> {
    const child = await this.start(place, command, args);
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      signalGroup(child.pid, 'SIGKILL');
    }, timeoutMs);
    const code = await child.ended;
    clearTimeout(timer);
    if (late) throw new Error(`${command} took longer than ${timeoutMs} ms`);
    if (code !== 0) throw new Error(`${command} ended with ${code ?? 'a signal'}: ${child.stderr() || child.stdout()}`);
    return { stdout: child.stdout(), stderr: child.stderr() };
  }

  /** SIGTERM, and SIGKILL if that isn't enough. */
  async stop(child: Child): Promise<void> {
    if (!child.hasEnded()) signalGroup(child.pid, 'SIGTERM');
    const timer = setTimeout(() => signalGroup(child.pid, 'SIGKILL'), GRACE_MS);
    await child.ended;
    clearTimeout(timer);
  }

  /** Kills whatever this run started and still lives. */
  killAll(): void {
    for (const pid of this.live) signalGroup(pid, 'SIGKILL');
  }
}

function watch(spawned: ChildProcess, pid: number, startedAtMs: number, forget: () => void): Child {
  let stdout = '';
  let stderr = '';
  let over = false;
  spawned.stdout?.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  spawned.stderr?.setEncoding('utf8').on('data', (text: string) => (stderr = (stderr + text).slice(-STDERR_BYTES)));
  const ended = new Promise<number | undefined>((resolve) => {
    spawned.once('close', (code) => {
      over = true;
      forget();
      resolve(code ?? undefined);
    });
  });
  return { pid, startedAtMs, ended, stdout: () => stdout, stderr: () => stderr.trim(), hasEnded: () => over };
}

function signalGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal);
  } catch {
    // It ended in the meantime.
  }
}
