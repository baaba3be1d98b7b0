// Endpoints come and go ten times a second under a steady load of GET, POST and unary gRPC calls. No call may fail, and the
// endpoints that stay must not notice: their health, their numbers and their turns. OUTRIGGER_CHURN_SECONDS sets how long,
// OUTRIGGER_CALLS_PER_SECOND the load.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { seededRng } from '../../../src/base/rng.ts';
import { ChurningPort, type Rows } from '../../support/churning-port.ts';
import type { EndpointPorts } from '../../support/ledger-endpoint-process.ts';
import { httpCall } from '../../support/http-call.ts';
import { OpenLoop } from '../../support/open-loop.ts';
import { cpuMs, hasProc } from '../../support/process-memory.ts';

const CHURN_SECONDS = Number(process.env['OUTRIGGER_CHURN_SECONDS'] ?? 3);
const CALLS_PER_SECOND = Number(process.env['OUTRIGGER_CALLS_PER_SECOND'] ?? 300);
/** Between two changes; with each, one endpoint comes and another goes. */
const CHANGE_EVERY_MS = 100;
const ANSWER_AFTER_MS = 5;
const STAYERS = 5;
const CHURNERS = 4;
/** Changes, and calls after each, at most, of the rotation that is watched call by call. */
const STEPS = 60;
const STEP_CALLS = 3;

function attempts(rows: Rows, port: number): number {
  return Number(rows.get(port)?.attempts);
}

/** Attempts at each endpoint that is picked, between two listings. They differ by one at most: it was their turn. */
function assertTurns(before: Rows, after: Rows): number {
  const counts = [...after.values()]
    .filter(({ usable }) => usable)
    .map(({ port }) => attempts(after, port) - attempts(before, port));
  assert.ok(Math.max(...counts) - Math.min(...counts) <= 1, `turns ${counts.join()}`);
  return counts.reduce((sum, count) => sum + count, 0);
}

/** What an endpoint that stays keeps. */
function assertKept(before: Rows, after: Rows, port: number): void {
  const [was, is] = [before.get(port), after.get(port)];
  assert.ok(was && is, `${port} is shown`);
  for (const name of ['state', 'cause', 'since', 'usable'] as const) assert.deepEqual(is[name], was[name], name);
  for (const name of ['attempts', 'successes'] as const) assert.ok(Number(is[name]) >= Number(was[name]), name);
  assert.equal(Number(is.attempts), Number(is.successes) + Number(is.failures) + is.inFlight);
  assert.equal(is.failures, was.failures);
  assert.equal(is.latencyMs > 0, Number(is.successes) > 0, 'latency');
}

/** Waits until the sidecar has found out about each endpoint, by probes. */
async function untilProbed(scene: ChurningPort, sick: EndpointPorts): Promise<void> {
  for (let i = 0; i < 500; i++) {
    const { http } = await scene.list();
    const states = [...http.values()].filter(({ port }) => port !== sick.http).map(({ state }) => state);
    if (http.get(sick.http)?.state === 'unhealthy' && states.every((state) => state === 'healthy')) return;
    await delay(10);
  }
  assert.fail(`never: ${JSON.stringify([...(await scene.list()).http.values()])}`);
}

describe('endpoints that come and go', () => {
  it('ten times a second fail no call, and leave health, numbers and turns of the others alone', async (t) => {
    const scene = await ChurningPort.start(ANSWER_AFTER_MS);
    let load: OpenLoop | undefined;
    try {
      const stayers = await Promise.all(Array.from({ length: STAYERS }, () => scene.open()));
      const sick = await scene.open(503);
      await scene.configure([...stayers, sick]);
      await untilProbed(scene, sick);
      const churners = await Promise.all(Array.from({ length: CHURNERS }, () => scene.open()));
      await scene.configure([...stayers, sick, ...churners]);

      load = new OpenLoop(scene.ports, CALLS_PER_SECOND);
      await load.further(CALLS_PER_SECOND / 5);
      const cpuBeforeMs = hasProc ? cpuMs(scene.pid) : 0;
      const first = await scene.list();
      const startMs = load.elapsedMs;
      const changes = Math.round((CHURN_SECONDS * 1000) / CHANGE_EVERY_MS);
      let last = first;
      let watched = 0;
      for (let change = 1; change <= changes; change++) {
        churners.push(await scene.open());
        churners.shift();
        const begun = await scene.configure([...stayers, sick, ...churners]);
        await delay(Math.max(0, startMs + change * CHANGE_EVERY_MS - load.elapsedMs));
        const ended = await scene.list();
        for (const kind of ['http', 'grpc'] as const) {
          watched += assertTurns(begun[kind], ended[kind]);
          for (const one of [...stayers, sick]) assertKept(last[kind], ended[kind], one[kind]);
        }
        last = ended;
      }
      const changesPerSecond = (changes * 1000) / (load.elapsedMs - startMs);
      const cpu = hasProc ? (cpuMs(scene.pid) - cpuBeforeMs) / (load.elapsedMs - startMs) : 0;
      await load.stop();
      await scene.allLeft();

      const { records, failures } = load;
      t.diagnostic(
        `${changes} changes, ${changesPerSecond.toFixed(1)} a second; ${records.length} calls, ${failures.length} failed, ` +
          `${watched} in windows without a change; sidecar ${(cpu * 100).toFixed(0)} % of a core`,
      );
      assert.deepEqual(failures, []);
      const executed = await scene.executions();
      for (const { kind, id } of records) assert.equal(executed[kind].get(id), 1, `${kind} ${id}`);
      // Over all changes: as many are there after each as before it, so the turns of those that stay are exact.
      const idle = await scene.list();
      for (const kind of ['http', 'grpc'] as const) {
        const counts = stayers.map((one) => attempts(last[kind], one[kind]) - attempts(first[kind], one[kind]));
        assert.ok(Math.max(...counts) - Math.min(...counts) <= 1, `${kind}: ${counts.join()}`);
        for (const { inFlight } of idle[kind].values()) assert.equal(inFlight, 0);
      }
      assert.equal(attempts(idle.http, sick.http), 0, 'no unchecked window');
      assert.ok(attempts(idle.grpc, sick.grpc) > 0, 'the other port has a health of its own');
    } finally {
      await load?.stop();
      await scene.stop();
    }
  });

  it('do not pull the rotation back to its start', async (t) => {
    const scene = await ChurningPort.start(0);
    try {
      const stayers = await Promise.all(Array.from({ length: STAYERS }, () => scene.open()));
      await scene.configure(stayers);
      const rng = seededRng(7);
      const before = await scene.list();
      let calls = 0;
      for (let step = 0; step < STEPS; step++) {
        await scene.configure(step % 2 === 0 ? [...stayers, await scene.open()] : stayers);
        for (let left = 1 + rng.below(STEP_CALLS); left > 0; left--) {
          assert.equal((await httpCall(scene.ports.http, { path: `/${++calls}` })).status, 200);
        }
      }
      const after = await scene.list();
      const counts = stayers.map(({ http }) => attempts(after.http, http) - attempts(before.http, http));
      t.diagnostic(`${calls} calls between ${STEPS} changes: ${counts.join()} at those that stay`);
      // Were it to start over, the last ones would hardly ever have a turn.
      const least = calls / (STAYERS + 1) / 4;
      assert.ok(Math.min(...counts) >= least, `${counts.join()} of ${calls}`);
    } finally {
      await scene.stop();
    }
  });
});
