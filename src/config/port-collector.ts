// The ports of a snapshot, gathered as the walks over listeners and routes come to them.
import type { PortKey, UpstreamPort } from '../model/snapshot.ts';
import { needsEndpoints } from './effective-policy.ts';
import { LastPass } from './last-pass.ts';
import type { Resource, Resources } from './resource.ts';
import { upstreamSecrets } from './secret-references.ts';
import { upstreamPort } from './upstream-port.ts';
import { sameEntries } from './same-entries.ts';

/** A port, and the resources that it was made from. */
interface Entry {
  readonly id: PortKey;
  readonly upstream: Resource<'Upstream'>;
  readonly endpoints: Resource<'Endpoints'> | undefined;
  readonly port: UpstreamPort;
}

type Ports = ReadonlyMap<PortKey, UpstreamPort>;

/** What each map was gathered from. */
const passes = new WeakMap<Ports, readonly Entry[]>();

/** Gathers ports for one snapshot; what did not change since `previous` is taken from there. */
export class PortCollector {
  private readonly resources: Resources;
  private readonly previous: Ports;
  private readonly secretNames: Set<string>;
  private readonly lastEntries: readonly Entry[];
  private readonly last: LastPass<Entry>;
  private readonly entries: Entry[] = [];
  /** Those that the last walk didn't have like this. */
  private readonly made = new Map<PortKey, Entry>();
  private kept = 0;

  /** Names of Secrets that the Upstreams need are added to `secretNames`. */
  constructor(resources: Resources, previous: Ports, secretNames: Set<string>) {
    this.resources = resources;
    this.previous = previous;
    this.secretNames = secretNames;
    this.lastEntries = passes.get(previous) ?? [];
    this.last = new LastPass(this.lastEntries);
  }

  /** Adds a port of an Upstream, `key` being its identity. It may be added several times. */
  use(key: PortKey, upstream: Resource<'Upstream'>, servicePort: number): void {
    const endpoints = needsEndpoints(upstream, servicePort) ? this.resources.get('Endpoints', key) : undefined;
    for (const secret of upstreamSecrets(upstream.message)) this.secretNames.add(secret.name);
    const before = this.last.find(key);
    if (before?.upstream === upstream && before.endpoints === endpoints) {
      if (before === this.lastEntries[this.entries.length]) this.kept++;
      this.entries.push(before);
      return;
    }
    let entry = this.made.get(key);
    if (entry === undefined) {
      const port = upstreamPort(key, upstream, servicePort, endpoints, this.previous.get(key));
      entry = { id: key, upstream, endpoints, port };
      this.made.set(key, entry);
    }
    this.entries.push(entry);
  }

  /** All that were added; the previous map if nothing differs. */
  finish(): Ports {
    const { entries, previous } = this;
    if (this.kept === entries.length && entries.length === this.lastEntries.length && passes.has(previous)) {
      return previous;
    }
    const ports = new Map<PortKey, UpstreamPort>();
    for (const { id, port } of entries) ports.set(id, port);
    const result = sameEntries(ports, previous) ? previous : ports;
    passes.set(result, entries);
    return result;
  }
}
