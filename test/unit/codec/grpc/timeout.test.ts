import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { formatGrpcTimeout, parseGrpcTimeout, remainingGrpcTimeout } from '../../../../src/codec/grpc/timeout.ts';

test('reads every unit', () => {
  assert.equal(parseGrpcTimeout('1H'), 3_600_000);
  assert.equal(parseGrpcTimeout('2M'), 120_000);
  assert.equal(parseGrpcTimeout('5S'), 5_000);
  assert.equal(parseGrpcTimeout('250m'), 250);
  assert.equal(parseGrpcTimeout('3000u'), 3);
  assert.equal(parseGrpcTimeout('5000000n'), 5);
  assert.equal(parseGrpcTimeout('00000007S'), 7_000);
  assert.equal(parseGrpcTimeout('99999999H'), 99_999_999 * 3_600_000);
  assert.equal(parseGrpcTimeout('0m'), 0);
});

test('refuses what is malformed', () => {
  const bad = [
    '',
    'S',
    '5',
    '5s',
    '5h',
    '123456789m',
    '-1S',
    '+1S',
    '1.5S',
    ' 5S',
    '5S ',
    '5 S',
    '5SS',
    'm5',
    '٣S',
    '5m\0',
  ];
  for (const text of bad) assert.equal(parseGrpcTimeout(text), undefined, JSON.stringify(text));
  for (const unit of ['constructor', '__proto__']) assert.equal(parseGrpcTimeout(`1${unit}`), undefined);
});

test('writes the finest unit that fits', () => {
  assert.equal(formatGrpcTimeout(0.001), '1u');
  assert.equal(formatGrpcTimeout(1), '1000u');
  assert.equal(formatGrpcTimeout(4_999.5), '4999500u');
  assert.equal(formatGrpcTimeout(99_999.999), '99999999u');
  assert.equal(formatGrpcTimeout(100_000), '100000m');
  assert.equal(formatGrpcTimeout(99_999_999), '99999999m');
  assert.equal(formatGrpcTimeout(100_000_000), '100000S');
  assert.equal(formatGrpcTimeout(100_000_000_000), '1666666M');
  assert.equal(formatGrpcTimeout(6_000_000_000_000), '1666666H');
  assert.equal(formatGrpcTimeout(Number.MAX_VALUE), '99999999H');
});

test('what is left is never nothing on the wire', () => {
  for (const ms of [0, -5, 0.0004]) assert.equal(formatGrpcTimeout(ms), '1n');
});

test('is lowered by the time spent', () => {
  assert.equal(remainingGrpcTimeout(5_000, 1_200), '3800000u');
  assert.equal(remainingGrpcTimeout(5_000, 0), '5000000u');
  assert.equal(remainingGrpcTimeout(5_000, -3), '5000000u');
  assert.equal(remainingGrpcTimeout(5_000, 6_000), '1n');
});

test('written and read again it is not longer, at most eight digits, and near', () => {
  fc.assert(
    fc.property(fc.double({ min: 0.001, max: 3e14, noNaN: true }), (ms) => {
      const text = formatGrpcTimeout(ms);
      assert.match(text, /^[1-9][0-9]{0,7}[HMSmu]$/);
      const read = parseGrpcTimeout(text)!;
      assert.ok(read <= ms * (1 + 1e-12));
      assert.ok(read >= ms - Math.max(0.001, ms * 1e-4) * 1.001, `${ms} ${text}`);
    }),
    { seed: 37, numRuns: 1_000 },
  );
});
