import assert from 'node:assert/strict';
import { test } from 'node:test';
import { canonicalIp } from '../../../src/base/ip-address.ts';
import { parseHosts, staticAddresses } from '../../../src/discovery/hosts-file.ts';

const parse = (text: string) => parseHosts(text, canonicalIp);

test('addresses and aliases, comments, tabs, letter case, final dots and lines of nonsense', () => {
  const table = parse(
    [
      '# a comment',
      '10.0.0.1\tDB.example.  db  # and another',
      '  10.0.0.2   db',
      '10.0.0.2 db',
      '2001:DB8:0::1 six',
      'fe80::1%eth0 zone',
      '10.0.0.300 nonsense',
      'db',
      '',
      '10.0.0.3\r',
      '10.0.0.4 windows\r',
    ].join('\n'),
  );
  assert.deepEqual(
    [...table],
    [
      ['db.example', ['10.0.0.1']],
      ['db', ['10.0.0.1', '10.0.0.2']],
      ['six', ['2001:db8::1']],
      ['windows', ['10.0.0.4']],
    ],
  );
});

test('IPv4 addresses stand above IPv6 ones of the same name', () => {
  const table = parse('::1 both\n127.0.0.1 both\n127.0.0.2 both\n::1 six\nfd00::1 six');
  assert.deepEqual(staticAddresses(table, 'both'), ['127.0.0.1', '127.0.0.2']);
  assert.deepEqual(staticAddresses(table, 'six'), ['::1', 'fd00::1']);
  assert.equal(staticAddresses(table, 'none'), undefined);
});

test('localhost is always there, and as the file says where it says so', () => {
  assert.deepEqual(staticAddresses(parse(''), 'localhost'), ['127.0.0.1']);
  assert.deepEqual(staticAddresses(parse(''), 'api.localhost'), ['127.0.0.1']);
  assert.deepEqual(staticAddresses(parse('::1 localhost'), 'localhost'), ['::1']);
  assert.equal(staticAddresses(parse(''), 'notlocalhost'), undefined);
});
