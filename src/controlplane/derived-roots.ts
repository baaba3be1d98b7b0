// What the tree of a sidecar begins with, where nobody wrote it: a Listener per service port, and the Sidecar that names them.
import { Listener } from '../gen/outrigger/config/v1/listener.ts';
import { Sidecar } from '../gen/outrigger/config/v1/sidecar.ts';
import type { Origin } from './finding.ts';
import { versioned, type VersionedResource } from './versioned-resource.ts';
import { DEFAULT_SIDECAR } from '../config/tree.ts';

const NOWHERE: Origin = { file: '', line: 1, column: 1 };

/** Name of the Listener of a service port. */
export function listenerName(port: number): string {
  return `outbound/${port}`;
}

/** The Listener of a port, with a target per service. */
export function deriveListener(
  port: number,
  services: readonly string[],
  origin: Origin | undefined,
): VersionedResource {
  const targets = services.map((name) => ({ upstream: name, servicePort: port, authorities: [] }));
  const message = Listener.fromPartial({ name: listenerName(port), port, targets });
  return versioned('Listener', message, origin ?? NOWHERE, undefined);
}

/** The Sidecar that names these Listeners. `adminApi`: where the control plane's Admin API is, if it has one. */
export function deriveSidecar(listeners: Iterable<string>, adminApi: string | undefined): VersionedResource {
  const message = {
    name: DEFAULT_SIDECAR,
    listeners: [...listeners].sort(),
    ...(adminApi !== undefined && { adminApi }),
  };
  return versioned('Sidecar', Sidecar.fromPartial(message), NOWHERE, undefined);
}
