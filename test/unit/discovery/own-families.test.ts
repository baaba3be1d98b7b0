import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ownFamilies, partAnswer, partByFamily } from '../../../src/discovery/own-families.ts';
import { addressesAnswer, serviceAnswer } from '../../support/dns-names.ts';

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

test('each target of a service for itself, and the machine is asked once', () => {
  const known = serviceAnswer('s.x', ['1 1 80 a.x', '1 1 80 b.x', '1 1 80 c.x'], {
    'a.x': ['192.0.2.1', '2001:db8::1'],
    'b.x': ['2001:db8::2'],
    'c.x': ['192.0.2.3', '2001:db8::3'],
  });
  let asked = 0;
  const { used, leftOut } = partAnswer(known, () => {
    asked++;
    return { ipv4: true, ipv6: false };
  });
  assert.deepEqual(
    [...used.addresses],
    [
      ['a.x', ['192.0.2.1']],
      ['b.x', ['2001:db8::2']],
      ['c.x', ['192.0.2.3']],
    ],
  );
  assert.deepEqual(leftOut, ['2001:db8::1', '2001:db8::3']);
  assert.equal(asked, 1);
  const one = addressesAnswer('a.x', ['192.0.2.1']);
  assert.equal(partAnswer(one, () => assert.fail('one family: nobody needs to know')).used, one);
});

test('the machine has interfaces to ask', () => {
  const own = ownFamilies();
  assert.equal(typeof own.ipv4, 'boolean');
  assert.equal(typeof own.ipv6, 'boolean');
});
