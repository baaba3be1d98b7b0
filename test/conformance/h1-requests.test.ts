// Bad and borderline HTTP/1 requests against the whole data plane, with an upstream that writes down every byte. Each row
// is delivered five ways. What a row must show, besides its status: nothing of a refused request reaches the upstream as a
// request, the connection closes, one reason is counted once, and a caller that comes next gets its own answer over the
// same pool.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type TestDataPlane, startDataPlane } from '../support/data-plane.ts';
import { callRaw, deliveries } from '../support/h1-deliveries.ts';
import { REQUEST_ROWS, type RequestRow, head, isRefused } from '../support/h1-request-rows.ts';
import {
  type RecordedConnection,
  type RecordingUpstream,
  startRecordingUpstream,
} from '../support/recording-upstream.ts';

const SEED = 0x5eed;

describe('HTTP/1 requests', () => {
  let upstream: RecordingUpstream;
  const planes: Partial<Record<'auto' | 'http1', TestDataPlane>> = {};
  const spent = new Set<RecordedConnection>();
  let canaries = 0;
  let runs = 0;

  before(async () => {
    upstream = await startRecordingUpstream();
    planes.auto = await startDataPlane([upstream.port]);
    planes.http1 = await startDataPlane([upstream.port], {}, undefined, { protocols: 'http1' });
  });

  after(() => {
    planes.auto?.close();
    planes.http1?.close();
    upstream.close();
  });

  /** Sends one row one way and looks at all that it did. */
  async function run(row: RequestRow, how: string, parts: readonly string[], glued: boolean): Promise<void> {
    const plane = planes[row.protocols ?? 'auto']!;
    const { expected } = row;
    const refused = isRefused(expected);
    const seenBefore = upstream.requests.length;
    const recordsBefore = plane.records.length;
    const refusalsBefore = plane.refusals.length;
    const front = glued ? ['GET /glue'] : [];
    const targets = [...front, ...(refused ? [] : expected.targets)];
    runs++;

    const view = await callRaw(plane.port, parts, { answers: targets.length, untilClosed: refused });
    const finals = view.statuses.filter((status) => status >= 200);
    const reason = refused ? ((glued ? undefined : expected.firstReason) ?? expected.reason) : undefined;
    assert.equal(view.error, undefined, `${how}: the connection broke`);
    assert.equal(view.truncated, false, how);
    assert.equal(view.closedByPeer, refused, `${how}: who closed`);
    assert.deepEqual(finals, [...targets.map(() => 200), ...(refused ? [expected.status] : [])], how);
    if (refused) {
      const answer = view.text.slice(view.text.lastIndexOf(`HTTP/1.1 ${expected.status} `));
      assert.match(answer, /\r\nconnection: close\r\n/i, how);
      assert.match(answer, new RegExp(`\r\nx-outrigger-reason: ${reason}\r\n`), how);
    } else {
      assert.deepEqual(view.bodies, targets, `${how}: answers in order`);
    }

    // The next caller gets its own answer.
    const canary = `/canary-${++canaries}`;
    const next = await callRaw(plane.port, [head(`GET ${canary} HTTP/1.1\r\nHost: a`)], {
      answers: 1,
      untilClosed: false,
    });
    assert.deepEqual(next.bodies, [`GET ${canary}`], `${how}: the canary`);

    // What went on, and nothing else.
    const seen = upstream.requests.slice(seenBefore);
    assert.deepEqual(
      seen.map(({ target }) => target),
      [...targets, `GET ${canary}`],
      `${how}: what the upstream saw`,
    );
    if (!refused) expected.check?.(seen.slice(front.length, -1), view);
    const broken = upstream.connections.filter((connection) => connection.rest !== '' && !spent.has(connection));
    if (!refused || !expected.inBody) assert.deepEqual(broken, [], `${how}: a part of a request went on`);
    assert.ok(broken.length <= 1, how);
    for (const connection of broken) {
      await connection.closed;
      assert.match(connection.rest, /^POST \/x HTTP\/1\.1\r\n/, how);
      spent.add(connection);
    }

    // One reason, once.
    const counted = [
      ...plane.refusals.slice(refusalsBefore).map(([kind]) => kind),
      ...plane.records.slice(recordsBefore).flatMap(({ error }) => error ?? []),
    ];
    assert.deepEqual(counted, reason === undefined ? [] : [reason], `${how}: what was counted`);
    if (refused) {
      const inRecords = plane.refusals.length === refusalsBefore;
      assert.equal(inRecords, expected.inBody === true, `${how}: where it was counted`);
    }
  }

  for (const [index, row] of REQUEST_ROWS.entries()) {
    test(`${row.id} ${row.name}`, { timeout: 10_000 }, async () => {
      for (const delivery of deliveries(SEED + index)) {
        await run(row, delivery.name, delivery.cut(row.bytes), false);
      }
      const front = head('GET /glue HTTP/1.1\r\nHost: a');
      await run(row, 'glued behind a request', [front + row.bytes], true);
    });
  }

  test('the rows', (t) => {
    assert.equal(new Set(REQUEST_ROWS.map(({ id }) => id)).size, REQUEST_ROWS.length);
    assert.equal(new Set(REQUEST_ROWS.map(({ name }) => name)).size, REQUEST_ROWS.length);
    const refused = REQUEST_ROWS.filter(({ expected }) => isRefused(expected)).length;
    assert.equal(runs, REQUEST_ROWS.length * 5);
    const pending = upstream.connections.filter(({ rest, isClosed }) => rest !== '' && !isClosed);
    assert.deepEqual(pending, [], 'no unfinished request is left open upstream');
    t.diagnostic(`${REQUEST_ROWS.length} rows, ${refused} of them refused, ${runs} deliveries`);
  });
});
