import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FrameReader } from '../../../../src/codec/h2/frame-reader.ts';
import { data, frame, ping } from '../../../support/h2-peer.ts';

function collect(): { reader: FrameReader; seen: string[] } {
  const seen: string[] = [];
  const reader = new FrameReader({
    onFrame(type, flags, id, bytes, start, end) {
      seen.push(`${type} ${flags} ${id} ${bytes.toString('hex', start, end)}`);
      if (type === 0xee) reader.stop();
    },
    onOversizeFrame: (type, length) => seen.push(`oversize ${type} ${length}`),
  });
  return { reader, seen };
}

test('every way to cut two frames in three reads gives the same frames', () => {
  const bytes = Buffer.concat([data(5, 'abcdef', true), ping(), data(7, '')]);
  const whole = collect();
  whole.reader.read(bytes, 0, bytes.length);
  assert.deepEqual(whole.seen, ['0 1 5 616263646566', '6 0 0 0000000100000002', '0 0 7 ']);
  for (let first = 0; first <= bytes.length; first++) {
    for (let second = first; second <= bytes.length; second++) {
      const { reader, seen } = collect();
      for (const part of [bytes.subarray(0, first), bytes.subarray(first, second), bytes.subarray(second)]) {
        const shared = Buffer.from(part);
        reader.read(shared, 0, shared.length);
        shared.fill(0xff);
      }
      assert.deepEqual(seen, whole.seen);
      assert.equal(reader.heldBytes, 0);
    }
  }
});

test('the largest frame passes, one byte more is refused on its header', () => {
  const { reader, seen } = collect();
  const largest = frame(0, 0, 1, Buffer.alloc(16_384));
  reader.read(largest, 0, 1000);
  reader.read(largest, 1000, largest.length);
  assert.equal(seen.length, 1);
  const header = Buffer.from([0, 0x40, 1, 3, 0, 0, 0, 0, 1]);
  for (const cut of [0, 4]) {
    const other = collect();
    if (cut > 0) other.reader.read(header, 0, cut);
    other.reader.read(header, cut, 9);
    assert.deepEqual(other.seen, ['oversize 3 16385']);
    assert.equal(other.reader.heldBytes, 0);
    other.reader.read(header, 0, 9);
    assert.equal(other.seen.length, 1);
  }
});

test('the reserved bit is ignored, and stop works from within a frame', () => {
  const { reader, seen } = collect();
  const bytes = Buffer.concat([frame(0xee, 0, 0), ping()]);
  bytes[5] = 0x80;
  reader.read(bytes, 0, bytes.length);
  assert.deepEqual(seen, ['238 0 0 ']);
});
