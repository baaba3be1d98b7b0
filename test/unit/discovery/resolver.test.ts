import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { canonicalIp } from '../../../src/base/ip-address.ts';
import type { Answer, LookupResult } from '../../../src/discovery/answer.ts';
import type {
  AddressRecord,
  DnsClient,
  DnsClientOptions,
  Reply,
  SrvRecord,
} from '../../../src/discovery/dns-client.ts';
import { createNameResolver } from '../../../src/discovery/resolver.ts';

const SERVFAIL: Reply<never> = { kind: 'failed', code: 'ESERVFAIL', isServerFault: true, reason: 'SERVFAIL' };
const TIMEOUT: Reply<never> = { kind: 'failed', code: 'ETIMEOUT', isServerFault: false, reason: 'timeout' };
const NOTIMP: Reply<never> = { kind: 'failed', code: 'ENOTIMP', isServerFault: false, reason: 'NOTIMP' };
const NONE: Reply<never> = { kind: 'none' };

const found = (addresses: readonly string[], ttl = 60): Reply<AddressRecord> => ({
  kind: 'records',
  records: addresses.map((address) => ({ address, ttl })),
});
const srv = (
  ...records: readonly [priority: number, weight: number, port: number, target: string][]
): Reply<SrvRecord> => ({
  kind: 'records',
  records: records.map(([priority, weight, port, target]) => ({ priority, weight, port, target })),
});

/** Replies by `TYPE name`; what isn't here doesn't exist. */
type Script = Record<string, Reply<AddressRecord> | Reply<SrvRecord>>;

function setUp(t: TestContext, { hosts = '', conf = '' } = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'resolver-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const hostsPath = join(folder, 'hosts');
  const resolvConfPath = join(folder, 'resolv.conf');
  writeFileSync(hostsPath, hosts);
  writeFileSync(resolvConfPath, conf);
  let script: Script = {};
  const asked: string[] = [];
  const clients: DnsClientOptions[] = [];
  const reply = <R>(question: string): Promise<Reply<R>> => {
    asked.push(question);
    return Promise.resolve((script[question] as Reply<R> | undefined) ?? { kind: 'no_name' });
  };
  const client: DnsClient = {
    a: (name) => reply(`A ${name}`),
    aaaa: (name) => reply(`AAAA ${name}`),
    srv: (name) => reply(`SRV ${name}`),
    stop: () => undefined,
  };
  const resolver = createNameResolver({
    canonicalIp,
    hostsPath,
    resolvConfPath,
    createClient(options) {
      clients.push(options);
      return client;
    },
  });
  const lookup = (name: string, next: Script = {}, previous?: Answer, kind: 'addresses' | 'service' = 'addresses') => {
    script = next;
    asked.length = 0;
    return resolver.lookup({ kind, name, previous });
  };
  return { hostsPath, resolvConfPath, asked, clients, lookup };
}

function answerOf(result: LookupResult): Answer {
  assert.ok('answer' in result, JSON.stringify(result));
  return result.answer;
}

const SEARCH = 'search one.example two.example';

test('the hosts file first, read again when it changed, without a question', async (t) => {
  const { lookup, asked, hostsPath } = setUp(t, { hosts: '10.0.0.1 db' });
  const first = answerOf(await lookup('db', { 'A db': found(['10.9.9.9']) }));
  assert.deepEqual([...first.addresses], [['db', ['10.0.0.1']]]);
  assert.equal(first.ttlMs, 5000);
  assert.deepEqual(asked, []);
  writeFileSync(hostsPath, '10.0.0.2 db\n10.0.0.10 db');
  assert.deepEqual(answerOf(await lookup('db')).addresses.get('db'), ['10.0.0.10', '10.0.0.2']);
  writeFileSync(hostsPath, '');
  assert.deepEqual(answerOf(await lookup('db', { 'A db': found(['10.9.9.9']) })).addresses.get('db'), ['10.9.9.9']);
  assert.deepEqual(answerOf(await lookup('localhost')).addresses.get('localhost'), ['127.0.0.1']);
});

test('for a service too, and for its targets', async (t) => {
  const { lookup } = setUp(t, { hosts: '10.0.0.1 s\n10.0.0.2 a.x' });
  assert.equal(
    answerOf(await lookup('s', { 'SRV s': srv([1, 1, 80, 'a.x']) }, undefined, 'service')).records,
    undefined,
  );
  const answer = answerOf(await lookup('s.x', { 'SRV s.x': srv([1, 1, 80, 'a.x']) }, undefined, 'service'));
  assert.deepEqual([...answer.addresses], [['a.x', ['10.0.0.2']]]);
  assert.equal(answer.ttlMs, 5000);
});

test('an address is its own answer', async (t) => {
  const { lookup, asked } = setUp(t);
  assert.deepEqual([...answerOf(await lookup('2001:DB8::0:1')).addresses.values()], [['2001:db8::1']]);
  assert.deepEqual(asked, []);
});

test('both families, ordered, once, in their one spelling, with the shortest time to live', async (t) => {
  const { lookup, asked } = setUp(t);
  const answer = answerOf(
    await lookup('a.x', {
      'A a.x': { kind: 'records', records: [{ address: '10.0.0.2', ttl: 9 }, { address: '10.0.0.1' }] },
      'AAAA a.x': found(['::ffff:127.0.0.1', '2001:db8:0:0::1', '2001:db8::1'], 7),
    }),
  );
  assert.deepEqual(answer.addresses.get('a.x'), ['10.0.0.1', '10.0.0.2', '2001:db8::1', '::ffff:7f00:1']);
  assert.equal(answer.ttlMs, 7000);
  assert.deepEqual(asked, ['A a.x', 'AAAA a.x']);
  assert.equal(answerOf(await lookup('a.x', { 'A a.x': found(['10.0.0.1'], 0x8000_0000) })).ttlMs, 0, 'RFC 2181');
});

test('one family without records, or without the name, is fine', async (t) => {
  const { lookup } = setUp(t);
  for (const other of [NONE, undefined]) {
    const script = { 'AAAA a.x': found(['::1']), ...(other && { 'A a.x': other }) };
    const answer = answerOf(await lookup('a.x', script));
    assert.deepEqual(answer.addresses.get('a.x'), ['::1']);
    assert.deepEqual(answer.gaps, []);
  }
});

test('one family that failed is a gap, asked for again soon', async (t) => {
  const { lookup } = setUp(t);
  const answer = answerOf(await lookup('a.x', { 'A a.x': found(['10.0.0.1'], 3600), 'AAAA a.x': TIMEOUT }));
  assert.deepEqual(answer.gaps, [{ host: 'a.x', family: 6, reason: 'timeout' }]);
  assert.equal(answer.ttlMs, 30_000);
});

test('the search list, by dots', async (t) => {
  const { lookup, asked } = setUp(t, { conf: `${SEARCH}\noptions ndots:2` });
  const short = answerOf(await lookup('db', { 'A db.two.example': found(['10.0.0.1']) }));
  assert.equal(short.foundAs, 'db.two.example');
  assert.deepEqual(
    asked.filter((question) => question.startsWith('A ')),
    ['A db.one.example', 'A db.two.example'],
  );
  assert.equal(answerOf(await lookup('a.b.c', { 'A a.b.c': found(['10.0.0.1']) })).foundAs, 'a.b.c');
  assert.equal(asked.length, 2);
  const noRecords = await lookup('db', { 'A db.one.example': NONE, 'A db': found(['10.0.0.1']) });
  assert.equal(answerOf(noRecords).foundAs, 'db', 'a name without records goes on as well');
});

test('why there is nothing', async (t) => {
  const { lookup } = setUp(t, { conf: SEARCH });
  assert.deepEqual(await lookup('db'), { failure: 'no such name (NXDOMAIN)' });
  assert.deepEqual(await lookup('db', { 'AAAA db.two.example': NONE }), { failure: 'no A or AAAA records' });
  assert.deepEqual(await lookup('db', { 'A db': NONE }, undefined, 'service'), {
    failure: 'no SRV, A or AAAA records',
  });
});

test('SERVFAIL goes on to the next name, but is what is said in the end', async (t) => {
  const { lookup } = setUp(t, { conf: SEARCH });
  const script = { 'A db.one.example': SERVFAIL, 'AAAA db.one.example': SERVFAIL };
  assert.deepEqual(await lookup('db', script), { failure: 'db.one.example: SERVFAIL' });
  const answer = answerOf(await lookup('db', { ...script, 'A db': found(['10.0.0.1']) }));
  assert.equal(answer.foundAs, 'db');
});

test('a name never begins to mean another because its own server is ill', async (t) => {
  const { lookup } = setUp(t, { conf: SEARCH });
  const before = answerOf(await lookup('db', { 'A db.one.example': found(['10.0.0.1']) }));
  const result = await lookup('db', { 'A db.one.example': SERVFAIL, 'A db.two.example': found(['10.0.0.9']) }, before);
  assert.deepEqual(result, { failure: 'db.one.example: SERVFAIL' });
  const gone = answerOf(await lookup('db', { 'A db.two.example': found(['10.0.0.9']) }, before));
  assert.equal(gone.foundAs, 'db.two.example', 'NXDOMAIN is an answer');
});

test('no answer ends the look-up', async (t) => {
  const { lookup, asked } = setUp(t, { conf: SEARCH });
  assert.deepEqual(await lookup('db', { 'A db.one.example': TIMEOUT, 'AAAA db.one.example': SERVFAIL }), {
    failure: 'db.one.example: timeout',
  });
  assert.equal(asked.length, 2);
  assert.deepEqual(await lookup('db', { 'A db.one.example': NONE, 'AAAA db.one.example': TIMEOUT }), {
    failure: 'db.one.example: timeout',
  });
});

test('a service: records in order, each target looked up once and without the search list', async (t) => {
  const { lookup, asked } = setUp(t, { conf: SEARCH });
  const answer = answerOf(
    await lookup(
      's',
      {
        'SRV s.two.example': srv([2, 1, 81, 'b.x'], [1, 5, 80, 'b.x'], [1, 0, 80, 'a.x']),
        'A a.x': found(['10.0.0.1'], 12),
        'AAAA b.x': found(['::1'], 20),
      },
      undefined,
      'service',
    ),
  );
  assert.deepEqual(
    answer.records?.map(({ priority, weight, port, target }) => [priority, weight, port, target]),
    [
      [1, 0, 80, 'a.x'],
      [1, 5, 80, 'b.x'],
      [2, 1, 81, 'b.x'],
    ],
  );
  assert.deepEqual(
    [...answer.addresses],
    [
      ['a.x', ['10.0.0.1']],
      ['b.x', ['::1']],
    ],
  );
  assert.equal(answer.ttlMs, 12_000);
  assert.deepEqual(asked, [
    'SRV s.one.example',
    'A s.one.example',
    'AAAA s.one.example',
    'SRV s.two.example',
    'A a.x',
    'AAAA a.x',
    'A b.x',
    'AAAA b.x',
  ]);
});

test('a service is asked for again between 5 and 30 s', async (t) => {
  const { lookup } = setUp(t);
  for (const [ttl, ttlMs] of [
    [0, 5000],
    [10, 10_000],
    [3600, 30_000],
  ] as const) {
    const script = { 'SRV s.x': srv([1, 1, 80, 'a.x']), 'A a.x': found(['10.0.0.1'], ttl) };
    assert.equal(answerOf(await lookup('s.x', script, undefined, 'service')).ttlMs, ttlMs);
  }
});

test('a service without SRV records has addresses, also where the server does not know the type', async (t) => {
  const { lookup } = setUp(t);
  for (const reply of [NONE, NOTIMP]) {
    const answer = answerOf(
      await lookup('s.x', { 'SRV s.x': reply, 'A s.x': found(['10.0.0.1']) }, undefined, 'service'),
    );
    assert.equal(answer.records, undefined);
    assert.deepEqual(answer.addresses.get('s.x'), ['10.0.0.1']);
  }
});

test('a service whose SRV records cannot be learned does not become its addresses', async (t) => {
  const { lookup } = setUp(t);
  for (const reply of [SERVFAIL, TIMEOUT]) {
    const result = await lookup('s.x', { 'SRV s.x': reply, 'A s.x': found(['10.0.0.1']) }, undefined, 'service');
    assert.ok('failure' in result);
  }
  const absent = await lookup(
    's.x',
    { 'SRV s.x': srv([0, 0, 0, '']), 'A s.x': found(['10.0.0.1']) },
    undefined,
    'service',
  );
  assert.deepEqual(absent, { failure: 'the service is declared absent (SRV target ".")' });
});

test('a target without addresses is a gap; all of them are a failure', async (t) => {
  const { lookup } = setUp(t);
  const script: Script = { 'SRV s.x': srv([1, 1, 80, 'a.x'], [1, 1, 80, 'b.x']), 'A b.x': SERVFAIL };
  assert.deepEqual(await lookup('s.x', script, undefined, 'service'), {
    failure: 'SRV target a.x: no such name (NXDOMAIN)',
  });
  const answer = answerOf(await lookup('s.x', { ...script, 'A a.x': found(['10.0.0.1']) }, undefined, 'service'));
  assert.deepEqual(answer.gaps, [{ host: 'b.x', family: undefined, reason: 'SERVFAIL' }]);
  assert.equal(answer.records?.length, 2);
});

test('a final dot: asked for as it is, whatever the search list', async (t) => {
  const { lookup, asked } = setUp(t, { hosts: '10.0.0.7 known', conf: `${SEARCH}\noptions ndots:5` });
  const script = { 'A api.x.one.example': found(['10.0.0.9']), 'A api.x': found(['10.0.0.1']) };
  const answer = answerOf(await lookup('api.x.', script));
  assert.equal(answer.foundAs, 'api.x');
  assert.deepEqual([...answer.addresses], [['api.x', ['10.0.0.1']]]);
  assert.deepEqual(asked, ['A api.x', 'AAAA api.x']);
  assert.equal(answerOf(await lookup('api.x', script)).foundAs, 'api.x.one.example');
  assert.deepEqual(await lookup('gone.'), { failure: 'no such name (NXDOMAIN)' });
  assert.deepEqual(asked, ['A gone', 'AAAA gone'], 'a single label too');
  assert.deepEqual(await lookup('ill.', { 'A ill': SERVFAIL, 'AAAA ill': SERVFAIL }), { failure: 'SERVFAIL' });
  const service = await lookup('s.x.', { 'SRV s.x': srv([1, 1, 80, 'a.x']), 'A a.x': NONE }, undefined, 'service');
  assert.ok('failure' in service);
  assert.equal(asked[0], 'SRV s.x');
  assert.deepEqual(answerOf(await lookup('known.')).addresses.get('known'), ['10.0.0.7'], 'the hosts file knows both');
  assert.deepEqual([...answerOf(await lookup('localhost.')).addresses], [['localhost', ['127.0.0.1']]]);
});

test('a changed resolv.conf makes a new client with its timeouts', async (t) => {
  const { lookup, clients, resolvConfPath } = setUp(t);
  await lookup('a.x');
  await lookup('a.x');
  assert.deepEqual(clients, [{ servers: undefined, timeoutMs: 2000, tries: 2 }]);
  writeFileSync(resolvConfPath, 'options timeout:1 attempts:4');
  await lookup('a.x');
  assert.deepEqual(clients.slice(1), [{ servers: undefined, timeoutMs: 1000, tries: 4 }]);
});
