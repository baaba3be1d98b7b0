import assert from 'node:assert/strict';
import { isIPv6 } from 'node:net';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { isAuthority } from '../../../src/codec/authority.ts';

describe('an authority', () => {
  const good = [
    'a',
    'A.b-c_d~',
    'a:',
    'a:0',
    'a:00080',
    'a:65535',
    '1.2.3.4:80',
    '[::1]',
    '[::1]:443',
    '[1:2:3:4:5:6:7:8]',
    '[fe80::1%25eth0]:1',
    '%41%ff:1',
    'a,b',
    '_x',
  ];
  for (const text of good) test(`${text} is one`, () => assert.equal(isAuthority(text), true));

  const bad = [
    '',
    ':80',
    'a:b',
    'a:65536',
    'a:123456',
    'a:-1',
    'a b',
    'a/b',
    'a?b',
    'a#b',
    'u@a',
    'a\\b',
    'a"b',
    'a%',
    'a%4',
    'a%zz',
    '\xe9',
    '[::1',
    '::1',
    '[::1]x',
    '[]',
    '[.]',
    '[1:2]',
    '[1::2::3]',
    '[1:2:3:4:5:6:7:8:9]',
    '[12345::]',
    '[::1.2.3]',
    '[::1.2.3.256]',
    '[1.2.3.4::]',
    '[v1.x]',
    '[fe80::1%eth0]',
    'a\r\nb',
    'a\0',
  ];
  for (const text of bad) test(`${JSON.stringify(text)} is none`, () => assert.equal(isAuthority(text), false));

  test('what is in brackets is an IPv6 address as Node reads it', () => {
    const piece = fc.constantFrom(
      '1',
      'ab',
      'FFFF',
      '0',
      '12345',
      ':',
      ':',
      ':',
      '::',
      '1.2.3.4',
      '255.255.255.255',
      '256.1.1.1',
      '01.2.3.4',
      '.',
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 17 }), (parts) => {
        const text = parts.join('');
        assert.equal(isAuthority(`[${text}]`), isIPv6(text), text);
      }),
      { seed: 0x1b6, numRuns: 5000 },
    );
    const group = fc.constantFrom('1', 'ab', 'FFFF', '0');
    fc.assert(
      fc.property(fc.array(group, { maxLength: 9 }), fc.nat(9), fc.boolean(), (groups, gap, octets) => {
        const list = octets ? [...groups, '1.2.3.4'] : groups;
        const whole = list.join(':');
        const split = `${list.slice(0, gap).join(':')}::${list.slice(gap).join(':')}`;
        for (const text of [whole, split]) assert.equal(isAuthority(`[${text}]`), isIPv6(text), text);
      }),
      { seed: 0x1b7, numRuns: 3000 },
    );
  });
});
