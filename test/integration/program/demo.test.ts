// `outrigger demo` without its fault: traffic flows, nothing is ejected, so the status is 1 (CI runs the whole demo).
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { runProgram } from '../../support/program.ts';

describe('the demo', () => {
  for (const flags of [[], ['--tls']]) {
    const what = flags.length > 0 ? ', with mTLS everywhere' : '';
    it(`ends by itself with one line of figures; without a fault nothing is ejected and the status is 1${what}`, async () => {
      const { status, out, log } = await runProgram(['demo', '--for', '2s', '--fault', 'none', ...flags]);
      const lines = out.trim().split('\n');
      const summary = JSON.parse(lines.at(-1) ?? '') as Record<string, Record<string, number>>;
      const ports = Object.values(summary);
      assert.equal(ports.length, 2);
      for (const { calls, ok, attempts, ejected, healed } of ports) {
        assert.ok((calls ?? 0) > 20);
        assert.equal(ok, calls);
        assert.ok((attempts ?? 0) >= (calls ?? 0));
        assert.deepEqual([ejected, healed], [0, 0]);
      }
      assert.equal(status, 1);
      assert.equal(log, '');
      assert.equal(out.includes('https://'), flags.length > 0);
    });
  }

  it('refuses an unknown fault', async () => {
    const { status, log } = await runProgram(['demo', '--fault', 'big']);
    assert.equal(status, 2);
    assert.match(log, /--fault: 'big'/);
  });
});
