// An XdsClient without network and without time: its streams are fake-ads.ts, its clock is moved by the test.
import { silentLogger } from '../../../src/base/log.ts';
import { seededRng } from '../../../src/base/rng.ts';
import { decodeResource } from '../../../src/config/decode/decode.ts';
import type { Kind, Resources, WantedNames } from '../../../src/config/resource.ts';
import { wantedNames } from '../../../src/config/tree.ts';
import type { ControlCredentials } from '../../../src/control/channel-security.ts';
import type { OnUpdate } from '../../../src/control/configuration-in-force.ts';
import type { ResourceStatusView } from '../../../src/control/control-status.ts';
import { contentVersion } from '../../../src/control/content-version.ts';
import type { DeliveredResource } from '../../../src/control/subscription.ts';
import type { XdsClient, XdsClientOptions } from '../../../src/control/xds-client.ts';
import { createXdsClient } from '../../../src/control/xds-client.ts';
import type { FakeStream } from '../../support/fake-ads.ts';
import { delivered, FakeAds } from '../../support/fake-ads.ts';
import { FakeClock } from '../../support/fake-clock.ts';

export const ONE = { host: '10.0.0.1', port: 15010 };
export const TWO = { host: '10.0.0.2', port: 15010 };
export const TLS: ControlCredentials = { ca: undefined, certificate: undefined, key: undefined };

interface Update {
  /** Listeners, and `name:` with what tells versions apart, of everything reachable. */
  readonly seen: string[];
  readonly source: string;
  readonly kinds: string[];
}

/** What else was told with an update: the owner's host, and whether the Consumers are known. */
interface Told {
  readonly owner: string | undefined;
  readonly consumersAreKnown: boolean;
}

export interface Harness {
  readonly client: XdsClient;
  readonly clock: FakeClock;
  readonly ads: FakeAds;
  readonly updates: Update[];
  /** Of the same updates. */
  readonly told: Told[];
  /** Lets what waits for the end of the turn happen. */
  settle(): void;
  state(kind: Kind, name: string): string | undefined;
  /** As the admin service shows it. */
  view(kind: Kind, name: string): ResourceStatusView | undefined;
}

export function start(more: Partial<XdsClientOptions> = {}): Harness {
  const clock = new FakeClock();
  const ads = new FakeAds();
  const updates: Update[] = [];
  const told: Told[] = [];
  const wanted = more.wanted ?? ((resources: Resources): WantedNames => wantedNames('me', resources));
  const record: OnUpdate = (resources, { source, kinds }) => {
    updates.push({ seen: describeTree(resources, wanted(resources)), source, kinds: [...kinds].sort() });
  };
  const client = createXdsClient({
    servers: [ONE],
    flavour: 'delta',
    node: { id: 'me', podIp: undefined, services: [], version: '0' },
    clock,
    rng: seededRng(3),
    logger: silentLogger,
    decode: decodeResource,
    wanted,
    openStream: ads.open,
    ...more,
    onUpdate: (resources, update) => {
      told.push({ owner: update.owner?.host, consumersAreKnown: update.consumersAreKnown });
      if (more.onUpdate === undefined) record(resources, update);
      else more.onUpdate(resources, update);
    },
  });
  client.start();
  return {
    client,
    clock,
    ads,
    updates,
    told,
    settle: () => clock.advance(1),
    state: (kind, name) => [...client.entries()].find((entry) => entry.kind === kind && entry.name === name)?.state,
    view: (kind, name) => [...client.resourceViews()].find((view) => view.kind === kind && view.name === name),
  };
}

function describeTree(resources: Resources, wanted: WantedNames): string[] {
  const seen: string[] = [];
  for (const name of wanted.Listener) if (resources.get('Listener', name)) seen.push(name);
  for (const name of wanted.Upstream) seen.push(`${name}:${resources.get('Upstream', name)?.message.desc ?? '-'}`);
  for (const name of wanted.Endpoints) {
    const addresses = resources.get('Endpoints', name)?.message.endpoints.map(({ address }) => address);
    seen.push(`${name}:${addresses?.join() ?? '-'}`);
  }
  for (const name of wanted.Secret) {
    const bytes = resources.get('Secret', name)?.bytes;
    seen.push(`${name}:${bytes === undefined ? '-' : contentVersion(bytes)}`);
  }
  return seen;
}

export const sidecar = (version: string, ...listeners: string[]): DeliveredResource =>
  delivered('Sidecar', 'default', version, { listeners });
export const listener = (name: string, version: string, ...upstreams: string[]): DeliveredResource =>
  delivered('Listener', name, version, {
    port: 7000,
    targets: upstreams.map((upstream) => ({ upstream, servicePort: 80 })),
  });
export const upstream = (name: string, version: string, desc = version): DeliveredResource =>
  delivered('Upstream', name, version, { desc });
export const endpoints = (name: string, version: string, ...addresses: string[]): DeliveredResource =>
  delivered('Endpoints', name, version, { endpoints: addresses.map((address) => ({ address, port: 80 })) });

/** Answers for a tree with one Listener, level by level. */
export function serveTree({ settle }: Harness, stream: FakeStream, version = '1', address = '10.1.0.1'): void {
  stream.connect();
  stream.respond('Sidecar', [sidecar(version, 'l/1')], { removed: ['me'] });
  settle();
  stream.respond('Listener', [listener('l/1', version, 'x/a')]);
  settle();
  stream.respond('Upstream', [upstream('x/a', version)]);
  stream.respond('Endpoints', [endpoints('x/a/80', version, address)]);
  settle();
}
