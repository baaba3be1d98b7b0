import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Kind } from '../../../src/config/resource.ts';
import type { StreamEnd } from '../../../src/control/parked-types.ts';
import { ParkedTypes } from '../../../src/control/parked-types.ts';

function end(unanswered: Partial<Record<Kind, number>>, more: Partial<StreamEnd> = {}): StreamEnd {
  const error = 'UNKNOWN: no cache for this type';
  return { connected: true, unanswered: new Map(Object.entries(unanswered)) as Map<Kind, number>, error, ...more };
}

const DIES = end({ Secret: 20 });
const GATEWAY = { Route: 20, Service: 20, PluginConfig: 20, Consumer: 20 };

describe('ParkedTypes', () => {
  it('parks after three streams in a row, at that server alone', () => {
    const parked = new ParkedTypes();
    assert.deepEqual([parked.ended(0, DIES), parked.ended(0, DIES)], [[], []]);
    assert.equal(parked.at(0).size, 0);
    assert.deepEqual(parked.ended(0, DIES), ['Secret']);
    assert.deepEqual([...parked.at(0)], ['Secret']);
    assert.equal(parked.at(1).size, 0);
    assert.deepEqual(parked.ended(0, DIES), []);
  });

  it('asks once more after a stream without the question, and parks again at once', () => {
    const parked = new ParkedTypes();
    for (let i = 0; i < 3; i++) parked.ended(0, DIES);
    assert.deepEqual(parked.ended(0, end({}, { connected: false })), []);
    assert.equal(parked.at(0).size, 1);
    assert.deepEqual(parked.ended(0, end({})), []);
    assert.equal(parked.at(0).size, 0);
    assert.deepEqual(parked.ended(0, DIES), ['Secret']);
    assert.equal(parked.at(0).size, 1);
  });

  it('counts neither a server that goes away or is not there, nor a stream that was not asked', () => {
    const parked = new ParkedTypes();
    for (let i = 0; i < 5; i++) {
      parked.ended(0, { ...DIES, error: 'UNAVAILABLE: read ECONNRESET' });
      parked.ended(0, { ...DIES, connected: false });
      parked.ended(0, end({}));
      parked.ended(0, end({ Secret: 5_001 }));
    }
    assert.equal(parked.at(0).size, 0);
  });

  it('begins anew after an answer, and after a stream that bore the question', () => {
    const parked = new ParkedTypes();
    parked.ended(0, DIES);
    parked.ended(0, DIES);
    parked.answered(0, 'Secret');
    parked.ended(0, DIES);
    parked.ended(0, DIES);
    parked.ended(0, end({ Secret: 6_000 }));
    parked.ended(0, DIES);
    assert.equal(parked.at(0).size, 0);
  });

  it("parks the gateway's types before Secrets, which the mesh needs, and only those that were not answered", () => {
    const parked = new ParkedTypes();
    for (let i = 0; i < 2; i++) assert.deepEqual(parked.ended(0, end({ ...GATEWAY, Secret: 20 })), []);
    assert.deepEqual(parked.ended(0, end({ PluginConfig: 20, Secret: 20 })), ['PluginConfig']);
    assert.deepEqual([...parked.at(0)], ['PluginConfig']);
    assert.deepEqual(parked.ended(0, end({ Route: 20, Service: 20, Consumer: 20, Secret: 20 })), [
      'Route',
      'Service',
      'Consumer',
    ]);
    // Where that was not it, the Secrets follow; what is parked is not asked for again while streams die.
    for (let i = 0; i < 2; i++) assert.deepEqual(parked.ended(0, DIES), []);
    assert.deepEqual(parked.ended(0, DIES), ['Secret']);
    assert.equal(parked.at(0).size, 5);
    assert.deepEqual(parked.ended(0, end({})), []);
    assert.equal(parked.at(0).size, 0);
  });
});
