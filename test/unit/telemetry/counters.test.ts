import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  CounterCell,
  Counters,
  ERROR_KINDS,
  LOCAL_REPLY_CELL,
  requestCell,
  responseCell,
} from '../../../src/telemetry/counters.ts';

test('each counter has a cell of its own inside the table', () => {
  const cells = [...Object.values(CounterCell), ...Object.values(LOCAL_REPLY_CELL)];
  assert.equal(new Set(cells).size, cells.length);
  assert.ok(Math.max(...cells) * 2 + 1 < new Counters().words.length);
  assert.equal(Object.keys(LOCAL_REPLY_CELL).length, ERROR_KINDS.length);
});

test('counts carry into the second word', () => {
  const counters = new Counters();
  counters.add(3, 0x7fffffff);
  counters.add(3, 0x7fffffff);
  counters.count(3);
  assert.equal(counters.total(3), 0xffffffff);
  counters.count(3);
  assert.equal(counters.total(3), 0x100000000);
  counters.add(3, 0x7fffffff);
  counters.add(3, 0x7fffffff);
  counters.add(3, 0x7fffffff);
  assert.equal(counters.total(3), 0x100000000 + 3 * 0x7fffffff);
  assert.equal(counters.total(2) + counters.total(4), 0);
});

test('versions and statuses find their cells', () => {
  assert.equal(requestCell(10), CounterCell.RequestsHttp10);
  assert.equal(requestCell(11), CounterCell.RequestsHttp11);
  assert.equal(requestCell(20), CounterCell.RequestsHttp2);
  assert.equal(responseCell(101), CounterCell.Responses1xx);
  assert.equal(responseCell(204), CounterCell.Responses2xx);
  assert.equal(responseCell(499), CounterCell.Responses4xx);
  assert.equal(responseCell(599), CounterCell.Responses5xx);
  assert.equal(responseCell(600), CounterCell.Responses5xx);
  assert.equal(responseCell(0), CounterCell.Responses5xx);
});
