// Load at a fixed rate. h2load's `--rps` sends what is due every ten milliseconds on all connections at once, and then
// the queue in the proxy is what one measures; so it is a program of this bench.
import type { Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import type { Scenario } from '../scenario.ts';
import type { Workbench } from '../workbench.ts';
import { LATE_MS } from './load.ts';

const PROGRAM = fileURLToPath(new URL('./paced-program.js', import.meta.url));

/** What came of it. */
export interface PacedOutcome {
  readonly answered: number;
  /** Those of them that came after the warm-up, and are in the times. */
  readonly measured: number;
  /** What went wrong; empty if nothing did. */
  readonly trouble: string;
  /** Time from when a request was due to the end of its answer that half of them, and 99 of 100, kept to. */
  readonly p50Us: number;
  readonly p99Us: number;
}

/** A connection of the program. */
export interface PacedConnection {
  /** Takes a request, unless it is busy. */
  send(dueMs: number): boolean;
  /** Writes what it has taken. */
  flush(): void;
}

/** Whom a connection tells. */
export interface PacedEvents {
  onAnswer(dueMs: number, nowMs: number): void;
  onTrouble(what: string): void;
}

/** Makes a connection of a socket that is open. */
export type DialPaced = (socket: Socket, scenario: Scenario, events: PacedEvents) => PacedConnection;

/** Sends so many requests a second. Rejects if one failed. */
export async function runPaced(
  bench: Workbench,
  scenario: Scenario,
  port: number,
  seconds: number,
  perSecond: number,
): Promise<PacedOutcome> {
  const args = [PROGRAM, scenario.name, String(port), String(seconds), String(perSecond)];
  const { stdout } = await bench.children.run('others', process.execPath, args, seconds * 1000 + LATE_MS);
  const outcome = JSON.parse(stdout) as PacedOutcome;
  if (outcome.trouble !== '') throw new Error(`requests failed: ${outcome.trouble}`);
  return outcome;
}
