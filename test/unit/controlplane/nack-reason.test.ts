import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cutReason, readNackReason } from '../../../src/controlplane/nack-reason.ts';

const SENT = new Set(['default/a', 'default/b', 'tls']);
const read = (message: string) => {
  const { named, isComplete } = readNackReason('Upstream', message, SENT);
  return [Object.fromEntries(named), isComplete];
};

test('each resource that is named has its own problems', () => {
  assert.deepEqual(read('Upstream default/a: scheme: not known; tls: not supported yet; Upstream default/b: no'), [
    {
      'default/a': 'Upstream default/a: scheme: not known; tls: not supported yet',
      'default/b': 'Upstream default/b: no',
    },
    true,
  ]);
});

test('those that are left out may be any of the others', () => {
  assert.deepEqual(read('Upstream default/a: no; and 2 more resources'), [
    { 'default/a': 'Upstream default/a: no' },
    false,
  ]);
});

test('without the kind', () => {
  assert.deepEqual(read('default/b: no'), [{ 'default/b': 'default/b: no' }, true]);
});

test('what names none of those that were sent tells nothing', () => {
  for (const message of ['', 'out of memory', 'Upstream default/z: no', 'Upstream default/a', ': ', 'Upstream ']) {
    assert.deepEqual(read(message), [{}, false], message);
  }
});

test('a reason is kept up to 4,000 bytes, at a whole character', () => {
  assert.equal(cutReason('short'), 'short');
  const cut = cutReason(`x${'ä'.repeat(3_000)}`);
  assert.equal(Buffer.byteLength(cut), 3_999);
  assert.ok(cut.endsWith('ä'));
});
