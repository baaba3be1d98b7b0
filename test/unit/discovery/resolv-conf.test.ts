import assert from 'node:assert/strict';
import { test } from 'node:test';
import { candidatesOf, parseResolvConf } from '../../../src/discovery/resolv-conf.ts';

test('the file of a Pod', () => {
  const conf = parseResolvConf(
    'nameserver 10.96.0.10\nsearch ns.svc.cluster.local svc.cluster.local Cluster.Local.\noptions ndots:5 timeout:1 attempts:3\n',
  );
  assert.deepEqual(conf, {
    search: ['ns.svc.cluster.local', 'svc.cluster.local', 'cluster.local'],
    ndots: 5,
    timeoutMs: 1000,
    tries: 3,
  });
  assert.deepEqual(candidatesOf('db', conf), [
    'db.ns.svc.cluster.local',
    'db.svc.cluster.local',
    'db.cluster.local',
    'db',
  ]);
  assert.equal(candidatesOf('a.b.c.d.e', conf)[3], 'a.b.c.d.e', 'four dots are fewer than five');
  assert.equal(candidatesOf('a.b.c.d.e.f', conf)[0], 'a.b.c.d.e.f');
  assert.deepEqual(candidatesOf('api.example.', conf), ['api.example'], 'a final dot: nothing is added');
});

test('an empty file asks for the name alone', () => {
  const conf = parseResolvConf('');
  assert.deepEqual(conf, { search: [], ndots: 1, timeoutMs: undefined, tries: undefined });
  assert.deepEqual(candidatesOf('db', conf), ['db']);
});

test('comments, the last of domain and search, bounds, and what nobody knows', () => {
  const conf = parseResolvConf(
    '# search no\n; search no\nsearch one.example ; two\ndomain two.example rest\noptions ndots:99 timeout:0 attempts:77 rotate ndots:x\nsortlist 1\n',
  );
  assert.deepEqual(conf, { search: ['two.example'], ndots: 15, timeoutMs: 1000, tries: 5 });
  assert.deepEqual(parseResolvConf('domain a\nsearch b c').search, ['b', 'c']);
  assert.deepEqual(parseResolvConf('search .').search, [], 'the root completes nothing');
  assert.deepEqual(parseResolvConf('search').search, []);
  assert.equal(parseResolvConf('options timeout:400').timeoutMs, 30_000);
  assert.equal(parseResolvConf('options ndots:0').ndots, 0);
});
