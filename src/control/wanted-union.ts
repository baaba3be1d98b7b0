import type { GatewayKind, Kind, WantedNames } from '../config/resource.ts';
import { EVERYTHING } from '../config/resource.ts';
import type { Wish } from './subscription.ts';

/** What either tree wants. */
export function unionOf(one: WantedNames, other: WantedNames): WantedNames {
  if (one === other) return one;
  const names = (kind: NamedKind): ReadonlySet<string> => union(one[kind], other[kind]);
  const all = (kind: GatewayKind): Wish => {
    const [a, b] = [one[kind], other[kind]];
    return a === EVERYTHING || b === EVERYTHING ? EVERYTHING : union(a, b);
  };
  return {
    Sidecar: names('Sidecar'),
    Listener: names('Listener'),
    Route: all('Route'),
    Service: all('Service'),
    PluginConfig: all('PluginConfig'),
    Consumer: all('Consumer'),
    Upstream: names('Upstream'),
    Endpoints: names('Endpoints'),
    Secret: names('Secret'),
  };
}

type NamedKind = Exclude<Kind, GatewayKind>;

/** Mostly one holds the other, and no third is made. */
function union(one: ReadonlySet<string>, other: ReadonlySet<string>): ReadonlySet<string> {
  if (contains(one, other)) return one;
  if (contains(other, one)) return other;
  return new Set([...one, ...other]);
}

function contains(set: ReadonlySet<string>, part: ReadonlySet<string>): boolean {
  if (set.size < part.size) return false;
  for (const name of part) if (!set.has(name)) return false;
  return true;
}
