import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import type { Resources, WantedNames } from '../../../src/config/resource.ts';
import { wantedNames } from '../../../src/config/tree.ts';
import { delivered, heartbeat } from '../../support/fake-ads.ts';
import { endpoints, listener, ONE, serveTree, sidecar, start, TLS, TWO, upstream } from './client-harness.ts';

const root = mkdtempSync(join(tmpdir(), 'outrigger-client-'));
after(() => rmSync(root, { recursive: true, force: true }));

describe('XdsClient', () => {
  it('walks the tree by name, answers every response once, and hands the first configuration on whole', () => {
    const h = start();
    const stream = h.ads.last();
    assert.deepEqual(stream.names('Sidecar'), ['default', 'me']);
    assert.deepEqual(stream.names('Listener'), []);
    stream.connect();
    const nonces = [stream.respond('Sidecar', [sidecar('1', 'l/1')], { removed: ['me'] })];
    h.settle();
    assert.deepEqual(stream.names('Listener'), ['l/1']);
    nonces.push(stream.respond('Listener', [listener('l/1', '1', 'x/a')]));
    h.settle();
    assert.deepEqual([stream.names('Upstream'), stream.names('Endpoints')], [['x/a'], ['x/a/80']]);
    assert.equal(h.state('Upstream', 'x/a'), 'REQUESTED');
    nonces.push(stream.respond('Upstream', [upstream('x/a', '1')]));
    h.settle();
    assert.deepEqual(h.updates, []);
    nonces.push(stream.respond('Endpoints', [endpoints('x/a/80', '1', '10.1.0.1')]));
    h.settle();
    assert.deepEqual(h.updates, [
      {
        seen: ['l/1', 'x/a:1', 'x/a/80:10.1.0.1'],
        source: 'control',
        kinds: ['Endpoints', 'Listener', 'Sidecar', 'Upstream'],
      },
    ]);
    for (const nonce of nonces) assert.deepEqual(stream.answers(nonce), ['']);
    assert.equal(h.client.status().state, 'connected');
    assert.equal(h.client.status().address, '10.0.0.1:15010');
    const view = [...h.client.resourceViews()].find(({ kind }) => kind === 'Upstream');
    assert.deepEqual([view?.state, view?.version], ['acked', '1']);
    assert.ok(view?.appliedWallMs !== undefined && view.receivedWallMs !== undefined);
  });

  it('makes one update of what comes in one turn, and none of what changes nothing', () => {
    const h = start();
    const stream = h.ads.last();
    serveTree(h, stream);
    stream.respond('Endpoints', [endpoints('x/a/80', '2', '10.1.0.1', '10.1.0.2')]);
    stream.respond('Endpoints', [endpoints('x/a/80', '3', '10.1.0.3')]);
    stream.respond('Upstream', [upstream('x/a', '2')]);
    h.settle();
    assert.equal(h.updates.length, 2);
    assert.deepEqual(h.updates[1]?.seen, ['l/1', 'x/a:2', 'x/a/80:10.1.0.3']);
    assert.deepEqual(h.updates[1]?.kinds, ['Endpoints', 'Upstream']);
    for (let i = 0; i < 5; i++) stream.respond('Upstream', [upstream('x/a', `again ${i}`, '2')]);
    h.settle();
    assert.equal(h.updates.length, 2);
  });

  it('walks the tree only for what changes its shape', () => {
    let walks = 0;
    const h = start({
      wanted: (resources) => {
        walks++;
        return wantedNames('me', resources);
      },
    });
    const stream = h.ads.last();
    serveTree(h, stream);
    walks = 0;
    stream.respond('Endpoints', [endpoints('x/a/80', '2', '10.1.0.9')]);
    h.settle();
    assert.deepEqual(h.updates.at(-1)?.seen.at(-1), 'x/a/80:10.1.0.9');
    assert.equal(walks, 1); // the test's own, in describeTree
    stream.respond('Upstream', [upstream('x/a', '2')]);
    h.settle();
    assert.equal(h.updates.at(-1)?.seen[1], 'x/a:2');
    assert.equal(walks, 2);
    stream.respond('Upstream', [delivered('Upstream', 'x/a', '3', { nodes: [{ host: '10.0.0.1', port: 80 }] })]);
    h.settle();
    assert.ok(walks > 3);
    assert.deepEqual(stream.names('Endpoints'), []);
  });

  it('uses `default` until the own Sidecar comes', () => {
    const h = start();
    const stream = h.ads.last();
    serveTree(h, stream);
    stream.respond('Sidecar', [delivered('Sidecar', 'me', '1', { listeners: ['l/2'] })]);
    h.settle();
    assert.equal(h.updates.length, 1);
    assert.deepEqual(stream.names('Listener'), ['l/1', 'l/2']); // the old one stays until the new one is ready
    stream.respond('Listener', [listener('l/2', '1', 'x/a')]);
    h.settle();
    assert.deepEqual(h.updates[1]?.seen, ['l/2', 'x/a:1', 'x/a/80:10.1.0.1']);
    assert.deepEqual(stream.names('Listener'), ['l/2']);
    assert.equal(h.state('Listener', 'l/1'), undefined);
  });

  it('asks for the children of a changed tree first, and keeps the old one serving and fresh meanwhile', () => {
    const h = start();
    const stream = h.ads.last();
    serveTree(h, stream);
    stream.respond('Listener', [listener('l/1', '2', 'x/b')]);
    h.settle();
    stream.respond('Upstream', [upstream('x/b', '1')]);
    stream.respond('Endpoints', [endpoints('x/a/80', '2', '10.1.0.5')]);
    h.settle();
    assert.deepEqual(h.updates.at(-1)?.seen, ['l/1', 'x/a:1', 'x/a/80:10.1.0.5']);
    stream.respond('Endpoints', [endpoints('x/b/80', '1', '10.2.0.1')]);
    h.settle();
    assert.deepEqual(h.updates.at(-1)?.seen, ['l/1', 'x/b:1', 'x/b/80:10.2.0.1']);
    assert.deepEqual([stream.names('Upstream'), stream.names('Endpoints')], [['x/b'], ['x/b/80']]);
  });

  it('waits for a child that never comes no longer than 15 s', () => {
    const h = start();
    const stream = h.ads.last();
    serveTree(h, stream);
    stream.respond('Listener', [listener('l/1', '2', 'x/b')]);
    h.settle();
    stream.respond('Upstream', [upstream('x/b', '1')]);
    h.settle();
    h.clock.advance(14_000);
    assert.deepEqual(h.updates.at(-1)?.seen, ['l/1', 'x/a:1', 'x/a/80:10.1.0.1']);
    h.clock.advance(1_100);
    assert.deepEqual(h.updates.at(-1)?.seen, ['l/1', 'x/b:1', 'x/b/80:-']);
    assert.equal(h.state('Endpoints', 'x/b/80'), 'DOES_NOT_EXIST');
    stream.respond('Endpoints', [endpoints('x/b/80', '1', '10.2.0.1')]);
    h.settle();
    assert.deepEqual(h.updates.at(-1)?.seen, ['l/1', 'x/b:1', 'x/b/80:10.2.0.1']);
  });

  it('starts with what is ready where the server falls silent for 2 s', () => {
    const h = start();
    const stream = h.ads.last().connect();
    stream.respond('Sidecar', [sidecar('1', 'l/1', 'l/2')]);
    h.settle();
    stream.respond('Listener', [listener('l/1', '1', 'x/a'), listener('l/2', '1', 'x/b')]);
    h.settle();
    stream.respond('Upstream', [upstream('x/a', '1'), upstream('x/b', '1')]);
    stream.respond('Endpoints', [endpoints('x/a/80', '1', '10.1.0.1')]);
    h.settle();
    h.clock.advance(1_900);
    assert.equal(h.updates.length, 0);
    h.clock.advance(100);
    assert.deepEqual(h.updates[0]?.seen, ['l/1', 'x/a:1', 'x/a/80:10.1.0.1']);
    h.clock.advance(14_000);
    assert.ok(h.updates.at(-1)?.seen.includes('l/2'));
  });

  it('uses the valid part, NACKs the rest, keeps what works, and refetches only the bad one', () => {
    const h = start();
    const stream = h.ads.last().connect();
    stream.respond('Sidecar', [sidecar('1', 'l/1')], { removed: ['me'] });
    h.settle();
    stream.respond('Listener', [listener('l/1', '1', 'x/a', 'x/b')]);
    h.settle();
    stream.respond('Endpoints', [endpoints('x/a/80', '1', '10.1.0.1'), endpoints('x/b/80', '1', '10.1.0.2')]);
    stream.respond('Upstream', [upstream('x/a', '1'), upstream('x/b', '1')]);
    h.settle();
    const bad = delivered('Upstream', 'x/b', '2', { scheme: 'gopher' });
    const nonce = stream.respond('Upstream', [upstream('x/a', '2'), bad]);
    h.settle();
    assert.deepEqual(h.updates.at(-1)?.seen.slice(1, 3), ['x/a:2', 'x/b:1']);
    assert.match(stream.answers(nonce)[0] ?? '', /^Upstream x\/b: scheme: /);
    assert.equal(h.state('Upstream', 'x/b'), 'NACKED');
    stream.end();
    h.clock.advance(250);
    const again = h.ads.last(2);
    const first = again.requests.find(({ kind }) => kind === 'Upstream');
    assert.ok(first?.flavour === 'delta');
    assert.deepEqual([...first.subscribe].sort(), ['x/a', 'x/b']);
    assert.deepEqual([...first.initialVersions], [['x/a', '2']]);
    const endpointsFirst = again.requests.find(({ kind }) => kind === 'Endpoints');
    assert.ok(endpointsFirst?.flavour === 'delta');
    assert.equal(endpointsFirst.initialVersions.size, 2);
    again.connect().respond('Upstream', [upstream('x/b', '3')]);
    h.settle();
    assert.deepEqual(h.updates.at(-1)?.seen.slice(1, 3), ['x/a:2', 'x/b:3']);
    assert.equal(h.state('Upstream', 'x/b'), 'ACKED');
  });

  it('keeps what is removed while a parent names it, the root too, and drops what no parent names', () => {
    const h = start();
    const stream = h.ads.last();
    serveTree(h, stream);
    stream.respond('Upstream', [], { removed: ['x/a'] });
    stream.respond('Sidecar', [], { removed: ['default'] });
    h.settle();
    assert.equal(h.updates.length, 1);
    assert.deepEqual([h.state('Upstream', 'x/a'), h.state('Sidecar', 'default')], ['REMOVED', 'REMOVED']);
    stream.respond('Sidecar', [sidecar('2')]);
    h.settle();
    assert.deepEqual(h.updates[1]?.seen, []);
    assert.equal(h.state('Upstream', 'x/a'), undefined);
  });

  it('drops a response of a type that was not asked for, without an answer', () => {
    const h = start();
    const stream = h.ads.last().connect();
    const nonce = stream.respond('Upstream', [upstream('x/a', '1')]);
    const unknown = stream.respond('Sidecar', [], { typeUrl: 'type.googleapis.com/envoy.config.cluster.v3.Cluster' });
    assert.deepEqual([stream.answers(nonce), stream.answers(unknown)], [[], []]);
    assert.equal(h.updates.length, 0);
  });

  it('lets a time to live run out, also without a stream; a heartbeat renews it and is no update', () => {
    const h = start();
    const stream = h.ads.last().connect();
    stream.respond('Sidecar', [sidecar('1', 'l/1')], { removed: ['me'] });
    h.settle();
    stream.respond('Listener', [listener('l/1', '1', 'x/a')]);
    h.settle();
    stream.respond('Upstream', [upstream('x/a', '1')]);
    stream.respond('Endpoints', [{ ...endpoints('x/a/80', '1', '10.1.0.1'), ttlMs: 10_000 }]);
    h.settle();
    h.clock.advance(8_000);
    stream.respond('Endpoints', [heartbeat('x/a/80', '1', 10_000)]);
    h.settle();
    h.clock.advance(8_000);
    assert.equal(h.updates.length, 1);
    stream.end();
    h.clock.advance(2_100);
    assert.equal(h.updates.length, 2);
    assert.deepEqual(h.updates[1]?.seen, ['l/1', 'x/a:1', 'x/a/80:-']);
  });

  it('reconnects without haste after a stream that had answered, and with a growing back-off otherwise', () => {
    const h = start();
    serveTree(h, h.ads.last());
    h.ads.last().end();
    assert.equal(h.client.status().state, 'waiting');
    assert.equal(h.client.status().lastError, 'UNAVAILABLE: gone');
    h.clock.advance(99);
    h.ads.last(1);
    h.clock.advance(101);
    const delays: number[] = [];
    for (let i = 0; i < 9; i++) {
      h.ads.last(2 + i).end('UNAVAILABLE: refused');
      const from = h.clock.nowMs;
      while (h.ads.streams.length < 3 + i) h.clock.advance(10);
      delays.push(h.clock.nowMs - from);
    }
    assert.ok(delays[0]! >= 250 && delays[0]! <= 510, String(delays));
    assert.ok(delays[8]! >= 15_000 && delays[8]! <= 30_010, String(delays));
    assert.equal(h.updates.length, 1);
    // The first answer resets it.
    h.ads
      .last(11)
      .connect()
      .respond('Sidecar', [sidecar('1', 'l/1')]);
    h.settle();
    h.ads.last(11).end();
    h.clock.advance(401);
    h.ads.last(12).end();
    h.clock.advance(510);
    h.ads.last(13);
  });

  it('gives up a connection that does not come about within 10 s', () => {
    const h = start();
    h.clock.advance(9_999);
    assert.equal(h.client.status().state, 'connecting');
    h.clock.advance(1);
    assert.equal(h.client.status().state, 'waiting');
    assert.equal(h.client.status().lastError, 'not connected after 10 s');
    assert.equal(h.ads.last().closed, true);
  });

  it('moves to the next server whole: nothing of it serves before it has answered for all', () => {
    const h = start({ servers: [ONE, TWO] });
    serveTree(h, h.ads.last());
    h.ads.last().end();
    h.clock.advance(200);
    h.ads.last(2).end();
    h.clock.advance(60);
    const two = h.ads.last(3).connect();
    assert.equal(two.address, '10.0.0.2:15010');
    // The whole old tree is asked for at once, and no version is claimed of another server.
    assert.deepEqual(two.names('Upstream'), ['x/a']);
    const claimed = two.requests.flatMap((request) =>
      request.flavour === 'delta' ? [...request.initialVersions] : [],
    );
    assert.deepEqual(claimed, []);
    two.respond('Sidecar', [sidecar('9', 'l/1')], { removed: ['me'] });
    two.respond('Endpoints', [endpoints('x/a/80', '9', '10.9.0.1')]);
    two.respond('Upstream', [upstream('x/a', '9')]);
    h.settle();
    assert.equal(h.updates.length, 1);
    // That is whom we talk to, not whose resources are in force.
    assert.equal(h.client.status().address, '10.0.0.2:15010');
    assert.deepEqual(h.told, [{ owner: '10.0.0.1', consumersAreKnown: true }]);
    two.respond('Listener', [listener('l/1', '9', 'x/a')]);
    h.settle();
    assert.equal(h.told.at(-1)?.owner, '10.0.0.2');
    assert.deepEqual(h.updates.at(-1)?.seen, ['l/1', 'x/a:9', 'x/a/80:10.9.0.1']);
    assert.equal(h.updates.length, 2);
  });

  it('keeps the old resources where the next server fails half way, or lacks something', () => {
    const h = start({ servers: [ONE, TWO] });
    serveTree(h, h.ads.last());
    h.ads.last().end();
    h.clock.advance(200);
    h.ads.last(2).end();
    h.clock.advance(60);
    h.ads
      .last(3)
      .connect()
      .respond('Upstream', [upstream('x/a', '9')]);
    h.settle();
    h.ads.last(3).end();
    assert.equal(h.updates.length, 1);
    assert.deepEqual([h.state('Upstream', 'x/a'), h.state('Endpoints', 'x/a/80')], ['ACKED', 'ACKED']);
    h.clock.advance(510);
    assert.equal(h.ads.last(4).address, '10.0.0.1:15010');
    h.ads.last(4).end();
    h.clock.advance(60);
    const two = h.ads.last(5).connect();
    two.respond('Sidecar', [sidecar('9', 'l/1')]);
    two.respond('Listener', [listener('l/1', '9', 'x/a')]);
    two.respond('Upstream', [], { removed: ['x/a'] });
    h.settle();
    assert.equal(h.updates.length, 1);
    h.clock.advance(15_000);
    // The same content, but not of the same server: the owner alone is news.
    assert.deepEqual(h.updates.slice(1), [{ seen: h.updates[0]?.seen, source: 'control', kinds: [] }]);
    assert.deepEqual(
      h.told.map(({ owner }) => owner),
      ['10.0.0.1', '10.0.0.2'],
    );
    assert.deepEqual([h.state('Upstream', 'x/a'), h.state('Endpoints', 'x/a/80')], ['REMOVED', 'REMOVED']);
    assert.equal(h.state('Sidecar', 'default'), 'ACKED');
  });

  it('returns to the first server when it is back, make before break', () => {
    const h = start({ servers: [ONE, TWO] });
    h.ads.last().end();
    h.clock.advance(60);
    const two = h.ads.last(2);
    serveTree(h, two, '1', '10.2.0.1');
    assert.equal(h.updates.length, 1);
    h.clock.advance(36_100);
    const probe = h.ads.last(3);
    assert.equal(probe.address, '10.0.0.1:15010');
    probe.end(); // still down
    assert.equal(two.closed, false);
    h.clock.advance(36_100);
    const back = h.ads.last(4).connect();
    back.respond('Sidecar', [sidecar('5', 'l/1')], { removed: ['me'] });
    back.respond('Listener', [listener('l/1', '5', 'x/a')]);
    h.settle();
    // Until it has answered for all, the other one is listened to.
    two.respond('Endpoints', [endpoints('x/a/80', '2', '10.2.0.2')]);
    h.settle();
    assert.deepEqual(h.updates.at(-1)?.seen.at(-1), 'x/a/80:10.2.0.2');
    assert.equal(two.closed, false);
    back.respond('Upstream', [upstream('x/a', '5')]);
    back.respond('Endpoints', [endpoints('x/a/80', '5', '10.1.0.1')]);
    h.settle();
    assert.deepEqual(h.updates.at(-1)?.seen, ['l/1', 'x/a:5', 'x/a/80:10.1.0.1']);
    assert.equal(two.closed, true);
    assert.deepEqual([h.client.status().address, h.client.status().state], ['10.0.0.1:15010', 'connected']);
    h.clock.advance(120_000);
    h.ads.last(4);
  });

  it('passes over a server that accepts the stream and never answers', () => {
    const h = start({ servers: [ONE, TWO] });
    h.ads.last().connect();
    h.clock.advance(20_100);
    assert.equal(h.ads.last(2).address, '10.0.0.2:15010');
    assert.equal(h.client.status().lastError, 'no answer for 20 s');
  });

  it('leaves a stream alone that has nothing to say after a reconnect', () => {
    const h = start({ servers: [ONE, TWO] });
    serveTree(h, h.ads.last());
    h.ads.last().end();
    h.clock.advance(200);
    const again = h.ads.last(2).connect();
    h.clock.advance(600_000);
    assert.equal(again.closed, false);
    assert.equal(h.state('Upstream', 'x/a'), 'ACKED');
    assert.equal(h.state('Endpoints', 'x/a/80'), 'ACKED');
  });

  it('parks an optional type that ends the stream three times, and others live', () => {
    const withSecret = (resources: Resources): WantedNames => ({
      ...wantedNames('me', resources),
      Secret: new Set(resources.get('Listener', 'l/1') ? ['x/cert'] : []),
    });
    const h = start({ wanted: withSecret, credentials: () => TLS });
    serveTree(h, h.ads.last());
    for (let i = 1; i <= 3; i++) {
      const stream = h.ads.last(i);
      if (i > 1) stream.connect().respond('Upstream', [upstream('x/a', `r${i}`)]);
      h.settle();
      assert.deepEqual(stream.names('Secret'), ['x/cert'], `stream ${i}`);
      stream.end('UNKNOWN: no cache for this type');
      h.clock.advance(1_000);
    }
    const parked = h.ads.last(4).connect();
    parked.respond('Upstream', [upstream('x/a', 'after')]);
    h.settle();
    assert.deepEqual(parked.names('Secret'), []);
    assert.deepEqual(h.updates.at(-1)?.seen[1], 'x/a:after');
    assert.equal(h.state('Secret', 'x/cert'), 'DOES_NOT_EXIST');
    h.clock.advance(60_000);
    assert.equal(parked.closed, false);
  });

  it('does not fall over what onUpdate throws', () => {
    let calls = 0;
    const h = start({
      onUpdate: () => {
        if (++calls === 1) throw new Error('bug');
      },
    });
    serveTree(h, h.ads.last());
    h.ads.last().respond('Upstream', [upstream('x/a', '2')]);
    h.settle();
    assert.equal(calls, 2);
  });

  it('starts from the saved configuration at once, and tells the same server what it holds', async () => {
    const stateDir = join(root, 'same');
    const before = start({ stateDir });
    serveTree(before, before.ads.last());
    await before.client.stop();
    assert.equal(before.ads.last().closed, true);

    const h = start({ stateDir });
    assert.deepEqual(h.updates, [
      {
        seen: ['l/1', 'x/a:1', 'x/a/80:10.1.0.1'],
        source: 'state_dir',
        kinds: ['Endpoints', 'Listener', 'Sidecar', 'Upstream'],
      },
    ]);
    assert.equal(h.told[0]?.owner, undefined);
    const stream = h.ads.last();
    const claimed = stream.requests.flatMap((request) =>
      request.flavour === 'delta' ? [...request.initialVersions.keys()] : [],
    );
    assert.deepEqual(claimed.sort(), ['default', 'l/1', 'x/a', 'x/a/80']);
    stream.connect();
    h.settle();
    // It may have nothing new to say: what is in force is its own.
    assert.deepEqual(h.updates.slice(1), [{ seen: h.updates[0]?.seen, source: 'control', kinds: [] }]);
    assert.equal(h.told[1]?.owner, '10.0.0.1');
    stream.respond('Endpoints', [endpoints('x/a/80', '2', '10.1.0.2')]);
    h.settle();
    assert.deepEqual(h.updates.at(-1)?.seen.at(-1), 'x/a/80:10.1.0.2');
    assert.equal(h.updates.at(-1)?.source, 'control');
    await h.client.stop();
  });

  it('claims nothing of a saved configuration to another server, and replaces it whole', async () => {
    const stateDir = join(root, 'other');
    const before = start({ stateDir });
    serveTree(before, before.ads.last());
    await before.client.stop();
    const h = start({ stateDir, servers: [TWO] });
    assert.equal(h.updates.length, 1);
    const stream = h.ads.last();
    const claimed = stream.requests.flatMap((request) =>
      request.flavour === 'delta' ? [...request.initialVersions] : [],
    );
    assert.deepEqual(claimed, []);
    serveTree(h, stream, '7', '10.7.0.1');
    assert.equal(h.updates.length, 2);
    assert.deepEqual(
      h.told.map(({ owner }) => owner),
      [undefined, '10.0.0.2'],
    );
    assert.deepEqual(h.updates[1]?.seen, ['l/1', 'x/a:7', 'x/a/80:10.7.0.1']);
    await h.client.stop();
  });

  it('does nothing after stop', async () => {
    const h = start();
    const stream = h.ads.last();
    serveTree(h, stream);
    await h.client.stop();
    stream.respond('Upstream', [upstream('x/a', '2')]);
    stream.end();
    h.clock.advance(100_000);
    h.ads.last(1);
    assert.equal(h.updates.length, 1);
    assert.equal(h.clock.waiting, 0);
  });

  it('speaks state of the world too: all names each time, the version back on a new stream', () => {
    const h = start({ flavour: 'sotw' });
    const stream = h.ads.last().connect();
    stream.respond('Sidecar', [sidecar('', 'l/1')], { version: 's1' });
    h.settle();
    stream.respond('Listener', [listener('l/1', '', 'x/a')], { version: 'l1' });
    h.settle();
    stream.respond('Upstream', [upstream('x/a', '', 'one')], { version: 'u1' });
    stream.respond('Endpoints', [endpoints('x/a/80', '', '10.1.0.1')], { version: 'e1' });
    h.settle();
    assert.deepEqual(h.updates.at(-1)?.seen, ['l/1', 'x/a:one', 'x/a/80:10.1.0.1']);
    stream.respond('Upstream', [], { version: 'u2' });
    h.settle();
    assert.equal(h.updates.length, 1);
    stream.end();
    h.clock.advance(200);
    const versions = h.ads
      .last(2)
      .requests.map((request) => [
        request.kind,
        request.flavour === 'sotw' ? request.version : undefined,
        request.nonce,
      ]);
    assert.deepEqual(versions, [
      ['Sidecar', '', ''], // `me` never came
      ['Listener', 'l1', ''],
      ['Upstream', 'u2', ''],
      ['Endpoints', 'e1', ''],
    ]);
  });
});
