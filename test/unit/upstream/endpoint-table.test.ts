import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Cells } from '../../../src/model/cells.ts';
import type { EndpointSpec } from '../../../src/model/snapshot.ts';
import { LiveEndpoint } from '../../../src/upstream/endpoint.ts';
import { EndpointTable } from '../../../src/upstream/endpoint-table.ts';
import { endpointAt } from '../../support/data-plane.ts';

test('endpoints follow every list of specs, in its order, and those that stay are the same', () => {
  const ports = fc.uniqueArray(fc.integer({ min: 1, max: 12 }), { maxLength: 12 });
  fc.assert(
    fc.property(fc.array(fc.tuple(ports, ports), { maxLength: 8 }), (steps) => {
      const cells = new Cells();
      const table = new EndpointTable();
      const removed: number[] = [];
      const owner = {
        createEndpoint: (spec: EndpointSpec) => new LiveEndpoint(spec, undefined as never, cells, 0),
        removeEndpoint: ({ spec }: LiveEndpoint) => void removed.push(spec.port),
      };
      const specs = new Map<number, EndpointSpec>();
      let live = new Map<number, LiveEndpoint>();
      for (const [wanted, edited] of steps) {
        const known = new Set(specs.keys());
        for (const port of [...wanted, ...edited]) {
          if (!specs.has(port) || edited.includes(port)) specs.set(port, endpointAt(port));
        }
        removed.length = 0;
        const list = wanted.map((port) => specs.get(port)).filter((spec) => spec !== undefined);
        const { kept, added, changed } = table.take(list, owner);
        assert.deepEqual(
          table.ordered.map(({ spec }) => spec),
          list,
        );
        const portsOf = (endpoints: readonly LiveEndpoint[]): number[] => endpoints.map(({ spec }) => spec.port);
        assert.deepEqual(
          portsOf(kept),
          wanted.filter((port) => live.has(port)),
        );
        assert.deepEqual(
          portsOf(added),
          wanted.filter((port) => !live.has(port)),
        );
        assert.deepEqual(
          portsOf(changed),
          wanted.filter((port) => live.has(port) && known.has(port) && edited.includes(port)),
        );
        assert.deepEqual(
          removed.toSorted((a, b) => a - b),
          [...live.keys()].filter((port) => !wanted.includes(port)).sort((a, b) => a - b),
        );
        for (const endpoint of kept) assert.equal(live.get(endpoint.spec.port), endpoint);
        live = new Map(table.ordered.map((endpoint) => [endpoint.spec.port, endpoint]));
        assert.equal(table.size, live.size);
        for (const endpoint of table.ordered) assert.equal(table.get(endpoint.id), endpoint);
      }
    }),
    { seed: 3, numRuns: 300 },
  );
});

test('in the order of turns those that stay keep their places, and who comes takes that of one that goes', () => {
  const ports = fc.uniqueArray(fc.integer({ min: 1, max: 12 }), { minLength: 1, maxLength: 12 });
  const cells = new Cells();
  const owner = {
    createEndpoint: (spec: EndpointSpec) => new LiveEndpoint(spec, undefined as never, cells, 0),
    removeEndpoint: () => undefined,
  };
  const specs = Array.from({ length: 13 }, (_, port) => endpointAt(port + 1));
  const specsOf = (list: readonly number[]): EndpointSpec[] =>
    specs.filter(({ port }) => list.includes(port)).sort((a, b) => a.port - b.port);
  fc.assert(
    fc.property(fc.array(ports, { minLength: 2, maxLength: 6 }), (lists) => {
      const table = new EndpointTable();
      for (const list of lists) {
        const before = table.turns;
        table.take(specsOf(list), owner);
        const { turns } = table;
        assert.deepEqual(new Set(turns), new Set(table.ordered));
        assert.equal(turns.length, table.size);
        const stay = before.filter((endpoint) => table.get(endpoint.id) === endpoint);
        assert.deepEqual(
          turns.filter((endpoint) => before.includes(endpoint)),
          stay,
        );
        if (turns.length < before.length) continue;
        for (const endpoint of stay) assert.equal(turns.indexOf(endpoint), before.indexOf(endpoint));
      }
    }),
    { seed: 5, numRuns: 300 },
  );
});
