import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isSameAnswer, mergeAnswer } from '../../../src/discovery/answer.ts';
import { addressesAnswer, serviceAnswer } from '../../support/dns-names.ts';

const reason = 'the DNS server failed (SERVFAIL)';

test('an equal answer stands for the same, whatever its time to live', () => {
  const before = addressesAnswer('a.x', ['10.0.0.1', '10.0.0.2']);
  assert.ok(isSameAnswer(before, addressesAnswer('a.x', ['10.0.0.2', '10.0.0.1'], { ttlMs: 5 })));
  const service = serviceAnswer('s.x', ['1 1 80 a.x'], { 'a.x': ['10.0.0.1'] });
  assert.ok(isSameAnswer(service, serviceAnswer('s.x', ['1 1 80 a.x'], { 'a.x': ['10.0.0.1'] })));
});

test('every difference that matters is seen', () => {
  const before = serviceAnswer('s.x', ['1 1 80 a.x'], { 'a.x': ['10.0.0.1'] });
  for (const next of [
    serviceAnswer('s.y', ['1 1 80 a.x'], { 'a.x': ['10.0.0.1'] }),
    serviceAnswer('s.x', ['2 1 80 a.x'], { 'a.x': ['10.0.0.1'] }),
    serviceAnswer('s.x', ['1 2 80 a.x'], { 'a.x': ['10.0.0.1'] }),
    serviceAnswer('s.x', ['1 1 81 a.x'], { 'a.x': ['10.0.0.1'] }),
    serviceAnswer('s.x', ['1 1 80 a.x', '1 1 80 b.x'], { 'a.x': ['10.0.0.1'] }),
    serviceAnswer('s.x', ['1 1 80 a.x'], { 'a.x': ['10.0.0.2'] }),
    serviceAnswer('s.x', ['1 1 80 a.x'], { 'a.x': ['10.0.0.1', '10.0.0.2'] }),
    addressesAnswer('s.x', ['10.0.0.1']),
  ]) {
    assert.equal(isSameAnswer(before, next), false);
    assert.equal(mergeAnswer(before, next), next);
  }
});

test('a family that failed keeps its addresses; one that is empty does not', () => {
  const before = addressesAnswer('a.x', ['10.0.0.1', '::1', '::2']);
  const failed = addressesAnswer('a.x', ['10.0.0.2'], { gaps: [{ host: 'a.x', family: 6, reason }] });
  assert.deepEqual(mergeAnswer(before, failed).addresses.get('a.x'), ['10.0.0.2', '::1', '::2']);
  assert.deepEqual(mergeAnswer(before, addressesAnswer('a.x', ['10.0.0.2'])).addresses.get('a.x'), ['10.0.0.2']);
  const same = addressesAnswer('a.x', ['10.0.0.1'], { gaps: [{ host: 'a.x', family: 6, reason }] });
  assert.ok(isSameAnswer(mergeAnswer(before, same), before));
  assert.equal(mergeAnswer(undefined, failed), failed);
});

test('a target that failed keeps its addresses as long as a record names it', () => {
  const before = serviceAnswer('s.x', ['1 1 80 a.x', '1 1 80 b.x'], { 'a.x': ['10.0.0.1'], 'b.x': ['10.0.0.2'] });
  const gap = { host: 'b.x', family: undefined, reason };
  const next = serviceAnswer('s.x', ['1 1 80 a.x', '1 1 80 b.x'], { 'a.x': ['10.0.0.9'] }, { gaps: [gap] });
  assert.deepEqual(
    [...mergeAnswer(before, next).addresses],
    [
      ['a.x', ['10.0.0.9']],
      ['b.x', ['10.0.0.2']],
    ],
  );
  const without = serviceAnswer('s.x', ['1 1 80 a.x'], { 'a.x': ['10.0.0.1'] });
  assert.deepEqual([...mergeAnswer(before, without).addresses.keys()], ['a.x']);
});
