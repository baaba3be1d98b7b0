// Where the answer to `*` ends. That the control plane cuts accordingly: test/unit/controlplane/delta-stream-parts.test.ts.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { DeliveredResource } from '../../../src/control/subscription.ts';
import { WholeAnswer } from '../../../src/control/whole-answer.ts';
import { responseOf } from '../../support/fake-ads.ts';

const MIB = 1024 * 1024;

/** A resource that counts as so many bytes. */
function sized(name: string, counted: number): DeliveredResource {
  const bytes = new Uint8Array(counted - name.length - 64);
  return { name, typeUrl: '', version: '1', ttlMs: undefined, bytes, aliases: [] };
}

const add = (answer: WholeAnswer, ...resources: DeliveredResource[]): boolean =>
  answer.add(responseOf('Route', resources), 1_000);

describe('WholeAnswer', () => {
  it('is whole by a part of 1 MiB, and by an empty one', () => {
    assert.equal(add(new WholeAnswer(new Set(), false), sized('a', MIB)), true);
    assert.equal(add(new WholeAnswer(new Set(), false), sized('a', MIB - 100), sized('b', 100)), true);
    assert.equal(add(new WholeAnswer(new Set(), false)), true);
  });

  it('waits 250 ms for another part after one of more, counting names and what a resource takes beside them', () => {
    const answer = new WholeAnswer(new Set(), false);
    assert.equal(add(answer, sized('a', MIB + 1)), false);
    assert.equal(answer.dueMs, 1_250);
    assert.equal(answer.isWhole, false);
    const many = Array.from({ length: 16_000 }, (_, i) => sized(`r${i}`, 100));
    assert.equal(add(new WholeAnswer(new Set(), false), ...many), false);
    assert.equal(add(answer, sized('b', 100)), true);
  });

  it('tells once it is finished what nobody confirmed', () => {
    const answer = new WholeAnswer(new Set(['a', 'b']), true);
    assert.equal(answer.isWhole, false);
    answer.confirm('a');
    assert.deepEqual([...answer.finish()], ['b']);
    assert.deepEqual([answer.isWhole, answer.dueMs], [true, Infinity]);
    assert.equal(add(answer), false);
  });
});
