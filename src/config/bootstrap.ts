// The file of `run -c`: kind Bootstrap. Its fields come from the proto message like those of any native document; here
// stand the checks of their values.
import { Bootstrap, type ControlTls, type StaticListener } from '../gen/outrigger/config/v1/bootstrap.ts';
import { checkFiles, checkPath } from './decode/tls.ts';
import { checkSeconds, checkWord, ipProblem, nameProblem } from './decode/values.ts';
import { endpointHostProblem } from './dns-name.ts';
import { PROTO_PACKAGE, readEnvelope } from './envelope.ts';
import { CONNECT_RULES, type HostPortRules, LISTEN_RULES, parseHostPort } from './host-port.ts';
import { entry, member, ProblemList, quote } from './problem-list.ts';
import type { Problem } from './resource.ts';
import { readSpec } from './spec-reader.ts';
import { checkStaticTls, STATIC_SCHEMES } from './static.ts';

/** What reading a bootstrap file gives. */
export type BootstrapResult =
  | { readonly ok: true; readonly bootstrap: Bootstrap }
  | { readonly ok: false; readonly problems: readonly Problem[] };

/** Words of `access_log`. */
const ACCESS_LOGS = ['off', 'json', 'text'];
/** Words of `log_level`. */
const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal'];

/** Reads what a YAML or JSON parser made of the file. `metadata` may be missing. Never throws. */
export function readBootstrap(document: unknown): BootstrapResult {
  const problems = new ProblemList();
  const envelope = readEnvelope(document, ['Bootstrap'], problems);
  if (envelope === undefined) return { ok: false, problems: problems.list() };
  const bytes = readSpec(`${PROTO_PACKAGE}.Bootstrap`, envelope.spec, 'spec', problems);
  if (problems.size > 0) return { ok: false, problems: problems.list() };
  const bootstrap = Bootstrap.decode(bytes);
  checkBootstrap(bootstrap, problems);
  return problems.size > 0 ? { ok: false, problems: problems.list() } : { ok: true, bootstrap };
}

function checkBootstrap(bootstrap: Bootstrap, problems: ProblemList): void {
  const at = (name: string): string => member('spec', name);
  if (bootstrap.nodeId !== undefined) addReason(problems, at('node_id'), nameProblem(bootstrap.nodeId));
  for (const [i, address] of bootstrap.control.entries()) {
    addReason(problems, entry(at('control'), i), addressProblem(address, CONNECT_RULES, undefined));
  }
  checkWord(problems, at('xds'), bootstrap.xds, ['delta', 'sotw']);
  for (const name of ['admin', 'health'] as const) {
    const address = bootstrap[name];
    if (address !== undefined) addReason(problems, at(name), addressProblem(address, LISTEN_RULES, bindProblem));
  }
  if (bootstrap.stateDir === '') problems.add(at('state_dir'), 'must be a directory; leave it out to keep nothing');
  if (bootstrap.bind !== undefined) addReason(problems, at('bind'), bindProblem(bootstrap.bind));
  checkWord(problems, at('listener_ports'), bootstrap.listenerPorts, ['service', 'ephemeral']);
  checkSeconds(problems, at('drain_timeout'), bootstrap.drainTimeout, { least: 0 });
  checkWord(problems, at('access_log'), bootstrap.accessLog, ACCESS_LOGS);
  checkWord(problems, at('log_level'), bootstrap.logLevel, LOG_LEVELS);
  if (bootstrap.podIp !== undefined) addReason(problems, at('pod_ip'), ipProblem(bootstrap.podIp));
  for (const [i, service] of bootstrap.services.entries()) {
    if (!/^[^/\s]+\/[^/\s]+$/.test(service)) {
      problems.add(entry(at('services'), i), `${quote(service)} must be namespace/name`);
    }
  }
  checkControlTls(bootstrap.controlTls, problems, at('control_tls'));
  for (const [i, listener] of bootstrap.listeners.entries()) {
    checkStaticListener(listener, problems, entry(at('listeners'), i));
  }
}

/** Whether there are control planes to use it with is known only with flags and environment. */
function checkControlTls(tls: ControlTls | undefined, problems: ProblemList, path: string): void {
  checkPath(tls?.caFile, problems, member(path, 'ca_file'));
  checkFiles(tls?.certificateFile, tls?.keyFile, problems, path);
}

function checkStaticListener(listener: StaticListener, problems: ProblemList, path: string): void {
  if (listener.listen === '') problems.add(member(path, 'listen'), 'required: [HOST:]PORT');
  else addReason(problems, member(path, 'listen'), addressProblem(listener.listen, LISTEN_RULES, bindProblem));
  if (listener.to.length === 0) problems.add(member(path, 'to'), 'required: at least one HOST:PORT');
  for (const [i, address] of listener.to.entries()) {
    addReason(problems, entry(member(path, 'to'), i), addressProblem(address, CONNECT_RULES, endpointHostProblem));
  }
  checkWord(problems, member(path, 'scheme'), listener.scheme, STATIC_SCHEMES);
  checkStaticTls({ ...listener, scheme: listener.scheme ?? 'http' }, problems, path);
}

function addReason(problems: ProblemList, path: string, reason: string | undefined): void {
  if (reason !== undefined) problems.add(path, reason);
}

/** What is wrong with `[HOST:]PORT`, or with its host by `hostProblem`. */
function addressProblem(
  address: string,
  rules: HostPortRules,
  hostProblem: ((host: string) => string | undefined) | undefined,
): string | undefined {
  const parsed = parseHostPort(address, rules);
  return parsed.ok ? hostProblem?.(parsed.host) : parsed.reason;
}

/** What is wrong with a host that must be an IP address, or `localhost` for 127.0.0.1; undefined if nothing is. */
function bindProblem(host: string): string | undefined {
  return host === 'localhost' ? undefined : ipProblem(host);
}
