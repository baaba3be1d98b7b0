import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseDurationS } from '../../../../src/controlplane/read/duration.ts';

const VALID: readonly [string | number, number][] = [
  [5, 5],
  [0.5, 0.5],
  ['5', 5],
  ['0.25', 0.25],
  ['5s', 5],
  ['500ms', 0.5],
  ['100ms', 0.1],
  ['1m30s', 90],
  ['1.5h', 5400],
  ['250us', 0.00025],
  ['250µs', 0.00025],
  [999_999, 999_999],
  [1_000_000, 0.001],
  [5_000_000_000, 5],
  ['5000000000', 5],
  [0, 0],
];

for (const [written, seconds] of VALID) {
  test(`${JSON.stringify(written)} is ${seconds} s`, () => assert.equal(parseDurationS(written), seconds));
}

for (const written of ['', 's', '5 s', '5x', '5s3', '-5s', -5, Number.NaN, true, undefined, '5s '.repeat(40)]) {
  test(`${JSON.stringify(written)} is no duration`, () => assert.equal(parseDurationS(written), undefined));
}
