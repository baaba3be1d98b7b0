// Node's resolver (c-ares) against a DNS server on loopback: what it really gives for each kind of answer and fault.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { canonicalIp } from '../../../src/base/ip-address.ts';
import type { Answer, LookupResult } from '../../../src/discovery/answer.ts';
import { createNameResolver } from '../../../src/discovery/resolver.ts';
import { startDnsServer, type Fault } from '../../support/dns-server.ts';

async function setUp(t: TestContext, { conf = '', hosts = '', timeoutMs = 2000 } = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'dns-'));
  writeFileSync(join(folder, 'hosts'), hosts);
  writeFileSync(join(folder, 'resolv.conf'), conf);
  const dns = await startDnsServer();
  const resolver = createNameResolver({
    canonicalIp,
    servers: [dns.address],
    hostsPath: join(folder, 'hosts'),
    resolvConfPath: join(folder, 'resolv.conf'),
    timeoutMs,
    tries: 1,
  });
  t.after(async () => {
    resolver.stop();
    await dns.close();
    rmSync(folder, { recursive: true });
  });
  const lookup = (name: string, kind: 'addresses' | 'service' = 'addresses', previous?: Answer) =>
    resolver.lookup({ kind, name, previous });
  return { dns, resolver, lookup };
}

function answerOf(result: LookupResult): Answer {
  assert.ok('answer' in result, JSON.stringify(result));
  return result.answer;
}

function reasonOf(result: LookupResult): string {
  assert.ok('failure' in result, 'an answer came');
  return result.failure;
}

test('A and AAAA with the shorter time to live, in their one spelling', async (t) => {
  const { dns, lookup } = await setUp(t);
  dns.set(
    'a.x',
    ['A 127.0.0.2', 'A 127.0.0.1', 'AAAA 2001:db8:0:0:1:0:0:1', 'AAAA ::ffff:7f00:1', 'AAAA 1:0:2:3:4:5:6:7'],
    7,
  );
  const answer = answerOf(await lookup('a.x'));
  assert.deepEqual(answer.addresses.get('a.x'), [
    '127.0.0.1',
    '127.0.0.2',
    '1:0:2:3:4:5:6:7',
    '2001:db8::1:0:0:1',
    '::ffff:7f00:1',
  ]);
  assert.equal(answer.ttlMs, 7000);
  assert.deepEqual(dns.asked.toSorted(), ['a.x A', 'a.x AAAA']);
});

test('a chain of CNAMEs, with the shortest time to live on the way', async (t) => {
  const { dns, lookup } = await setUp(t);
  dns.set('a.x', ['CNAME b.x'], 30);
  dns.set('b.x', ['CNAME c.x'], 3);
  dns.set('c.x', ['A 127.0.0.1'], 60);
  const answer = answerOf(await lookup('a.x'));
  assert.deepEqual([...answer.addresses], [['a.x', ['127.0.0.1']]]);
  assert.equal(answer.ttlMs, 3000);
});

test('a CNAME to nothing, to an empty name and to itself', async (t) => {
  const { dns, lookup } = await setUp(t);
  dns.set('gone.x', ['CNAME nowhere.x']);
  dns.set('hollow.x', ['CNAME empty.x']);
  dns.set('empty.x', []);
  dns.set('loop.x', ['CNAME loop.x']);
  assert.equal(reasonOf(await lookup('gone.x')), 'no such name (NXDOMAIN)');
  assert.equal(reasonOf(await lookup('hollow.x')), 'no A or AAAA records');
  assert.equal(reasonOf(await lookup('loop.x')), 'no A or AAAA records');
});

test('one family alone is enough', async (t) => {
  const { dns, lookup } = await setUp(t);
  dns.set('four.x', ['A 127.0.0.1']);
  dns.set('six.x', ['AAAA ::1']);
  assert.deepEqual(answerOf(await lookup('four.x')).addresses.get('four.x'), ['127.0.0.1']);
  assert.deepEqual(answerOf(await lookup('six.x')).addresses.get('six.x'), ['::1']);
});

test('a truncated answer comes whole over TCP, 300 addresses of it', async (t) => {
  const { dns, lookup } = await setUp(t);
  const many = Array.from({ length: 300 }, (_, i) => `10.0.${i >> 8}.${i & 255}`);
  dns.set(
    'many.x',
    many.map((address) => `A ${address}`),
    9,
  );
  dns.fail('many.x', 'truncated');
  const answer = answerOf(await lookup('many.x'));
  assert.deepEqual(answer.addresses.get('many.x'), many.toSorted());
  assert.equal(answer.ttlMs, 9000);
  assert.ok(dns.asked.includes('many.x A/tcp'));
});

test('P-011: each fault of a server has its words', async (t) => {
  const { dns, lookup } = await setUp(t, { timeoutMs: 300 });
  dns.set('a.x', ['A 127.0.0.1']);
  const words: readonly [Fault, RegExp][] = [
    ['NXDOMAIN', /^no such name \(NXDOMAIN\)$/],
    ['SERVFAIL', /SERVFAIL/],
    ['REFUSED', /REFUSED/],
    ['NOTIMP', /NOTIMP/],
    ['FORMERR', /FORMERR/],
    ['silent', /^no answer from the DNS server$/],
    ['malformed', /malformed/],
  ];
  for (const [fault, expected] of words) {
    dns.fail('a.x', fault);
    assert.match(reasonOf(await lookup('a.x')), expected, fault);
  }
  dns.fail('a.x', undefined);
  assert.deepEqual(answerOf(await lookup('a.x')).addresses.get('a.x'), ['127.0.0.1']);
});

test('a server that is not there, and names that are none', async (t) => {
  const { dns, lookup } = await setUp(t);
  assert.equal(reasonOf(await lookup('a..x')), 'not a domain name');
  assert.equal(reasonOf(await lookup(`${'x'.repeat(64)}.x`)), 'not a domain name');
  await dns.close();
  assert.equal(reasonOf(await lookup('a.x')), "the DNS server can't be reached");
});

test('AAAA that is never answered costs its timeout, not the A records', async (t) => {
  const { dns, lookup } = await setUp(t, { timeoutMs: 300 });
  dns.set('a.x', ['A 127.0.0.1']);
  dns.fail('a.x', 'silent', 'AAAA');
  const answer = answerOf(await lookup('a.x'));
  assert.deepEqual(answer.addresses.get('a.x'), ['127.0.0.1']);
  assert.equal(answer.gaps[0]?.family, 6);
});

test('the search list of a Pod, with four names to ask for', async (t) => {
  const { dns, lookup } = await setUp(t, {
    conf: 'search ns.svc.cluster.local svc.cluster.local cluster.local\noptions ndots:5',
  });
  dns.set('db.ns.svc.cluster.local', ['A 127.0.0.1']);
  dns.set('api.example', ['A 127.0.0.2']);
  assert.equal(answerOf(await lookup('db')).foundAs, 'db.ns.svc.cluster.local');
  assert.equal(answerOf(await lookup('api.example')).foundAs, 'api.example');
  assert.equal(dns.asked.filter((question) => question.endsWith(' A')).length, 1 + 4);
  dns.asked.length = 0;
  assert.equal(answerOf(await lookup('api.example.')).foundAs, 'api.example');
  assert.deepEqual(dns.asked.toSorted(), ['api.example A', 'api.example AAAA'], 'a final dot: none but the name');
});

test('the hosts file and localhost ask nobody', async (t) => {
  const { dns, lookup } = await setUp(t, { hosts: '127.0.0.9 db.example db' });
  assert.deepEqual(answerOf(await lookup('db')).addresses.get('db'), ['127.0.0.9']);
  assert.deepEqual(answerOf(await lookup('localhost')).addresses.get('localhost'), ['127.0.0.1']);
  assert.deepEqual(dns.asked, []);
});

test('a service: SRV records, else addresses', async (t) => {
  const { dns, lookup } = await setUp(t);
  dns.set('_grpc._tcp.s.x', ['SRV 10 0 8080 B.x.', 'SRV 10 3 8081 a.x', 'SRV 20 1 8082 gone.x'], 60);
  dns.set('a.x', ['A 127.0.0.1', 'AAAA ::1'], 20);
  dns.set('b.x', ['A 127.0.0.2'], 60);
  const answer = answerOf(await lookup('_grpc._tcp.s.x', 'service'));
  assert.deepEqual(
    answer.records?.map(({ priority, weight, port, target }) => `${priority} ${weight} ${port} ${target}`),
    ['10 3 8081 a.x', '10 0 8080 b.x', '20 1 8082 gone.x'],
  );
  assert.deepEqual(Object.fromEntries(answer.addresses), { 'a.x': ['127.0.0.1', '::1'], 'b.x': ['127.0.0.2'] });
  assert.deepEqual(answer.gaps, [{ host: 'gone.x', family: undefined, reason: 'no such name (NXDOMAIN)' }]);
  assert.equal(answer.ttlMs, 20_000);
  const plain = answerOf(await lookup('b.x', 'service'));
  assert.equal(plain.records, undefined);
  dns.set('absent.x', ['SRV 0 0 0 .']);
  assert.match(reasonOf(await lookup('absent.x', 'service')), /declared absent/);
});

test('APISIX row 75: a malformed answer of discovery is a failure, not nodes', async (t) => {
  const { dns, lookup } = await setUp(t);
  dns.set('s.x', ['SRV 1 1 80 a.x', 'A 127.0.0.1']);
  dns.fail('s.x', 'malformed', 'SRV');
  assert.match(reasonOf(await lookup('s.x', 'service')), /malformed/);
});

test('1,000 look-ups at once lose none', async (t) => {
  const { dns, lookup } = await setUp(t);
  const names = Array.from({ length: 1000 }, (_, i) => `n${i}.x`);
  for (const name of names) dns.set(name, ['A 127.0.0.1']);
  const results = await Promise.all(names.map((name) => lookup(name)));
  assert.equal(results.filter((result) => 'answer' in result && result.answer.gaps.length === 0).length, 1000);
  assert.equal(dns.asked.length, 2000, 'and none is asked for twice');
});

test('stop ends what is in flight and asks nothing more', async (t) => {
  const { dns, resolver, lookup } = await setUp(t, { conf: 'search one.x two.x' });
  dns.hold();
  const pending = Array.from({ length: 200 }, (_, i) => lookup(`n${i}`));
  await new Promise((resolve) => setImmediate(resolve));
  resolver.stop();
  for (const result of await Promise.all(pending)) assert.match(reasonOf(result), /cancelled/);
});
