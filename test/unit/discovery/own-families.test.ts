import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ownFamilies, partByFamily } from '../../../src/discovery/own-families.ts';

const MIXED = ['127.0.0.1', '192.0.2.1', '2001:db8::1', '::1'];

test('addresses of a family that the machine has none of are left out, loopback never', () => {
  assert.deepEqual(
    partByFamily(MIXED, () => ({ ipv4: true, ipv6: true })),
    { used: MIXED, leftOut: [] },
  );
  assert.deepEqual(
    partByFamily(MIXED, () => ({ ipv4: true, ipv6: false })),
    {
      used: ['127.0.0.1', '192.0.2.1', '::1'],
      leftOut: ['2001:db8::1'],
    },
  );
  assert.deepEqual(
    partByFamily(MIXED, () => ({ ipv4: false, ipv6: true })),
    {
      used: ['127.0.0.1', '2001:db8::1', '::1'],
      leftOut: ['192.0.2.1'],
    },
  );
});

test('everything is used where nothing would be left', () => {
  const six = ['2001:db8::1', '2001:db8::2'];
  assert.deepEqual(
    partByFamily(six, () => ({ ipv4: true, ipv6: false })),
    { used: six, leftOut: [] },
  );
  const far = ['192.0.2.1', '2001:db8::1'];
  assert.deepEqual(
    partByFamily(far, () => ({ ipv4: false, ipv6: false })),
    { used: far, leftOut: [] },
  );
});

test('the machine has interfaces to ask', () => {
  const own = ownFamilies();
  assert.equal(typeof own.ipv4, 'boolean');
  assert.equal(typeof own.ipv6, 'boolean');
});
