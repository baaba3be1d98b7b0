// More upstream ports and listeners in a data plane that a test has started: several ways in, and several ports that share
// a process, its credentials and its endpoints.
import { portKey, type EndpointSpec, type ListenerSpec, type TargetSpec } from '../../src/model/snapshot.ts';
import type { Cluster } from '../../src/upstream/cluster.ts';
import { endpointAt, testPolicy, type TestDataPlane, type TestPolicy } from './data-plane.ts';

/** The upstream port that startDataPlane makes. */
export const FIRST_PORT = portKey('test/upstream', 80);

/** Adds a listener on a free port; returns that port. A target is the key of an upstream port, with authorities. */
export async function addListener(
  plane: TestDataPlane,
  name: string,
  targets: readonly (readonly [key: string, ...authorities: string[]])[],
): Promise<number> {
  const { snapshot } = plane.config;
  const spec: ListenerSpec = {
    name,
    address: undefined,
    port: 0,
    protocols: 'auto',
    tls: undefined,
    targets: targets.map(([port, ...authorities]): TargetSpec => ({ port, authorities })),
  };
  const listeners = new Map([...snapshot.listeners, [name, spec]]);
  await plane.config.apply({ ...snapshot, number: snapshot.number + 1, listeners });
  const listener = plane.config.listeners.get(name);
  if (!listener?.bound) throw new Error(`${name} isn't bound: ${listener?.error}`);
  return listener.port;
}

/** Adds an upstream port; what stands under its key before is replaced. Returns its cluster. */
export async function addUpstreamPort(
  plane: TestDataPlane,
  upstream: string,
  endpoints: readonly (number | EndpointSpec)[],
  policy: TestPolicy,
): Promise<Cluster> {
  const { snapshot } = plane.config;
  const key = portKey(upstream, 80);
  const port = {
    key,
    upstream,
    servicePort: 80,
    policy: testPolicy(policy),
    provenance: new Map<string, string>(),
    endpoints: endpoints.map((spec) => (typeof spec === 'number' ? endpointAt(spec) : spec)),
    names: [],
  };
  const ports = new Map([...snapshot.ports, [key, port]]);
  await plane.config.apply({ ...snapshot, number: snapshot.number + 1, ports });
  const cluster = plane.config.clusters.get(key);
  if (!cluster) throw new Error(`${key} isn't applied`);
  return cluster;
}
