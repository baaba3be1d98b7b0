import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededRng } from '../../../src/base/rng.ts';
import { Cells, EndpointCell, PortCell } from '../../../src/model/cells.ts';
import { DEFAULT_OUTLIER } from '../../../src/model/defaults.ts';
import { LiveEndpoint } from '../../../src/upstream/endpoint.ts';
import { PortEjections } from '../../../src/upstream/ejections.ts';
import { endpointAt } from '../../support/data-plane.ts';
import { FakeClock } from '../../support/fake-clock.ts';

const POLICY = {
  ...DEFAULT_OUTLIER,
  consecutive5xx: 1,
  maxEjectionPercent: 100,
  intervalMs: 1000,
  baseEjectionMs: 500,
};

function scene() {
  const clock = new FakeClock();
  const cells = new Cells();
  const ports = new Cells();
  const live = { endpoints: cells, ports, portSlot: ports.allocate() };
  const endpoints = [1, 2, 3, 4].map((port) => new LiveEndpoint(endpointAt(port), undefined as never, cells, 0));
  const told: string[] = [];
  const ejections = new PortEjections({ clock, rng: seededRng(1) }, live, (changed) =>
    told.push(changed.map(({ spec, slot }) => `${spec.port}:${cells.get(slot, EndpointCell.Ejected)}`).join(' ')),
  );
  return { clock, ports, live, endpoints, told, ejections };
}

test('a sweep tells of all whose ejection is over at once', () => {
  const { clock, ports, live, endpoints, told, ejections } = scene();
  ejections.update(POLICY, endpoints);
  for (const endpoint of endpoints.slice(0, 3)) ejections.report(endpoint, 500, false, 1000);
  assert.deepEqual(told.splice(0), ['1:1', '2:1', '3:1']);
  assert.equal(ports.total(live.portSlot, PortCell.Ejections), 3);
  clock.advance(1000);
  assert.deepEqual(told.splice(0), ['1:0 2:0 3:0']);
  clock.advance(5000);
  assert.deepEqual(told, []);
  ejections.stop();
});

test('switched off, all are back, nothing is counted and no timer is left', () => {
  const { clock, live, endpoints, told, ejections } = scene();
  const [first] = endpoints;
  assert.ok(first);
  ejections.update(POLICY, endpoints);
  ejections.report(first, 500, false, 1000);
  told.length = 0;
  ejections.update(undefined, endpoints);
  assert.equal(live.endpoints.get(first.slot, EndpointCell.Ejected), 0);
  ejections.report(first, 500, false, 1000);
  ejections.onActiveSuccess(first);
  assert.equal(clock.waiting, 0);
  assert.equal(ejections.nextReturnMs(clock.nowMs), Infinity);
  assert.deepEqual(told, []);
  ejections.update(POLICY, endpoints);
  ejections.report(first, 500, false, 1000);
  assert.deepEqual(told, ['1:1']);
  ejections.stop();
});

test('an edit of the times is seen in the time that people are told', () => {
  const { clock, endpoints, ejections } = scene();
  const [first, second] = endpoints;
  assert.ok(first && second);
  ejections.update({ ...POLICY, maxEjectionJitterMs: 0 }, endpoints);
  ejections.report(first, 500, false, 1000);
  const atMs = clock.wallMs();
  assert.equal(first.ejectedUntilWallMs, atMs + 500);
  clock.advance(200);
  ejections.update({ ...POLICY, maxEjectionJitterMs: 0, baseEjectionMs: 60_000 }, endpoints);
  assert.equal(first.ejectedUntilWallMs, atMs + 60_000);
  assert.equal(second.ejectedUntilWallMs, 0);
  ejections.stop();
});
