import assert from 'node:assert/strict';
import { test } from 'node:test';
import { shownJson, shownReason, shownText } from '../../../src/cli/shown-text.ts';

test('control characters are shown, not acted on', () => {
  assert.equal(
    shownText('\u001b[2J\r\nnode\t\u0000\u007f\u0085\u009b1m é \\x1b 🛶'),
    '\\x1b[2J\\x0d\\x0anode\\x09\\x00\\x7f\\x85\\x9b1m é \\x1b 🛶',
  );
});

test('a long reason is cut between characters', () => {
  assert.equal(shownReason('a\nb'), 'a\\x0ab');
  assert.equal(shownReason('x'.repeat(300)), 'x'.repeat(300));
  assert.equal(shownReason(`${'🛶'.repeat(300)}\u001b`), `${'🛶'.repeat(300)}…`);
  assert.equal(shownReason('\u001b'.repeat(100_000)), `${'\\x1b'.repeat(300)}…`);
});

test('JSON has none of them either, and is still the same value', () => {
  const value = { reason: '\u001b\u007f\u0080\u009f\n' };
  const text = shownJson(value);
  assert.match(text, /^[\n -~]+\n$/);
  assert.deepEqual(JSON.parse(text), value);
});
