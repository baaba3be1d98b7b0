// A parser that never returns can't be stopped from within its thread. This watches from another one, and tells which
// input it was.
import { Worker } from 'node:worker_threads';

const TICK_MS = 2000;
const PATIENT_TICKS = 15;
const MAX_INPUT_BYTES = 256 * 1024;

// Cells: the input's number, its length; then its bytes. The thread is ended by the process, or by itself at -2.
const WATCH = `
const { workerData } = require('node:worker_threads');
const { writeSync } = require('node:fs');
const { shared, name, tickMs, ticks } = workerData;
const cells = new Int32Array(shared, 0, 2);
let last = -1, same = 0;
for (;;) {
  const number = Atomics.load(cells, 0);
  if (number === -2) break;
  same = number === last ? same + 1 : 0;
  last = number;
  if (same >= ticks) {
    const input = Buffer.from(shared, 8, Atomics.load(cells, 1));
    writeSync(2, name + ': input ' + number + ' does not end\\n  OUTRIGGER_FUZZ_HEX=' + input.toString('hex') + '\\n');
    process.kill(process.pid, 'SIGKILL');
  }
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, tickMs);
}`;

/** Kills the process if one input takes half a minute. */
export class FuzzWatchdog {
  private readonly cells: Int32Array;
  private readonly bytes: Uint8Array;
  private readonly worker: Worker;

  constructor(name: string) {
    const shared = new SharedArrayBuffer(8 + MAX_INPUT_BYTES);
    this.cells = new Int32Array(shared, 0, 2);
    this.bytes = new Uint8Array(shared, 8);
    const workerData = { shared, name, tickMs: TICK_MS, ticks: PATIENT_TICKS };
    this.worker = new Worker(WATCH, { eval: true, workerData });
    this.worker.unref();
  }

  /** This input comes next. */
  working(number: number, input: Buffer): void {
    this.bytes.set(input.subarray(0, MAX_INPUT_BYTES));
    this.cells[1] = Math.min(input.length, MAX_INPUT_BYTES);
    this.cells[0] = number;
  }

  stop(): void {
    this.cells[0] = -2;
  }
}
