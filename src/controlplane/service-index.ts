// The services of one moment by name, by port and by the addresses behind them. Immutable: the next one shares what
// didn't change.
import { compareText } from './finding.ts';
import { LayeredMap } from './layered-map.ts';
import type { DerivedService } from './translate/service.ts';

/** Finds services. */
export class ServiceIndex {
  private readonly services: LayeredMap<string, DerivedService>;
  private readonly ports: LayeredMap<number, readonly string[]>;
  private readonly backers: LayeredMap<string, readonly string[]>;

  private constructor(
    services: LayeredMap<string, DerivedService>,
    ports: LayeredMap<number, readonly string[]>,
    backers: LayeredMap<string, readonly string[]>,
  ) {
    this.services = services;
    this.ports = ports;
    this.backers = backers;
  }

  /** The index of no service. */
  static empty(): ServiceIndex {
    return new ServiceIndex(LayeredMap.empty(), LayeredMap.empty(), LayeredMap.empty());
  }

  /** The service of a name. */
  get(name: string): DerivedService | undefined {
    return this.services.get(name);
  }

  /** Names of the services that have a port, sorted. */
  onPort(port: number): readonly string[] {
    return this.ports.get(port) ?? [];
  }

  /** Names of the services that an address is behind. */
  backedBy(address: string): readonly string[] {
    return this.backers.get(address) ?? [];
  }

  /** This index with other services: a changed one is removed and added. */
  with(removed: readonly DerivedService[], added: readonly DerivedService[]): ServiceIndex {
    const services = new Map<string, DerivedService | undefined>();
    const ports = new NameLists(this.ports);
    const backers = new NameLists(this.backers);
    for (const { name } of removed) services.set(name, undefined);
    for (const service of added) services.set(service.name, service);
    for (const [name, after] of services) {
      const before = this.services.get(name);
      ports.move(name, new Set(before?.ports), new Set(after?.ports));
      backers.move(name, before?.backers ?? NONE, after?.backers ?? NONE);
    }
    return new ServiceIndex(this.services.with(services), ports.done(), backers.done());
  }
}

const NONE: ReadonlySet<string> = new Set();

/** Lists of names that change. */
class NameLists<K> {
  private readonly before: LayeredMap<K, readonly string[]>;
  private readonly changed = new Map<K, Set<string>>();

  constructor(before: LayeredMap<K, readonly string[]>) {
    this.before = before;
  }

  /** The name leaves the lists of `from` for those of `to`. */
  move(name: string, from: ReadonlySet<K>, to: ReadonlySet<K>): void {
    for (const key of from) if (!to.has(key)) this.at(key).delete(name);
    for (const key of to) if (!from.has(key)) this.at(key).add(name);
  }

  done(): LayeredMap<K, readonly string[]> {
    const changes = new Map<K, readonly string[] | undefined>();
    for (const [key, names] of this.changed) {
      changes.set(key, names.size === 0 ? undefined : [...names].sort(compareText));
    }
    return this.before.with(changes);
  }

  private at(key: K): Set<string> {
    let names = this.changed.get(key);
    if (names === undefined) this.changed.set(key, (names = new Set(this.before.get(key))));
    return names;
  }
}
