// Listeners with fixed endpoints (`--listen … --to …`, or `listeners` of the bootstrap file) as the same resources that
// a control plane would send, so that nothing behind this file knows the difference.
import { Endpoints } from '../gen/outrigger/config/v1/endpoints.ts';
import { Listener } from '../gen/outrigger/config/v1/listener.ts';
import { Sidecar } from '../gen/outrigger/config/v1/sidecar.ts';
import { Upstream } from '../gen/outrigger/config/v1/upstream.ts';
import { portKey } from '../model/snapshot.ts';
import { decodeResource } from './decode/decode.ts';
import { checkRange, checkWord, ipProblem } from './decode/values.ts';
import type { HostPort } from './host-port.ts';
import { canonicalIp } from './ip-address.ts';
import { entry, member, ProblemList } from './problem-list.ts';
import type { Kind, Problem, Resource } from './resource.ts';

/** A listener with fixed endpoints. Hosts are IP addresses or `localhost`. */
export interface StaticListenerSpec {
  /** Address to listen on; port 0 takes a free one. */
  readonly listen: HostPort;
  /** Endpoints; at least one. */
  readonly to: readonly HostPort[];
  /** `http` or `grpc`. */
  readonly scheme: string;
}

/** The resources of static listeners, or what is wrong with them, by `listeners[0].to[1]`. */
export type StaticResult =
  | { readonly ok: true; readonly resources: readonly Resource[] }
  | { readonly ok: false; readonly problems: readonly Problem[] };

/**
 * For each listener a Listener `static/<port>` (its place in the list where the port is 0 or another has it already),
 * an Upstream `static/listener-N` and its Endpoints; and the Sidecar `nodeId` that names them.
 */
export function staticResources(listeners: readonly StaticListenerSpec[], nodeId: string): StaticResult {
  const problems = new ProblemList();
  for (const [i, listener] of listeners.entries()) checkListener(listener, problems, entry('listeners', i));
  if (problems.size > 0) return { ok: false, problems: problems.list() };
  const resources: Resource[] = [];
  const add = (kind: Kind, name: string, bytes: Uint8Array): void => {
    const decoded = decodeResource(kind, name, bytes);
    if (decoded.ok) resources.push(decoded.resource);
    else for (const { path, reason } of decoded.problems) problems.add(member(`${kind} ${name}`, path), reason);
  };
  const names = listenerNames(listeners);
  for (const [i, { listen, to, scheme }] of listeners.entries()) {
    const name = names[i] ?? '';
    const upstream = `static/listener-${i}`;
    // A service port is never 0; where the listener takes a free port, the endpoints' own stands for it.
    const servicePort = listen.port === 0 ? (to[0]?.port ?? 1) : listen.port;
    const targets = [{ upstream, servicePort }];
    const listener = Listener.fromPartial({ name, address: address(listen.host), port: listen.port, targets });
    add('Listener', name, Listener.encode(listener).finish());
    add('Upstream', upstream, Upstream.encode(Upstream.fromPartial({ name: upstream, scheme })).finish());
    const key = portKey(upstream, servicePort);
    const endpoints = to.map(({ host, port }) => ({ address: address(host), port }));
    add('Endpoints', key, Endpoints.encode(Endpoints.fromPartial({ name: key, endpoints })).finish());
  }
  add('Sidecar', nodeId, Sidecar.encode(Sidecar.fromPartial({ name: nodeId, listeners: [...names] })).finish());
  return problems.size > 0 ? { ok: false, problems: problems.list() } : { ok: true, resources };
}

function checkListener({ listen, to, scheme }: StaticListenerSpec, problems: ProblemList, path: string): void {
  checkHost(listen.host, problems, member(path, 'listen'));
  checkRange(problems, member(path, 'listen'), listen.port, 0, 65535);
  if (to.length === 0) problems.add(member(path, 'to'), 'required: at least one HOST:PORT');
  for (const [i, { host, port }] of to.entries()) {
    const at = entry(member(path, 'to'), i);
    checkHost(host, problems, at);
    checkRange(problems, at, port, 1, 65535);
  }
  checkWord(problems, member(path, 'scheme'), scheme, ['http', 'grpc'], ['https', 'grpcs']);
}

function checkHost(host: string, problems: ProblemList, path: string): void {
  const reason = ipProblem(address(host));
  if (reason !== undefined) problems.add(path, reason);
}

function address(host: string): string {
  return host === 'localhost' ? '127.0.0.1' : (canonicalIp(host) ?? host);
}

function listenerNames(listeners: readonly StaticListenerSpec[]): readonly string[] {
  const taken = new Set<string>();
  return listeners.map(({ listen }, i) => {
    let name = `static/${listen.port === 0 ? i : listen.port}`;
    // Also where a place in the list equals another's port.
    while (taken.has(name)) name += `-${i}`;
    taken.add(name);
    return name;
  });
}
