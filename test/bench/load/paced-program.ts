// The process behind the load at a fixed rate: SCENARIO PORT SECONDS REQUESTS_PER_SECOND. Each millisecond the requests that
// are due by then go out, whatever has been answered, on whichever connection is free; one that finds none waits, and
// its time runs. Prints a PacedOutcome as JSON.
import { connect } from 'node:net';
import { scenarioNamed } from '../scenario.ts';
import { percentile } from '../statistics.ts';
import { connectHttp1 } from './paced-http1.ts';
import { connectHttp2 } from './paced-http2.ts';
import type { PacedConnection, PacedOutcome } from './paced.ts';

/** Of the same load before the measured seconds: this program's code is cold, and so may the proxy's be. */
const WARM_UP_MS = 300;
/** How long answers may take after the last request. */
const PATIENCE_MS = 1_000;

const [name = '', port, seconds, perSecond] = process.argv.slice(2);
const scenario = scenarioNamed(name);
const endMs = WARM_UP_MS + Number(seconds) * 1000;
const rate = Number(perSecond) / 1000;

const timesUs: number[] = [];
let answered = 0;
/** When each request that found no free connection was due, oldest first. */
const waiting: number[] = [];
let sent = 0;
let trouble = '';
let next = 0;
const events = {
  onAnswer: (dueMs: number, nowMs: number): void => {
    answered++;
    if (dueMs >= startedMs + WARM_UP_MS) timesUs.push((nowMs - dueMs) * 1000);
  },
  onTrouble: (what: string): void => finish(what),
};
const dial = scenario.downstream === 'h2' ? connectHttp2 : connectHttp1;
let startedMs = Infinity;
const connections: PacedConnection[] = await Promise.all(
  Array.from({ length: scenario.connections }, async () => {
    const socket = connect(Number(port), '127.0.0.1');
    socket.setNoDelay(true);
    await new Promise<void>((connected, failed) => socket.once('connect', connected).once('error', failed));
    return dial(socket, scenario, events);
  }),
);
startedMs = performance.now();
const timer = setInterval(tick, 1);

function tick(): void {
  const nowMs = performance.now();
  const elapsedMs = nowMs - startedMs;
  const due = Math.floor(Math.min(elapsedMs, endMs) * rate);
  for (; sent < due; sent++) waiting.push(nowMs);
  while (waiting.length > 0 && sendOne(waiting[0] ?? nowMs)) waiting.shift();
  for (const connection of connections) connection.flush();
  if (elapsedMs >= endMs && answered === sent) finish('');
  else if (elapsedMs >= endMs + PATIENCE_MS) finish(`${sent - answered} × no answer`);
}

/** On the next connection that is free; false if none is. */
function sendOne(dueMs: number): boolean {
  for (let tried = 0; tried < connections.length; tried++) {
    const connection = connections[next++ % connections.length];
    if (connection?.send(dueMs) === true) return true;
  }
  return false;
}

function finish(what: string): void {
  if (trouble !== '') return;
  trouble = what === '' ? 'none' : what;
  clearInterval(timer);
  const outcome: PacedOutcome = {
    answered,
    measured: timesUs.length,
    trouble: what,
    p50Us: timesUs.length === 0 ? 0 : percentile(timesUs, 0.5),
    p99Us: timesUs.length === 0 ? 0 : percentile(timesUs, 0.99),
  };
  process.stdout.write(JSON.stringify(outcome), () => process.exit(0));
}
