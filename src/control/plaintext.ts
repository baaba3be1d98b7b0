// What must not cross a network in the clear. A key on a plaintext stream can be read by anyone on the way, so no Secret
// and no Consumer is asked for there, and none is taken. Loopback stays within the machine, and is no network.
import { canonicalIp, isLoopbackIp } from '../base/ip-address.ts';
import type { Kind } from '../config/resource.ts';
import type { ControlCredentials } from './channel-security.ts';
import type { ServerAddress } from './ads-stream.ts';
import { formatServer } from './ads-stream.ts';

/** Why keys aren't exchanged on a stream. */
export interface Exposure {
  /** Of a kind that holds keys and is wanted. */
  readonly notAsked: (kind: Kind) => string;
  /** The answer to a resource that holds a private key. */
  readonly notTaken: string;
}

/** Undefined where the stream to `server` can't be read by others. */
export function exposureOf(server: ServerAddress, credentials: ControlCredentials | undefined): Exposure | undefined {
  if (credentials !== undefined || isLoopback(server.host)) return undefined;
  const way = `over plaintext to ${formatServer(server)}`;
  const fix = 'use --control-ca (and --control-cert), or a control plane on loopback';
  return {
    notAsked: (kind) => `a ${kind} is not asked for ${way}: ${fix}`,
    notTaken: `a private key is not taken ${way.replace(' to ', ' from ')}: ${fix}`,
  };
}

/** Whether a host is this machine: `localhost` or a loopback address. Any other name may lead anywhere. */
export function isLoopback(host: string): boolean {
  if (host.toLowerCase() === 'localhost') return true;
  const ip = canonicalIp(host);
  return ip !== undefined && isLoopbackIp(ip);
}
