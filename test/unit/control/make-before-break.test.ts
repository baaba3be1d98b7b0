// A property: whatever a change of the tree is, and in whatever order its parts arrive, what is handed on never names a
// target without its Upstream or its Endpoints, nor a Secret that isn't there, never closes a Listener that both trees have, and ends at the new tree.
import assert from 'node:assert/strict';
import { before as beforeAll, describe, it } from 'node:test';
import fc from 'fast-check';
import { silentLogger } from '../../../src/base/log.ts';
import { seededRng } from '../../../src/base/rng.ts';
import { decodeResource } from '../../../src/config/decode/decode.ts';
import type { Kind, Resources } from '../../../src/config/resource.ts';
import { KINDS } from '../../../src/config/resource.ts';
import { wantedNames } from '../../../src/config/tree.ts';
import type { DeliveredResource } from '../../../src/control/subscription.ts';
import { createXdsClient } from '../../../src/control/xds-client.ts';
import { issueAuthority } from '../../support/certificates.ts';
import type { FakeStream } from '../../support/fake-ads.ts';
import { delivered, FakeAds } from '../../support/fake-ads.ts';
import { FakeClock } from '../../support/fake-clock.ts';

/** Listener name to upstreams; an upstream in capitals has inline nodes. */
type Tree = Readonly<Record<string, readonly string[]>>;

const UPSTREAMS = ['x/a', 'x/b', 'x/c', 'x/d'];
const trees = fc
  .record({
    listeners: fc.dictionary(
      fc.constantFrom('l/1', 'l/2', 'l/3'),
      fc.uniqueArray(fc.constantFrom(...UPSTREAMS), { minLength: 1 }),
      { minKeys: 1, noNullPrototype: true },
    ),
    inline: fc.subarray(UPSTREAMS),
    secrets: fc.dictionary(
      fc.constantFrom('l/1', 'l/2', 'l/3', ...UPSTREAMS),
      fc.constantFrom('s/1', 's/2', 's/3', 's/4'),
      { noNullPrototype: true },
    ),
  })
  .map(({ listeners, inline, secrets }) => ({ listeners: listeners as Tree, inline: new Set(inline), secrets }));

let authorities = '';
beforeAll(async () => {
  authorities = (await issueAuthority()).certificatePem;
});

interface World {
  readonly listeners: Tree;
  readonly inline: ReadonlySet<string>;
  /** Listener or Upstream to the Secret that it names. */
  readonly secrets: Readonly<Record<string, string>>;
}

/** What a server has under a name, as of a tree. */
function resourceOf(kind: Kind, name: string, world: World, version: string): DeliveredResource | undefined {
  if (kind === 'Sidecar' && name === 'default') {
    return delivered('Sidecar', name, version, { listeners: Object.keys(world.listeners).sort() });
  }
  const targets = world.listeners[name];
  const secret = world.secrets[name];
  if (kind === 'Listener' && targets !== undefined) {
    return delivered('Listener', name, version, {
      port: 7000 + Number(name.at(-1)),
      targets: targets.map((upstream) => ({ upstream, servicePort: 80 })),
      ...(secret === undefined ? {} : { tls: { certificates: [{ secret }] } }),
    });
  }
  if (kind === 'Upstream') {
    const nodes = world.inline.has(name) ? [{ host: '10.0.0.1', port: 80 }] : [];
    return delivered('Upstream', name, version, {
      desc: version,
      nodes,
      ...(secret === undefined ? {} : { scheme: 'https', tls: { ca: { secret } } }),
    });
  }
  if (kind === 'Endpoints') {
    return delivered('Endpoints', name, version, { endpoints: [{ address: '10.0.0.2', port: 80 }] });
  }
  // The content is new with each version, so that it is an update too.
  if (kind === 'Secret') return delivered('Secret', name, version, { ca: Buffer.from(`${authorities}\n${version}\n`) });
  return undefined;
}

/** Sends what is subscribed and not sent yet, one by one in an order that `pick` gives. */
function converge(stream: FakeStream, sent: Map<string, string>, world: World, version: string, run: Run): void {
  for (let steps = 0; ; steps++) {
    assert.ok(steps < 200, 'does not come to rest');
    const due: { kind: Kind; name: string; resource: DeliveredResource }[] = [];
    const subscribed = new Set<string>();
    for (const kind of KINDS) {
      for (const name of stream.names(kind)) {
        subscribed.add(`${kind} ${name}`);
        if (sent.get(`${kind} ${name}`) === version) continue;
        const resource = resourceOf(kind, name, world, version);
        if (resource) due.push({ kind, name, resource });
      }
    }
    for (const key of sent.keys()) if (!subscribed.has(key)) sent.delete(key);
    const next = due[run.pick(due.length)];
    if (!next) return;
    sent.set(`${next.kind} ${next.name}`, version);
    stream.respond(next.kind, [next.resource]);
    if (run.pick(3) > 0) run.clock.advance(1);
    else if (due.length === 1) run.clock.advance(1);
  }
}

interface Run {
  readonly clock: FakeClock;
  pick(n: number): number;
}

function serving(resources: Resources): Map<string, readonly string[]> {
  const listeners = new Map<string, readonly string[]>();
  for (const name of resources.get('Sidecar', 'default')?.message.listeners ?? []) {
    const targets = resources.get('Listener', name)?.message.targets;
    if (targets)
      listeners.set(
        name,
        targets.map(({ upstream }) => upstream),
      );
  }
  return listeners;
}

describe('a change of the tree', () => {
  it('is made before the old one breaks, in any order of arrival', () => {
    fc.assert(
      fc.property(trees, trees, fc.integer(), (before, after, seed) => {
        const clock = new FakeClock();
        const ads = new FakeAds();
        const rng = seededRng(seed);
        const run: Run = { clock, pick: (n) => rng.below(n) };
        let last = new Map<string, readonly string[]>();
        const kept = Object.keys(before.listeners).filter((name) => name in after.listeners);
        let isChanging = false;
        const faults: string[] = []; // collected: the client doesn't let what onUpdate throws through
        const client = createXdsClient({
          servers: [{ host: 'localhost', port: 1 }],
          flavour: 'delta',
          node: { id: 'me', podIp: undefined, services: [], version: '0' },
          clock,
          rng,
          logger: silentLogger,
          decode: decodeResource,
          wanted: (resources) => wantedNames('me', resources),
          openStream: ads.open,
          onUpdate: (resources) => {
            last = serving(resources);
            for (const name of wantedNames('me', resources).Secret) {
              if (resources.get('Secret', name) === undefined) faults.push(`no Secret ${name}`);
            }
            if (isChanging) for (const name of kept) if (!last.has(name)) faults.push(`${name} was closed`);
            for (const [name, targets] of last) {
              for (const target of targets) {
                const upstream = resources.get('Upstream', target);
                const isServed =
                  (upstream?.message.nodes.length ?? 0) > 0 || resources.get('Endpoints', `${target}/80`);
                if (!upstream || !isServed) faults.push(`${name} has a gap at ${target}`);
              }
            }
          },
        });
        client.start();
        const stream = ads.last().connect();
        const sent = new Map<string, string>();
        converge(stream, sent, before, 'v1', run);
        clock.advance(1);
        assert.deepEqual(Object.fromEntries(last), before.listeners);
        isChanging = true;
        converge(stream, sent, after, 'v2', run);
        clock.advance(1);
        converge(stream, sent, after, 'v2', run);
        clock.advance(1);
        assert.deepEqual(Object.fromEntries(last), after.listeners);
        assert.deepEqual(faults, []);
        void client.stop();
      }),
      { numRuns: 300, seed: 20 },
    );
  });
});
