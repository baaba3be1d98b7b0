import type { Scenario } from '../scenario.ts';
import { OWN_PROGRAM } from './control-plane.ts';
import { envoyManyEndpointsPeer, envoyManyRoutesPeer, envoyPeer } from './envoy.ts';
import { haproxyManyEndpointsPeer, haproxyPeer } from './haproxy.ts';
import { nginxPeer } from './nginx.ts';
import { nodeHttpPeer } from './node-http.ts';
import { outriggerPeers } from './outrigger.ts';
import type { Peer } from './peer.ts';

const BEFORE = '-before';

/** Those of a run: all, or the ones of these names, where `outrigger` stands for `outrigger-reload` and its like too. */
export function choosePeers(names: readonly string[] | undefined, before: string | undefined): readonly Peer[] {
  const all = [
    ...outriggerPeers(OWN_PROGRAM, ''),
    ...(before === undefined ? [] : outriggerPeers(before, BEFORE)),
    ...[
      nginxPeer,
      haproxyPeer,
      haproxyManyEndpointsPeer,
      envoyPeer,
      envoyManyEndpointsPeer,
      envoyManyRoutesPeer,
      nodeHttpPeer,
    ],
  ];
  if (names === undefined) return all;
  const unknown = names.find((name) => !all.some((peer) => peer.name === name));
  if (unknown !== undefined) {
    throw new RangeError(`no peer ${unknown}; there are: ${all.map((peer) => peer.name).join(', ')}`);
  }
  return all.filter((peer) => names.some((name) => peer.name === name || peer.name.startsWith(`${name}-`)));
}

/** Those of them that take part in a scenario, in its order; after a build of the sidecar the one before. */
export function takingPart(scenario: Scenario, peers: readonly Peer[]): readonly Peer[] {
  return scenario.peers.flatMap((name) =>
    [name, name + BEFORE].flatMap((each) => peers.find((peer) => peer.name === each) ?? []),
  );
}
