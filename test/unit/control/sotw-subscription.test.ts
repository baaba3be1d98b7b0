import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { seededRng } from '../../../src/base/rng.ts';
import { decodeResource } from '../../../src/config/decode/decode.ts';
import { EVERYTHING } from '../../../src/config/resource.ts';
import { SotwSubscription } from '../../../src/control/sotw-subscription.ts';
import type { DeliveredResource, SotwRequest, SubscriptionEffect } from '../../../src/control/subscription.ts';
import { delivered, responseOf } from '../../support/fake-ads.ts';

const BAD = { scheme: 'gopher' };

function subscription(held: Readonly<Record<string, string>> = {}, version = ''): SotwSubscription {
  return new SotwSubscription('Upstream', new Map(Object.entries(held)), version, decodeResource, seededRng(7));
}

function want(of: SotwSubscription, ...names: string[]): SubscriptionEffect[] {
  return of.handle({ kind: 'want', names: new Set(names) }, 0);
}

function respond(
  of: SotwSubscription,
  version: string,
  nonce: string,
  resources: readonly DeliveredResource[],
  nowMs = 0,
): SubscriptionEffect[] {
  return of.handle({ kind: 'response', response: responseOf('Upstream', resources, { version, nonce }) }, nowMs);
}

function requests(effects: readonly SubscriptionEffect[]): SotwRequest[] {
  return effects.flatMap((effect) =>
    effect.kind === 'request' && effect.request.flavour === 'sotw' ? [effect.request] : [],
  );
}

/** version, nonce, names, whether it is a NACK. */
function brief(effects: readonly SubscriptionEffect[]): unknown[] {
  return requests(effects).map(({ version, nonce, names, error }) => [version, nonce, names.join(), error !== '']);
}

const good = (name: string): DeliveredResource => delivered('Upstream', name, '', {});
const bad = (name: string): DeliveredResource => delivered('Upstream', name, '', BAD);

describe('SotwSubscription', () => {
  it('never asks for everything, since it could not be told of a removal', () => {
    const of = subscription();
    assert.deepEqual(of.handle({ kind: 'want', names: EVERYTHING }, 0), []);
    assert.equal(of.started, false);
  });

  it('states all names, the version and the newest nonce each time', () => {
    const of = subscription();
    assert.deepEqual(want(of), []);
    assert.deepEqual(brief(want(of, 'a', 'b')), [['', '', 'a,b', false]]);
    assert.deepEqual(brief(respond(of, '1', 'n1', [good('a'), good('b')])), [['1', 'n1', 'a,b', false]]);
    assert.deepEqual(brief(want(of, 'b', 'c')), [['1', 'n1', 'b,c', false]]);
    assert.deepEqual(brief(want(of)), [['1', 'n1', '', false]]);
  });

  it('repeats changed names with the answer to a push that crossed them', () => {
    const of = subscription();
    want(of, 'a');
    respond(of, '1', 'n1', [good('a')]);
    assert.deepEqual(brief(want(of, 'a', 'b')), [['1', 'n1', 'a,b', false]]);
    // The server ignores that: it had sent n2 before.
    assert.deepEqual(brief(respond(of, '2', 'n2', [good('a')])), [['2', 'n2', 'a,b', false]]);
  });

  it('keeps the version in a NACK, unless something of the response was good', () => {
    const of = subscription();
    want(of, 'a', 'b');
    respond(of, '1', 'n1', [good('a'), good('b')]);
    assert.deepEqual(brief(respond(of, '2', 'n2', [bad('a')])), [['1', 'n2', 'a,b', true]]);
    assert.deepEqual(brief(respond(of, '3', 'n3', [bad('a'), good('b')])), [['3', 'n3', 'a,b', true]]);
  });

  it('does not repeat the error with a later change of names', () => {
    const of = subscription();
    want(of, 'a');
    respond(of, '1', 'n1', [bad('a')]);
    assert.deepEqual(brief(want(of, 'a', 'b')), [['', 'n1', 'a,b', false]]);
  });

  it('takes absence and an empty response as saying nothing, and answers it', () => {
    const of = subscription();
    want(of, 'a', 'b');
    respond(of, '1', 'n1', [good('a'), good('b')]);
    const partial = respond(of, '2', 'n2', [good('a')]);
    assert.deepEqual(
      partial.map(({ kind }) => kind),
      ['accepted', 'request'],
    );
    const empty = respond(of, '3', 'n3', []);
    assert.deepEqual(
      empty.map(({ kind }) => kind),
      ['request'],
    );
    assert.deepEqual(brief(empty), [['3', 'n3', 'a,b', false]]);
  });

  it('starts a new stream with the old version where everything wanted is held, else without', () => {
    assert.deepEqual(brief(want(subscription({ a: '', b: '' }, '7'), 'a', 'b')), [['7', '', 'a,b', false]]);
    assert.deepEqual(brief(want(subscription({ a: '' }, '7'), 'a', 'b')), [['', '', 'a,b', false]]);
  });

  it('slows down NACKs of the same content, whatever its version', () => {
    const of = subscription();
    want(of, 'a');
    let nowMs = 0;
    let before = 0;
    assert.equal(requests(respond(of, '1', 'n0', [bad('a')])).length, 1);
    for (let i = 1; i <= 5; i++) {
      assert.equal(requests(respond(of, `${i}`, `n${i}`, [bad('a')], nowMs)).length, 0);
      const delayMs = of.nextDueMs - nowMs;
      assert.ok(delayMs > before, `${i}: ${delayMs}`);
      before = delayMs;
      nowMs = of.nextDueMs;
      assert.deepEqual(brief(of.handle({ kind: 'due' }, nowMs)), [['', `n${i}`, 'a', true]]);
    }
    // An empty answer to a NACK (one known server does that) is acknowledged, and doesn't make the next one quick.
    assert.deepEqual(brief(respond(of, '6', 'n6', [], nowMs)), [['6', 'n6', 'a', false]]);
    assert.equal(requests(respond(of, '7', 'n7', [bad('a')], nowMs)).length, 0);
    assert.ok(of.nextDueMs - nowMs > before);
  });

  it('sends a NACK that waits with a change of names, since that answers the response', () => {
    const of = subscription();
    want(of, 'a');
    respond(of, '1', 'n1', [bad('a')]);
    respond(of, '1', 'n2', [bad('a')]);
    assert.deepEqual(brief(want(of, 'a', 'b')), [['', 'n2', 'a,b', true]]);
    assert.equal(requests(of.handle({ kind: 'due' }, 99_999)).length, 0);
  });

  it('refuses what has no readable name', () => {
    const of = subscription();
    want(of, 'a');
    const nameless: DeliveredResource = { ...good('a'), name: undefined };
    const [request] = requests(respond(of, '1', 'n1', [nameless]));
    assert.equal(request?.error, 'Upstream #0: name: missing or not readable');
  });
});
