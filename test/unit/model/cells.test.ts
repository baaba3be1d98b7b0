import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Cells, EndpointCell, PortCell } from '../../../src/model/cells.ts';

test('rows are apart, and zero when they are taken', () => {
  const cells = new Cells();
  const a = cells.allocate();
  const b = cells.allocate();
  cells.set(a, EndpointCell.HealthState, 3);
  cells.add(a, EndpointCell.InFlight, 2);
  cells.count(b, EndpointCell.Picks);
  assert.equal(cells.get(a, EndpointCell.HealthState), 3);
  assert.equal(cells.get(b, EndpointCell.HealthState), 0);
  assert.equal(cells.get(b, EndpointCell.InFlight), 0);
  assert.equal(cells.words[cells.at(a, EndpointCell.InFlight)], 2);
  cells.release(a);
  const c = cells.allocate();
  assert.equal(c, a);
  assert.equal(cells.get(c, EndpointCell.HealthState), 0);
  assert.equal(cells.total(b, EndpointCell.Picks), 1);
});

test('a released row is known by its generation', () => {
  const cells = new Cells();
  const slot = cells.allocate();
  const generation = cells.generation(slot);
  assert.ok(cells.holds(slot, generation));
  cells.release(slot);
  assert.ok(!cells.holds(slot, generation));
  assert.equal(cells.allocate(), slot);
  assert.ok(!cells.holds(slot, generation));
  assert.ok(cells.holds(slot, cells.generation(slot)));
});

test('keeps numbers and generations when it grows', () => {
  const cells = new Cells();
  const slots = Array.from({ length: 1_000 }, () => cells.allocate());
  assert.equal(new Set(slots).size, 1_000);
  for (const slot of slots) cells.set(slot, PortCell.Cursor, slot * 7);
  cells.release(slots[3]!);
  const more = Array.from({ length: 2_000 }, () => cells.allocate());
  assert.ok(more.includes(slots[3]!));
  assert.equal(cells.generation(slots[3]!), 1);
  for (const slot of slots) if (slot !== slots[3]) assert.equal(cells.get(slot, PortCell.Cursor), slot * 7);
});

test('two-word counters carry', () => {
  const cells = new Cells();
  const slot = cells.allocate();
  cells.set(slot, EndpointCell.Attempts, 0x7fff_ffff);
  cells.count(slot, EndpointCell.Attempts);
  assert.equal(cells.total(slot, EndpointCell.Attempts), 0x8000_0000);
  cells.set(slot, EndpointCell.Attempts, -1);
  assert.equal(cells.total(slot, EndpointCell.Attempts), 0xffff_ffff);
  cells.count(slot, EndpointCell.Attempts);
  assert.equal(cells.total(slot, EndpointCell.Attempts), 0x1_0000_0000);
  cells.count(slot, EndpointCell.Attempts);
  assert.equal(cells.total(slot, EndpointCell.Attempts), 0x1_0000_0001);
});

test('no two words of a row overlap', () => {
  const twoWords = new Set([
    'Picks',
    'Attempts',
    'Successes',
    'Failures',
    'Requests',
    'Retries',
    'RetriesRefused',
    'OverflowPending',
    'OverflowRequests',
    'OverflowRetries',
    'OverflowEndpoints',
    'OverflowConnections',
    'EjectionsOverflow',
    'PanicPicks',
    'HashFallbacks',
    'IntervalLatencyUs',
  ]);
  for (const words of [EndpointCell, PortCell]) {
    const isWide = (name: string): boolean => twoWords.has(name) || (words === PortCell && name === 'Ejections');
    const taken = Object.entries(words).flatMap(([name, at]) => (isWide(name) ? [at, at + 1] : [at]));
    assert.equal(new Set(taken).size, taken.length);
    const cells = new Cells();
    assert.ok(Math.max(...taken) < cells.at(1, 0) - cells.at(0, 0));
  }
});
