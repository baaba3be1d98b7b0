// The outbound listener: one port for every service port that the sidecar knows, told apart by the authority alone. The
// host is as on a listener with several targets, the port of the authority is the service port; without one it is 80.
// Guarded by `npm run bench -- micro route-match`.
import type { ListenerSpec, PortKey } from '../model/snapshot.ts';
import { hostOf } from './authority.ts';

/** What the authority of `http://HOST/` means (RFC 9110 section 4.2.1). */
const DEFAULT_PORT = '80';

/** Every service port by authority. */
export interface OutboundTable {
  /** The port for a `Host` or `:authority` as received; undefined where none has it. */
  pick(authority: string): PortKey | undefined;
}

/** Compiles the targets of all listeners. Where two name the same host and port the first has it. */
export function createOutboundTable(listeners: Iterable<ListenerSpec>): OutboundTable {
  const byAuthority = new Map<string, PortKey>();
  for (const { targets } of listeners) {
    for (const { port, authorities } of targets) {
      const servicePort = port.slice(port.lastIndexOf('/') + 1);
      for (const authority of authorities) {
        const key = `${hostOf(authority)}:${servicePort}`;
        if (!byAuthority.has(key)) byAuthority.set(key, port);
      }
    }
  }
  return {
    pick(authority) {
      const known = byAuthority.get(authority);
      if (known !== undefined) return known;
      const host = hostOf(authority);
      return host === undefined ? undefined : byAuthority.get(`${host}:${portOf(authority)}`);
    },
  };
}

/** The port of an authority whose host {@link hostOf} could read. */
function portOf(authority: string): string {
  const port = /:(\d+)$/.exec(authority.startsWith('[') ? authority.slice(authority.indexOf(']')) : authority)?.[1];
  return port === undefined ? DEFAULT_PORT : String(Number(port));
}
