import assert from 'node:assert/strict';
import { isIP } from 'node:net';
import { test } from 'node:test';
import fc from 'fast-check';
import { canonicalBlock, canonicalIp, isLoopbackIp } from '../../../src/base/ip-address.ts';

test('spellings', () => {
  // RFC 5952 section 4.
  assert.equal(canonicalIp('2001:db8:0:0:1:0:0:1'), '2001:db8::1:0:0:1');
  assert.equal(canonicalIp('2001:0db8::0001'), '2001:db8::1');
  assert.equal(canonicalIp('2001:db8:0:1:1:1:1:1'), '2001:db8:0:1:1:1:1:1');
  assert.equal(canonicalIp('2001:DB8::ABCD'), '2001:db8::abcd');
  assert.equal(canonicalIp('0:0:0:0:0:0:0:0'), '::');
  assert.equal(canonicalIp('1::'), '1::');
  assert.equal(canonicalIp('::ffff:10.0.0.1'), '::ffff:a00:1');
  assert.equal(canonicalIp('10.0.0.1'), '10.0.0.1');
});

test('loopback', () => {
  for (const own of ['127.0.0.1', '127.255.0.9', '::1', '::ffff:127.0.0.1', '::ffff:7fff:1']) {
    assert.equal(isLoopbackIp(canonicalIp(own) ?? ''), true, own);
  }
  for (const other of [
    '12.7.0.1',
    '128.0.0.1',
    '::',
    '::2',
    '::ffff:10.0.0.1',
    '::ffff:7e00:1',
    '::127.0.0.1',
    '7f00::1',
  ]) {
    assert.equal(isLoopbackIp(canonicalIp(other) ?? ''), false, other);
  }
});

test('no addresses', () => {
  for (const text of [
    '',
    '1.2.3',
    '1.2.3.4.5',
    '256.1.1.1',
    '01.1.1.1',
    ':::',
    '1::2::3',
    '1:2:3:4:5:6:7',
    'g::',
    '::1%lo',
  ]) {
    assert.equal(canonicalIp(text), undefined, text);
  }
  assert.equal(canonicalIp('[::1]'), undefined);
  assert.equal(canonicalIp('1:2:3:4:5:6:7::8'), undefined);
});

test('agrees with Node on what an address is, and the URL parser on its spelling', () => {
  const hex = fc.constantFrom('0', '0', '1', 'a', 'F00d', '00', '12345');
  const v6 = fc.array(fc.oneof(hex, fc.constant('')), { minLength: 2, maxLength: 9 }).map((parts) => parts.join(':'));
  const v4 = fc.array(fc.constantFrom('0', '1', '255', '256', '01', ''), { minLength: 3, maxLength: 5 });
  const text = fc.oneof(
    v6,
    fc.ipV6(),
    fc.ipV4(),
    v4.map((parts) => parts.join('.')),
    fc.string({ maxLength: 20 }),
  );
  fc.assert(
    fc.property(text, (address) => {
      const canonical = canonicalIp(address);
      const kind = /%/.test(address) ? 0 : isIP(address);
      // Node lets `::` stand for no zeros at all; RFC 4291 section 2.2 says one or more.
      const cutsNothing = address.includes('::') && address.split(':').filter((part) => part !== '').length === 8;
      if (!cutsNothing) assert.equal(canonical !== undefined, kind !== 0);
      if (canonical?.includes(':') === true) assert.equal(`[${canonical}]`, new URL(`http://[${address}]/`).hostname);
    }),
    { seed: 31, numRuns: 2000 },
  );
});

test('blocks: bits behind the prefix are cleared, and a whole prefix is the address', () => {
  for (const [text, canonical] of [
    ['10.1.2.3', '10.1.2.3'],
    ['10.1.2.3/32', '10.1.2.3'],
    ['10.1.2.3/8', '10.0.0.0/8'],
    ['10.1.255.3/18', '10.1.192.0/18'],
    ['255.255.255.255/1', '128.0.0.0/1'],
    ['1.2.3.4/0', '0.0.0.0/0'],
    ['2001:DB8:ffff::1/33', '2001:db8:8000::/33'],
    ['::1/128', '::1'],
    ['ffff::/0', '::/0'],
    ['1:2:3:4:5:6:7:8/127', '1:2:3:4:5:6:7:8/127'],
    ['10.0.0.0/33', undefined],
    ['::/129', undefined],
    ['10.0.0.0/', undefined],
    ['10.0.0.0/-1', undefined],
    ['10.0.0.0/8/8', undefined],
    ['10.0.0/8', undefined],
    ['x/8', undefined],
  ] as const) {
    assert.equal(canonicalBlock(text), canonical, text);
    if (canonical !== undefined) assert.equal(canonicalBlock(canonical), canonical);
  }
});
