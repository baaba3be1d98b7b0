// The corpus of h1-requests.test.ts turned round: an upstream that answers with broken bytes. Before the head has gone out
// the caller gets 502 with the reason; afterwards its connection is cut, so that it can't take a part for the whole. Either
// way the upstream connection is dropped and the next caller over the same pool gets its own answer.
import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { type TestDataPlane, startDataPlane } from '../support/data-plane.ts';
import { callRaw, deliveries } from '../support/h1-deliveries.ts';
import { RESPONSE_ROWS, type ResponseRow, answer } from '../support/h1-response-rows.ts';
import { type RawServer, startRawServer } from '../support/raw-server.ts';

const SEED = 0x5e5;

/** Answers `/row` with the parts at hand and everything else with its own target. */
class ScriptedUpstream {
  parts: readonly string[] = [];
  then: ResponseRow['then'];
  /** The caller of the row has got bytes. */
  callerHasSome = false;
  reset: (() => void) | undefined = undefined;
  /** Glued behind the next proper answer. */
  tail = '';
  server: RawServer | undefined = undefined;
  /** The connection that carried the row; done once it is closed. */
  rowClosed: Promise<void> = Promise.resolve();

  async start(): Promise<number> {
    this.server = await startRawServer((socket) => {
      socket.setNoDelay(true);
      let text = '';
      const closed = new Promise<void>((resolve) => socket.on('close', () => resolve()));
      socket.on('end', () => socket.end());
      socket.on('data', (chunk: Buffer) => {
        text += chunk.toString('latin1');
        for (let end = text.indexOf('\r\n\r\n'); end >= 0; end = text.indexOf('\r\n\r\n')) {
          const target = text.split(' ', 2)[1] ?? '';
          text = text.slice(end + 4);
          if (target === '/row') {
            this.rowClosed = closed;
            this.sendNext(socket, 0);
            continue;
          }
          if (this.tail !== '') this.rowClosed = closed;
          socket.write(`${answer(`Content-Length: ${target.length}`, target)}${this.tail}`, 'latin1');
          this.tail = '';
        }
      });
    });
    return this.server.port;
  }

  private sendNext(socket: Socket, index: number): void {
    if (socket.destroyed) return;
    const part = this.parts[index];
    if (part !== undefined) {
      socket.write(part, 'latin1');
      setImmediate(() => this.sendNext(socket, index + 1));
    } else if (this.then === 'fin') socket.end();
    else if (this.then === 'reset') {
      // A reset may overtake what was sent before it: not before the caller has seen some of that.
      this.reset = () => socket.resetAndDestroy();
      if (this.callerHasSome || this.parts.join('') === '') this.reset();
    }
  }
}

describe('HTTP/1 answers', () => {
  const upstream = new ScriptedUpstream();
  let plane: TestDataPlane;
  let canaries = 0;
  let runs = 0;

  before(async () => {
    plane = await startDataPlane([await upstream.start()], { attempts: { maxAttempts: 1 } });
  });

  after(() => {
    plane.close();
    upstream.server?.close();
  });

  async function canary(how: string): Promise<void> {
    const path = `/canary-${++canaries}`;
    const view = await callRaw(plane.port, [`GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`], {
      answers: 1,
      untilClosed: false,
    });
    assert.deepEqual([view.statuses, view.bodies], [[200], [path]], `${how}: the canary`);
  }

  async function run(row: ResponseRow, how: string, parts: readonly string[]): Promise<void> {
    const { expected, method = 'GET', version = '1.1' } = row;
    const recordsBefore = plane.records.length;
    upstream.parts = parts;
    upstream.then = row.then;
    upstream.callerHasSome = false;
    upstream.reset = undefined;
    runs++;
    const view = await callRaw(plane.port, [`${method} /row HTTP/${version}\r\nHost: a\r\n\r\n`], {
      answers: 1,
      untilClosed: version === '1.0' || 'cut' in expected,
      heads: method === 'HEAD',
      onText: () => {
        upstream.callerHasSome = true;
        upstream.reset?.();
      },
    });
    const errors = plane.records.slice(recordsBefore).map(({ error }) => error);
    if ('bad' in expected) {
      assert.deepEqual([view.statuses.at(-1), view.truncated, view.error], [502, false, undefined], how);
      assert.match(view.text, new RegExp(`\r\nx-outrigger-reason: ${expected.bad}\r\n`), how);
      assert.equal(view.closedByPeer, false, `${how}: the caller's connection is in order`);
      assert.deepEqual(errors, [expected.bad], how);
    } else if ('cut' in expected) {
      assert.equal(view.error, 'ECONNRESET', `${how}: never a clean end`);
      assert.ok(view.bodies.length === 0 || view.truncated, `${how}: ${view.text}`);
      assert.deepEqual(errors, [expected.cut], how);
    } else {
      assert.deepEqual([view.truncated, view.error], [false, undefined], how);
      assert.deepEqual(view.statuses, expected.statuses, how);
      assert.deepEqual(view.bodies, [expected.body], how);
      assert.deepEqual(errors, [undefined], how);
      expected.check?.(view);
    }
    if (!('body' in expected) || expected.drops) await upstream.rowClosed;
    await canary(how);
  }

  /** Bytes that come behind a proper answer are nobody's. */
  async function runGlued(row: ResponseRow): Promise<void> {
    if (row.bytes === '') return;
    const recordsBefore = plane.records.length;
    upstream.tail = row.bytes;
    runs++;
    await canary('before the glued bytes');
    await upstream.rowClosed;
    await canary('after the glued bytes');
    const errors = plane.records.slice(recordsBefore).map(({ error }) => error);
    assert.deepEqual(errors, [undefined, undefined]);
  }

  for (const [index, row] of RESPONSE_ROWS.entries()) {
    test(`${row.id} ${row.name}`, { timeout: 10_000 }, async () => {
      for (const delivery of deliveries(SEED + index)) await run(row, delivery.name, delivery.cut(row.bytes));
      await runGlued(row);
    });
  }

  test('the rows', (t) => {
    assert.equal(new Set(RESPONSE_ROWS.map(({ id, name }) => `${id} ${name}`)).size, RESPONSE_ROWS.length);
    t.diagnostic(`${RESPONSE_ROWS.length} rows, ${runs} deliveries`);
  });
});
