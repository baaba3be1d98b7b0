// Schemes that carry bytes, not calls (APISIX's layer 4). A sidecar of this version carries none of them: ports with one
// get no listener, and the others of the same Service are not harmed.
import type { Upstream } from '../../gen/outrigger/config/v1/upstream.ts';

/** Known and not carried. */
export const STREAM_SCHEMES = ['tcp', 'tls', 'udp'] as const;

function isStream(scheme: string | undefined): boolean {
  return STREAM_SCHEMES.some((word) => word === scheme);
}

/** Whether calls of a service port can be carried, by its own scheme or the one that it inherits. */
export function isCarried({ scheme, portLevelSettings }: Upstream, port: number): boolean {
  return !isStream(portLevelSettings.find((settings) => settings.port === port)?.scheme ?? scheme);
}

/** The Upstream for the ports that are carried: no level of it has such a scheme. */
export function withoutStreams(upstream: Upstream): Upstream {
  const portLevelSettings = upstream.portLevelSettings.filter(({ scheme }) => !isStream(scheme));
  return { ...upstream, scheme: isStream(upstream.scheme) ? undefined : upstream.scheme, portLevelSettings };
}
