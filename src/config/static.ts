// Listeners with fixed endpoints (`--listen … --to …`, or `listeners` of the bootstrap file) as the same resources that
// a control plane would send, so that nothing behind this file knows the difference.
import { Endpoints } from '../gen/outrigger/config/v1/endpoints.ts';
import { Listener } from '../gen/outrigger/config/v1/listener.ts';
import { Sidecar } from '../gen/outrigger/config/v1/sidecar.ts';
import type { ListenerTls, UpstreamTls } from '../gen/outrigger/config/v1/tls.ts';
import { Upstream } from '../gen/outrigger/config/v1/upstream.ts';
import { portKey } from '../model/snapshot.ts';
import { checkListenerTls, checkUpstreamTls } from './decode/tls.ts';
import { decodeTreeResource, type TreeKind } from './decode/tree-doors.ts';
import { checkRange, checkWord, ipProblem } from './decode/values.ts';
import { endpointHostProblem } from './dns-name.ts';
import type { HostPort } from './host-port.ts';
import { canonicalIp } from '../base/ip-address.ts';
import { entry, member, ProblemList, quote } from './problem-list.ts';
import type { Problem, Resource } from './resource.ts';

/** A listener with fixed endpoints. `localhost` is 127.0.0.1. */
export interface StaticListenerSpec {
  /** IP address to listen on; port 0 takes a free one. */
  readonly listen: HostPort;
  /** Endpoints, IP addresses or DNS names; at least one. */
  readonly to: readonly HostPort[];
  /** One of {@link STATIC_SCHEMES}. */
  readonly scheme: string;
  /** TLS towards callers; undefined: plaintext. Its files are the sidecar's, Secrets are refused. */
  readonly tls?: ListenerTls | undefined;
  /** TLS towards the endpoints, for the schemes of {@link TLS_SCHEMES} only; undefined: its defaults. */
  readonly toTls?: UpstreamTls | undefined;
}

/** Schemes over TLS. */
export const TLS_SCHEMES: readonly string[] = ['https', 'grpcs'];

/** Schemes that a static listener may have. */
export const STATIC_SCHEMES: readonly string[] = ['http', 'https', 'grpc', 'grpcs'];

/** The resources of static listeners, or what is wrong with them, by `listeners[0].to[1]`. */
export type StaticResult =
  | { readonly ok: true; readonly resources: readonly Resource[] }
  | { readonly ok: false; readonly problems: readonly Problem[] };

/**
 * For each listener a Listener `static/<port>` (its place in the list where the port is 0 or another has it already),
 * an Upstream `static/listener-N` and its Endpoints (or inline nodes, where an endpoint is a DNS name); and the Sidecar
 * `nodeId` that names them.
 */
export function staticResources(listeners: readonly StaticListenerSpec[], nodeId: string): StaticResult {
  const problems = new ProblemList();
  for (const [i, listener] of listeners.entries()) checkListener(listener, problems, entry('listeners', i));
  if (problems.size > 0) return { ok: false, problems: problems.list() };
  const resources: Resource[] = [];
  const add = (kind: TreeKind, name: string, bytes: Uint8Array): void => {
    const decoded = decodeTreeResource(kind, name, bytes);
    if (decoded.ok) resources.push(decoded.resource);
    else for (const { path, reason } of decoded.problems) problems.add(member(`${kind} ${name}`, path), reason);
  };
  const names = listenerNames(listeners);
  for (const [i, { listen, to, scheme, tls, toTls }] of listeners.entries()) {
    const name = names[i] ?? '';
    const upstream = `static/listener-${i}`;
    // A service port is never 0; where the listener takes a free port, the endpoints' own stands for it.
    const servicePort = listen.port === 0 ? (to[0]?.port ?? 1) : listen.port;
    const targets = [{ upstream, servicePort }];
    const listener = Listener.fromPartial({ name, address: address(listen.host), port: listen.port, targets, tls });
    add('Listener', name, Listener.encode(listener).finish());
    const endpoints = to.map(({ host, port }) => ({ address: address(host), port }));
    const hasNames = endpoints.some((endpoint) => canonicalIp(endpoint.address) === undefined);
    const nodes = hasNames ? endpoints.map(({ address: host, port }) => ({ host, port })) : [];
    const message = Upstream.fromPartial({ name: upstream, scheme, tls: toTls, nodes });
    add('Upstream', upstream, Upstream.encode(message).finish());
    if (hasNames) continue;
    const key = portKey(upstream, servicePort);
    add('Endpoints', key, Endpoints.encode(Endpoints.fromPartial({ name: key, endpoints })).finish());
  }
  add('Sidecar', nodeId, Sidecar.encode(Sidecar.fromPartial({ name: nodeId, listeners: [...names] })).finish());
  return problems.size > 0 ? { ok: false, problems: problems.list() } : { ok: true, resources };
}

function checkListener(listener: StaticListenerSpec, problems: ProblemList, path: string): void {
  const { listen, to, scheme } = listener;
  addReason(problems, member(path, 'listen'), ipProblem(address(listen.host)));
  checkRange(problems, member(path, 'listen'), listen.port, 0, 65535);
  if (to.length === 0) problems.add(member(path, 'to'), 'required: at least one HOST:PORT');
  for (const [i, { host, port }] of to.entries()) {
    const at = entry(member(path, 'to'), i);
    addReason(problems, at, endpointHostProblem(address(host)));
    checkRange(problems, at, port, 1, 65535);
  }
  checkWord(problems, member(path, 'scheme'), scheme, STATIC_SCHEMES);
  checkStaticTls(listener, problems, path);
}

/**
 * Checks TLS of a static listener, on both sides: as in the resources that are made of it, and that it names no Secret,
 * for nobody gives a static listener one. Problems go to `tls…` and `to_tls…` below `path`.
 */
export function checkStaticTls(
  { scheme, tls, toTls }: Pick<StaticListenerSpec, 'scheme' | 'tls' | 'toTls'>,
  problems: ProblemList,
  path: string,
): void {
  const [tlsPath, toTlsPath] = [member(path, 'tls'), member(path, 'to_tls')];
  checkListenerTls(tls, problems, tlsPath);
  checkUpstreamTls(toTls, problems, toTlsPath);
  const refuseSecret = (at: string, name: string | undefined, instead: string): void => {
    if (name !== undefined) problems.add(at, `a static listener takes no Secret; give ${instead} instead`);
  };
  const pair = 'certificate_file and key_file';
  for (const [i, { secret }] of (tls?.certificates ?? []).entries()) {
    refuseSecret(member(entry(member(tlsPath, 'certificates'), i), 'secret'), secret, pair);
  }
  refuseSecret(member(tlsPath, 'client_ca.secret'), tls?.clientCa?.secret, 'file');
  refuseSecret(member(toTlsPath, 'ca.secret'), toTls?.ca?.secret, 'file');
  refuseSecret(member(toTlsPath, 'client_certificate.secret'), toTls?.clientCertificate?.secret, pair);
  refuseSecret(member(toTlsPath, 'client_cert_id'), toTls?.clientCertId, `client_certificate with ${pair}`);
  if (toTls !== undefined && STATIC_SCHEMES.includes(scheme) && !TLS_SCHEMES.includes(scheme)) {
    problems.add(toTlsPath, `needs scheme ${TLS_SCHEMES.join(' or ')}, not ${quote(scheme)}`);
  }
}

function addReason(problems: ProblemList, path: string, reason: string | undefined): void {
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
