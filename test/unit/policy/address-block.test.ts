import assert from 'node:assert/strict';
import { BlockList } from 'node:net';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { compileAddressBlocks } from '../../../src/policy/address-block.ts';

test('addresses and blocks', () => {
  const rows: [blocks: string[], address: string, isIn: boolean][] = [
    [['127.0.0.1'], '127.0.0.1', true],
    [['127.0.0.1'], '127.0.0.2', false],
    [['127.0.0.0/8'], '127.255.0.9', true],
    [['10.0.0.5/8'], '10.9.9.9', true],
    [['0.0.0.0/0'], '255.255.255.255', true],
    [['0.0.0.0/0'], '::1', false],
    [['255.255.255.255/32'], '255.255.255.255', true],
    [['128.0.0.0/1'], '200.0.0.1', true],
    [['128.0.0.0/1'], '127.0.0.1', false],
    [['192.168.1.128/25'], '192.168.1.127', false],
    [['192.168.1.128/25'], '192.168.1.200', true],
    [['10.0.0.1', '10.0.0.3', '10.1.0.0/16'], '10.0.0.3', true],
    [['::1'], '::1', true],
    [['::1'], '0:0:0:0:0:0:0:1', true],
    [['::'], '::', true],
    [['::'], '::1', false],
    [['2001:db8::/32'], '2001:DB8:ffff::1', true],
    [['2001:db8::/32'], '2001:db9::1', false],
    [['2001:db8::/33'], '2001:db8:8000::1', false],
    [['fe80::/10'], 'fe80::1%eth0', true],
    [['::/0'], '2001:db8::1', true],
    [['::/0'], '1.2.3.4', false],
    [['1.2.3.4'], '::ffff:1.2.3.4', true],
    [['1.2.3.0/24'], '::ffff:102:309', true],
    [['::ffff:1.2.3.4'], '1.2.3.4', true],
    [['::ffff:102:304'], '::ffff:1.2.3.4', true],
    [['::ffff:1.2.3.0/120'], '1.2.3.9', true],
    [['::ffff:1.2.3.0/120'], '1.2.4.9', false],
    [['::ffff:0.0.0.0/96'], '9.9.9.9', true],
    [['::1.2.3.4'], '1.2.3.4', false],
    [['1:2:3:4:5:6:7::'], '1:2:3:4:5:6:7:0', true],
    [['::2:3:4:5:6:7:8'], '0:2:3:4:5:6:7:8', true],
    [['64:ff9b::1.2.3.4'], '64:ff9b::102:304', true],
    [[], '1.2.3.4', false],
  ];
  for (const [blocks, address, isIn] of rows) {
    assert.equal(compileAddressBlocks(blocks)(address), isIn, `${address} in ${blocks.join()}`);
  }
});

test('what is no address is in no block', () => {
  const all = compileAddressBlocks(['0.0.0.0/0', '::/0']);
  for (const text of [
    ...['', 'a', '1.2.3', '1.2.3.4.5', '01.2.3.4', '1.2.3.256', '1.2.3.', '.1.2.3', '1..2.3', '1.2.3.4 ', '-1.2.3.4'],
    ...[':', ':::', '1::2::3', '1:2:3:4:5:6:7', '1:2:3:4:5:6:7:8:9', '12345::', 'g::', '::1:', ':1::', '1:'],
    ...[
      '::1.2.3',
      '1.2.3.4::',
      '::1.2.3.4:5',
      '1:2:3:4:5:6:7:1.2.3.4',
      '::1%',
      '1:2:3:4:5:6:7:8::',
      '::1:2:3:4:5:6:7:8',
    ],
    `::${'0'.repeat(70)}`,
  ]) {
    assert.equal(all(text), false, text);
  }
});

test('an entry that is no block holds nothing', () => {
  for (const block of ['', 'a', '1.2.3.4/33', '1.2.3.4/-1', '1.2.3.4/', '1.2.3.4/08', '::/129', '::ffff:1.2.3.4/95']) {
    const isIn = compileAddressBlocks([block, '9.9.9.9']);
    assert.equal(isIn('1.2.3.4'), false, block);
    assert.equal(isIn('::1'), false, block);
    assert.equal(isIn('9.9.9.9'), true, block);
  }
});

test('any address and blocks of one version: as Node tells', () => {
  const octet = fc.constantFrom(0, 1, 127, 128, 255);
  const v4 = fc.tuple(octet, octet, octet, octet).map((octets) => octets.join('.'));
  const word = fc.constantFrom('0', '1', '8000', 'fffe', 'fe80', '2001');
  const v6 = fc.oneof(
    fc.array(word, { minLength: 8, maxLength: 8 }).map((words) => words.join(':')),
    fc
      .tuple(fc.array(word, { maxLength: 3 }), fc.array(word, { maxLength: 4 }))
      .map(([head, tail]) => `${head.join(':')}::${tail.join(':')}`),
  );
  for (const [version, address, bits] of [
    ['ipv4', v4, 32],
    ['ipv6', v6, 128],
  ] as const) {
    const block = fc.tuple(address, fc.integer({ min: 0, max: bits }));
    let inside = 0;
    fc.assert(
      fc.property(fc.array(block, { maxLength: 5 }), address, (blocks, asked) => {
        const list = new BlockList();
        for (const [base, length] of blocks) list.addSubnet(base, length, version);
        const isIn = compileAddressBlocks(blocks.map(([base, length]) => `${base}/${length}`))(asked);
        if (isIn) inside++;
        assert.equal(isIn, list.check(asked, version));
      }),
      { seed: 3, numRuns: 1_000 },
    );
    assert.ok(inside > 50);
  }
});
