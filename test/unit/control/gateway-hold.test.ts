// The client with a gateway: Routes that were edited and go on in their old version.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import type { GatewayKind, Resources } from '../../../src/config/resource.ts';
import { GATEWAY_KINDS } from '../../../src/config/resource.ts';
import { wantedNames } from '../../../src/config/tree.ts';
import type { DeliveredResource } from '../../../src/control/subscription.ts';
import type { XdsClientOptions } from '../../../src/control/xds-client.ts';
import type { FakeStream } from '../../support/fake-ads.ts';
import { delivered } from '../../support/fake-ads.ts';
import type { Harness } from './client-harness.ts';
import { ONE, start, TLS, TWO } from './client-harness.ts';

const root = mkdtempSync(join(tmpdir(), 'outrigger-hold-'));
after(() => rmSync(root, { recursive: true, force: true }));

const SIDECAR = delivered('Sidecar', 'default', '1', { gateway: true });
const route = (name: string, version: string, more: object = {}): DeliveredResource =>
  delivered('Route', name, version, { uris: ['/'], desc: version, ...more });
const service = (name: string, version: string, more: object = {}): DeliveredResource =>
  delivered('Service', name, version, { desc: version, ...more });
const pluginConfig = (name: string, plugins: object = {}): DeliveredResource =>
  delivered('PluginConfig', name, '1', { desc: '1', plugins });
const upstream = (name: string, port = 80): DeliveredResource =>
  delivered('Upstream', name, `${port}`, { nodes: [{ host: '10.0.0.1', port }] });
const REFUSED_PORT = 99_999;

interface Gateway extends Harness {
  readonly stream: FakeStream;
  /** `r1:2` and so on of all that is in force, sorted, with the Upstreams that are. */
  inForce(): string;
  /** Responses of one turn. */
  send(...turn: Partial<Record<GatewayKind | 'Upstream', DeliveredResource[] | { readonly gone: string[] }>>[]): void;
  /** How often the tree was asked for its names: more than once in each walk, never in a change without one. */
  walks(): number;
}

function gateway(
  first: Partial<Record<GatewayKind, DeliveredResource[]>>,
  upstreams: string[],
  more: Partial<XdsClientOptions> = {},
): Gateway {
  let names: string[] = [];
  let walks = 0;
  const h = start({
    credentials: () => TLS,
    wanted: (resources) => {
      walks++;
      return wantedNames('me', resources, true);
    },
    onUpdate: (resources) => {
      names = describeInForce(resources);
    },
    ...more,
  });
  const stream = h.ads.last().connect();
  stream.respond('Sidecar', [SIDECAR], { removed: ['me'] });
  h.settle();
  for (const kind of GATEWAY_KINDS) stream.respond(kind, first[kind] ?? []);
  h.settle();
  if (upstreams.length > 0)
    stream.respond(
      'Upstream',
      upstreams.map((name) => upstream(name)),
    );
  h.settle();
  return {
    ...h,
    stream,
    inForce: () => names.join(' '),
    send: (...turn) => {
      for (const responses of turn) {
        for (const [kind, content] of Object.entries(responses)) {
          const [resources, removed] = 'gone' in content ? [[], content.gone] : [content, []];
          stream.respond(kind as GatewayKind, resources, { removed });
        }
      }
      h.settle();
    },
    walks: () => {
      const count = walks;
      walks = 0;
      return count;
    },
  };
}

function describeInForce(resources: Resources): string[] {
  const names: string[] = [];
  for (const kind of GATEWAY_KINDS) {
    for (const { name, message } of resources.all(kind)) names.push(`${name}:${message.desc ?? '-'}`);
  }
  for (const name of wantedNames('me', resources, true).Upstream) {
    names.push(resources.get('Upstream', name) === undefined ? `${name}:missing` : name);
  }
  for (const name of wantedNames('me', resources, true).Endpoints) {
    names.push(resources.get('Endpoints', name) === undefined ? `${name}:missing` : name);
  }
  return names.sort();
}

/** A Route on a Service, about to move to another one. */
const onService = (): Gateway =>
  gateway({ Route: [route('r', '1', { serviceId: 's1' })], Service: [service('s1', '1', { upstreamId: 'u1' })] }, [
    'u1',
  ]);

describe('a Route that moves', () => {
  it('keeps the Service that it leaves while the Upstream of the next one is on its way', () => {
    const h = onService();
    h.send({ Service: [service('s2', '1', { upstreamId: 'u2' })] });
    h.send({ Route: [route('r', '2', { serviceId: 's2' })] });
    h.send({ Service: { gone: ['s1'] } });
    assert.equal(h.inForce(), 'r:1 s1:1 u1');
    assert.equal(h.state('Service', 's1'), undefined);
    h.send({ Upstream: [upstream('u2')] });
    assert.equal(h.inForce(), 'r:2 s2:1 u2');
    h.clock.advance(2_500);
    assert.deepEqual(h.stream.names('Upstream'), ['u2']);
  });

  it('keeps it too where all of that comes in one turn, or the removal first', () => {
    const h = onService();
    h.send(
      { Service: { gone: ['s1'] } },
      { Route: [route('r', '2', { serviceId: 's2' })] },
      { Service: [service('s2', '1', { upstreamId: 'u2' })] },
    );
    assert.equal(h.inForce(), 'r:1 s1:1 u1');
    h.send({ Upstream: [upstream('u2')] });
    assert.equal(h.inForce(), 'r:2 s2:1 u2');
  });

  it('keeps the PluginConfig that it leaves', () => {
    const h = gateway(
      { Route: [route('r', '1', { upstreamId: 'u1', pluginConfigId: 'p1' })], PluginConfig: [pluginConfig('p1')] },
      ['u1'],
    );
    h.send({ PluginConfig: [pluginConfig('p2')] });
    h.send({ Route: [route('r', '2', { upstreamId: 'u2', pluginConfigId: 'p2' })] });
    h.send({ PluginConfig: { gone: ['p1'] } });
    assert.equal(h.inForce(), 'p1:1 p2:1 r:1 u1');
    h.send({ Upstream: [upstream('u2')] });
    assert.equal(h.inForce(), 'p2:1 r:2 u2');
  });

  it('keeps its anonymous Consumer, but none with a key: to remove that takes a right away', () => {
    const plugins = { keyAuth: { anonymousConsumer: 'keyless' } };
    const h = gateway(
      {
        Route: [
          route('r', '1', { upstreamId: 'u1', pluginConfigId: 'p1' }),
          route('k', '1', { upstreamId: 'u1', plugins: { keyAuth: { anonymousConsumer: 'keyed' } } }),
          route('o', '1', { upstreamId: 'u1', plugins: { keyAuth: { anonymousConsumer: 'off', disabled: true } } }),
        ],
        PluginConfig: [pluginConfig('p1', plugins)],
        Consumer: [
          delivered('Consumer', 'keyless', '1', {}),
          delivered('Consumer', 'off', '1', {}),
          delivered('Consumer', 'keyed', '1', { plugins: { keyAuth: { key: 'k' } } }),
        ],
      },
      ['u1'],
    );
    h.send({ Route: [route('r', '2', { upstreamId: 'u2' }), route('k', '2', { upstreamId: 'u2' })] });
    h.send({ Route: [route('o', '2', { upstreamId: 'u2' })] });
    h.send({ Consumer: { gone: ['keyless', 'keyed', 'off'] } });
    h.send({ PluginConfig: { gone: ['p1'] } });
    assert.equal(h.inForce(), 'k:1 keyless:- o:1 p1:1 r:1 u1');
    h.send({ Upstream: [upstream('u2')] });
    assert.equal(h.inForce(), 'k:2 o:2 r:2 u2');
  });

  it('takes nothing along that was removed before it moved', () => {
    const h = onService();
    h.send({ Service: { gone: ['s1'] } });
    assert.equal(h.inForce(), 'r:1');
    h.send({ Route: [route('r', '2', { upstreamId: 'u2' })] });
    assert.equal(h.inForce(), 'r:1');
    h.send({ Upstream: [upstream('u2')] });
    assert.equal(h.inForce(), 'r:2 u2');
  });

  it('has what it kept on disk, and after a restart until the Routes of the server are whole', async () => {
    const stateDir = join(root, 'kept');
    const before = gateway(
      { Route: [route('r', '1', { serviceId: 's1' })], Service: [service('s1', '1', { upstreamId: 'u1' })] },
      ['u1'],
      { stateDir },
    );
    before.send(
      { Service: { gone: ['s1'] } },
      { Service: [service('s2', '1', { upstreamId: 'u2' })] },
      { Route: [route('r', '2', { serviceId: 's2' })] },
      { PluginConfig: [pluginConfig('p')] },
    );
    assert.equal(before.inForce(), 'p:1 r:1 s1:1 u1');
    await before.client.stop();

    let names = '';
    const h = start({
      credentials: () => TLS,
      wanted: (resources) => wantedNames('me', resources, true),
      onUpdate: (resources) => {
        names = describeInForce(resources).join(' ');
      },
      stateDir,
    });
    assert.equal(names, 'p:1 r:1 s1:1 u1');
    const stream = h.ads.last().connect();
    h.settle();
    stream.respond('Service', [service('s2', '1', { upstreamId: 'u2' })]);
    h.settle();
    assert.equal(names, 'p:1 r:1 s1:1 u1');
    stream.respond('Consumer', []);
    stream.respond('Route', [route('r', '2', { serviceId: 's2' })]);
    h.settle();
    assert.equal(names, 'p:1 r:1 s1:1 u1');
    stream.respond('Upstream', [upstream('u2')]);
    h.settle();
    assert.equal(names, 'p:1 r:2 s2:1 u2');
    await h.client.stop();
  });
});

describe('a Route that moves, after a restart', () => {
  it('keeps the PluginConfig that it leaves until the other kinds are whole', async () => {
    const stateDir = join(root, 'restart');
    const options = { stateDir };
    const routes = [
      route('r', '1', { upstreamId: 'u1', pluginConfigId: 'p1' }),
      route('q', '1', { pluginConfigId: 'p2' }),
    ];
    const before = gateway({ Route: routes, PluginConfig: [pluginConfig('p1'), pluginConfig('p2')] }, ['u1'], options);
    await before.client.stop();
    let names = '';
    const h = start({
      credentials: () => TLS,
      wanted: (resources) => wantedNames('me', resources, true),
      onUpdate: (resources) => {
        names = describeInForce(resources).join(' ');
      },
      ...options,
    });
    const stream = h.ads.last().connect();
    h.settle();
    stream.respond('Route', [route('r', '2', { upstreamId: 'u1' })]);
    stream.respond('PluginConfig', [], { removed: ['p1', 'p2'] });
    h.settle();
    assert.equal(names, 'p1:1 q:1 r:1 u1');
    stream.respond('Service', []);
    stream.respond('Consumer', []);
    h.settle();
    assert.equal(names, 'q:1 r:2 u1');
    await h.client.stop();
  });
});

describe('a Route whose Service waits', () => {
  it('is out of force rather than answered as one whose Service is not known', () => {
    const h = gateway({ Route: [route('r', '1', { serviceId: 's1' })] }, []);
    // Nothing served before it, and there is no such Service.
    assert.equal(h.inForce(), 'r:1');
    h.send({ Service: [service('s1', '1', { upstreamId: 'u1' })] });
    assert.equal(h.inForce(), '');
    h.send({ Upstream: [upstream('u1')] });
    assert.equal(h.inForce(), 'r:1 s1:1 u1');
  });

  it('serves on in the version before, whichever of the two came first', () => {
    const h = gateway({ Route: [route('r', '1', { upstreamId: 'u1' })] }, ['u1']);
    h.send({ Route: [route('r', '2', { serviceId: 's1' })] });
    assert.equal(h.inForce(), 'r:1 u1');
    h.send({ Service: [service('s1', '1', { upstreamId: 'u2' })] });
    h.clock.advance(14_000);
    assert.equal(h.inForce(), 'r:1 u1');
    h.send({ Upstream: [upstream('u2')] });
    assert.equal(h.inForce(), 'r:2 s1:1 u2');
  });

  it('is switched off at once', () => {
    const h = onService();
    h.send({ Service: [service('s2', '1', { upstreamId: 'u2' })] });
    h.send({ Route: [route('r', '2', { serviceId: 's2', status: 0 })] });
    assert.equal(h.inForce(), 'r:2 s1:1 u1');
  });
});

describe('a Route that names what is not here', () => {
  it('is switched off at once, and on again at once: nothing served', () => {
    const h = onService();
    h.send({ Route: [route('r', '2', { upstreamId: 'u1', pluginConfigId: 'p1', status: 0 })] });
    assert.equal(h.inForce(), 'r:2 s1:1 u1');
    h.send({ Route: [route('r', '3', { upstreamId: 'u1', status: 0 })] });
    h.send({ Route: [route('r', '4', { upstreamId: 'u1', pluginConfigId: 'p2' })] });
    assert.equal(h.inForce(), 'r:4 s1:1 u1');
  });

  it('serves on in its old version until the Service and the PluginConfig come', () => {
    const h = onService();
    h.send({ Route: [route('r', '2', { serviceId: 's2', pluginConfigId: 'p1' })] });
    assert.equal(h.inForce(), 'r:1 s1:1 u1');
    h.clock.advance(5_000);
    h.send({ PluginConfig: [pluginConfig('p1')] });
    assert.equal(h.inForce(), 'p1:1 r:1 s1:1 u1');
    h.send({ Service: [service('s2', '1', { upstreamId: 'u1' })] });
    assert.equal(h.inForce(), 'p1:1 r:2 s1:1 s2:1 u1');
  });

  it('is taken after 15 s without them, whatever else comes; a new one is taken at once', () => {
    const h = onService();
    h.send({
      Route: [route('r', '2', { serviceId: 's1', pluginConfigId: 'p1' }), route('n', '1', { serviceId: 's9' })],
    });
    assert.equal(h.inForce(), 'n:1 r:1 s1:1 u1');
    h.clock.advance(10_000);
    h.send({ Route: [route('r', '3', { serviceId: 's1', pluginConfigId: 'p1' })] });
    h.clock.advance(4_990);
    assert.equal(h.inForce(), 'n:1 r:1 s1:1 u1');
    h.clock.advance(20);
    assert.equal(h.inForce(), 'n:1 r:3 s1:1 u1');
    h.walks();
    h.clock.advance(60_000);
    assert.equal(h.walks(), 0);
  });

  it('waits no longer for what came and is removed again', () => {
    const h = onService();
    h.send({ Route: [route('r', '2', { serviceId: 's2' })] });
    h.send({ Service: [service('s2', '1', { upstreamId: 'u1' })] });
    assert.equal(h.inForce(), 'r:2 s1:1 s2:1 u1');
    h.send({ Service: { gone: ['s2'] } });
    assert.equal(h.inForce(), 'r:2 s1:1 u1');
  });

  it('is held as well where its Service goes in the turn in which it is edited', () => {
    const h = onService();
    h.send({ Route: [route('r', '2', { serviceId: 's1' })] }, { Service: { gone: ['s1'] } });
    assert.equal(h.inForce(), 'r:1 s1:1 u1');
    h.clock.advance(15_000);
    assert.equal(h.inForce(), 'r:2');
  });

  it('is not taken while the control plane is away, and has 15 s from its return', () => {
    const h = onService();
    h.send({ Route: [route('r', '2', { serviceId: 's2' })] });
    h.stream.end();
    h.clock.advance(60_000);
    assert.equal(h.inForce(), 'r:1 s1:1 u1');
    // Between two tries there is none.
    while (h.ads.last(h.ads.streams.length).closed) h.clock.advance(100);
    h.ads.last(h.ads.streams.length).connect();
    h.clock.advance(14_900);
    assert.equal(h.inForce(), 'r:1 s1:1 u1');
    h.clock.advance(200);
    assert.equal(h.inForce(), 'r:2 s1:1 u1');
  });
});

describe('a Route to what was refused', () => {
  it('serves on in its old version until there is a good one, and is shown as not applied', () => {
    const h = gateway({ Route: [route('r', '1', { upstreamId: 'u1' })] }, ['u1']);
    h.send({ Route: [route('r', '2', { upstreamId: 'u9' }), route('n', '1', { upstreamId: 'u9' })] });
    h.send({ Upstream: [upstream('u9', REFUSED_PORT)] });
    // What never served has nothing to lose, and says what is wrong.
    assert.equal(h.inForce(), 'n:1 r:1 u1 u9:missing');
    assert.equal(h.state('Upstream', 'u9'), 'NACKED');
    assert.deepEqual([h.view('Route', 'r')?.version, h.view('Route', 'r')?.appliedWallMs], ['2', undefined]);
    h.clock.advance(600_000);
    h.send({ Upstream: [upstream('u9', REFUSED_PORT)] });
    assert.equal(h.inForce(), 'n:1 r:1 u1 u9:missing');
    h.send({ Upstream: [upstream('u9')] });
    assert.equal(h.inForce(), 'n:1 r:2 u9');
  });

  it('is taken when the server says that there is none', () => {
    const h = gateway({ Route: [route('r', '1', { upstreamId: 'u1' })] }, ['u1']);
    h.send({ Route: [route('r', '2', { upstreamId: 'u9' })] });
    h.send({ Upstream: [upstream('u9', REFUSED_PORT)] });
    h.send({ Upstream: { gone: ['u9'] } });
    assert.equal(h.inForce(), 'r:2 u9:missing');
  });

  it('keeps Endpoints too, and a Service in its old version', () => {
    const h = gateway(
      { Route: [route('r', '1', { upstreamId: 'u1' })], Service: [service('s', '1', { upstreamId: 'u1' })] },
      ['u1'],
    );
    h.send({ Route: [route('r', '2', { upstreamId: 'u2', servicePort: 80 })] });
    h.send({ Service: [service('s', '2', { upstreamId: 'u9' })] });
    h.stream.respond('Upstream', [delivered('Upstream', 'u2', '1', {}), upstream('u9', REFUSED_PORT)]);
    const bad = delivered('Endpoints', 'u2/80', '1', { endpoints: [{ address: '10.0.0.1', port: REFUSED_PORT }] });
    h.stream.respond('Endpoints', [bad]);
    h.settle();
    assert.equal(h.inForce(), 'r:1 s:1 u1');
    const good = delivered('Endpoints', 'u2/80', '2', { endpoints: [{ address: '10.0.0.1', port: 80 }] });
    h.stream.respond('Endpoints', [good]);
    h.send({ Upstream: [upstream('u9')] });
    assert.equal(h.inForce(), 'r:2 s:2 u2 u2/80 u9');
  });

  it('keeps the Service that it leaves where that of the next one was refused, with a walk for neither it nor others', () => {
    const h = onService();
    h.send({ Service: [service('s2', '1', { upstreamId: 'u9' })] });
    h.send({ Route: [route('r', '2', { serviceId: 's2' })] });
    h.send({ Upstream: [upstream('u9', REFUSED_PORT)] });
    h.send({ Service: { gone: ['s1'] } });
    assert.equal(h.inForce(), 'r:1 s1:1 s2:1 u1 u9:missing');
    h.send({ Route: [route('q', '1', { upstreamId: 'u1' })] });
    h.send({ Route: [route('q', '2', { upstreamId: 'u9', servicePort: 80 })] });
    h.clock.advance(20_000);
    h.walks();
    h.send({ Route: [route('a', '1', { upstreamId: 'u1' }), route('b', '1', { upstreamId: 'u3' })] });
    h.send({ Upstream: [upstream('u1')] });
    h.send({ Route: [route('a', '2', { upstreamId: 'u1' })] });
    assert.equal(h.walks(), 0);
    assert.equal(h.inForce(), 'a:2 q:1 r:1 s1:1 s2:1 u1 u9:missing');
    // The Service that was kept goes with the wait.
    h.send({ Route: [route('r', '3', { upstreamId: 'u1' })] });
    assert.equal(h.inForce(), 'a:2 q:1 r:3 s2:1 u1 u9:missing');
    h.send({ Upstream: [upstream('u3')] });
    assert.equal(h.inForce(), 'a:2 b:1 q:1 r:3 s2:1 u1 u3 u9:missing');
  });

  it('is taken when the Service of its old version names no Upstream any more', () => {
    const h = onService();
    h.send({ Route: [route('r', '2', { upstreamId: 'u9' })] });
    h.send({ Upstream: [upstream('u9', REFUSED_PORT)] });
    assert.equal(h.inForce(), 'r:1 s1:1 u1');
    h.send({ Service: [service('s1', '2')] });
    assert.equal(h.inForce(), 'r:2 s1:2 u9:missing');
  });

  it('does not leave a Service behind that waits for the same', () => {
    const h = gateway(
      { Route: [route('r', '1', { upstreamId: 'u1' })], Service: [service('s', '1', { upstreamId: 'u1' })] },
      ['u1'],
    );
    h.send({ Route: [route('r', '2', { upstreamId: 'u9' })], Service: [service('s', '2', { upstreamId: 'u9' })] });
    h.send({ Upstream: [upstream('u9', REFUSED_PORT)] });
    assert.equal(h.inForce(), 'r:1 s:1 u1');
    h.send({ Route: [route('n', '1', { upstreamId: 'u9' }), route('r', '3', { upstreamId: 'u9', status: 0 })] });
    assert.equal(h.inForce(), 'n:1 r:3 s:1 u1 u9:missing');
    h.send({ Upstream: [upstream('u9')] });
    assert.equal(h.inForce(), 'n:1 r:3 s:2 u9');
  });

  it('does not leave a Service behind either where a new Route brings that', () => {
    const h = gateway({ Service: [service('s', '1', { upstreamId: 'u1' })] }, ['u1']);
    h.send({ Service: [service('s', '2', { upstreamId: 'u9' })] });
    h.send({ Upstream: [upstream('u9', REFUSED_PORT)] });
    h.send({ Route: [route('n', '1', { upstreamId: 'u9' })] }, { Upstream: [upstream('u9')] });
    assert.equal(h.inForce(), 'n:1 s:2 u9');
  });

  it('asks no longer for what it or a Service named in between', () => {
    const h = gateway(
      { Route: [route('r', '1', { upstreamId: 'u1' })], Service: [service('s', '1', { upstreamId: 'u1' })] },
      ['u1'],
    );
    h.send({ Route: [route('r', '2', { upstreamId: 'u8' })] });
    h.send({ Upstream: [upstream('u8', REFUSED_PORT)] });
    h.clock.advance(5_000);
    assert.deepEqual(h.stream.names('Upstream'), ['u1', 'u8']);
    h.send({ Route: [route('r', '3', { upstreamId: 'u1' })] });
    h.clock.advance(2_500);
    assert.deepEqual(h.stream.names('Upstream'), ['u1']);
    h.send({ Service: [service('s', '2', { upstreamId: 'u9' })] });
    h.send({ Upstream: [upstream('u9', REFUSED_PORT)] });
    h.clock.advance(5_000);
    assert.deepEqual(h.stream.names('Upstream'), ['u1', 'u9']);
    h.send({ Service: [service('s', '3', { upstreamId: 'u1' })] });
    h.clock.advance(2_500);
    assert.deepEqual(h.stream.names('Upstream'), ['u1']);
    assert.equal(h.inForce(), 'r:3 s:3 u1');
  });

  it('keeps its old Upstream on the way to another server that has the refused one only', () => {
    const h = gateway({ Route: [route('r', '1', { upstreamId: 'u1' })] }, ['u1'], { servers: [ONE, TWO] });
    h.send({ Route: [route('e', '1', { upstreamId: 'u2', servicePort: 80 })] });
    h.stream.respond('Upstream', [delivered('Upstream', 'u2', '1', {})]);
    const two80 = delivered('Endpoints', 'u2/80', '1', { endpoints: [{ address: '10.0.0.1', port: 80 }] });
    h.stream.respond('Endpoints', [two80]);
    h.settle();
    assert.equal(h.inForce(), 'e:1 r:1 u1 u2 u2/80');
    h.stream.end();
    h.clock.advance(200);
    h.ads.last(2).end();
    h.clock.advance(60);
    const two = h.ads.last(3).connect();
    two.respond('Sidecar', [SIDECAR], { removed: ['me'] });
    two.respond('Upstream', [upstream('u1', 81), delivered('Upstream', 'u2', '2', {})]);
    two.respond('Endpoints', [two80]);
    h.settle();
    for (const kind of ['Service', 'PluginConfig', 'Consumer'] as const) two.respond(kind, []);
    two.respond('Route', [route('r', '2', { upstreamId: 'u9' }), route('e', '2', { upstreamId: 'u9' })]);
    h.settle();
    two.respond('Upstream', [upstream('u9', REFUSED_PORT)]);
    h.settle();
    assert.equal(h.inForce(), 'e:1 r:1 u1 u2 u2/80');
    // They were dropped while that server was looked at, and are asked for again.
    assert.deepEqual(two.names('Upstream'), ['u1', 'u2', 'u9']);
    assert.deepEqual([h.state('Upstream', 'u1'), h.state('Endpoints', 'u2/80')], ['REQUESTED', 'REQUESTED']);
    two.respond('Upstream', [upstream('u1', 81)], { removed: ['u2'] });
    h.settle();
    // What served there is gone for good.
    assert.equal(h.inForce(), 'e:2 r:1 u1 u9:missing');
    two.respond('Upstream', [upstream('u9')]);
    h.settle();
    assert.equal(h.inForce(), 'e:2 r:2 u9');
  });
});
