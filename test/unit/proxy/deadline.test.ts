import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { CANCEL, INTERNAL_ERROR } from '../../../src/codec/h2/error-code.ts';
import { CallDeadline } from '../../../src/proxy/deadline.ts';

function read(fields: string[], startMs = 1000): CallDeadline {
  const deadline = CallDeadline.read(fields, startMs);
  assert.ok(deadline instanceof CallDeadline);
  return deadline;
}

describe('CallDeadline', () => {
  it('reads the field, in any case, and says where there is none or a bad one', () => {
    assert.equal(read(['te', 'trailers', 'Grpc-Timeout', '5S']).timeoutMs, 5000);
    assert.equal(CallDeadline.read(['te', 'trailers'], 0), undefined);
    assert.equal(CallDeadline.read(['grpc-timeout', '5'], 0), 'malformed');
  });

  it('passes on what is left, never less than nothing', () => {
    const fields = ['a', 'b', 'grpc-timeout', '100m'];
    const deadline = read(fields);
    deadline.lower(fields, 1030);
    assert.equal(read(fields).timeoutMs, 70);
    deadline.lower(fields, 2000);
    assert.ok(read(fields).timeoutMs < 0.001);
    assert.deepEqual(fields.slice(0, 3), ['a', 'b', 'grpc-timeout']);
  });

  it('explains a cancel of the upstream once the time is over, within a millisecond, and nothing else', () => {
    const deadline = read(['grpc-timeout', '100m']);
    assert.equal(deadline.explains('upstream_reset', CANCEL, 1098), false);
    assert.equal(deadline.explains('upstream_reset', CANCEL, 1099), true);
    assert.equal(deadline.explains('upstream_reset', CANCEL, 5000), true);
    assert.equal(deadline.explains('upstream_reset', INTERNAL_ERROR, 5000), false);
    assert.equal(deadline.explains('connect_failure', CANCEL, 5000), false);
  });
});
