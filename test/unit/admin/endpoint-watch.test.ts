import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { EndpointWatch } from '../../../src/admin/endpoint-watch.ts';
import type { EndpointChange } from '../../../src/admin/views.ts';
import {
  WatchEndpointsResponse_Change as Change,
  type WatchEndpointsResponse,
} from '../../../src/gen/outrigger/admin/v1/admin.ts';
import { endpointView, portView } from '../../support/fake-sidecar-view.ts';

const PORT = portView();

/** A watch whose stream takes `room` messages before it blocks. */
function watched(room: number): { watch: EndpointWatch; heard: string[]; give: (more: number) => void } {
  const heard: string[] = [];
  let left = room;
  const watch = new EndpointWatch(({ change, endpoint }: WatchEndpointsResponse) => {
    const name = Object.entries(Change).find(([, value]) => value === change)?.[0];
    heard.push(`${name} ${endpoint?.port} w${endpoint?.weight}`);
    return --left > 0;
  });
  return {
    watch,
    heard,
    give(more) {
      left = more;
      watch.resume();
    },
  };
}

test('the endpoints that are there come first, then each change at once', () => {
  const { watch, heard, give } = watched(0);
  watch.initial(PORT, endpointView({ port: 1 }));
  watch.initial(PORT, endpointView({ port: 2 }));
  watch.change('updated', PORT, endpointView({ port: 2, weight: 5 }));
  watch.change('added', PORT, endpointView({ port: 3 }));
  assert.deepEqual(heard, []);
  give(100);
  watch.change('updated', PORT, endpointView({ port: 1, weight: 9 }));
  watch.change('removed', PORT, endpointView({ port: 1 }));
  assert.deepEqual(heard, ['INITIAL 1 w1', 'INITIAL 2 w5', 'ADDED 3 w1', 'UPDATED 1 w9', 'REMOVED 1 w1']);
});

test('a slow reader hears the newest of each endpoint', () => {
  const { watch, heard, give } = watched(1);
  for (const port of [1, 2]) watch.initial(PORT, endpointView({ port }));
  give(2);
  assert.equal(heard.length, 2);
  for (let weight = 1; weight <= 50; weight++) watch.change('updated', PORT, endpointView({ port: 1, weight }));
  watch.change('removed', PORT, endpointView({ port: 2 }));
  watch.change('added', PORT, endpointView({ port: 2, weight: 7 }));
  watch.change('added', PORT, endpointView({ port: 3 }));
  watch.change('removed', PORT, endpointView({ port: 3 }));
  assert.equal(watch.size, 2);
  give(10);
  assert.deepEqual(heard.slice(2), ['UPDATED 1 w50', 'UPDATED 2 w7']);
});

test('whatever happens and however slow the reader is, it ends with the truth and nothing piles up', () => {
  const change = fc.record({ port: fc.integer({ min: 1, max: 5 }), weight: fc.nat(9), room: fc.nat(2) });
  fc.assert(
    fc.property(fc.array(change, { maxLength: 80 }), fc.subarray([1, 2, 3, 4, 5]), (changes, initial) => {
      const truth = new Map<number, number>(initial.map((port) => [port, 1]));
      const told = new Map<number, number>();
      let left = 0;
      const watch = new EndpointWatch(({ change: what, endpoint }) => {
        assert.ok(endpoint);
        const known = told.has(endpoint.port);
        assert.equal(known, what === Change.UPDATED || what === Change.REMOVED);
        if (what === Change.REMOVED) told.delete(endpoint.port);
        else told.set(endpoint.port, endpoint.weight);
        return --left > 0;
      });
      for (const port of initial) watch.initial(PORT, endpointView({ port }));
      for (const { port, weight, room } of changes) {
        const what: EndpointChange = !truth.has(port) ? 'added' : weight < 4 ? 'removed' : 'updated';
        if (what === 'removed') truth.delete(port);
        else truth.set(port, weight);
        watch.change(what, PORT, endpointView({ port, weight }));
        assert.ok(watch.size <= 5);
        left = room;
        if (room > 0) watch.resume();
      }
      left = 1000;
      watch.resume();
      assert.deepEqual(told, truth);
    }),
    { seed: 23, numRuns: 300 },
  );
});
