// The control plane's Admin API as an upstream of the gateway: no resource says more of it than its address.
import { Upstream } from '../gen/outrigger/config/v1/upstream.ts';
import { endpointHostProblem, unbracketed } from './dns-name.ts';
import { CONNECT_RULES, parseHostPort } from './host-port.ts';
import { canonicalIp, isLoopbackIp } from '../base/ip-address.ts';
import type { Resource } from './resource.ts';

/** Name of that upstream. Its port is `admin-api/0`. */
export const ADMIN_API_UPSTREAM = 'admin-api';

/** What the last Upstream of a Sidecar was made with. */
interface Made {
  readonly name: string;
  readonly host: string;
  readonly upstream: Resource<'Upstream'>;
}

const known = new WeakMap<Resource<'Sidecar'>, Made>();

/**
 * The Upstream of the Admin API that the root names; its one node is an address or a DNS name. An address without host
 * (`:9180`) takes `controlHost`. Undefined: the root names none, the host isn't known, or it is a loopback address and the
 * control plane isn't on this machine.
 */
export function adminApiUpstream(
  root: Resource<'Sidecar'> | undefined,
  controlHost: string | undefined,
  name: string,
): Resource<'Upstream'> | undefined {
  const text = root?.message.adminApi;
  if (root === undefined || text === undefined) return undefined;
  const parsed = parseHostPort(text.startsWith(':') ? `localhost${text}` : text, CONNECT_RULES);
  if (!parsed.ok) return undefined;
  const host = text.startsWith(':') ? unbracketed(controlHost ?? '') : parsed.host;
  if (endpointHostProblem(host) !== undefined) return undefined;
  // The control plane's own loopback is another machine's: whoever listens there would be shown the key.
  if (isLoopback(host) && controlHost !== undefined && !isLoopback(unbracketed(controlHost))) return undefined;
  const made = known.get(root);
  if (made?.host === host && made.name === name) return made.upstream;
  const message = Upstream.fromPartial({ name, nodes: [{ host, port: parsed.port }] });
  const upstream: Resource<'Upstream'> = { kind: 'Upstream', name, message, bytes: NO_BYTES, unknownFields: 0 };
  known.set(root, { name, host, upstream });
  return upstream;
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || isLoopbackIp(canonicalIp(host) ?? '');
}

const NO_BYTES = new Uint8Array(0);
