import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { type Kind, typeUrl } from '../../../src/config/resource.ts';
import { DeltaStream, type Nack } from '../../../src/controlplane/delta-stream.ts';
import type { View } from '../../../src/controlplane/views.ts';
import type { VersionedResource } from '../../../src/controlplane/versioned-resource.ts';
import { Node } from '../../../src/gen/envoy/config/core/v3/base.ts';
import {
  DeltaDiscoveryRequest,
  type DeltaDiscoveryResponse,
} from '../../../src/gen/envoy/service/discovery/v3/discovery.ts';

/** A stream over a view of `Kind name` → version, and what it sent. */
class Harness {
  readonly sent: DeltaDiscoveryResponse[] = [];
  readonly nacks: Nack[] = [];
  wallMs = 1_000;
  readonly stream: DeltaStream;
  private view: View;

  /** `tells`: whether views know what changed since the one before; else everything is looked at again. */
  constructor(content: Record<string, string>, bytes = 1, tells = true) {
    this.tells = tells;
    this.view = viewOf(resources(content, bytes));
    this.stream = new DeltaStream({
      viewOf: () => this.counting(this.view),
      send: (response) => this.sent.push(response),
      onNack: (nack) => this.nacks.push(nack),
      wallMs: () => this.wallMs,
    });
  }

  private readonly tells: boolean;
  /** Resources that views were asked for. */
  looked = 0;

  private counting(view: View): View {
    return {
      ...view,
      get: (kind, name) => {
        this.looked++;
        return view.get(kind, name);
      },
      all: (kind) => {
        const all = view.all(kind);
        this.looked += all.length;
        return all;
      },
    };
  }

  request(kind: Kind, request: Partial<Omit<DeltaDiscoveryRequest, '$type'>>): void {
    const node = Node.fromPartial({ id: 'n1' });
    this.stream.onRequest(DeltaDiscoveryRequest.fromPartial({ node, typeUrl: typeUrl(kind), ...request }));
  }

  subscribe(kind: Kind, ...names: string[]): void {
    this.request(kind, { resourceNamesSubscribe: names });
  }

  /** Answers the oldest response of a kind that wasn't answered; undefined reason is an ACK. */
  answer(kind: Kind, reason?: string): void {
    const response = this.sent.findLast((one) => one.typeUrl === typeUrl(kind));
    assert.ok(response);
    const errorDetail = reason === undefined ? undefined : { code: 3, message: reason, details: [] };
    this.request(kind, { responseNonce: response.nonce, errorDetail });
  }

  change(content: Record<string, string>): void {
    this.view = viewOf(resources(content, 1), this.tells ? this.view : undefined);
    this.stream.onSnapshot();
  }

  /** What was sent since the last call: `Kind +name@version -name`. */
  take(): string[] {
    return this.sent.splice(0).map((response) => {
      const adds = response.resources.map((resource) => `+${resource.name}@${resource.version}`);
      const removed = response.removedResources.map((name) => `-${name}`);
      return [response.typeUrl.slice(response.typeUrl.lastIndexOf('.') + 1), ...adds, ...removed].join(' ');
    });
  }

  peek(): number {
    return this.sent.length;
  }

  status() {
    return this.stream.status();
  }
}

/** A view that knows what changed since the one `before`. */
function viewOf(content: ReadonlyMap<string, VersionedResource>, before?: View): View {
  const moment = { snapshot: {}, key: '' };
  return {
    get: (kind, name) => content.get(`${kind} ${name}`),
    all: (kind) => [...content.values()].filter((resource) => resource.kind === kind),
    moment,
    changedSince: (earlier, kind) => {
      if (before === undefined) return undefined;
      assert.equal(earlier, before.moment);
      const all = [...content.values(), ...before.all(kind)].filter((resource) => resource.kind === kind);
      const names = new Set(all.map(({ name }) => name));
      return [...names].filter((name) => content.get(`${kind} ${name}`)?.version !== before.get(kind, name)?.version);
    },
  };
}

function resources(content: Record<string, string>, bytes: number): Map<string, VersionedResource> {
  return new Map(
    Object.entries(content).map(([key, version]) => {
      const [kind = '', name = ''] = key.split(' ');
      const origin = { file: '', line: 1, column: 1 };
      const references = { upstreams: [], secrets: [] };
      const one = { kind: kind as Kind, name, version, bytes: new Uint8Array(bytes), origin, service: undefined };
      return [key, { ...one, references }];
    }),
  );
}

/** Takes what was sent and answers it, until nothing more comes. */
function settle(harness: Harness, ...kinds: Kind[]): string[] {
  const all: string[] = [];
  while (harness.peek() > 0) {
    const open = kinds.filter((kind) => harness.sent.some((response) => response.typeUrl === typeUrl(kind)));
    const batch = harness.sent.slice();
    all.push(...harness.take());
    for (const kind of open) {
      const response = batch.findLast((one) => one.typeUrl === typeUrl(kind));
      if (response) harness.request(kind, { responseNonce: response.nonce });
    }
  }
  return all;
}

test('names: what is there is sent, what is not is told removed, in one response', () => {
  const harness = new Harness({ 'Sidecar default': '1' });
  harness.subscribe('Sidecar', 'n1', 'default');
  assert.deepEqual(harness.take(), ['Sidecar +default@1 -n1']);
  harness.request('Sidecar', { responseNonce: '1' });
  assert.deepEqual(harness.take(), []);
});

test('a change of one resource sends that one', () => {
  const harness = new Harness({ 'Upstream a': '1', 'Upstream b': '1' });
  harness.subscribe('Upstream', 'a', 'b');
  assert.deepEqual(settle(harness, 'Upstream'), ['Upstream +a@1 +b@1']);
  harness.change({ 'Upstream a': '1', 'Upstream b': '2', 'Upstream c': '1' });
  assert.deepEqual(settle(harness, 'Upstream'), ['Upstream +b@2']);
  harness.change({ 'Upstream a': '1', 'Upstream b': '2' });
  assert.deepEqual(harness.take(), []);
});

test('what the client says it holds is not sent again, unless it changed or is gone', () => {
  const harness = new Harness({ 'Upstream a': '1', 'Upstream b': '2' });
  harness.request('Upstream', {
    resourceNamesSubscribe: ['a', 'b', 'c'],
    initialResourceVersions: { a: '1', b: '1', c: '9' },
  });
  assert.deepEqual(settle(harness, 'Upstream'), ['Upstream +b@2', 'Upstream -c']);
  const same = new Harness({ 'Upstream a': '1' });
  same.request('Upstream', { resourceNamesSubscribe: ['a'], initialResourceVersions: { a: '1' } });
  assert.deepEqual(same.take(), []);
});

test('a name that is subscribed again is sent again', () => {
  const harness = new Harness({ 'Upstream a': '1' });
  harness.subscribe('Upstream', 'a', 'z');
  assert.deepEqual(settle(harness, 'Upstream'), ['Upstream +a@1 -z']);
  harness.subscribe('Upstream', 'a', 'z');
  assert.deepEqual(settle(harness, 'Upstream'), ['Upstream +a@1 -z']);
});

test('an unsubscribed name is not sent; subscribed later it is', () => {
  const harness = new Harness({ 'Upstream a': '1', 'Upstream b': '1' });
  harness.subscribe('Upstream', 'a', 'b');
  settle(harness, 'Upstream');
  harness.request('Upstream', { resourceNamesUnsubscribe: ['a'] });
  harness.change({ 'Upstream a': '2', 'Upstream b': '1' });
  assert.deepEqual(harness.take(), []);
  harness.subscribe('Upstream', 'a');
  assert.deepEqual(settle(harness, 'Upstream'), ['Upstream +a@2']);
});

test('deleted and made again', () => {
  const harness = new Harness({ 'Upstream a': '1' });
  harness.subscribe('Upstream', 'a');
  settle(harness, 'Upstream');
  harness.change({});
  assert.deepEqual(settle(harness, 'Upstream'), ['Upstream -a']);
  harness.change({});
  assert.deepEqual(harness.take(), []);
  harness.change({ 'Upstream a': '1' });
  assert.deepEqual(settle(harness, 'Upstream'), ['Upstream +a@1']);
});

test('* and its old form take all, and what goes; an empty answer says that there is nothing', () => {
  for (const names of [['*'], []]) {
    const harness = new Harness({ 'Upstream a': '1', 'Upstream b': '1' });
    harness.subscribe('Upstream', ...names);
    assert.deepEqual(settle(harness, 'Upstream'), ['Upstream +a@1 +b@1']);
    harness.change({ 'Upstream b': '1', 'Upstream c': '1' });
    assert.deepEqual(settle(harness, 'Upstream'), ['Upstream +c@1', 'Upstream -a']);
  }
  const empty = new Harness({});
  empty.subscribe('Secret', '*');
  assert.deepEqual(settle(empty, 'Secret'), ['Secret']);
});

test('a name dropped under * is answered; * dropped leaves the names', () => {
  const harness = new Harness({ 'Upstream a': '1', 'Upstream b': '1' });
  harness.subscribe('Upstream', '*', 'a', 'z');
  assert.deepEqual(settle(harness, 'Upstream'), ['Upstream +a@1 +b@1 -z']);
  harness.request('Upstream', { resourceNamesUnsubscribe: ['a'] });
  assert.deepEqual(settle(harness, 'Upstream'), ['Upstream +a@1']);
  harness.request('Upstream', { resourceNamesUnsubscribe: ['z'] });
  assert.deepEqual(settle(harness, 'Upstream'), ['Upstream -z']);
  harness.subscribe('Upstream', 'b');
  settle(harness, 'Upstream');
  harness.request('Upstream', { resourceNamesUnsubscribe: ['*'] });
  harness.change({ 'Upstream a': '2', 'Upstream b': '2' });
  assert.deepEqual(settle(harness, 'Upstream'), ['Upstream +b@2']);
});

test('nothing further of a type before the answer; then all changes at once', () => {
  const harness = new Harness({ 'Upstream a': '1' });
  harness.subscribe('Upstream', 'a');
  assert.deepEqual(harness.take().length, 1);
  harness.change({ 'Upstream a': '2' });
  harness.change({ 'Upstream a': '3' });
  assert.deepEqual(harness.take(), []);
  harness.request('Upstream', { responseNonce: 'old' });
  assert.deepEqual(harness.take(), []);
  harness.request('Upstream', { responseNonce: '1' });
  assert.deepEqual(harness.take(), ['Upstream +a@3']);
});

test('make before break: leaves first, the root last, then removals from the root down', () => {
  const kinds: Kind[] = ['Sidecar', 'Listener', 'Upstream', 'Endpoints'];
  const old = { 'Sidecar s': '1', 'Listener l1': '1', 'Upstream u1': '1', 'Endpoints e1': '1' };
  const harness = new Harness(old);
  for (const kind of kinds) harness.subscribe(kind, '*');
  settle(harness, ...kinds);
  harness.change({ 'Sidecar s': '2', 'Listener l2': '1', 'Upstream u2': '1', 'Endpoints e2': '1' });
  assert.deepEqual(harness.take(), ['Endpoints +e2@1', 'Upstream +u2@1', 'Listener +l2@1', 'Sidecar +s@2']);
  // Answers come in the order of the responses: what is gone still goes from the root down.
  const nonces = { Endpoints: '5', Upstream: '6', Listener: '7', Sidecar: '8' } as const;
  for (const kind of ['Endpoints', 'Upstream'] as const) harness.request(kind, { responseNonce: nonces[kind] });
  assert.deepEqual(harness.take(), []);
  harness.request('Listener', { responseNonce: nonces.Listener });
  assert.deepEqual(harness.take(), ['Listener -l1', 'Upstream -u1', 'Endpoints -e1']);
});

test('a type waits while one before it owes something that an unanswered response holds back', () => {
  const harness = new Harness({ 'Endpoints e': '1', 'Listener l': '1' });
  harness.subscribe('Endpoints', 'e');
  harness.subscribe('Listener', 'l');
  harness.request('Listener', { responseNonce: '2' });
  harness.take();
  harness.change({ 'Endpoints e': '2', 'Listener l': '2' });
  assert.deepEqual(harness.take(), []);
  harness.request('Endpoints', { responseNonce: '1' });
  assert.deepEqual(harness.take(), ['Endpoints +e@2', 'Listener +l@2']);
});

test('a refusal is told with node and reason, shown until the next ACK, and not answered with the same again', () => {
  const harness = new Harness({ 'Upstream a': '1' });
  harness.subscribe('Upstream', 'a');
  harness.answer('Upstream', 'a: type: not supported yet');
  assert.deepEqual(
    harness.nacks.map(({ nodeId, reason }) => [nodeId, reason]),
    [['n1', 'a: type: not supported yet']],
  );
  assert.deepEqual(harness.status()[0]?.refused, [
    { name: 'a', reason: 'a: type: not supported yet', sinceWallMs: 1_000 },
  ]);
  assert.equal(harness.take().length, 1);
  harness.change({ 'Upstream a': '1' });
  assert.deepEqual(harness.take(), []);
  harness.change({ 'Upstream a': '2' });
  harness.answer('Upstream');
  assert.deepEqual(harness.status()[0]?.refused, []);
});

test('a large answer comes in parts, each after the answer to the one before', () => {
  const content = Object.fromEntries(['a', 'b', 'c'].map((name) => [`Endpoints ${name}`, '1']));
  const harness = new Harness({ ...content, 'Sidecar s': '1' }, 1_500_000);
  harness.subscribe('Endpoints', '*');
  assert.deepEqual(harness.take(), ['Endpoints +a@1']);
  harness.subscribe('Sidecar', 's');
  assert.deepEqual(harness.take(), []);
  harness.request('Endpoints', { responseNonce: '1' });
  harness.request('Endpoints', { responseNonce: '2' });
  assert.deepEqual(harness.take(), ['Endpoints +b@1', 'Endpoints +c@1', 'Sidecar +s@1']);
});

test('a type that nobody knows: its names do not exist', () => {
  const harness = new Harness({});
  harness.request('Secret', { typeUrl: 'type.googleapis.com/x.Y', resourceNamesSubscribe: ['a'] });
  assert.deepEqual(harness.take(), ['Y -a']);
});

test('a refusal stays with the resources that it names until they are sent anew or are gone', () => {
  const harness = new Harness({ 'Route a': '1', 'Route b': '1', 'Route c': '1' });
  const shown = () => harness.status()[0]?.refused.map(({ name, reason, sinceWallMs }) => [name, reason, sinceWallMs]);
  harness.subscribe('Route', '*');
  harness.answer('Route', 'Route a: uris: none; tls: no; Route c: vars: no');
  harness.take();
  assert.deepEqual(shown(), [
    ['a', 'Route a: uris: none; tls: no', 1_000],
    ['c', 'Route c: vars: no', 1_000],
  ]);
  assert.deepEqual([harness.status()[0]?.sent, harness.status()[0]?.acknowledged], [3, 1]);
  harness.wallMs = 2_000;
  // Another one is taken: that says nothing of these.
  harness.change({ 'Route a': '1', 'Route b': '2', 'Route c': '1' });
  assert.deepEqual(settle(harness, 'Route'), ['Route +b@2']);
  assert.equal(shown()?.length, 2);
  harness.change({ 'Route a': '2', 'Route b': '2', 'Route c': '1' });
  harness.answer('Route', 'Route a: uris: still none');
  assert.deepEqual(harness.take(), ['Route +a@2']);
  assert.deepEqual(shown()?.[0], ['a', 'Route a: uris: still none', 1_000]);
  harness.change({ 'Route a': '3', 'Route b': '2' });
  assert.deepEqual(settle(harness, 'Route'), ['Route +a@3', 'Route -c']);
  assert.deepEqual(shown(), []);
  assert.deepEqual([harness.status()[0]?.sent, harness.status()[0]?.acknowledged], [6, 3]);
});

test('a refusal that names nothing may mean any of what was sent, until each was sent anew', () => {
  const harness = new Harness({ 'Route a': '1', 'Route b': '1', 'Route c': '1' });
  const refused = () => harness.status()[0]?.refused;
  harness.subscribe('Route', '*');
  harness.answer('Route', 'out of memory');
  harness.take();
  const any = { name: '', reason: 'out of memory', sinceWallMs: 1_000 };
  assert.deepEqual(refused(), [any]);
  for (const name of ['a', 'b']) assert.deepEqual(harness.stream.standing('Route', name), { refused: 'out of memory' });
  harness.change({ 'Route a': '2', 'Route b': '1', 'Route c': '1', 'Route d': '1' });
  harness.answer('Route');
  harness.take();
  assert.equal(harness.stream.standing('Route', 'a'), 'acknowledged');
  assert.deepEqual(refused(), [any]);
  harness.change({ 'Route a': '2', 'Route b': '2', 'Route d': '1' });
  settle(harness, 'Route');
  assert.deepEqual(refused(), []);
});

test('a refusal of a response with one resource is about that one, until it is sent anew', () => {
  const harness = new Harness({ 'Route r1': '1' });
  const refused = () => harness.status()[0]?.refused;
  harness.subscribe('Route', '*');
  settle(harness, 'Route');
  harness.change({ 'Route r1': '1', 'Route r2': '1' });
  harness.answer('Route', 'this Route is bad');
  assert.deepEqual(harness.take(), ['Route +r2@1']);
  const r2 = [{ name: 'r2', reason: 'this Route is bad', sinceWallMs: 1_000 }];
  assert.deepEqual(refused(), r2);
  harness.change({ 'Route r1': '2', 'Route r2': '1' });
  assert.deepEqual(settle(harness, 'Route'), ['Route +r1@2']);
  assert.deepEqual(refused(), r2);
  assert.deepEqual(harness.stream.standing('Route', 'r2'), { refused: 'this Route is bad' });
  harness.change({ 'Route r1': '2', 'Route r2': '2' });
  settle(harness, 'Route');
  assert.deepEqual(refused(), []);
});

test('a removal that is refused stays so until the name is sent anew; an empty response, until the next answer', () => {
  const harness = new Harness({ 'Route a': '1' });
  const names = () => harness.status()[0]?.refused.map(({ name }) => name);
  harness.subscribe('Route', '*');
  settle(harness, 'Route');
  harness.change({});
  harness.answer('Route', 'no');
  harness.take();
  assert.deepEqual(names(), ['a']);
  harness.change({ 'Route a': '1' });
  settle(harness, 'Route');
  assert.deepEqual(names(), []);
  const empty = new Harness({});
  empty.subscribe('Route', '*');
  empty.answer('Route', 'no');
  assert.deepEqual(empty.status()[0]?.refused, [{ name: '', reason: 'no', sinceWallMs: 1_000 }]);
  empty.take();
  empty.change({ 'Route a': '1' });
  settle(empty, 'Route');
  assert.deepEqual(empty.status()[0]?.refused, []);
});

test('a gateway that does not ask for Consumers lacks those that are there', () => {
  const harness = new Harness({ 'Consumer jack': '1' });
  const standing = (name: string) => harness.stream.standing('Consumer', name);
  harness.subscribe('Upstream', 'u');
  assert.equal(standing('jack'), 'unconcerned');
  harness.subscribe('Route', '*');
  // What it asks for comes request by request.
  assert.equal(standing('jack'), 'waiting');
  settle(harness, 'Upstream', 'Route');
  const reason = 'it does not ask for Consumers: over plaintext they are exchanged on loopback only';
  assert.deepEqual(standing('jack'), { refused: reason });
  assert.equal(standing('gone'), 'unconcerned');
  const shown = () => harness.status().find(({ typeUrl: url }) => url === typeUrl('Consumer'));
  assert.deepEqual(shown()?.refused, [{ name: '', reason, sinceWallMs: 1_000 }]);
  assert.deepEqual([shown()?.subscribed, shown()?.wildcard], [0, false]);
  harness.subscribe('Consumer', '*');
  assert.deepEqual(shown()?.refused, []);
  settle(harness, 'Consumer');
  assert.equal(standing('jack'), 'acknowledged');
  const other = new Harness({});
  other.subscribe('Route', '*');
  settle(other, 'Route');
  assert.deepEqual(
    other.status().map(({ typeUrl: url }) => url),
    [typeUrl('Route')],
  );
});

test('what may not be sent over a stream is refused there, not applied', () => {
  const full = viewOf(resources({ 'Consumer jack': '1', 'Consumer keyless': '1', 'Secret s': '1' }, 1));
  const hidden = viewOf(resources({ 'Consumer keyless': '1' }, 1));
  const sent: DeltaDiscoveryResponse[] = [];
  const stream = new DeltaStream({
    viewOf: () => hidden,
    fullViewOf: () => full,
    send: (response) => sent.push(response),
    onNack: () => undefined,
    wallMs: () => 1_000,
  });
  const request = (kind: Kind, over: Partial<Omit<DeltaDiscoveryRequest, '$type'>>): void => {
    const node = Node.fromPartial({ id: 'n1' });
    stream.onRequest(DeltaDiscoveryRequest.fromPartial({ node, typeUrl: typeUrl(kind), ...over }));
  };
  request('Route', { resourceNamesSubscribe: ['*'] });
  request('Consumer', { resourceNamesSubscribe: ['*'] });
  request('Secret', { resourceNamesSubscribe: ['s', 'none'] });
  for (const { typeUrl: url, nonce } of sent) {
    const node = Node.fromPartial({ id: 'n1' });
    stream.onRequest(DeltaDiscoveryRequest.fromPartial({ node, typeUrl: url, responseNonce: nonce }));
  }
  const reason = (kind: Kind): string =>
    `a ${kind} that holds a secret is not sent to it: over plaintext it is sent on loopback only`;
  assert.deepEqual(stream.standing('Consumer', 'jack'), { refused: reason('Consumer') });
  assert.equal(stream.standing('Consumer', 'keyless'), 'acknowledged');
  assert.deepEqual(stream.standing('Secret', 's'), { refused: reason('Secret') });
  assert.equal(stream.standing('Secret', 'none'), 'acknowledged');
  const refused = stream.status().flatMap((type) => type.refused.map((one) => one.reason));
  assert.deepEqual(refused.sort(), [reason('Consumer'), reason('Secret')]);
});

test('how a stream stands to a resource', () => {
  const harness = new Harness({ 'Route a': '1', 'Upstream u': '1' });
  const standing = (kind: Kind, name: string) => harness.stream.standing(kind, name);
  assert.equal(standing('Route', 'a'), 'unconcerned');
  harness.subscribe('Route', '*');
  harness.subscribe('Upstream', 'u', 'none');
  assert.deepEqual([harness.stream.wantsAll('Route'), harness.stream.wantsAll('Upstream')], [true, false]);
  assert.deepEqual([standing('Route', 'a'), standing('Upstream', 'none')], ['waiting', 'waiting']);
  settle(harness, 'Route', 'Upstream');
  assert.deepEqual([standing('Route', 'a'), standing('Upstream', 'none')], ['acknowledged', 'acknowledged']);
  assert.equal(standing('Upstream', 'other'), 'unconcerned');
  // Gone is known only once it is acknowledged.
  harness.change({ 'Upstream u': '2' });
  assert.deepEqual([standing('Route', 'a'), standing('Upstream', 'u')], ['waiting', 'waiting']);
  settle(harness, 'Route', 'Upstream');
  assert.deepEqual([standing('Route', 'a'), standing('Upstream', 'u')], ['acknowledged', 'acknowledged']);
  // While an answer is awaited, what comes next waits too.
  harness.change({ 'Upstream u': '3' });
  harness.change({ 'Upstream u': '4' });
  harness.answer('Upstream');
  assert.equal(standing('Upstream', 'u'), 'waiting');
  harness.answer('Upstream', 'Upstream u: no');
  assert.deepEqual(standing('Upstream', 'u'), { refused: 'Upstream u: no' });
});

test('whatever happens: who looks at what changed sends what one sends that looks at everything', () => {
  const kinds = ['Upstream', 'Endpoints', 'Route'] as const;
  const kind = fc.constantFrom(...kinds);
  const names = fc.subarray(['a', 'b', 'c', '*']);
  const content = fc.dictionary(
    fc.tuple(kind, fc.constantFrom('a', 'b', 'c', 'd')).map((words) => words.join(' ')),
    fc.constantFrom('1', '2', '3'),
  );
  const step = fc.oneof(
    fc.record({ change: content }),
    fc.record({ kind, on: names, off: names }),
    fc.record({ kind, on: names, holds: fc.dictionary(fc.constantFrom('a', 'b', 'c'), fc.constantFrom('1', '2')) }),
    fc.record({ kind, answer: fc.constantFrom('ok', 'no', 'Route a: no') }),
  );
  fc.assert(
    fc.property(content, fc.array(step, { maxLength: 30 }), (first, steps) => {
      const both = [new Harness(first), new Harness(first, 1, false)] as const;
      const nonces = new Map<Kind, string>();
      for (const one of steps) {
        const nonce = 'kind' in one ? (nonces.get(one.kind) ?? '') : '';
        const outcomes = both.map((harness) => {
          if ('change' in one) harness.change(one.change);
          else if ('answer' in one) {
            const errorDetail = one.answer === 'ok' ? undefined : { code: 3, message: one.answer, details: [] };
            harness.request(one.kind, { responseNonce: nonce, errorDetail });
          } else {
            const more = 'off' in one ? { resourceNamesUnsubscribe: one.off } : { initialResourceVersions: one.holds };
            harness.request(one.kind, { resourceNamesSubscribe: one.on, ...more });
          }
          for (const response of harness.sent) {
            for (const each of kinds) if (response.typeUrl === typeUrl(each)) nonces.set(each, response.nonce);
          }
          const sent = harness.take().map((text) => text.split(' ').sort().join(' '));
          return { sent, status: harness.status() };
        });
        assert.deepEqual(outcomes[0], outcomes[1]);
      }
    }),
    { seed: 7, numRuns: 400 },
  );
});

test('a stream in sync looks at nothing but what changed', () => {
  const content = Object.fromEntries(Array.from({ length: 1_000 }, (_, i) => [`Route r${i}`, '1']));
  const harness = new Harness(content);
  harness.subscribe('Route', '*');
  settle(harness, 'Route');
  harness.looked = 0;
  harness.change({ ...content, 'Route r7': '2' });
  assert.deepEqual(settle(harness, 'Route'), ['Route +r7@2']);
  assert.equal(harness.looked, 1);
  harness.change(content);
  harness.request('Upstream', { resourceNamesSubscribe: ['u'] });
  assert.equal(harness.looked, 3);
});
