import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createAuthorityTable, hostOf } from '../../../src/route/authority.ts';

const target = (...authorities: string[]) => ({ port: authorities[0] ?? 'none', authorities });

test('one target takes every authority', () => {
  const table = createAuthorityTable([target('web')]);
  for (const authority of ['web', 'other', '', 'a:b:c', '[', '10.0.0.1:80']) assert.equal(table.pick(authority), 0);
});

test('no target takes none', () => {
  assert.equal(createAuthorityTable([]).pick('web'), -1);
});

test('several are told apart by host', () => {
  const table = createAuthorityTable([
    target('web', 'web.shop', 'web.shop.svc', 'web.shop.svc.cluster.local'),
    target('api', 'api.shop'),
    target('::1', '10.0.0.7'),
  ]);
  for (const authority of ['web', 'WEB', 'web:80', 'web.shop:7000', 'Web.Shop.Svc.Cluster.Local.', 'web.:80', 'web:']) {
    assert.equal(table.pick(authority), 0, authority);
  }
  assert.equal(table.pick('api.shop'), 1);
  for (const authority of ['[::1]', '[::1]:8080', '::1', '[0:0::1]', '0:0::0:1', '10.0.0.7', '10.0.0.7:80']) {
    assert.equal(table.pick(authority), 2, authority);
  }
  for (const authority of [
    '',
    ':80',
    'web.',
    'web..',
    'webs',
    'web:http',
    'web:80x',
    '[::1',
    '[::1]x',
    '[::1].',
    '[]',
    'web.shop:',
    '.',
  ]) {
    const expected = authority === 'web.' || authority === 'web.shop:' ? 0 : -1;
    assert.equal(table.pick(authority), expected, authority);
  }
});

test('authorities are taken as they are written, and the first to name one has it', () => {
  const table = createAuthorityTable([target('A.example:80', '[2001:DB8::1]'), target('a.example', 'constructor')]);
  assert.equal(table.pick('a.example'), 0);
  assert.equal(table.pick('[2001:db8::1]:443'), 0);
  assert.equal(table.pick('constructor'), 1);
  assert.equal(table.pick('toString'), -1);
});

test('hosts', () => {
  assert.equal(hostOf('Example.COM.:443'), 'example.com');
  assert.equal(hostOf('[FE80::1]'), 'fe80::1');
  assert.equal(hostOf('a:'), 'a');
  for (const authority of ['', '.', ':1', '[]', '[a', '[a]b', 'a:-1', 'a: 1'])
    assert.equal(hostOf(authority), undefined, authority);
});
