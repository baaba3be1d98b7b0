import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { seededRng } from '../../../src/base/rng.ts';
import { decodeResource } from '../../../src/config/decode/decode.ts';
import { EVERYTHING } from '../../../src/config/resource.ts';
import type { EarlierAnswer } from '../../../src/control/delta-subscription.ts';
import { DeltaSubscription } from '../../../src/control/delta-subscription.ts';
import type { DeliveredResource, DeltaRequest, SubscriptionEffect } from '../../../src/control/subscription.ts';
import { delivered, heartbeat, responseOf } from '../../support/fake-ads.ts';

const GOOD = {};
const BAD = { scheme: 'gopher' };

function subscription(held: Readonly<Record<string, string>> = {}): DeltaSubscription {
  return new DeltaSubscription('Upstream', new Map(Object.entries(held)), decodeResource, seededRng(7));
}

function want(of: DeltaSubscription, names: readonly string[], nowMs = 0): SubscriptionEffect[] {
  return of.handle({ kind: 'want', names: new Set(names) }, nowMs);
}

function requests(effects: readonly SubscriptionEffect[]): DeltaRequest[] {
  return effects.flatMap((effect) =>
    effect.kind === 'request' && effect.request.flavour === 'delta' ? [effect.request] : [],
  );
}

function only(effects: readonly SubscriptionEffect[]): DeltaRequest {
  const [request, ...more] = requests(effects);
  assert.ok(request);
  assert.deepEqual(more, []);
  return request;
}

const kindsOf = (effects: readonly SubscriptionEffect[]): string[] =>
  effects.map((effect) => ('name' in effect ? `${effect.kind} ${effect.name}` : effect.kind));

describe('DeltaSubscription', () => {
  it('sends nothing before a name is wanted, since that would ask for everything', () => {
    const of = subscription({ a: '1' });
    assert.deepEqual(want(of, []), []);
    assert.equal(of.started, false);
  });

  it('sends names as differences, and no nonce unless it answers', () => {
    const of = subscription();
    const first = only(want(of, ['a', 'b']));
    assert.deepEqual([first.subscribe, first.unsubscribe, first.nonce], [['a', 'b'], [], '']);
    const second = only(want(of, ['b', 'c']));
    assert.deepEqual([second.subscribe, second.unsubscribe, second.nonce], [['c'], ['a'], '']);
    assert.deepEqual(want(of, ['c', 'b']), []);
    assert.deepEqual(only(want(of, [])).unsubscribe, ['b', 'c']);
  });

  it('states what is held once, on the first request, and only what is wanted and has a version', () => {
    const of = subscription({ a: '1', gone: '4', unversioned: '' });
    const first = only(want(of, ['a', 'new', 'unversioned']));
    assert.deepEqual([...first.initialVersions], [['a', '1']]);
    assert.equal(only(want(of, ['a'])).initialVersions.size, 0);
  });

  it('uses the good ones of a response and names every bad one in the NACK', () => {
    const of = subscription();
    want(of, ['x/a', 'x/b', 'x/c', 'x/d']);
    const response = responseOf('Upstream', [
      delivered('Upstream', 'x/a', '1', GOOD),
      delivered('Upstream', 'x/b', '1', BAD),
      delivered('Upstream', 'x/c', '1', { portLevelSettings: [{ port: 1 }, { port: 2, scheme: 'gopher' }] }),
      delivered('Upstream', 'x/d', '1', GOOD),
    ]);
    const effects = of.handle({ kind: 'response', response }, 5);
    assert.deepEqual(kindsOf(effects), ['accepted x/a', 'accepted x/d', 'refused x/b', 'refused x/c', 'request']);
    const nack = only(effects);
    assert.equal(nack.nonce, response.nonce);
    assert.match(
      nack.error,
      /^Upstream x\/b: scheme: .*; Upstream x\/c: port_level_settings\[1\]\.scheme: 'gopher' is none of .*$/,
    );
    // Later a good version clears it.
    const fixed = responseOf('Upstream', [delivered('Upstream', 'x/b', '2', GOOD)]);
    const after = of.handle({ kind: 'response', response: fixed }, 6);
    assert.deepEqual(kindsOf(after), ['accepted x/b', 'request']);
    assert.deepEqual([only(after).nonce, only(after).error], [fixed.nonce, '']);
  });

  it('refuses a name that comes twice, or both delivered and removed, and uses the rest', () => {
    const of = subscription();
    want(of, ['a', 'b', 'c']);
    const response = responseOf(
      'Upstream',
      [
        delivered('Upstream', 'a', '1', GOOD),
        delivered('Upstream', 'a', '2', GOOD),
        delivered('Upstream', 'b', '1', GOOD),
        delivered('Upstream', 'c', '1', GOOD),
      ],
      { removed: ['b'] },
    );
    const effects = of.handle({ kind: 'response', response }, 0);
    assert.deepEqual(kindsOf(effects), ['accepted c', 'refused a', 'refused b', 'request']);
    assert.equal(only(effects).error, 'Upstream a: is in the response twice; Upstream b: is in the response twice');
  });

  it('ignores what nobody asked for, but answers', () => {
    const of = subscription();
    want(of, ['a']);
    const response = responseOf('Upstream', [delivered('Upstream', 'other', '1', BAD)], { removed: ['third'] });
    const effects = of.handle({ kind: 'response', response }, 0);
    assert.deepEqual(kindsOf(effects), ['request']);
    assert.equal(only(effects).error, '');
  });

  it('takes a removal, whether the name ever was there or not', () => {
    const of = subscription({ a: '1' });
    want(of, ['a', 'never']);
    const effects = of.handle(
      { kind: 'response', response: responseOf('Upstream', [], { removed: ['a', 'never'] }) },
      0,
    );
    assert.deepEqual(kindsOf(effects), ['removed a', 'removed never', 'request']);
  });

  it('tells a heartbeat by its version, and refuses one for what is not held', () => {
    const of = subscription({ a: '1', b: '1' });
    want(of, ['a', 'b', 'c']);
    const response = responseOf('Upstream', [
      heartbeat('a', '1', 500),
      heartbeat('b', '2', 500),
      heartbeat('c', '', 5),
    ]);
    const effects = of.handle({ kind: 'response', response }, 0);
    assert.deepEqual(kindsOf(effects), ['refreshed a', 'refused b', 'refused c', 'request']);
    assert.equal(of.handle({ kind: 'expired', name: 'a' }, 1).length, 0);
    const late = of.handle({ kind: 'response', response: responseOf('Upstream', [heartbeat('a', '1', 500)]) }, 2);
    assert.deepEqual(kindsOf(late), ['refused a', 'request']);
  });

  it('passes over an alias that does not resolve', () => {
    const of = subscription();
    want(of, ['a']);
    const unresolved = { ...heartbeat('a', '', 1), ttlMs: undefined, aliases: ['b'] };
    const effects = of.handle({ kind: 'response', response: responseOf('Upstream', [unresolved]) }, 0);
    assert.deepEqual(kindsOf(effects), ['request']);
    assert.equal(only(effects).error, '');
  });

  it('refuses another type inside, another name inside, a time to live of 0, and no name', () => {
    const of = subscription();
    want(of, ['a', 'b', 'c']);
    const response = responseOf('Upstream', [
      delivered('Upstream', 'a', '1', GOOD, { typeUrl: 'type.googleapis.com/outrigger.config.v1.Listener' }),
      delivered('Upstream', 'inside', '1', GOOD, { name: 'b' }),
      delivered('Upstream', 'c', '1', GOOD, { ttlMs: 0 }),
      delivered('Upstream', 'd', '1', GOOD, { name: '' }),
    ]);
    const { error } = only(of.handle({ kind: 'response', response }, 0));
    assert.match(error, /Upstream a: is of type ".*Listener" in a response/);
    assert.match(error, /Upstream b: name: 'inside' differs/);
    assert.match(error, /Upstream c: ttl: must be greater than 0/);
    assert.match(error, /Upstream #3: name: missing or not readable/);
  });

  it('refuses a resource on which the decoder throws, and uses its siblings', () => {
    const of = new DeltaSubscription(
      'Upstream',
      new Map(),
      (kind, name, bytes) => {
        if (name === 'a') throw new SyntaxError('Unexpected token in "-----BEGIN PRIVATE KEY-----"');
        return decodeResource(kind, name, bytes);
      },
      seededRng(1),
    );
    want(of, ['a', 'b']);
    const response = responseOf('Upstream', [
      delivered('Upstream', 'a', '1', GOOD),
      delivered('Upstream', 'b', '1', GOOD),
    ]);
    const effects = of.handle({ kind: 'response', response }, 0);
    assert.deepEqual(kindsOf(effects), ['accepted b', 'refused a', 'request']);
    // The text of the error may quote the resource.
    const reason = 'reading it failed with SyntaxError, which is a fault of this program';
    assert.equal(only(effects).error, `Upstream a: ${reason}`);
  });

  it('counts absence from the time the transport is connected, and not for what is held', () => {
    const of = subscription({ held: '1' });
    want(of, ['held', 'a', 'b'], 0);
    assert.equal(of.nextDueMs, Infinity);
    of.handle({ kind: 'connected' }, 100_000);
    assert.equal(of.nextDueMs, 115_000);
    want(of, ['held', 'a', 'b', 'later'], 105_000);
    of.handle({ kind: 'response', response: responseOf('Upstream', [delivered('Upstream', 'b', '1', GOOD)]) }, 106_000);
    assert.deepEqual(kindsOf(of.handle({ kind: 'due' }, 114_999)), []);
    assert.deepEqual(kindsOf(of.handle({ kind: 'due' }, 115_000)), ['absent a']);
    assert.equal(of.nextDueMs, 120_000);
    assert.deepEqual(kindsOf(of.handle({ kind: 'due' }, 120_000)), ['absent later']);
    assert.equal(of.nextDueMs, Infinity);
    // It may still come.
    const late = responseOf('Upstream', [delivered('Upstream', 'a', '1', GOOD)]);
    assert.deepEqual(kindsOf(of.handle({ kind: 'response', response: late }, 130_000)), ['accepted a', 'request']);
  });

  it('answers the same bad content later and later, and each response exactly once', () => {
    const of = subscription();
    want(of, ['a']);
    const answered: string[] = [];
    const sent: string[] = [];
    const delays: number[] = [];
    let nowMs = 0;
    for (let i = 0; i < 9; i++) {
      const response = responseOf('Upstream', [delivered('Upstream', 'a', `v${i}`, BAD)]);
      sent.push(response.nonce);
      const at = nowMs;
      let effects = of.handle({ kind: 'response', response }, nowMs);
      if (requests(effects).length === 0) {
        nowMs = of.nextDueMs;
        assert.equal(requests(of.handle({ kind: 'due' }, nowMs - 1)).length, 0);
        effects = of.handle({ kind: 'due' }, nowMs);
      }
      delays.push(nowMs - at);
      answered.push(only(effects).nonce);
    }
    assert.deepEqual(answered, sent);
    assert.equal(delays[0], 0);
    assert.ok(delays[1]! >= 1_000 && delays[1]! <= 1_250, `${delays[1]}`);
    assert.ok(delays[3]! > delays[1]! * 2, String(delays));
    assert.ok(delays.every((delay) => delay <= 60_000) && delays[8]! > 40_000, String(delays));
    // What is good again is answered at once, and the next refusal too.
    of.handle({ kind: 'response', response: responseOf('Upstream', [delivered('Upstream', 'a', 'g', GOOD)]) }, nowMs);
    const bad = responseOf('Upstream', [delivered('Upstream', 'a', 'h', BAD)]);
    assert.equal(only(of.handle({ kind: 'response', response: bad }, nowMs)).nonce, bad.nonce);
  });

  it('lets what comes while a NACK waits join it, and sends it before the answer to anything else', () => {
    const of = subscription();
    want(of, ['a']);
    const bad = (): ReturnType<typeof responseOf> => responseOf('Upstream', [delivered('Upstream', 'a', '1', BAD)]);
    of.handle({ kind: 'response', response: bad() }, 0);
    const [second, third] = [bad(), bad()];
    of.handle({ kind: 'response', response: second }, 0);
    const dueMs = of.nextDueMs;
    of.handle({ kind: 'response', response: third }, 900);
    assert.equal(of.nextDueMs, dueMs);
    const good = responseOf('Upstream', [delivered('Upstream', 'a', '2', GOOD)]);
    const sent = requests(of.handle({ kind: 'response', response: good }, 950));
    assert.deepEqual(
      sent.map(({ nonce, error }) => [nonce, error !== '']),
      [
        [second.nonce, true],
        [third.nonce, true],
        [good.nonce, false],
      ],
    );
    assert.equal(of.nextDueMs, Infinity);
  });
});

describe('DeltaSubscription to everything', () => {
  const route = (name: string, version: string, more: object = { uris: ['/'] }): DeliveredResource =>
    delivered('Route', name, version, more);

  function everything(held: Readonly<Record<string, string>> = {}, earlier?: EarlierAnswer): DeltaSubscription {
    return new DeltaSubscription('Route', new Map(Object.entries(held)), decodeResource, seededRng(7), earlier);
  }
  const wantAll = (of: DeltaSubscription, nowMs = 0): SubscriptionEffect[] =>
    of.handle({ kind: 'want', names: EVERYTHING }, nowMs);
  const respond = (
    of: DeltaSubscription,
    resources: readonly DeliveredResource[],
    removed: readonly string[] = [],
    nowMs = 1,
  ): SubscriptionEffect[] =>
    of.handle({ kind: 'response', response: responseOf('Route', resources, { removed }) }, nowMs);

  it('is one name towards the server, and its answer may be empty', () => {
    const of = everything();
    const first = only(wantAll(of));
    assert.deepEqual([first.subscribe, first.unsubscribe, first.initialVersions.size], [['*'], [], 0]);
    assert.deepEqual(wantAll(of), []);
    assert.deepEqual(kindsOf(respond(of, [])), ['whole', 'request']);
    assert.deepEqual(kindsOf(respond(of, [route('1', '1')], ['9'])), ['accepted 1', 'removed 9', 'request']);
    assert.equal(of.nextDueMs, Infinity);
    assert.deepEqual(only(want(of, [])).unsubscribe, ['*']);
    assert.deepEqual(kindsOf(respond(of, [route('2', '1')], ['1'])), ['request']);
    assert.deepEqual(only(wantAll(of)).subscribe, ['*']);
    assert.deepEqual(kindsOf(respond(of, [])), ['whole', 'request']);
  });

  it('claims what has a version, and waits for no answer where an earlier one was whole', () => {
    const of = everything({ 1: '1', 2: '' }, { isWhole: true, unclaimed: new Set() });
    assert.deepEqual([...only(wantAll(of)).initialVersions], [['1', '1']]);
    of.handle({ kind: 'connected' }, 0);
    assert.equal(of.nextDueMs, Infinity);
    assert.deepEqual(kindsOf(respond(of, [heartbeat('1', '1', 50)])), ['refreshed 1', 'request']);
  });

  it('takes for removed what it could not claim and does not come, but not from silence', () => {
    const of = everything({}, { isWhole: true, unclaimed: new Set(['1', '2', '3']) });
    of.handle({ kind: 'connected' }, 0);
    wantAll(of);
    assert.equal(of.nextDueMs, 15_000);
    assert.deepEqual(kindsOf(of.handle({ kind: 'due' }, 15_000)), ['absent *']);
    const effects = respond(of, [route('1', '1'), route('2', '1', { uris: ['x'] })]);
    assert.deepEqual(kindsOf(effects), ['accepted 1', 'refused 2', 'removed 3', 'whole', 'request']);
    assert.deepEqual(kindsOf(respond(of, [])), ['request']);
  });

  it('goes on waiting after a large part until nothing more comes', () => {
    const big = (from: number): DeliveredResource[] =>
      Array.from({ length: 5_000 }, (_, i) => route(`${from + i}`, '1', { uris: ['/'], desc: 'd'.repeat(200) }));
    const of = everything({}, { isWhole: false, unclaimed: new Set(['gone']) });
    wantAll(of);
    assert.ok(!kindsOf(respond(of, big(0), [], 100)).includes('whole'));
    assert.equal(of.nextDueMs, 350);
    assert.ok(!kindsOf(respond(of, big(5_000), [], 300)).includes('whole'));
    assert.deepEqual(of.handle({ kind: 'due' }, 400), []);
    assert.deepEqual(kindsOf(of.handle({ kind: 'due' }, 550)), ['removed gone', 'whole']);
    assert.equal(of.nextDueMs, Infinity);
    assert.ok(!kindsOf(respond(of, big(0), [], 600)).includes('whole'));
    assert.equal(of.nextDueMs, Infinity);
  });
});
