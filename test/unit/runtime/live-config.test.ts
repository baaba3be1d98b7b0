// Listeners and clusters as snapshots come and go, with sockets that are only pretended.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { RequestHandler } from '../../../src/codec/exchange.ts';
import { silentLogger } from '../../../src/base/log.ts';
import type { ServerTls } from '../../../src/identity/server-tls.ts';
import type { ListenerSpec, Snapshot, UpstreamPort } from '../../../src/model/snapshot.ts';
import type { LiveRoute } from '../../../src/proxy/handle.ts';
import { LiveGatewayState } from '../../../src/runtime/live-gateway.ts';
import { LiveConfig, type ServingListener } from '../../../src/runtime/live-config.ts';
import type { Cluster } from '../../../src/upstream/cluster.ts';
import { testPolicy } from '../../support/data-plane.ts';
import { FakeClock } from '../../support/fake-clock.ts';

/** A machine whose ports are entries of a map. */
class Machine {
  /** Who listens where, by port. */
  readonly ports = new Map<number, FakeListener>();
  /** Ports that somebody else holds. */
  readonly taken = new Set<number>();
  readonly events: string[] = [];
  /** While it is set, binds wait for it. */
  gate: Promise<void> | undefined = undefined;
  private nextFree = 50_000;

  async bind(port: number): Promise<ServingListener> {
    // As in net/listen.ts the port is taken at once and the answer comes later.
    const at = port === 0 ? this.nextFree++ : port;
    const free = !this.taken.has(at) && !this.ports.has(at);
    const made = new FakeListener(at, this);
    if (free) this.ports.set(at, made);
    this.events.push(`${free ? 'bind' : 'refuse'} ${port}`);
    await this.gate;
    if (!free) throw new Error('EADDRINUSE');
    return made;
  }
}

class FakeListener implements ServingListener {
  readonly address = '127.0.0.1';
  readonly port: number;
  connectionCount = 0;
  active = 0;
  accepts = true;
  tls: unknown = undefined;
  private readonly machine: Machine;
  private readonly whenEmpty: (() => void)[] = [];

  constructor(port: number, machine: Machine) {
    this.port = port;
    this.machine = machine;
  }

  setTls(tls: unknown): void {
    this.tls = tls;
  }

  drain(): Promise<void> {
    if (this.accepts) {
      this.accepts = false;
      this.machine.ports.delete(this.port);
      this.machine.events.push(`drain ${this.port}`);
    }
    return this.active === 0 ? Promise.resolve() : new Promise((resolve) => this.whenEmpty.push(resolve));
  }

  /** The last call is over. */
  finish(): void {
    this.active = 0;
    for (const resolve of this.whenEmpty.splice(0)) resolve();
  }

  destroy(): void {
    void this.drain();
    this.machine.events.push(`destroy ${this.port}`);
    this.finish();
  }
}

class FakeTls {
  readonly error = '';
  tookOver = '';
  readonly name: string;
  stopped = false;

  constructor(name: string) {
    this.name = name;
  }

  takeOver(before: FakeTls): void {
    this.tookOver = before.name;
    assert.equal(before.stopped, false, 'its certificate is still kept');
  }

  stop(): void {
    this.stopped = true;
  }
}

interface FakeCluster {
  readonly key: string;
  port: UpstreamPort;
  updates: number;
  removed: boolean;
}

interface Fixture {
  readonly machine: Machine;
  readonly clock: FakeClock;
  readonly config: LiveConfig;
  readonly routes: (() => LiveRoute)[];
  /** All that were made, in order. */
  readonly tls: FakeTls[];
  /** The port keys that a listener's authority leads to, `gone` for removed ones, quoted where not configured. */
  pick(name: string, authority?: string): string | undefined;
}

function fixture(ephemeralPorts = false): Fixture {
  const machine = new Machine();
  const clock = new FakeClock();
  const routes: (() => LiveRoute)[] = [];
  const tls: FakeTls[] = [];
  const config = new LiveConfig({
    clock,
    rng: { unit: () => 0, below: () => 0 },
    logger: silentLogger,
    bind: '127.0.0.1',
    ephemeralPorts,
    createGateway: (clusters) => new LiveGatewayState({ clock, hostname: 'test', carriesAdmin: true }, clusters),
    credentials: { setSecrets: () => undefined },
    createTls: (spec) => {
      const [source] = spec.tls?.certificates ?? [];
      if (source?.kind !== 'secret') return undefined;
      const made = new FakeTls(source.name);
      tls.push(made);
      return made as unknown as ServerTls;
    },
    createCluster: (port) => {
      machine.events.push(`cluster ${port.key}`);
      const cluster: FakeCluster & Pick<Cluster, 'update' | 'remove' | 'destroy'> = {
        key: port.key,
        port,
        updates: 0,
        removed: false,
        update(next: UpstreamPort) {
          this.port = next;
          this.updates++;
        },
        remove() {
          this.removed = true;
          machine.events.push(`remove ${port.key}`);
        },
        destroy: () => machine.events.push(`destroy ${port.key}`),
      };
      return cluster as unknown as Cluster;
    },
    createHandler: (route) => {
      routes.push(route);
      return (() => undefined) as unknown as RequestHandler;
    },
    bindListener: (_, port) => machine.bind(port),
    describeBindError: (error, address, port) => `${address}:${port} ${(error as Error).message}`,
  });
  return {
    machine,
    clock,
    config,
    routes,
    tls,
    pick: (name, authority = '') => {
      const picked = config.listeners.get(name)?.route.pick(authority);
      if (picked === undefined || typeof picked === 'string') return picked && `'${picked}'`;
      const cluster = picked as unknown as FakeCluster;
      return cluster.removed ? 'gone' : cluster.key;
    },
  };
}

const policy = testPolicy();

function upstreamPort(key: string): UpstreamPort {
  return { key, upstream: key, servicePort: 80, policy, provenance: new Map(), endpoints: [], names: [] };
}

function listener(name: string, port: number, targets: readonly string[] = ['a'], rest: Partial<ListenerSpec> = {}) {
  const spec: ListenerSpec = {
    name,
    address: undefined,
    port,
    protocols: 'auto',
    tls: undefined,
    targets: targets.map((target) => ({ port: target, authorities: [target] })),
    ...rest,
  };
  return spec;
}

function withCertificate(name: string): ListenerSpec['tls'] {
  return { certificates: [{ kind: 'secret', name }], clientCertificate: 'none', clientCa: undefined, clientNames: [] };
}

function snapshot(listeners: readonly ListenerSpec[], ports: readonly UpstreamPort[]): Snapshot {
  return {
    number: 1,
    listeners: new Map(listeners.map((spec) => [spec.name, spec])),
    ports: new Map(ports.map((port) => [port.key, port])),
    secrets: new Map(),
    gateway: undefined,
  };
}

const a = upstreamPort('a');
const b = upstreamPort('b');

async function settle(): Promise<void> {
  for (let i = 0; i < 10; i++) await Promise.resolve();
}

describe('LiveConfig', () => {
  it('adds before use and removes after it', async () => {
    const { machine, config, pick } = fixture();
    await config.apply(snapshot([listener('l', 7000, ['a'])], [a]));
    assert.deepEqual(machine.events.splice(0), ['cluster a', 'bind 7000']);
    await config.apply(snapshot([listener('l', 7000, ['b'])], [b]));
    assert.deepEqual(machine.events.splice(0), ['cluster b', 'remove a']);
    assert.equal(pick('l'), 'b');
    await config.apply(snapshot([], []));
    assert.deepEqual(machine.events, ['drain 7000', 'remove b']);
    assert.equal(config.listeners.size + config.clusters.size, 0);
  });

  it('touches only what changed', async () => {
    const { machine, config } = fixture();
    const [one, two] = [listener('one', 7000, ['a']), listener('two', 7001, ['b'])];
    await config.apply(snapshot([one, two], [a, b]));
    const routes = [...config.listeners.values()].map(({ route }) => route);
    machine.events.length = 0;
    await config.apply(snapshot([one, two], [a, { ...b }]));
    assert.deepEqual(machine.events, []);
    const clusters = [...config.clusters.values()] as unknown as FakeCluster[];
    assert.deepEqual(
      clusters.map(({ updates }) => updates),
      [0, 1],
    );
    const c = upstreamPort('c');
    await config.apply(snapshot([one, two, listener('three', 7002, ['c'])], [a, b, c]));
    const now = [...config.listeners.values()].map(({ route }) => route);
    assert.equal(now[0], routes[0]);
    assert.equal(now[1], routes[1]);
  });

  it('a target that is not configured yet is known by name, and used once it comes', async () => {
    const { config, pick } = fixture();
    const spec = listener('l', 7000, ['a', 'b']);
    await config.apply(snapshot([spec], [a]));
    assert.equal(pick('l', 'a'), 'a');
    assert.equal(pick('l', 'b'), "'b'");
    assert.equal(pick('l', 'other'), undefined);
    await config.apply(snapshot([spec], [a, b]));
    assert.equal(pick('l', 'b'), 'b');
    await config.apply(snapshot([spec], [a]));
    await config.apply(snapshot([spec], [a, b]));
    assert.equal(pick('l', 'b'), 'b');
  });

  it('a port that is taken is told, harms no other, and is tried again with back-off until it is free', async () => {
    const { machine, clock, config } = fixture();
    machine.taken.add(7000);
    await config.apply(snapshot([listener('l', 7000), listener('other', 7001)], [a]));
    const live = config.listeners.get('l');
    assert.ok(live);
    assert.equal(live.error, '127.0.0.1:7000 EADDRINUSE');
    assert.equal(live.port, 7000);
    assert.equal(config.listeners.get('other')?.error, '');
    machine.events.length = 0;
    for (const delayMs of [200, 400, 800, 1600]) {
      clock.advance(delayMs - 1);
      assert.deepEqual(machine.events, [], `before ${delayMs}`);
      clock.advance(1);
      await live.tried;
      assert.deepEqual(machine.events.splice(0), ['refuse 7000']);
    }
    machine.taken.clear();
    clock.advance(3200);
    await live.tried;
    assert.equal(live.error, '');
    assert.ok(live.bound);
    assert.equal(clock.waiting, 0);
  });

  it('an edit of the targets during a bind goes to the same socket', async () => {
    const { machine, config, routes, pick } = fixture();
    let open: () => void = () => undefined;
    machine.gate = new Promise((resolve) => {
      open = resolve;
    });
    const first = config.apply(snapshot([listener('l', 7000, ['a'])], [a, b]));
    await config.apply(snapshot([listener('l', 7000, ['b'])], [a, b]));
    open();
    await first;
    assert.deepEqual(
      machine.events.filter((event) => event.startsWith('bind')),
      ['bind 7000'],
    );
    assert.equal(pick('l'), 'b');
    assert.equal(routes.length, 1);
    assert.equal(routes[0]?.(), config.listeners.get('l')?.route);
  });

  it('a new port: the old socket serves until the new one is bound, then its calls finish', async () => {
    const { machine, config } = fixture();
    await config.apply(snapshot([listener('l', 7000)], [a]));
    const old = machine.ports.get(7000);
    assert.ok(old);
    old.active = 2;
    let open: () => void = () => undefined;
    machine.gate = new Promise((resolve) => {
      open = resolve;
    });
    const applied = config.apply(snapshot([listener('l', 7001)], [a]));
    await settle();
    assert.equal(old.accepts, true);
    open();
    await applied;
    assert.equal(old.accepts, false);
    assert.equal(config.listeners.get('l')?.port, 7001);
    assert.equal(config.active, 2, 'calls on the old socket count');
    let drained = false;
    const draining = config.drain().then(() => (drained = true));
    await settle();
    assert.equal(drained, false, 'and are waited for');
    old.finish();
    await draining;
    assert.equal(config.active, 0);
  });

  it('a new port that is taken: the old socket serves on, and an edit back needs no bind', async () => {
    const { machine, clock, config } = fixture();
    await config.apply(snapshot([listener('l', 7000)], [a]));
    machine.taken.add(7001);
    await config.apply(snapshot([listener('l', 7001)], [a]));
    const live = config.listeners.get('l');
    assert.equal(live?.error, '127.0.0.1:7001 EADDRINUSE');
    assert.equal(live.port, 7000);
    assert.equal(machine.ports.get(7000)?.accepts, true);
    machine.events.length = 0;
    await config.apply(snapshot([listener('l', 7000)], [a]));
    assert.equal(live.error, '');
    assert.equal(clock.waiting, 0, 'no retry is left');
    assert.deepEqual(machine.events, []);

    await config.apply(snapshot([listener('l', 7001)], [a]));
    machine.taken.clear();
    clock.advance(200);
    await live.tried;
    assert.equal(live.port, 7001);
    assert.equal(machine.ports.has(7000), false);
  });

  it('new TLS goes to the socket that serves, whose old one is not used any more', async () => {
    const { machine, config, tls } = fixture();
    const spec = (name: string) => listener('l', 7000, ['a'], { tls: withCertificate(name) });
    await config.apply(snapshot([spec('one')], [a]));
    const socket = machine.ports.get(7000);
    assert.equal(socket?.tls, tls[0]);
    await config.apply(snapshot([spec('one')], [a]));
    assert.equal(tls.length, 1, 'nothing changed');
    await config.apply(snapshot([spec('two')], [a]));
    assert.equal(machine.ports.get(7000), socket);
    assert.equal(socket?.tls, tls[1]);
    assert.equal(tls[1]?.tookOver, 'one');
    assert.deepEqual(
      tls.map(({ name, stopped }) => [name, stopped]),
      [
        ['one', true],
        ['two', false],
      ],
    );
    await config.apply(snapshot([listener('l', 7000)], [a]));
    assert.equal(socket?.tls, undefined);
    assert.equal(tls[1]?.stopped, true);
  });

  it('a socket with TLS does not become plaintext for a spec that has another port, which is taken', async () => {
    const { machine, config, tls } = fixture();
    await config.apply(snapshot([listener('l', 7000, ['a'], { tls: withCertificate('one') })], [a]));
    const socket = machine.ports.get(7000);
    machine.taken.add(7001);
    await config.apply(snapshot([listener('l', 7001)], [a]));
    assert.equal(machine.ports.get(7000), socket);
    assert.equal(socket?.tls, tls[0]);
    await config.apply(snapshot([listener('l', 7001, ['a'], { tls: withCertificate('two') })], [a]));
    assert.equal(socket?.tls, tls[1], 'other TLS is taken at once');
    await config.apply(snapshot([listener('l', 7001)], [a]));
    assert.equal(socket?.tls, tls[1]);
    await config.apply(snapshot([listener('l', 7000)], [a]));
    assert.equal(socket?.tls, undefined, 'asked for where it serves');
  });

  it('a new port that is taken is given up for one that is free', async () => {
    const { machine, clock, config } = fixture();
    machine.taken.add(7001);
    await config.apply(snapshot([listener('l', 7001)], [a]));
    await config.apply(snapshot([listener('l', 7002)], [a]));
    assert.equal(config.listeners.get('l')?.port, 7002);
    assert.equal(clock.waiting, 0);
  });

  it('new protocols or a new address on the same port', async () => {
    const { machine, config } = fixture();
    await config.apply(snapshot([listener('l', 7000)], [a]));
    await config.apply(snapshot([listener('l', 7000, ['a'], { protocols: 'http2' })], [a]));
    assert.equal(config.listeners.get('l')?.error, '');
    await config.apply(snapshot([listener('l', 7000, ['a'], { protocols: 'http2', address: '0.0.0.0' })], [a]));
    assert.equal(config.listeners.get('l')?.error, '');
    assert.deepEqual(machine.events.slice(1), ['bind 7000', 'drain 7000', 'bind 7000', 'drain 7000', 'bind 7000']);
  });

  it('two listeners that swap their ports', async () => {
    const { machine, config } = fixture();
    await config.apply(snapshot([listener('x', 7000), listener('y', 7001)], [a]));
    await config.apply(snapshot([listener('x', 7001), listener('y', 7000)], [a]));
    assert.deepEqual(
      [...config.listeners.values()].map(({ port, error }) => [port, error]),
      [
        [7001, ''],
        [7000, ''],
      ],
    );
    assert.equal(machine.ports.size, 2);
  });

  it('a socket that serves an older spec makes way for a listener that wants its port', async () => {
    const { machine, config } = fixture();
    machine.taken.add(7001);
    await config.apply(snapshot([listener('x', 7000)], [a]));
    await config.apply(snapshot([listener('x', 7001)], [a]));
    assert.equal(config.listeners.get('x')?.port, 7000);
    await config.apply(snapshot([listener('x', 7001), listener('y', 7000)], [a]));
    assert.equal(config.listeners.get('y')?.error, '');
    assert.equal(config.listeners.get('x')?.bound, undefined);
  });

  it('a listener whose name changes keeps its port', async () => {
    const { config } = fixture();
    await config.apply(snapshot([listener('x', 7000)], [a]));
    await config.apply(snapshot([listener('y', 7000)], [a]));
    assert.equal(config.listeners.get('y')?.error, '');
    assert.equal(config.listeners.has('x'), false);
  });

  it('a listener that is removed while it binds closes its socket again, and one that waits is not tried again', async () => {
    const { machine, clock, config } = fixture();
    let open: () => void = () => undefined;
    machine.gate = new Promise((resolve) => {
      open = resolve;
    });
    const first = config.apply(snapshot([listener('l', 7000)], [a]));
    await config.apply(snapshot([], []));
    open();
    await first;
    await settle();
    assert.equal(machine.ports.size, 0);
    machine.taken.add(7000);
    await config.apply(snapshot([listener('l', 7000)], [a]));
    assert.equal(clock.waiting, 1);
    await config.apply(snapshot([], []));
    assert.equal(clock.waiting, 0);
  });

  it('calls of a removed listener are waited for by a drain and cut by destroy', async () => {
    const { machine, config } = fixture();
    await config.apply(snapshot([listener('l', 7000)], [a]));
    const old = machine.ports.get(7000);
    assert.ok(old);
    old.active = 1;
    await config.apply(snapshot([], []));
    assert.equal(config.active, 1);
    let drained = false;
    const draining = config.drain().then(() => (drained = true));
    await settle();
    assert.equal(drained, false);
    machine.events.length = 0;
    config.destroy();
    await draining;
    assert.deepEqual(machine.events, ['destroy 7000']);
  });

  it('nothing is bound during a drain, but endpoints still change', async () => {
    const { machine, config } = fixture();
    await config.apply(snapshot([listener('l', 7000)], [a]));
    await config.drain();
    machine.events.length = 0;
    await config.apply(snapshot([listener('l', 7005), listener('new', 7001)], [{ ...a }]));
    assert.deepEqual(machine.events, []);
    assert.equal((config.clusters.get('a') as unknown as FakeCluster).updates, 1);
  });

  it('with ephemeral ports each listener gets one of its own', async () => {
    const { config } = fixture(true);
    await config.apply(snapshot([listener('x', 7000), listener('y', 7000)], [a]));
    assert.deepEqual(
      [...config.listeners.values()].map(({ port }) => port),
      [50_000, 50_001],
    );
  });
});
