import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { NACK_MAX_BYTES, nackMessage } from '../../../src/control/nack.ts';

const refused = (name: string, error: string): { name: string; version: string; error: string } => ({
  name,
  version: '',
  error,
});

describe('nackMessage', () => {
  it('names kind, resource and problems of each', () => {
    const text = nackMessage('Upstream', [
      refused('default/foo', 'port_level_settings[1].tls: not supported yet'),
      refused('default/bar', 'scheme: unknown'),
    ]);
    assert.equal(
      text,
      'Upstream default/foo: port_level_settings[1].tls: not supported yet; Upstream default/bar: scheme: unknown',
    );
  });

  it('stays within its limit and counts what is left out', () => {
    const many = Array.from({ length: 300 }, (_, i) => refused(`default/service-${i}`, 'scheme: unknown'));
    const text = nackMessage('Upstream', many);
    assert.ok(Buffer.byteLength(text) <= NACK_MAX_BYTES);
    const shown = text.split('; ').length - 1;
    assert.ok(shown > 50);
    assert.ok(text.endsWith(`; and ${300 - shown} more resources`), text.slice(-60));
  });

  it('cuts one problem that is too long by itself, between characters', () => {
    const alone = nackMessage('Upstream', [refused('a', 'é'.repeat(5_000))]);
    assert.ok(Buffer.byteLength(alone) <= NACK_MAX_BYTES);
    assert.match(alone, /^Upstream a: é+ \(cut\)$/);
    const two = nackMessage('Upstream', [refused('a', 'é'.repeat(5_000)), refused('b', 'x')]);
    assert.ok(Buffer.byteLength(two) <= NACK_MAX_BYTES);
    assert.match(two, / \(cut\); and 1 more resource$/);
  });
});
