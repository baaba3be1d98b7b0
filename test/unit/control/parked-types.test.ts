import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ParkedTypes } from '../../../src/control/parked-types.ts';

const DIES = { connected: true, askedForMs: 20, error: 'UNKNOWN: no cache for this type' };

describe('ParkedTypes', () => {
  it('parks after three streams in a row, at that server alone', () => {
    const parked = new ParkedTypes();
    assert.deepEqual([parked.ended(0, DIES), parked.ended(0, DIES)], [false, false]);
    assert.equal(parked.at(0).size, 0);
    assert.equal(parked.ended(0, DIES), true);
    assert.deepEqual([...parked.at(0)], ['Secret']);
    assert.equal(parked.at(1).size, 0);
    assert.equal(parked.ended(0, DIES), false);
  });

  it('asks once more after a stream without the question, and parks again at once', () => {
    const parked = new ParkedTypes();
    for (let i = 0; i < 3; i++) parked.ended(0, DIES);
    assert.equal(parked.ended(0, { ...DIES, connected: false, askedForMs: undefined }), false);
    assert.equal(parked.at(0).size, 1);
    assert.equal(parked.ended(0, { ...DIES, askedForMs: undefined }), false);
    assert.equal(parked.at(0).size, 0);
    assert.equal(parked.ended(0, DIES), true);
    assert.equal(parked.at(0).size, 1);
  });

  it('counts neither a server that goes away or is not there, nor a stream that was not asked', () => {
    const parked = new ParkedTypes();
    for (let i = 0; i < 5; i++) {
      parked.ended(0, { ...DIES, error: 'UNAVAILABLE: read ECONNRESET' });
      parked.ended(0, { ...DIES, connected: false });
      parked.ended(0, { ...DIES, askedForMs: undefined });
      parked.ended(0, { ...DIES, askedForMs: 5_001 });
    }
    assert.equal(parked.at(0).size, 0);
  });

  it('begins anew after an answer, and after a stream that bore the question', () => {
    const parked = new ParkedTypes();
    parked.ended(0, DIES);
    parked.ended(0, DIES);
    parked.answered(0);
    parked.ended(0, DIES);
    parked.ended(0, DIES);
    parked.ended(0, { ...DIES, askedForMs: 6_000 });
    parked.ended(0, DIES);
    assert.equal(parked.at(0).size, 0);
  });
});
