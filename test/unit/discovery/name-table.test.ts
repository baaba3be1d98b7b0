import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededRng } from '../../../src/base/rng.ts';
import type { LogLevel } from '../../../src/base/log.ts';
import type { Answer, LookupResult } from '../../../src/discovery/answer.ts';
import { MAX_LOOKUPS } from '../../../src/discovery/lookup-queue.ts';
import { LOOKUP_LIMIT_MS } from '../../../src/discovery/name-entry.ts';
import { createNameTable } from '../../../src/discovery/name-table.ts';
import type { LookupQuery } from '../../../src/discovery/resolver.ts';
import { EMPTY_SNAPSHOT, type NameSpec, type Snapshot, type UpstreamPort } from '../../../src/model/snapshot.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import {
  addressesAnswer,
  endpointAt,
  nameSpec,
  portWithNames,
  serviceAnswer,
  shown,
  snapshotOf,
} from '../../support/dns-names.ts';

/** Lets promises settle. */
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const NXDOMAIN: LookupResult = { failure: 'no such name (NXDOMAIN)' };

function setUp({ ipv6 = true } = {}) {
  const clock = new FakeClock();
  const asked: LookupQuery[] = [];
  const open: { readonly query: LookupQuery; readonly end: (result: LookupResult) => void }[] = [];
  const logs: [LogLevel, string][] = [];
  /** What is said at once; a name that isn't here waits in `open`. */
  const script = new Map<string, LookupResult>();
  let changes = 0;
  const table = createNameTable({
    clock,
    rng: seededRng(3),
    logger: { level: 'trace', isOn: () => true, log: (level, _fields, message) => logs.push([level, message]) },
    lookup: (query) => {
      asked.push(query);
      const result = script.get(query.name);
      return result ? Promise.resolve(result) : new Promise((resolve) => open.push({ query, end: resolve }));
    },
    families: () => ({ ipv4: true, ipv6 }),
    onChange: () => changes++,
  });
  const say = (name: string, addresses: readonly string[], overrides: Partial<Answer> = {}): void => {
    script.set(name, { answer: addressesAnswer(name, addresses, overrides) });
  };
  /** Time passes, and what was asked for is answered. */
  const pass = async (ms: number): Promise<void> => {
    await turn();
    for (let left = ms; left > 0; left -= 5000) {
      clock.advance(Math.min(left, 5000));
      await turn();
    }
    clock.advance(10); // what is gathered into one change
    await turn();
  };
  const status = (name: NameSpec) => {
    const [only] = table.statuses([name]);
    assert.ok(only);
    return only;
  };
  return { clock, table, asked, open, logs, script, say, pass, status, changes: () => changes };
}

const A = nameSpec('a.x');
const B = nameSpec('b.x');
const portOf = (snapshot: Snapshot, service = 'web'): UpstreamPort | undefined =>
  snapshot.ports.get(`test/${service}/80`);

test('a name of several ports is looked up once for each kind', async () => {
  const { table, asked, say, pass } = setUp();
  say('a.x', ['10.0.0.1']);
  table.want([A, { ...A, port: 81, weight: 7 }, { ...A, kind: 'service' }, A]);
  await pass(0);
  assert.deepEqual(
    asked.map(({ kind, name }) => `${kind} ${name}`),
    ['addresses a.x', 'service a.x'],
  );
  const snapshot = snapshotOf([portWithNames('web', [A]), portWithNames('api', [{ ...A, port: 81 }])]);
  const expanded = table.expand(snapshot, EMPTY_SNAPSHOT);
  assert.deepEqual(shown(portOf(expanded)), ['10.0.0.1:80*1@a.x']);
  assert.deepEqual(shown(portOf(expanded, 'api')), ['10.0.0.1:81*1@a.x']);
});

test('all addresses come in, once answered, and nothing changes without news', async () => {
  const { table, open, pass, changes } = setUp();
  const snapshot = snapshotOf([portWithNames('web', [A], { endpoints: [endpointAt(80)] }), portWithNames('plain', [])]);
  table.want([A]);
  const first = table.expand(snapshot, EMPTY_SNAPSHOT);
  assert.deepEqual(shown(portOf(first)), ['127.0.0.1:80*1'], 'its own serve already');
  assert.equal(portOf(first, 'plain'), portOf(snapshot, 'plain'));
  assert.equal(table.expand(snapshot, first), first);
  open[0]?.end({ answer: addressesAnswer('a.x', ['10.0.0.2', '10.0.0.1']) });
  await pass(0);
  assert.equal(changes(), 1);
  const second = table.expand(snapshot, first);
  assert.deepEqual(shown(portOf(second)), ['10.0.0.1:80*1@a.x', '10.0.0.2:80*1@a.x', '127.0.0.1:80*2']);
  assert.equal(table.expand(snapshot, second), second);
});

test('a snapshot without names is given back as it is', () => {
  const { table } = setUp();
  const snapshot = snapshotOf([portWithNames('web', [], { endpoints: [endpointAt(80)] })]);
  assert.equal(table.expand(snapshot, EMPTY_SNAPSHOT), snapshot);
});

test('asked again when the time to live is over, a little later by chance, within 1 s and 1 h', async () => {
  for (const [ttlMs, earliest, latest] of [
    [0, 1000, 1050],
    [10_000, 10_000, 10_500],
    [600_000, 600_000, 605_000],
    [Number.POSITIVE_INFINITY, 3_600_000, 3_605_000],
  ] as const) {
    const { table, asked, say, pass, status, clock } = setUp();
    say('a.x', ['10.0.0.1'], { ttlMs });
    table.want([A]);
    await turn();
    const { nextWallMs = 0, resolvedWallMs } = status(A);
    assert.equal(resolvedWallMs, clock.wallMs());
    const delay = nextWallMs - clock.wallMs();
    assert.ok(delay >= earliest && delay <= latest, `${ttlMs}: ${delay}`);
    await pass(earliest - 20);
    assert.equal(asked.length, 1);
    await pass(latest - earliest + 20);
    assert.equal(asked.length, 2);
    assert.ok(asked[1]?.previous, 'the answer in use is told');
  }
});

test('APISIX row 74: another order is no change; other addresses, priorities or weights are', async () => {
  const { table, script, pass, changes } = setUp();
  const service = nameSpec('s.x', { kind: 'service', portIsSet: false });
  const snapshot = snapshotOf([portWithNames('web', [service])]);
  const targets = { 'a.x': ['10.0.0.1'], 'b.x': ['10.0.0.2'] };
  const steps: [Answer, string[]][] = [
    [serviceAnswer('s.x', ['1 1 80 a.x', '1 1 80 b.x'], targets), ['10.0.0.1:80*1^-1@a.x', '10.0.0.2:80*1^-1@b.x']],
    [
      serviceAnswer('s.x', ['1 1 80 a.x', '1 1 80 b.x'], { ...targets, 'b.x': ['10.0.0.3'] }),
      ['10.0.0.1:80*1^-1@a.x', '10.0.0.3:80*1^-1@b.x'],
    ],
    [serviceAnswer('s.x', ['2 1 80 a.x', '1 1 80 b.x'], targets), ['10.0.0.1:80*1^-2@a.x', '10.0.0.2:80*1^-1@b.x']],
    [serviceAnswer('s.x', ['2 5 80 a.x', '1 1 80 b.x'], targets), ['10.0.0.1:80*5^-2@a.x', '10.0.0.2:80*1^-1@b.x']],
  ];
  let before = EMPTY_SNAPSHOT;
  for (const [i, [answer, expected]] of steps.entries()) {
    script.set('s.x', { answer });
    table.want([service]);
    await pass(31_600);
    assert.equal(changes(), i + 1);
    const after = table.expand(snapshot, before);
    assert.deepEqual(shown(portOf(after)), expected);
    assert.notEqual(after, before);
    before = after;
    // The same again, out of another map.
    script.set('s.x', { answer: { ...answer, addresses: new Map([...answer.addresses].reverse()) } });
    await pass(31_600);
    assert.equal(changes(), i + 1);
    assert.equal(table.expand(snapshot, before), before);
  }
});

test('APISIX row 72: an IPv6 address is an endpoint; the same again is not a change', async () => {
  const { table, say, pass, changes } = setUp();
  say('six.x', ['::1'], { ttlMs: 1000 });
  const six = nameSpec('six.x', { kind: 'service' });
  const snapshot = snapshotOf([portWithNames('web', [six])]);
  table.want([six]);
  await pass(0);
  const first = table.expand(snapshot, EMPTY_SNAPSHOT);
  assert.deepEqual(shown(portOf(first)), ['[::1]:80*1@six.x']);
  for (let i = 0; i < 10; i++) await pass(1100);
  assert.equal(changes(), 1);
  assert.equal(table.expand(snapshot, first), first);
});

test('APISIX row 62, P-011: a name that answered once keeps its addresses through every failure', async () => {
  const { table, script, say, pass, status, changes, logs } = setUp();
  const snapshot = snapshotOf([portWithNames('web', [A])]);
  say('a.x', ['10.0.0.1'], { ttlMs: 1000 });
  table.want([A]);
  await pass(0);
  const first = table.expand(snapshot, EMPTY_SNAPSHOT);
  const { resolvedWallMs } = status(A);
  for (const failure of ['no such name (NXDOMAIN)', 'no A or AAAA records', 'no answer from the DNS server']) {
    script.set('a.x', { failure });
    await pass(100_000);
    assert.equal(status(A).error, failure);
    assert.deepEqual(status(A).addresses, ['10.0.0.1']);
    assert.equal(status(A).resolvedWallMs, resolvedWallMs);
    assert.equal(table.expand(snapshot, first), first);
  }
  assert.equal(changes(), 1);
  say('a.x', ['10.0.0.1']);
  await pass(40_000);
  assert.equal(status(A).error, '');
  assert.equal(changes(), 1);
  assert.equal(logs.filter(([level]) => level === 'warn').length, 3, 'one line for each reason, not for each try');
  assert.ok(logs.some(([, message]) => message.includes('found again')));
});

test('P-011: at start a name that fails leaves the port empty with the reason, and is tried again from 1 s to 30 s', async () => {
  const { table, script, say, pass, status, asked, clock } = setUp();
  const snapshot = snapshotOf([portWithNames('web', [A])]);
  script.set('a.x', NXDOMAIN);
  table.want([A]);
  assert.equal(status(A).error, 'not answered yet');
  await turn();
  assert.equal(status(A).error, 'no such name (NXDOMAIN)');
  assert.equal(status(A).resolvedWallMs, undefined);
  assert.deepEqual(shown(portOf(table.expand(snapshot, EMPTY_SNAPSHOT))), []);
  for (const full of [1000, 2000, 4000, 8000, 16_000, 30_000, 30_000]) {
    const delay = (status(A).nextWallMs ?? 0) - clock.wallMs();
    assert.ok(delay >= 0.8 * full && delay <= full, `${delay} of ${full}`);
    const before = asked.length;
    clock.advance(delay + 1);
    await turn();
    assert.equal(asked.length, before + 1);
  }
  say('a.x', ['10.0.0.1']);
  await pass(30_000);
  assert.deepEqual(shown(portOf(table.expand(snapshot, EMPTY_SNAPSHOT))), ['10.0.0.1:80*1@a.x']);
  script.set('a.x', NXDOMAIN);
  await pass(64_000);
  const delay = (status(A).nextWallMs ?? 0) - clock.wallMs();
  assert.ok(delay <= 2000, `an answer ends the growth: ${delay}`);
});

test('APISIX row 63: a name that cannot be found beside a live address', async () => {
  const { table, script, asked, pass, status } = setUp();
  const zero = nameSpec('zero.x', { weight: 0 });
  const port = portWithNames('web', [A, zero], { endpoints: [endpointAt(80)] });
  const snapshot = snapshotOf([port]);
  script.set('a.x', NXDOMAIN);
  table.want([A]);
  await pass(0);
  assert.deepEqual(shown(portOf(table.expand(snapshot, EMPTY_SNAPSHOT))), ['127.0.0.1:80*1']);
  assert.equal(asked.length, 1);
  assert.equal(status(zero).error, 'not looked up while its weight is 0');
});

test('APISIX row 102: a service that shrinks to one address, and to none', async () => {
  const { table, script, say, pass } = setUp();
  const snapshot = snapshotOf([portWithNames('web', [A])]);
  say('a.x', ['10.0.0.1', '10.0.0.2'], { ttlMs: 1000 });
  table.want([A]);
  await pass(0);
  const two = table.expand(snapshot, EMPTY_SNAPSHOT);
  say('a.x', ['10.0.0.2'], { ttlMs: 1000 });
  await pass(1100);
  const one = table.expand(snapshot, two);
  assert.deepEqual(shown(portOf(one)), ['10.0.0.2:80*1@a.x']);
  assert.equal(portOf(one)?.endpoints[0], portOf(two)?.endpoints[1], 'the one that stays is the same object');
  script.set('a.x', { failure: 'no A or AAAA records' });
  await pass(1100);
  assert.equal(table.expand(snapshot, one), one, 'nothing at all is taken for a fault: the last address stays');
});

test('P-012: of fifty addresses one changes, and 49 endpoints stay the same objects', async () => {
  const { table, say, pass, changes } = setUp();
  const fifty = Array.from({ length: 50 }, (_, i) => `10.0.0.${i}`);
  say('a.x', fifty, { ttlMs: 1000 });
  const other = portWithNames('other', [B]);
  say('b.x', ['10.1.0.1']);
  const snapshot = snapshotOf([portWithNames('web', [A]), other]);
  table.want([A, B]);
  await pass(0);
  const before = table.expand(snapshot, EMPTY_SNAPSHOT);
  say('a.x', [...fifty.slice(0, 7), '10.0.1.7', ...fifty.slice(8)], { ttlMs: 1000 });
  await pass(1100);
  assert.equal(changes(), 2);
  const after = table.expand(snapshot, before);
  const old = new Set(portOf(before)?.endpoints);
  assert.equal(portOf(after)?.endpoints.filter((spec) => old.has(spec)).length, 49);
  assert.equal(portOf(after)?.endpoints.length, 50);
  assert.equal(portOf(after, 'other'), portOf(before, 'other'));
  assert.equal(after.listeners, before.listeners);
});

test('an edit breaks nothing that works: endpoints stay until the new name is answered', async () => {
  const { table, open, say, pass, changes } = setUp();
  say('a.x', ['10.0.0.1']);
  const old = snapshotOf([portWithNames('web', [A])]);
  table.want([A]);
  await pass(0);
  const before = table.expand(old, EMPTY_SNAPSHOT);
  const renamed = snapshotOf([portWithNames('web', [B], { endpoints: [endpointAt(81)] })], 2);
  table.want([B]);
  const during = table.expand(renamed, before);
  assert.deepEqual(shown(portOf(during)), ['10.0.0.1:80*1@a.x', '127.0.0.1:81*1'], 'its own come in at once');
  assert.equal(table.expand(renamed, during), during);
  assert.equal(open.length, 1);
  open[0]?.end({ answer: addressesAnswer('b.x', ['10.0.0.2']) });
  await pass(0);
  assert.equal(changes(), 2);
  assert.deepEqual(shown(portOf(table.expand(renamed, during))), ['10.0.0.2:80*1@b.x', '127.0.0.1:81*1']);
});

test('… or has failed once', async () => {
  const { table, open, say, pass, changes } = setUp();
  say('a.x', ['10.0.0.1']);
  table.want([A]);
  await pass(0);
  const before = table.expand(snapshotOf([portWithNames('web', [A])]), EMPTY_SNAPSHOT);
  const renamed = snapshotOf([portWithNames('web', [B])]);
  table.want([B]);
  const during = table.expand(renamed, before);
  assert.equal(portOf(during)?.endpoints, portOf(before)?.endpoints);
  open[0]?.end(NXDOMAIN);
  await pass(0);
  assert.equal(changes(), 2);
  assert.deepEqual(shown(portOf(table.expand(renamed, during))), []);
});

test('a name that hangs does not hold back another of the same port', async () => {
  const { table, say, pass } = setUp();
  say('a.x', ['10.0.0.1']);
  const snapshot = snapshotOf([portWithNames('web', [A, B])]);
  table.want([A, B]);
  const empty = table.expand(snapshot, EMPTY_SNAPSHOT);
  await pass(0);
  assert.deepEqual(shown(portOf(table.expand(snapshot, empty))), ['10.0.0.1:80*1@a.x']);
});

test('a policy edit makes another port with the same endpoints', async () => {
  const { table, say, pass } = setUp();
  say('a.x', ['10.0.0.1']);
  table.want([A]);
  await pass(0);
  const port = portWithNames('web', [A]);
  const before = table.expand(snapshotOf([port]), EMPTY_SNAPSHOT);
  const after = table.expand(snapshotOf([{ ...port, policy: { ...port.policy, panicThreshold: 50 } }], 2), before);
  assert.notEqual(portOf(after), portOf(before));
  assert.equal(portOf(after)?.endpoints, portOf(before)?.endpoints);
  assert.equal(portOf(after)?.policy.panicThreshold, 50);
});

test('onChange comes once for what is answered together, and never from within want', async () => {
  const { table, say, clock, changes } = setUp();
  const names = Array.from({ length: 20 }, (_, i) => nameSpec(`n${i}.x`));
  for (const { name } of names) say(name, ['10.0.0.1']);
  table.want(names);
  assert.equal(changes(), 0);
  await turn();
  assert.equal(changes(), 0);
  clock.advance(10);
  assert.equal(changes(), 1);
});

test('settled waits for the first outcome of each, and for nothing where nothing is wanted', async () => {
  const { table, open, say } = setUp();
  await table.settled();
  say('a.x', ['10.0.0.1']);
  table.want([A, B]);
  let settled = false;
  const done = table.settled().then(() => (settled = true));
  await turn();
  assert.equal(settled, false);
  open[0]?.end(NXDOMAIN);
  await done;
  table.want([A, nameSpec('c.x')]);
  const dropped = table.settled();
  table.want([A]);
  await dropped;
});

test('a name that is dropped is not asked for again, and its late answer is nobody’s', async () => {
  const { table, open, asked, pass, changes, clock, status } = setUp();
  table.want([A]);
  table.want([]);
  open[0]?.end({ answer: addressesAnswer('a.x', ['10.0.0.1']) });
  await pass(0);
  assert.equal(changes(), 0);
  assert.equal(clock.waiting, 0);
  assert.equal(status(A).error, 'not looked up');
  await pass(100_000);
  assert.equal(asked.length, 1);
});

test('a look-up that never ends has failed after a while, and gives its place to others', async () => {
  const { table, asked, pass, status, open } = setUp();
  const names = Array.from({ length: MAX_LOOKUPS + 1 }, (_, i) => nameSpec(`n${i}.x`));
  table.want(names);
  assert.equal(asked.length, MAX_LOOKUPS);
  await pass(LOOKUP_LIMIT_MS);
  const [first] = names;
  assert.ok(first);
  assert.equal(status(first).error, 'no answer in 30 s');
  assert.ok(asked.some(({ name }) => name === `n${MAX_LOOKUPS}.x`));
  open[0]?.end({ answer: addressesAnswer('n0.x', ['10.0.0.1']) });
  await turn();
  assert.deepEqual(status(first).addresses, [], 'too late');
});

test('a look-up that throws is a failure', async () => {
  const clock = new FakeClock();
  const table = createNameTable({
    clock,
    rng: seededRng(1),
    logger: { level: 'fatal', isOn: () => false, log: () => undefined },
    lookup: () => Promise.reject(new Error('broken')),
    onChange: () => undefined,
  });
  table.want([A]);
  await table.settled();
  assert.equal(table.statuses([A])[0]?.error, 'broken');
  table.stop();
});

test('a gap is shown and what is left out too', async () => {
  const { table, say, pass, status } = setUp({ ipv6: false });
  say('a.x', ['10.0.0.1', '2001:db8::1', '::1'], { ttlMs: 1000 });
  table.want([A]);
  await pass(0);
  say('a.x', ['10.0.0.1'], { gaps: [{ host: 'a.x', family: 6, reason: 'timeout' }] });
  await pass(1100);
  assert.deepEqual(table.statuses([A, A]).length, 1);
  assert.deepEqual(status(A).addresses, ['10.0.0.1', '::1']);
  assert.equal(status(A).error, 'a.x AAAA: timeout');
  assert.deepEqual(status(A).leftOut, ['2001:db8::1']);
});

test('without IPv6, a failed look-up of A keeps the last good answer, whatever AAAA says', async () => {
  const { table, say, pass, status, changes } = setUp({ ipv6: false });
  const snapshot = snapshotOf([portWithNames('web', [A])]);
  const gaps = [{ host: 'a.x', family: 4, reason: 'SERVFAIL' }] as const;
  say('a.x', ['10.0.0.1', '2001:db8::1'], { ttlMs: 1000 });
  table.want([A]);
  await pass(0);
  const first = table.expand(snapshot, EMPTY_SNAPSHOT);
  assert.deepEqual(shown(portOf(first)), ['10.0.0.1:80*1@a.x']);
  for (const six of ['2001:db8::1', '2001:db8::2']) {
    say('a.x', [six], { ttlMs: 1000, gaps });
    await pass(1100);
    assert.deepEqual(status(A).addresses, ['10.0.0.1']);
    assert.deepEqual(status(A).leftOut, [six]);
    assert.equal(status(A).error, 'a.x A: SERVFAIL');
    assert.equal(table.expand(snapshot, first), first);
  }
  assert.equal(changes(), 1);
  say('a.x', ['2001:db8::2'], { ttlMs: 1000 });
  await pass(1100);
  assert.deepEqual(
    status(A).addresses,
    ['2001:db8::2'],
    'no A records is an answer, and something is better than nothing',
  );
  say('a.x', ['10.0.0.9', '2001:db8::2'], { ttlMs: 1000 });
  await pass(1100);
  assert.deepEqual(shown(portOf(table.expand(snapshot, first))), ['10.0.0.9:80*1@a.x']);
});

test('a family that the machine gets is used from the next answer on', async () => {
  const machine = { ipv4: true, ipv6: false };
  const clock = new FakeClock();
  const table = createNameTable({
    clock,
    rng: seededRng(1),
    logger: { level: 'fatal', isOn: () => false, log: () => undefined },
    lookup: () => Promise.resolve({ answer: addressesAnswer('a.x', ['10.0.0.1', '2001:db8::1'], { ttlMs: 1000 }) }),
    families: () => machine,
    onChange: () => undefined,
  });
  const snapshot = snapshotOf([portWithNames('web', [A])]);
  table.want([A]);
  await table.settled();
  const before = table.expand(snapshot, EMPTY_SNAPSHOT);
  assert.deepEqual(shown(portOf(before)), ['10.0.0.1:80*1@a.x']);
  machine.ipv6 = true;
  clock.advance(1100);
  await turn();
  assert.deepEqual(shown(portOf(table.expand(snapshot, before))), ['10.0.0.1:80*1@a.x', '[2001:db8::1]:80*1@a.x']);
  assert.deepEqual(table.statuses([A])[0]?.leftOut, []);
  table.stop();
});

test('a name with and without a final dot is two, each shown as it is configured', async () => {
  const { table, say, pass, asked } = setUp();
  const dotted = nameSpec('a.x.');
  say('a.x', ['10.0.0.1'], { foundAs: 'a.x.search', addresses: new Map([['a.x.search', ['10.0.0.1']]]) });
  say('a.x.', ['10.0.0.2'], { foundAs: 'a.x', addresses: new Map([['a.x', ['10.0.0.2']]]) });
  table.want([A, dotted]);
  await pass(0);
  assert.deepEqual(
    asked.map(({ name }) => name),
    ['a.x', 'a.x.'],
  );
  assert.deepEqual(
    table.statuses([A, dotted]).map(({ name, addresses }) => `${name} ${addresses.join(' ')}`),
    ['a.x 10.0.0.1', 'a.x. 10.0.0.2'],
  );
  const port = portOf(table.expand(snapshotOf([portWithNames('web', [A, dotted])]), EMPTY_SNAPSHOT));
  assert.deepEqual(shown(port), ['10.0.0.1:80*1@a.x', '10.0.0.2:80*1@a.x']);
});

test('stop ends everything', async () => {
  const { table, open, clock, changes, pass, asked } = setUp();
  table.want([A]);
  const settled = table.settled();
  table.stop();
  await settled;
  open[0]?.end({ answer: addressesAnswer('a.x', ['10.0.0.1']) });
  await pass(0);
  table.want([B]);
  await pass(100_000);
  assert.equal(changes(), 0);
  assert.equal(asked.length, 1);
  assert.equal(clock.waiting, 0);
});

test('1,000 names in 1,000 ports: one changed address touches one port', async () => {
  const { table, say, pass } = setUp();
  const names = Array.from({ length: 1000 }, (_, i) => nameSpec(`n${i}.x`));
  for (const [i, { name }] of names.entries()) say(name, [`10.0.${i >> 8}.${i & 255}`], { ttlMs: 10_000 + i });
  const snapshot = snapshotOf(names.map((name, i) => portWithNames(`s${i}`, [name])));
  table.want(names);
  await table.settled();
  await pass(0);
  const before = table.expand(snapshot, EMPTY_SNAPSHOT);
  say('n500.x', ['10.9.9.9'], { ttlMs: 10_000 });
  await pass(11_600);
  const after = table.expand(snapshot, before);
  const changed = [...after.ports].filter(([key, port]) => before.ports.get(key) !== port).map(([key]) => key);
  assert.deepEqual(changed, ['test/s500/80']);
  table.stop();
});
