// The client with a gateway: the kinds that are asked for with `*`.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import type { LogLevel } from '../../../src/base/log.ts';
import { silentLogger } from '../../../src/base/log.ts';
import type { GatewayKind, Resources } from '../../../src/config/resource.ts';
import { GATEWAY_KINDS } from '../../../src/config/resource.ts';
import { wantedNames } from '../../../src/config/tree.ts';
import { STATE_FILE } from '../../../src/control/state-store.ts';
import type { DeliveredResource, DeltaRequest } from '../../../src/control/subscription.ts';
import type { XdsClientOptions } from '../../../src/control/xds-client.ts';
import type { FakeStream } from '../../support/fake-ads.ts';
import { delivered } from '../../support/fake-ads.ts';
import type { Harness } from './client-harness.ts';
import { endpoints, listener, ONE, start, TLS, TWO, upstream } from './client-harness.ts';

const root = mkdtempSync(join(tmpdir(), 'outrigger-gateway-'));
after(() => rmSync(root, { recursive: true, force: true }));

interface GatewayHarness extends Harness {
  /** What is in force of the gateway and its Upstreams after each update. */
  readonly seen: string[][];
}

const route = (name: string, version: string, more: object = {}): DeliveredResource =>
  delivered('Route', name, version, { uris: ['/'], desc: version, ...more });
const badRoute = (name: string, version: string): DeliveredResource =>
  delivered('Route', name, version, { uris: ['x'] });
const consumer = (name: string, key: string): DeliveredResource =>
  delivered('Consumer', name, '1', { plugins: { keyAuth: { key } } });
const inline = (name: string, version: string): DeliveredResource =>
  delivered('Upstream', name, version, { desc: version, nodes: [{ host: '10.0.0.1', port: 80 }] });
const SIDECAR = delivered('Sidecar', 'default', '1', { gateway: true });

function startGateway(more: Partial<XdsClientOptions> = {}): GatewayHarness {
  const seen: string[][] = [];
  const h = start({
    credentials: () => TLS,
    wanted: (resources) => wantedNames('me', resources),
    onUpdate: (resources) => void seen.push(describeGateway(resources)),
    ...more,
  });
  return { ...h, seen };
}

function describeGateway(resources: Resources): string[] {
  const lines: string[] = [];
  for (const kind of GATEWAY_KINDS) {
    for (const { name, message } of resources.all(kind)) lines.push(`${kind} ${name}:${message.desc ?? '-'}`);
  }
  const wanted = wantedNames('me', resources, true);
  for (const name of wanted.Upstream) lines.push(`${name}:${resources.get('Upstream', name)?.message.desc ?? '-'}`);
  for (const name of wanted.Endpoints) lines.push(`${name}:${resources.get('Endpoints', name) ? 'here' : '-'}`);
  for (const name of wanted.Listener) if (resources.get('Listener', name)) lines.push(name);
  return lines.sort();
}

const isGateway = ({ kind }: { readonly kind: string }): boolean => GATEWAY_KINDS.some((one) => one === kind);

/** Requests of the gateway's kinds so far that aren't mere answers. */
function asked(stream: FakeStream): { kind: string; subscribe: readonly string[]; unsubscribe: readonly string[] }[] {
  return stream.requests
    .filter((request): request is DeltaRequest => request.flavour === 'delta' && isGateway(request))
    .filter(({ subscribe, unsubscribe }) => subscribe.length + unsubscribe.length > 0)
    .map(({ kind, subscribe, unsubscribe }) => ({ kind, subscribe, unsubscribe }));
}

function claims(stream: FakeStream, kind: GatewayKind): Record<string, string> {
  const first = stream.requests.find((request) => request.kind === kind);
  assert.ok(first?.flavour === 'delta');
  assert.deepEqual(first.subscribe, ['*']);
  return Object.fromEntries(first.initialVersions);
}

/** Answers `*` of each kind, with nothing where nothing is given. */
function answerAll(stream: FakeStream, of: Partial<Record<GatewayKind, DeliveredResource[]>> = {}): void {
  for (const kind of GATEWAY_KINDS) stream.respond(kind, of[kind] ?? []);
}

function serve(h: Harness, stream: FakeStream, routes: DeliveredResource[], upstreams: DeliveredResource[]): void {
  stream.connect().respond('Sidecar', [SIDECAR], { removed: ['me'] });
  h.settle();
  answerAll(stream, { Route: routes });
  h.settle();
  if (upstreams.length > 0) stream.respond('Upstream', upstreams);
  h.settle();
}

/** Leaves a Route with its Upstream and a Consumer without a key, of {@link ONE}, in a state directory. */
async function saveGateway(options: Partial<XdsClientOptions>, sidecars = [SIDECAR]): Promise<void> {
  const h = startGateway(options);
  const stream = h.ads.last().connect();
  const removed = sidecars.length === 0 ? ['me', 'default'] : ['me'];
  stream.respond('Sidecar', sidecars, { removed });
  h.settle();
  const consumers = [consumer('jack', 'k'), delivered('Consumer', 'keyless', '1', {})];
  answerAll(stream, { Route: [route('1', '1', { upstreamId: 'u/1' })], Consumer: consumers });
  h.settle();
  stream.respond('Upstream', [inline('u/1', '1')]);
  h.settle();
  await h.client.stop();
}

function reconnect(h: Harness, count: number): FakeStream {
  h.ads.last(count - 1).end();
  h.clock.advance(500);
  return h.ads.last(count).connect();
}

describe('XdsClient with a gateway', () => {
  it('asks for everything of the gateway once it is on, and never by name', () => {
    const h = startGateway();
    const stream = h.ads.last().connect();
    assert.deepEqual(asked(stream), []);
    stream.respond('Sidecar', [SIDECAR], { removed: ['me'] });
    h.settle();
    assert.deepEqual(
      asked(stream),
      GATEWAY_KINDS.map((kind) => ({ kind, subscribe: ['*'], unsubscribe: [] })),
    );
    answerAll(stream, { Route: [route('1', '1', { upstreamId: 'u/1' }), route('2', '1')] });
    h.settle();
    assert.deepEqual(stream.names('Upstream'), ['u/1']);
    assert.deepEqual(h.seen, []);
    stream.respond('Upstream', [inline('u/1', '1')]);
    h.settle();
    assert.deepEqual(h.seen, [['Route 1:1', 'Route 2:1', 'u/1:1']]);
    stream.respond('Route', [route('3', '1')]);
    h.settle();
    assert.deepEqual(h.seen.at(-1), ['Route 1:1', 'Route 2:1', 'Route 3:1', 'u/1:1']);
    assert.equal(asked(stream).length, 4);
  });

  it('sends nothing of it while it is off; turning it off drops all, and on again fetches all', () => {
    const h = startGateway();
    const stream = h.ads.last();
    serve(h, stream, [route('1', '1', { upstreamId: 'u/1' })], [inline('u/1', '1')]);
    stream.requests.length = 0;
    stream.respond('Sidecar', [delivered('Sidecar', 'default', '2', {})]);
    h.settle();
    assert.deepEqual(h.seen.at(-1), []);
    assert.deepEqual(
      asked(stream),
      GATEWAY_KINDS.map((kind) => ({ kind, subscribe: [], unsubscribe: ['*'] })),
    );
    assert.deepEqual(
      [...h.client.entries()].map(({ kind, name }) => `${kind} ${name}`),
      ['Sidecar me', 'Sidecar default'],
    );
    const late = stream.respond('Route', [route('1', '1')]);
    h.settle();
    assert.deepEqual(stream.answers(late), ['']);
    assert.equal(h.state('Route', '1'), undefined);
    stream.requests.length = 0;
    stream.respond('Sidecar', [delivered('Sidecar', 'default', '3', { gateway: true })]);
    h.settle();
    assert.deepEqual(claims(stream, 'Route'), {});
    answerAll(stream, { Route: [route('1', '1')] });
    h.settle();
    assert.deepEqual(h.seen.at(-1), ['Route 1:1']);
  });

  it('acknowledges what is in force, not what has come', () => {
    const h = startGateway();
    const stream = h.ads.last();
    serve(h, stream, [route('1', '1', { upstreamId: 'u/1' })], [inline('u/1', '1')]);
    const response = stream.respond('Route', [route('1', '2', { upstreamId: 'u/1' })]);
    assert.deepEqual(stream.answers(response), []);
    assert.deepEqual(h.seen.at(-1), ['Route 1:1', 'u/1:1']);
    h.settle();
    assert.deepEqual(stream.answers(response), ['']);
    assert.deepEqual(h.seen.at(-1), ['Route 1:2', 'u/1:1']);
  });

  it('takes a removal at once, from force and from what is shown', () => {
    const h = startGateway();
    const stream = h.ads.last();
    serve(h, stream, [route('1', '1', { upstreamId: 'u/1' }), route('2', '1')], [inline('u/1', '1')]);
    stream.respond('Route', [], { removed: ['1', 'never'] });
    h.settle();
    assert.deepEqual(h.seen.at(-1), ['Route 2:1']);
    assert.equal(h.state('Route', '1'), undefined);
    h.clock.advance(5_000);
    assert.deepEqual(stream.names('Upstream'), []);
    assert.equal(h.state('Upstream', 'u/1'), undefined);
    assert.deepEqual(h.seen.at(-1), ['Route 2:1']);
  });

  it('refuses a bad one by name, keeps its last good version, and has nothing of one that was removed', () => {
    const h = startGateway();
    const stream = h.ads.last();
    serve(h, stream, [route('1', '1'), route('2', '1')], []);
    const nonce = stream.respond('Route', [badRoute('1', '2'), route('2', '2'), badRoute('3', '1')]);
    h.settle();
    assert.match(stream.answers(nonce)[0] ?? '', /^Route 1: uris\[0\]: .*; Route 3: uris\[0\]: /);
    assert.deepEqual(h.seen.at(-1), ['Route 1:1', 'Route 2:2']);
    assert.deepEqual([h.state('Route', '1'), h.state('Route', '3')], ['NACKED', 'NACKED']);
    assert.match(h.view('Route', '3')?.error ?? '', /^uris\[0\]/);
    stream.respond('Route', [], { removed: ['1'] });
    stream.respond('Route', [badRoute('1', '3')]);
    h.settle();
    assert.deepEqual(h.seen.at(-1), ['Route 2:2']);
    assert.equal(h.state('Route', '1'), 'NACKED');
    const nameless = { ...route('x', '1'), name: '' };
    stream.respond('Route', [nameless]);
    assert.equal(h.state('Route', '#0'), undefined);
    stream.respond('Route', [route('1', '4'), route('3', '4')]);
    h.settle();
    assert.deepEqual(h.seen.at(-1), ['Route 1:4', 'Route 2:2', 'Route 3:4']);
  });

  it('tells a server on a new stream what it holds, and hands nothing on where nothing comes again', () => {
    const h = startGateway();
    serve(h, h.ads.last(), [route('1', '1', { upstreamId: 'u/1' }), route('2', '5')], [inline('u/1', '1')]);
    h.ads.last().respond('Route', [badRoute('2', '6'), badRoute('3', '1')]);
    h.settle();
    const again = reconnect(h, 2);
    // The refused one is claimed as it is in force, or the server could not tell of its removal.
    assert.deepEqual(claims(again, 'Route'), { 1: '1', 2: '5' });
    assert.equal(h.state('Route', '3'), undefined);
    h.clock.advance(600_000);
    assert.equal(h.seen.length, 1);
    assert.equal(again.closed, false);
    assert.deepEqual([h.state('Route', '1'), h.state('Route', '2')], ['ACKED', 'NACKED']);
    again.respond('Route', [], { removed: ['1'] });
    h.settle();
    assert.deepEqual(h.seen.at(-1), ['Route 2:5']);
  });

  it('drops on a new stream what it could not claim and is not sent again', () => {
    const h = startGateway();
    serve(h, h.ads.last(), [route('1', ''), route('2', '')], []);
    const again = reconnect(h, 2);
    assert.deepEqual(claims(again, 'Route'), {});
    assert.equal(h.seen.length, 1);
    again.respond('Route', [route('2', '')]);
    h.settle();
    assert.deepEqual(h.seen.at(-1), ['Route 2:']);
  });

  it('waits for the rest of an answer that comes in parts', () => {
    const h = startGateway();
    const stream = h.ads.last().connect();
    stream.respond('Sidecar', [SIDECAR], { removed: ['me'] });
    h.settle();
    const part = (from: number): DeliveredResource[] =>
      Array.from({ length: 5_000 }, (_, i) => route(`${from + i}`, '1', { desc: 'd'.repeat(200) }));
    stream.respond('Service', []);
    stream.respond('PluginConfig', []);
    stream.respond('Consumer', []);
    stream.respond('Route', part(0));
    h.clock.advance(200);
    stream.respond('Route', part(5_000));
    h.clock.advance(200);
    assert.equal(h.seen.length, 0);
    stream.respond('Route', [route('last', '1')]);
    h.settle();
    assert.equal(h.seen.length, 1);
    assert.equal(h.seen[0]?.length, 10_001);
  });

  it('takes a large answer as whole when nothing more comes for a moment', () => {
    const h = startGateway();
    const stream = h.ads.last().connect();
    stream.respond('Sidecar', [SIDECAR], { removed: ['me'] });
    h.settle();
    answerAll(stream, {
      Route: Array.from({ length: 5_000 }, (_, i) => route(`${i}`, '1', { desc: 'd'.repeat(200) })),
    });
    h.settle();
    assert.equal(h.seen.length, 0);
    h.clock.advance(250);
    assert.equal(h.seen.length, 1);
  });

  it('is not held up for ever by a server that is silent about a type, and takes it when it comes after all', () => {
    const h = startGateway();
    const stream = h.ads.last().connect();
    stream.respond('Sidecar', [delivered('Sidecar', 'default', '1', { gateway: true, listeners: ['l/1'] })]);
    h.settle();
    stream.respond('Listener', [listener('l/1', '1', 'x/a')]);
    h.settle();
    stream.respond('Upstream', [upstream('x/a', '1')]);
    stream.respond('Endpoints', [endpoints('x/a/80', '1', '10.1.0.1')]);
    h.settle();
    stream.respond('Route', [route('1', '1')]);
    stream.respond('Service', []);
    h.settle();
    assert.equal(h.seen.length, 0);
    h.clock.advance(2_000);
    // The mesh starts; a Route without the Consumers that may belong to it does not.
    assert.deepEqual(h.seen.at(-1), ['l/1', 'x/a/80:here', 'x/a:1']);
    h.clock.advance(13_100);
    assert.deepEqual(h.seen.at(-1), ['Route 1:1', 'l/1', 'x/a/80:here', 'x/a:1']);
    stream.respond('Consumer', [consumer('jack', 'k')]);
    h.settle();
    assert.ok(h.seen.at(-1)?.includes('Consumer jack:-'));
  });

  it('parks the types that end the stream, and the mesh lives', () => {
    const warnings: string[] = [];
    const logger = {
      ...silentLogger,
      log: (_level: LogLevel, fields: object, message: string) =>
        void warnings.push(`${message} ${JSON.stringify(fields)}`),
    };
    const h = startGateway({ logger });
    for (let i = 1; i <= 3; i++) {
      const stream = h.ads.last(i).connect();
      stream.respond('Sidecar', [delivered('Sidecar', 'default', '1', { gateway: true, listeners: ['l/1'] })]);
      h.settle();
      stream.respond('Listener', [listener('l/1', '1', 'x/a')]);
      h.settle();
      stream.respond('Upstream', [upstream('x/a', `${i}`)]);
      stream.respond('Endpoints', [endpoints('x/a/80', '1', '10.1.0.1')]);
      h.settle();
      assert.equal(asked(stream).length, 4, `stream ${i}`);
      stream.respond('Route', [route('1', '1')]);
      stream.end('UNKNOWN: no cache for this type');
      h.clock.advance(1_000);
    }
    const parked = h.ads.last(4).connect();
    assert.deepEqual(
      asked(parked).map(({ kind }) => kind),
      ['Route'],
    );
    parked.respond('Upstream', [upstream('x/a', 'after')]);
    h.settle();
    assert.deepEqual(h.seen.at(-1), ['Route 1:1', 'l/1', 'x/a/80:here', 'x/a:after']);
    assert.ok(
      warnings.some((text) => text.includes('Service, PluginConfig, Consumer')),
      warnings.join('\n'),
    );
    h.clock.advance(60_000);
    assert.equal(parked.closed, false);
  });

  it('keeps an old Route until the Upstream that it names now is here, and the new one waits', () => {
    const h = startGateway();
    const stream = h.ads.last();
    serve(h, stream, [route('1', '1', { upstreamId: 'u/1' })], [inline('u/1', '1')]);
    stream.respond('Route', [route('1', '2', { upstreamId: 'u/2' }), route('2', '1', { upstreamId: 'u/2' })]);
    stream.respond('Route', [route('3', '1')]);
    h.settle();
    assert.deepEqual(h.seen.at(-1), ['Route 1:1', 'Route 3:1', 'u/1:1']);
    assert.deepEqual(stream.names('Upstream'), ['u/1', 'u/2']);
    stream.respond('Upstream', [inline('u/1', '2')]);
    h.settle();
    assert.ok(h.seen.at(-1)?.includes('u/1:2'));
    stream.respond('Upstream', [inline('u/2', '1')]);
    h.settle();
    assert.deepEqual(h.seen.at(-1), ['Route 1:2', 'Route 2:1', 'Route 3:1', 'u/2:1']);
    h.clock.advance(5_000);
    assert.deepEqual(stream.names('Upstream'), ['u/2']);
  });

  it('walks nothing for Routes that come, change and go, and finds a little later what they left over', () => {
    let walks = 0;
    const h = startGateway({
      wanted: (resources) => {
        walks++;
        return wantedNames('me', resources);
      },
    });
    const stream = h.ads.last();
    serve(h, stream, [route('1', '1', { upstreamId: 'u/1' })], [inline('u/1', '1')]);
    walks = 0;
    stream.respond('Route', [route('1', '2', { upstreamId: 'u/1', uris: ['/other'] })]);
    h.settle();
    assert.deepEqual(h.seen.at(-1), ['Route 1:2', 'u/1:1']);
    stream.respond('Route', [route('2', '1', { upstreamId: 'u/2' }), route('3', '1', { upstreamId: 'u/1' })]);
    stream.respond('Consumer', [delivered('Consumer', 'jack', '1', {})]);
    h.settle();
    assert.deepEqual(h.seen.at(-1), ['Consumer jack:-', 'Route 1:2', 'Route 3:1', 'u/1:1']);
    assert.deepEqual(stream.names('Upstream'), ['u/1', 'u/2']);
    stream.respond('Upstream', [inline('u/2', '1')]);
    h.settle();
    assert.deepEqual(h.seen.at(-1), ['Consumer jack:-', 'Route 1:2', 'Route 2:1', 'Route 3:1', 'u/1:1', 'u/2:1']);
    stream.respond('Route', [], { removed: ['2'] });
    stream.respond('Consumer', [], { removed: ['jack'] });
    h.settle();
    assert.deepEqual(h.seen.at(-1), ['Route 1:2', 'Route 3:1', 'u/1:1']);
    assert.equal(walks, 0);
    assert.deepEqual(stream.names('Upstream'), ['u/1', 'u/2']);
    h.clock.advance(2_000);
    assert.ok(walks > 0);
    assert.deepEqual(stream.names('Upstream'), ['u/1']);
    assert.equal(h.state('Upstream', 'u/2'), undefined);
    walks = 0;
    h.clock.advance(60_000);
    assert.equal(walks, 0);
  });

  it('takes a Route whose Upstream the server does not have, once that is known', () => {
    const h = startGateway();
    const stream = h.ads.last();
    serve(h, stream, [route('1', '1')], []);
    stream.respond('Route', [route('2', '1', { upstreamId: 'u/2' }), route('3', '1', { upstreamId: 'u/3' })]);
    h.settle();
    assert.deepEqual(h.seen.at(-1), ['Route 1:1']);
    stream.respond('Upstream', [], { removed: ['u/2'] });
    h.settle();
    assert.deepEqual(h.seen.at(-1), ['Route 1:1', 'Route 2:1', 'u/2:-']);
    h.clock.advance(15_000);
    assert.deepEqual(h.seen.at(-1), ['Route 1:1', 'Route 2:1', 'Route 3:1', 'u/2:-', 'u/3:-']);
  });

  it('never asks with the state-of-the-world flavour, and says once why the gateway is off', () => {
    const warnings: string[] = [];
    const logger = {
      ...silentLogger,
      log: (level: LogLevel, _fields: object, message: string) => void (level === 'warn' && warnings.push(message)),
    };
    const h = startGateway({ flavour: 'sotw', logger });
    const stream = h.ads.last().connect();
    stream.respond('Sidecar', [SIDECAR], { version: '1' });
    h.clock.advance(20_000);
    stream.respond('Sidecar', [delivered('Sidecar', 'default', '2', { gateway: true, listeners: [] })], {
      version: '2',
    });
    h.clock.advance(20_000);
    assert.equal(h.seen.length, 1);
    assert.deepEqual(stream.requests.filter(isGateway), []);
    assert.deepEqual(warnings, ['the gateway needs --xds delta: it stays off']);
  });

  it('neither asks for Consumers over plaintext nor waits for them', () => {
    const h = startGateway({ credentials: undefined });
    const stream = h.ads.last().connect();
    stream.respond('Sidecar', [SIDECAR], { removed: ['me'] });
    h.settle();
    assert.deepEqual(
      asked(stream).map(({ kind }) => kind),
      ['Route', 'Service', 'PluginConfig'],
    );
    for (const kind of ['Route', 'Service', 'PluginConfig'] as const) stream.respond(kind, []);
    h.settle();
    assert.equal(h.seen.length, 1);
  });

  it('moves to another server with no claims; what that one does not have goes with the change', () => {
    const h = startGateway({ servers: [ONE, TWO] });
    serve(h, h.ads.last(), [route('1', '1', { upstreamId: 'u/1' }), route('2', '1')], [inline('u/1', '1')]);
    h.ads.last().end();
    h.clock.advance(200);
    h.ads.last(2).end();
    h.clock.advance(60);
    const two = h.ads.last(3).connect();
    two.respond('Sidecar', [SIDECAR], { removed: ['me'] });
    two.respond('Upstream', [inline('u/1', '9')]);
    h.settle();
    assert.deepEqual(claims(two, 'Route'), {});
    two.respond('Route', [route('1', '9', { upstreamId: 'u/1' })]);
    two.respond('Service', []);
    two.respond('PluginConfig', []);
    h.settle();
    assert.equal(h.seen.length, 1);
    two.respond('Consumer', []);
    h.settle();
    assert.deepEqual(h.seen.at(-1), ['Route 1:9', 'u/1:9']);
    assert.equal(h.state('Route', '2'), undefined);
  });

  it('serves the saved Routes without a control plane; no key of a Consumer is on disk', async () => {
    const stateDir = join(root, 'same');
    const before = startGateway({ stateDir });
    const stream = before.ads.last().connect();
    stream.respond('Sidecar', [SIDECAR], { removed: ['me'] });
    before.settle();
    answerAll(stream, {
      Route: [route('1', '1', { upstreamId: 'u/1' })],
      Consumer: [consumer('jack', 'very-secret'), delivered('Consumer', 'keyless', '1', { desc: 'none' })],
    });
    before.settle();
    stream.respond('Upstream', [inline('u/1', '1')]);
    before.settle();
    stream.respond('Route', [badRoute('1', '2')]);
    before.settle();
    await before.client.stop();
    const text = readFileSync(join(stateDir, STATE_FILE), 'utf8');
    const { body } = JSON.parse(text) as { body: { resources: { kind: string; name: string; bytes: string }[] } };
    const saved = body.resources.map(({ kind, name, bytes }) => {
      assert.ok(!Buffer.from(bytes, 'base64').includes('very-secret'));
      return `${kind} ${name}`;
    });
    assert.deepEqual(saved, ['Sidecar default', 'Route 1', 'Consumer keyless', 'Upstream u/1']);

    const h = startGateway({ stateDir });
    assert.deepEqual(h.seen, [['Consumer keyless:none', 'Route 1:1', 'u/1:1']]);
    const again = h.ads.last().connect();
    assert.deepEqual(claims(again, 'Route'), { 1: '1' });
    // Its silence would have to mean that the keyless one is all there is.
    assert.deepEqual(claims(again, 'Consumer'), {});
    again.respond('Service', []);
    again.respond('PluginConfig', []);
    const keyless = delivered('Consumer', 'keyless', '1', { desc: 'none' });
    again.respond('Consumer', [consumer('jack', 'very-secret'), keyless]);
    again.respond('Route', [], { removed: ['1'] });
    h.settle();
    assert.deepEqual(h.seen.at(-1), ['Consumer jack:-', 'Consumer keyless:none']);
    await h.client.stop();

    const other = startGateway({ stateDir, servers: [TWO] });
    assert.equal(other.seen.length, 1);
    serve(other, other.ads.last(), [route('7', '7')], []);
    assert.deepEqual([claims(other.ads.last(), 'Consumer'), claims(other.ads.last(), 'Route')], [{}, {}]);
    assert.deepEqual(other.seen.at(-1), ['Route 7:7']);
    await other.client.stop();
  });

  it('serves what was saved without a Sidecar until something newer is whole, and keeps it on disk', async () => {
    const stateDir = join(root, 'rootless');
    const options = { stateDir, wanted: (resources: Resources) => wantedNames('me', resources, true) };
    await saveGateway(options, []);
    const saved = readFileSync(join(stateDir, STATE_FILE), 'utf8');
    assert.ok(!saved.includes('Sidecar') && saved.includes('Route'));

    const away = startGateway(options);
    away.ads.last().end('UNAVAILABLE: refused');
    away.clock.advance(60_000);
    assert.deepEqual(new Set(away.seen.map(String)), new Set(['Consumer keyless:-,Route 1:1,u/1:1']));
    await away.client.stop();
    assert.equal(readFileSync(join(stateDir, STATE_FILE), 'utf8'), saved);

    const h = startGateway(options);
    const stream = h.ads.last().connect();
    h.settle();
    stream.respond('Sidecar', [delivered('Sidecar', 'default', '1', { listeners: ['l/1'] })]);
    h.clock.advance(1_000);
    assert.deepEqual(h.seen.at(-1), ['Consumer keyless:-', 'Route 1:1', 'u/1:1']);
    for (const kind of ['Service', 'PluginConfig', 'Consumer'] as const) stream.respond(kind, []);
    stream.respond('Route', [], { removed: ['1'] });
    h.settle();
    assert.deepEqual(h.seen.at(-1), []);
    await h.client.stop();
  });

  it('is not passed over for its silence about a Sidecar after it gave what serves', async () => {
    const stateDir = join(root, 'silent');
    const wanted = (resources: Resources) => wantedNames('me', resources, true);
    await saveGateway({ stateDir, wanted }, []);
    const h = startGateway({ stateDir, wanted, servers: [ONE, TWO] });
    h.ads.last().connect();
    h.clock.advance(60_000);
    assert.equal(h.ads.last().closed, false);
    assert.deepEqual(h.seen.at(-1), ['Consumer keyless:-', 'Route 1:1', 'u/1:1']);
    await h.client.stop();
  });

  it('serves without a Sidecar while a server is silent about `default`, once the rest is here', () => {
    const h = startGateway({ wanted: (resources) => wantedNames('me', resources, true) });
    const stream = h.ads.last().connect();
    stream.respond('Sidecar', [], { removed: ['me'] });
    h.settle();
    answerAll(stream, { Route: [route('1', '1')] });
    h.clock.advance(1_900);
    assert.deepEqual(h.seen, []);
    h.clock.advance(200);
    assert.deepEqual(h.seen, [['Route 1:1']]);
    h.clock.advance(60_000);
    assert.equal(h.seen.length, 1);
  });

  it('tells after a restart when the Consumers are known: once they are answered, if only that there are none', async () => {
    const stateDir = join(root, 'known');
    await saveGateway({ stateDir });
    const h = startGateway({ stateDir });
    const stream = h.ads.last();
    assert.deepEqual(h.told, [{ owner: undefined, consumersAreKnown: false }]);
    stream.end();
    h.clock.advance(60_000);
    assert.equal(h.told.length, 1);
    const again = h.ads.last(h.ads.streams.length).connect();
    h.settle();
    assert.deepEqual(h.told.at(-1), { owner: '10.0.0.1', consumersAreKnown: false });
    again.respond('Service', []);
    again.respond('PluginConfig', []);
    h.settle();
    assert.deepEqual(h.told.at(-1), { owner: '10.0.0.1', consumersAreKnown: false });
    again.respond('Consumer', []);
    h.settle();
    assert.equal(h.told.length, 3);
    assert.deepEqual(h.told.at(-1), { owner: '10.0.0.1', consumersAreKnown: true });
    // They stay so on the streams to come.
    again.end();
    h.clock.advance(500);
    h.ads.last(h.ads.streams.length).connect();
    h.clock.advance(20_000);
    assert.equal(h.told.length, 3);
    await h.client.stop();
  });

  it('has Consumers in the update that tells that they are known', async () => {
    const stateDir = join(root, 'known-at-once');
    await saveGateway({ stateDir });
    const h = startGateway({ stateDir });
    const stream = h.ads.last().connect();
    answerAll(stream, { Consumer: [consumer('jack', 'k')] });
    h.settle();
    const known = h.told.findIndex(({ consumersAreKnown }) => consumersAreKnown);
    assert.ok(h.seen[known]?.includes('Consumer jack:-'));
    assert.ok(h.seen.slice(0, known).every((lines) => !lines.includes('Consumer jack:-')));
    await h.client.stop();
  });

  it('counts Consumers that will not come as known: not asked for over plaintext, parked, or met with silence', async () => {
    const stateDir = join(root, 'never');
    await saveGateway({ stateDir });
    const known = ({ told }: Harness): boolean | undefined => told.at(-1)?.consumersAreKnown;

    const plaintext = startGateway({ stateDir, credentials: undefined });
    assert.deepEqual(plaintext.told, [
      { owner: undefined, consumersAreKnown: false },
      { owner: undefined, consumersAreKnown: true },
    ]);
    await plaintext.client.stop();

    const parked = startGateway({ stateDir });
    for (let i = 1; i <= 3; i++) {
      const stream = parked.ads.last(i).connect();
      stream.respond('Sidecar', [], { removed: ['me'] });
      stream.respond('Service', []);
      stream.respond('PluginConfig', []);
      parked.settle();
      assert.equal(known(parked), false, `stream ${i}`);
      stream.end('UNKNOWN: no cache for this type');
      parked.clock.advance(1_000);
    }
    parked.ads.last(4);
    assert.equal(known(parked), true);
    await parked.client.stop();

    const silent = startGateway({ stateDir });
    silent.ads.last().connect();
    silent.clock.advance(14_000);
    assert.equal(known(silent), false);
    silent.clock.advance(3_000);
    assert.equal(known(silent), true);
    await silent.client.stop();
  });

  it('knows the Consumers of another server once that is the owner', async () => {
    const stateDir = join(root, 'other-known');
    await saveGateway({ stateDir });
    const h = startGateway({ stateDir, servers: [TWO] });
    const two = h.ads.last().connect();
    two.respond('Sidecar', [SIDECAR], { removed: ['me'] });
    two.respond('Upstream', [inline('u/1', '1')]);
    h.settle();
    two.respond('Consumer', [delivered('Consumer', 'keyless', '7', {})]);
    h.settle();
    assert.deepEqual(h.told, [{ owner: undefined, consumersAreKnown: false }]);
    for (const kind of ['Service', 'PluginConfig'] as const) two.respond(kind, []);
    two.respond('Route', [route('1', '1', { upstreamId: 'u/1' })]);
    h.settle();
    assert.equal(h.told.length, 2);
    assert.deepEqual(h.told.at(-1), { owner: '10.0.0.2', consumersAreKnown: true });
    assert.deepEqual(h.seen[1], h.seen[0]);
    await h.client.stop();
    const { body } = JSON.parse(readFileSync(join(stateDir, STATE_FILE), 'utf8')) as { body: { server: string } };
    assert.equal(body.server, '10.0.0.2:15010');
  });

  it('drops the saved gateway where it is off now', async () => {
    const stateDir = join(root, 'off');
    const before = startGateway({ stateDir, wanted: (resources) => wantedNames('me', resources, true) });
    const stream = before.ads.last().connect();
    stream.respond('Sidecar', [delivered('Sidecar', 'default', '1', {})], { removed: ['me'] });
    before.settle();
    answerAll(stream, { Route: [route('1', '1')] });
    before.settle();
    assert.deepEqual(before.seen.at(-1), ['Route 1:1']);
    await before.client.stop();
    const h = startGateway({ stateDir });
    assert.deepEqual(h.seen, [[]]);
    assert.deepEqual(asked(h.ads.last()), []);
    await h.client.stop();
  });

  it('serves without any Sidecar where it was turned on at the start', () => {
    const h = startGateway({ wanted: (resources) => wantedNames('me', resources, true) });
    const stream = h.ads.last().connect();
    stream.respond('Sidecar', [], { removed: ['me', 'default'] });
    h.settle();
    answerAll(stream, { Route: [route('1', '1')] });
    h.settle();
    assert.deepEqual(h.seen.at(-1), ['Route 1:1']);
  });
});
