// Real sockets and real time; every wait is for an event, and only the back-off of the client takes time.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it, type TestContext } from 'node:test';
import { status } from '@grpc/grpc-js';
import type { Clock } from '../../../src/base/clock.ts';
import { systemClock } from '../../../src/base/clock.ts';
import { silentLogger } from '../../../src/base/log.ts';
import { seededRng } from '../../../src/base/rng.ts';
import { decodeResource } from '../../../src/config/decode/decode.ts';
import type { Resources } from '../../../src/config/resource.ts';
import { wantedNames } from '../../../src/config/tree.ts';
import type { XdsClient, XdsClientOptions } from '../../../src/control/xds-client.ts';
import { createXdsClient } from '../../../src/control/xds-client.ts';
import type { Push, ScriptedStream } from '../../support/scripted-ads.ts';
import { ScriptedAds } from '../../support/scripted-ads.ts';

const root = mkdtempSync(join(tmpdir(), 'outrigger-xds-'));
after(() => rmSync(root, { recursive: true, force: true }));

interface Sidecarlike {
  readonly client: XdsClient;
  readonly updates: string[];
  /** Waits until the newest update fulfils `matches`. */
  update(matches: RegExp): Promise<void>;
  state(name: string): string | undefined;
}

function describeTree(resources: Resources, source: string): string {
  const wanted = wantedNames('me', resources);
  const upstreams = [...wanted.Upstream].map((name) => `${name}=${resources.get('Upstream', name)?.message.desc}`);
  const endpoints = [...wanted.Endpoints].map(
    (name) =>
      `${name}=${resources
        .get('Endpoints', name)
        ?.message.endpoints.map(({ address }) => address)
        .join()}`,
  );
  return [source, ...wanted.Listener, ...upstreams, ...endpoints].join(' ');
}

function sidecar(t: TestContext, servers: readonly ScriptedAds[], more: Partial<XdsClientOptions> = {}): Sidecarlike {
  const updates: string[] = [];
  let wake = (): void => undefined;
  const client = createXdsClient({
    servers: servers.map(({ address }) => address),
    flavour: 'delta',
    node: { id: 'me', podIp: '10.0.0.7', services: ['x/a'], version: '1.2.3' },
    clock: systemClock(),
    rng: seededRng(5),
    logger: silentLogger,
    decode: decodeResource,
    wanted: (resources) => wantedNames('me', resources),
    onUpdate: (resources, { source }) => {
      updates.push(describeTree(resources, source));
      wake();
    },
    ...more,
  });
  client.start();
  t.after(() => client.stop());
  return {
    client,
    updates,
    update: (matches) =>
      new Promise((resolve, reject) => {
        const timer = setTimeout(() => reject(new Error(`no update like ${matches}: ${updates.join('\n')}`)), 5_000);
        wake = () => {
          if (!matches.test(updates.at(-1) ?? '')) return;
          clearTimeout(timer);
          resolve();
        };
        wake();
      }),
    state: (name) => [...client.entries()].find((entry) => entry.name === name)?.state,
  };
}

/** Real time, except that a wait of more than 20 s takes 50 ms and the clock then jumps. */
function clockWithoutLongWaits(): Clock {
  const real = systemClock();
  let skippedMs = 0;
  return {
    nowMs: real.nowMs,
    refresh() {
      return (this.nowMs = real.refresh() + skippedMs);
    },
    wallMs: () => real.wallMs(),
    after: (delayMs, fire) => {
      if (delayMs <= 20_000) return real.after(delayMs, fire);
      return real.after(50, () => {
        skippedMs += delayMs;
        fire();
      });
    },
  };
}

async function server(t: TestContext, port = 0): Promise<ScriptedAds> {
  const ads = await ScriptedAds.start(port);
  t.after(() => ads.kill());
  return ads;
}

const SIDECAR: Push = { name: 'default', message: { listeners: ['l/1'] } };
const LISTENER: Push = {
  name: 'l/1',
  message: {
    port: 7000,
    targets: [
      { upstream: 'x/a', service_port: 80 },
      { upstream: 'x/b', service_port: 80 },
    ],
  },
};
const upstream = (name: string, desc: string): Push => ({ name, version: desc, message: { desc } });
const endpoints = (name: string, address: string): Push => ({
  name,
  version: address,
  message: { endpoints: [{ address, port: 80 }] },
});

/** Serves the whole tree as it is asked for, and checks that each response is acknowledged. */
async function serveTree(stream: ScriptedStream, desc: string): Promise<void> {
  await stream.expect('Sidecar');
  await stream.expectAck('Sidecar', stream.push('Sidecar', [SIDECAR], { removed: ['me'] }));
  await stream.expect('Listener');
  await stream.expectAck('Listener', stream.push('Listener', [LISTENER]));
  await stream.expect('Upstream');
  await stream.expectAck('Upstream', stream.push('Upstream', [upstream('x/a', desc), upstream('x/b', desc)]));
  await stream.expect('Endpoints');
  const both = [endpoints('x/a/80', '10.1.0.1'), endpoints('x/b/80', '10.1.0.2')];
  await stream.expectAck('Endpoints', stream.push('Endpoints', both));
}

describe('XdsClient over grpc-js', () => {
  it('says who it is, walks the tree and acknowledges', async (t) => {
    const ads = await server(t);
    const me = sidecar(t, [ads]);
    const stream = await ads.stream();
    await serveTree(stream, 'one');
    await me.update(/^control l\/1 x\/a=one x\/b=one x\/a\/80=10\.1\.0\.1 x\/b\/80=10\.1\.0\.2$/);
    assert.equal(me.updates.length, 1);
    const [first, ...rest] = stream.requests;
    assert.equal(first?.node?.id, 'me');
    assert.equal(first.node.user_agent_name, 'outrigger');
    assert.ok(first.node.client_features.includes('xds.config.resource-in-sotw'));
    assert.deepEqual(Object.keys(first.node.metadata?.fields ?? {}).sort(), ['pod_ip', 'services']);
    assert.deepEqual([...first.resource_names_subscribe].sort(), ['default', 'me']);
    assert.ok(rest.every(({ node }) => node === null));
    assert.equal(me.client.status().state, 'connected');
  });

  it('refuses the bad ones by name, with all their problems, and uses the others', async (t) => {
    const ads = await server(t);
    const me = sidecar(t, [ads]);
    const stream = await ads.stream();
    await serveTree(stream, 'one');
    const nonce = stream.push('Upstream', [
      {
        name: 'x/a',
        version: '2',
        message: { scheme: 'gopher', port_level_settings: [{ port: 1, tls: { client_cert_id: '' } }] },
      },
      upstream('x/b', 'two'),
      upstream('x/unasked', 'two'),
    ]);
    const { error } = await stream.expectNack('Upstream', nonce);
    assert.match(error, /^Upstream x\/a: .*scheme: .*; ?.*port_level_settings\[0\]\.tls\.client_cert_id: /);
    await me.update(/x\/a=one x\/b=two/);
    assert.equal(me.state('x/a'), 'NACKED');
    const bytes = { name: 'x/a', version: '3', bytes: Buffer.from('ffffff', 'hex') };
    assert.match((await stream.expectNack('Upstream', stream.push('Upstream', [bytes]))).error, /^Upstream x\/a: /);
    await stream.expectAck('Upstream', stream.push('Upstream', [upstream('x/a', 'three')]));
    await me.update(/x\/a=three x\/b=two/);
    assert.equal(me.state('x/a'), 'ACKED');
    assert.equal(stream.answersTo(nonce), 1);
  });

  it('reconnects after the stream ends and states what it holds, without what was refused', async (t) => {
    const ads = await server(t);
    const me = sidecar(t, [ads]);
    const stream = await ads.stream();
    await serveTree(stream, 'one');
    await stream.expectNack('Upstream', stream.push('Upstream', [{ name: 'x/a', message: { scheme: 'gopher' } }]));
    stream.fail(status.UNAVAILABLE, 'rolling over');
    const again = await ads.stream();
    const request = await again.expect('Upstream');
    assert.deepEqual([...request.resource_names_subscribe].sort(), ['x/a', 'x/b']);
    assert.deepEqual(request.initial_resource_versions, { 'x/b': 'one' });
    assert.equal(request.response_nonce, '');
    assert.deepEqual((await again.expect('Endpoints')).initial_resource_versions, {
      'x/a/80': '10.1.0.1',
      'x/b/80': '10.1.0.2',
    });
    assert.equal(me.client.status().lastError, 'UNAVAILABLE: rolling over');
    assert.equal(me.updates.length, 1);
    await again.expectAck('Endpoints', again.push('Endpoints', [endpoints('x/a/80', '10.3.0.3')]));
    await me.update(/x\/a\/80=10\.3\.0\.3/);
  });

  it('goes on with the second control plane when the first dies, whole', async (t) => {
    const [one, two] = [await server(t), await server(t)];
    const me = sidecar(t, [one, two]);
    await serveTree(await one.stream(), 'one');
    await me.update(/x\/a=one/);
    one.kill();
    const stream = await two.stream();
    const first = await stream.expect('Upstream');
    assert.deepEqual(first.initial_resource_versions, {});
    stream.push('Sidecar', [SIDECAR], { removed: ['me'] });
    await stream.expectAck('Upstream', stream.push('Upstream', [upstream('x/a', 'two'), upstream('x/b', 'two')]));
    assert.equal(me.updates.length, 1);
    stream.push('Listener', [LISTENER]);
    stream.push('Endpoints', [endpoints('x/a/80', '10.2.0.1'), endpoints('x/b/80', '10.2.0.2')]);
    await me.update(/x\/a=two x\/b=two x\/a\/80=10\.2\.0\.1/);
    assert.equal(me.updates.length, 2);
    assert.equal(me.client.status().address, `127.0.0.1:${two.port}`);
  });

  it('uses the second where the first is down at the start, and finds the first when it is back', async (t) => {
    const one = await server(t);
    const two = await server(t);
    one.kill();
    const me = sidecar(t, [one, two], { clock: clockWithoutLongWaits() });
    await serveTree(await two.stream(), 'two');
    await me.update(/x\/a=two/);
    const back = await server(t, one.port);
    await serveTree(await back.stream(), 'one');
    await me.update(/x\/a=one/);
    assert.equal(me.client.status().address, `127.0.0.1:${one.port}`);
  });

  it('speaks state of the world, with and without the wrapper', async (t) => {
    const ads = await server(t);
    const me = sidecar(t, [ads], { flavour: 'sotw' });
    const stream = await ads.stream();
    assert.equal(stream.flavour, 'sotw');
    const first = await stream.expect('Sidecar');
    assert.deepEqual([first.version_info, first.response_nonce], ['', '']);
    const ack = await stream.expectAck('Sidecar', stream.push('Sidecar', [SIDECAR], { version: 's1' }));
    assert.equal(ack.version_info, 's1');
    await stream.expect('Listener');
    stream.push('Listener', [{ ...LISTENER, wrapped: true, version: 'own' }]);
    await stream.expect('Upstream');
    stream.push('Upstream', [upstream('x/a', 'one'), upstream('x/b', 'one')], { version: 'u1' });
    stream.push('Endpoints', [endpoints('x/a/80', '10.1.0.1'), endpoints('x/b/80', '10.1.0.2')]);
    await me.update(/x\/a=one x\/b=one x\/a\/80=10\.1\.0\.1/);
    const versions = new Map([...me.client.entries()].map(({ name, version }) => [name, version]));
    assert.equal(versions.get('l/1'), 'own');
    assert.match(versions.get('x/a') ?? '', /^[0-9a-f]{16}$/);
    const bad: Push = { name: 'x/a', message: { scheme: 'gopher' } };
    const alone = await stream.expectNack('Upstream', stream.push('Upstream', [bad], { version: 'u2' }));
    assert.equal(alone.version_info, 'u1');
    const mixed = stream.push('Upstream', [bad, upstream('x/b', 'three')], { version: 'u3' });
    assert.equal((await stream.expectNack('Upstream', mixed)).version_info, 'u3');
    await me.update(/x\/b=three/);
    await stream.expectAck('Upstream', stream.push('Upstream', [], { version: 'u4' }));
    assert.equal(me.state('x/a'), 'NACKED');
    const torn: Push = { name: 'x/a', bytes: Buffer.from('0aff', 'hex') };
    const { error } = await stream.expectNack('Upstream', stream.push('Upstream', [torn], { version: 'u5' }));
    assert.equal(error, 'Upstream #0: name: missing or not readable');
  });

  it('serves the saved configuration while the control plane is away, and goes on from it', async (t) => {
    const stateDir = join(root, 'state');
    const ads = await server(t);
    const before = sidecar(t, [ads], { stateDir });
    await serveTree(await ads.stream(), 'one');
    await before.update(/x\/a=one/);
    await before.client.stop();
    assert.match(readFileSync(join(stateDir, 'state.json'), 'utf8'), /outrigger-state/);
    ads.kill();

    const me = sidecar(t, [ads], { stateDir });
    assert.deepEqual(me.updates, ['state_dir l/1 x/a=one x/b=one x/a/80=10.1.0.1 x/b/80=10.1.0.2']);
    const back = await server(t, ads.port);
    const stream = await back.stream();
    const request = await stream.expect('Upstream');
    assert.deepEqual(request.initial_resource_versions, { 'x/a': 'one', 'x/b': 'one' });
    await stream.expectAck('Upstream', stream.push('Upstream', [upstream('x/a', 'two')]));
    await me.update(/^control .*x\/a=two x\/b=one/);
  });

  it('takes a large response, and ends the stream over one beyond 32 MiB without losing anything', async (t) => {
    const ads = await server(t);
    const me = sidecar(t, [ads]);
    const stream = await ads.stream();
    await serveTree(stream, 'one');
    const many = Array.from({ length: 20_000 }, (_, i) => ({
      address: `10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`,
      port: 80,
    }));
    const large: Push = { name: 'x/a/80', version: 'large', message: { endpoints: many } };
    await stream.expectAck('Endpoints', stream.push('Endpoints', [large]));
    await me.update(/10\.0\.78\.31/);
    const updates = me.updates.length;
    stream.push('Upstream', [{ name: 'x/a', bytes: Buffer.alloc(33 * 1024 * 1024) }]);
    await ads.stream();
    assert.match(me.client.status().lastError, /^RESOURCE_EXHAUSTED/);
    assert.equal(me.updates.length, updates);
  });

  it('closes the stream when it is stopped', async (t) => {
    const ads = await server(t);
    const me = sidecar(t, [ads]);
    const stream = await ads.stream();
    await serveTree(stream, 'one');
    await me.update(/x\/a=one/);
    const requests = stream.requests.length;
    assert.equal(stream.cancelled, false);
    await me.client.stop();
    await stream.gone();
    assert.equal(stream.cancelled, true);
    // It went without another word, and what was in force stays.
    assert.equal(stream.requests.length, requests);
    assert.equal(me.updates.length, 1);
    assert.equal(me.state('x/a'), 'ACKED');
  });

  it('holds a gateway: everything with *, removals at once, what is held told on a new stream', async (t) => {
    const ads = await server(t);
    const routes = (resources: Resources): string =>
      [...resources.all('Route')].map(({ name, message }) => `${name}=${message.desc}`).join(' ');
    const updates: string[] = [];
    let wake = (): void => undefined;
    const update = (expected: string): Promise<void> =>
      new Promise((resolve, reject) => {
        const timer = setTimeout(() => reject(new Error(`never ${expected}: ${updates.join('; ')}`)), 5_000);
        wake = () => {
          if (updates.at(-1) !== expected) return;
          clearTimeout(timer);
          resolve();
        };
        wake();
      });
    sidecar(t, [ads], {
      wanted: (resources) => wantedNames('me', resources, true),
      onUpdate: (resources) => {
        updates.push(routes(resources));
        wake();
      },
    });
    const stream = await ads.stream();
    stream.push('Sidecar', [{ name: 'default', message: {} }], { removed: ['me'] });
    const route = (name: string, desc: string, more: object = {}): Push => ({
      name,
      version: desc,
      message: { desc, uris: ['/'], ...more },
    });
    for (const kind of ['Route', 'Service', 'PluginConfig', 'Consumer']) {
      const first = await stream.expect(kind);
      assert.deepEqual(first.resource_names_subscribe, ['*']);
      assert.deepEqual(first.initial_resource_versions, {});
      const pushes = kind === 'Route' ? [route('1', 'a', { upstream_id: 'u' }), route('2', 'a')] : [];
      await stream.expectAck(kind, stream.push(kind, pushes));
    }
    const asked = await stream.expect('Upstream');
    assert.deepEqual(asked.resource_names_subscribe, ['u']);
    stream.push('Upstream', [{ name: 'u', message: { nodes: [{ host: '10.0.0.1', port: 80 }] } }]);
    await update('1=a 2=a');
    const nack = await stream.expectNack(
      'Route',
      stream.push('Route', [route('1', 'b', { uris: ['x'] }), route('2', 'b')]),
    );
    assert.match(nack.error, /^Route 1: uris\[0\]/);
    await update('1=a 2=b');
    await stream.expectAck('Route', stream.push('Route', [], { removed: ['2'] }));
    await update('1=a');
    stream.end();
    const again = await ads.stream();
    const first = await again.expect('Route');
    assert.deepEqual(first.resource_names_subscribe, ['*']);
    assert.deepEqual(first.initial_resource_versions, { 1: 'a' });
    assert.deepEqual((await again.expect('Service')).initial_resource_versions, {});
    const before = updates.length;
    await again.expectAck('Route', again.push('Route', [route('1', 'c', { upstream_id: 'u' })]));
    await update('1=c');
    assert.equal(updates.length, before + 1);
  });
});
