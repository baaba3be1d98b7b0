import assert from 'node:assert/strict';
import { test } from 'node:test';
import { orderedEndpoints, shareEndpoints } from '../../../src/model/endpoint-list.ts';
import { endpointAt } from '../../support/dns-names.ts';

test('by address in code units, then port; the last of equals stands', () => {
  const list = orderedEndpoints([
    endpointAt(81, { address: '10.0.0.2' }),
    endpointAt(80, { address: '::1' }),
    endpointAt(80, { address: '10.0.0.2' }),
    endpointAt(80, { address: '10.0.0.10' }),
    endpointAt(80, { address: '10.0.0.2', weight: 9 }),
  ]);
  assert.deepEqual(
    list.map(({ address, port, weight }) => `${address} ${port} ${weight}`),
    ['10.0.0.10 80 1', '10.0.0.2 80 9', '10.0.0.2 81 1', '::1 80 1'],
  );
});

test('a list in order is given back as it is; of three equal ones the last stands, of others nothing is lost', () => {
  const list = [endpointAt(80), endpointAt(81), endpointAt(80, { address: '127.0.0.2' })];
  assert.equal(orderedEndpoints(list), list);
  const last = endpointAt(80, { weight: 3 });
  assert.deepEqual(orderedEndpoints([endpointAt(80), endpointAt(80, { weight: 2 }), ...list.slice(1), last]), [
    last,
    ...list.slice(1),
  ]);
  assert.deepEqual(orderedEndpoints([]), []);
});

test('equal endpoints are those of before; a change of one of fifty leaves 49', () => {
  const fifty = orderedEndpoints(Array.from({ length: 50 }, (_, i) => endpointAt(80, { address: `10.0.0.${i}` })));
  const again = fifty.map((spec) => ({ ...spec, labels: new Map(spec.labels) }));
  assert.equal(shareEndpoints(again, fifty), fifty);
  const changed = orderedEndpoints([
    ...again.slice(0, 20),
    ...again.slice(21),
    endpointAt(80, { address: '10.0.1.0' }),
  ]);
  const shared = shareEndpoints(changed, fifty);
  assert.notEqual(shared, fifty);
  assert.equal(shared.filter((spec) => fifty.includes(spec)).length, 49);
});

test('every field counts', () => {
  const before = [endpointAt(80, { labels: new Map([['a', 'b']]) })];
  const [spec] = before;
  assert.ok(spec);
  for (const overrides of [
    { weight: 2 },
    { priority: 1 },
    { draining: true },
    { host: 'a.x' },
    { labels: new Map() },
    { labels: new Map([['a', 'c']]) },
  ]) {
    const [shared] = shareEndpoints([{ ...spec, ...overrides }], before);
    assert.notEqual(shared, spec, JSON.stringify(overrides));
  }
});
