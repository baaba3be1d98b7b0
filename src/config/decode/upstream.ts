import { MAX_WEIGHT } from '../../model/defaults.ts';
import type { Node, OutlierDetection, PortLevelSettings, Upstream } from '../../gen/outrigger/config/v1/upstream.ts';
import { parseHostPort } from '../host-port.ts';
import { entry, member, type ProblemList } from '../problem-list.ts';
import { checkChecks } from './checks.ts';
import { checkUpstreamTls } from './tls.ts';
import {
  checkIp,
  checkLabels,
  checkLeast,
  checkPort,
  checkRange,
  checkSeconds,
  checkWord,
  NOT_SUPPORTED,
  refuse,
} from './values.ts';

/** The policy fields, which an Upstream and its port level settings have in common. */
export type PolicyFields = Omit<PortLevelSettings, 'port'>;

const TYPES = ['roundrobin'];
const PLANNED_TYPES = ['chash', 'ewma', 'least_conn'];
const HASH_ON = ['vars'];
const PLANNED_HASH_ON = ['header', 'cookie', 'consumer', 'vars_combinations'];
const SCHEMES = ['http', 'https', 'grpc', 'grpcs'];
const PLANNED_SCHEMES = ['tcp', 'tls', 'udp', 'kafka'];
const PASS_HOST = ['pass', 'node', 'rewrite'];

/** Checks an Upstream: its inline nodes, its policy, and each port level setting. */
export function checkUpstream(message: Upstream, problems: ProblemList): void {
  if (message.desc !== undefined && Array.from(message.desc).length > 256) {
    problems.add('desc', 'must have at most 256 characters');
  }
  checkLabels(problems, 'labels', message.labels);
  for (const [i, node] of message.nodes.entries()) checkNode(node, problems, entry('nodes', i));
  checkPolicy(message, problems, '');
  const first = new Map<number, number>();
  for (const [i, settings] of message.portLevelSettings.entries()) {
    const path = entry('port_level_settings', i);
    checkPort(problems, member(path, 'port'), settings.port);
    const earlier = first.get(settings.port);
    if (earlier === undefined) first.set(settings.port, i);
    else problems.add(member(path, 'port'), `${settings.port} is set by port_level_settings[${earlier}] already`);
    checkPolicy(settings, problems, path);
  }
}

function checkNode(node: Node, problems: ProblemList, path: string): void {
  checkIp(problems, member(path, 'host'), unbracketed(node.host));
  checkPort(problems, member(path, 'port'), node.port);
  checkRange(problems, member(path, 'weight'), node.weight, 0, MAX_WEIGHT);
  refuse(problems, member(path, 'priority'), (node.priority ?? 0) !== 0);
}

/** A node's host without the brackets that an IPv6 address may have there. */
export function unbracketed(host: string): string {
  return /^\[(.*:.*)\]$/.exec(host)?.[1] ?? host;
}

function checkPolicy(policy: PolicyFields, problems: ProblemList, path: string): void {
  const at = (name: string): string => member(path, name);
  checkWord(problems, at('type'), policy.type, TYPES, PLANNED_TYPES);
  checkWord(problems, at('hash_on'), policy.hashOn, HASH_ON, PLANNED_HASH_ON);
  refuse(problems, at('key'), isText(policy.key));
  checkWord(problems, at('scheme'), policy.scheme, SCHEMES, PLANNED_SCHEMES);
  checkLeast(problems, at('max_attempts'), policy.maxAttempts, 1);
  if (policy.retries !== undefined && policy.maxAttempts !== undefined) {
    problems.add(
      at('max_attempts'),
      'not together with retries: max_attempts counts the first attempt too, retries does not',
    );
  }
  checkRetryTimeout(policy.retryTimeout, problems, at('retry_timeout'));
  for (const name of ['connect', 'send', 'read'] as const) {
    checkSeconds(problems, member(at('timeout'), name), policy.timeout?.[name], { above: 0 });
  }
  const pool = at('keepalive_pool');
  checkLeast(problems, member(pool, 'size'), policy.keepalivePool?.size, 1);
  checkSeconds(problems, member(pool, 'idle_timeout'), policy.keepalivePool?.idleTimeout, { least: 0 });
  checkLeast(problems, member(pool, 'requests'), policy.keepalivePool?.requests, 1);
  checkWord(problems, at('pass_host'), policy.passHost, PASS_HOST);
  checkUpstreamHost(policy, problems, at('upstream_host'));
  checkChecks(policy.checks, problems, at('checks'));
  refuse(problems, at('outlier_detection'), asksForDetection(policy.outlierDetection));
  checkUpstreamTls(policy.tls, problems, at('tls'));
  refuse(problems, at('service_name'), isText(policy.serviceName));
  refuse(problems, at('discovery_type'), isText(policy.discoveryType));
  refuse(problems, at('discovery_args'), Object.keys(policy.discoveryArgs).length > 0);
}

/** A host with or without a port (APISIX `upstream_host`, but for the leading `*` that it lets through). */
function checkUpstreamHost({ passHost, upstreamHost }: PolicyFields, problems: ProblemList, path: string): void {
  if (upstreamHost === undefined || upstreamHost === '') {
    if (passHost === 'rewrite') problems.add(path, 'required with pass_host: rewrite');
    return;
  }
  const host = parseHostPort(upstreamHost, { defaultHost: undefined, defaultPort: 0, minPort: 1 });
  if (!host.ok) problems.add(path, host.reason);
}

function isText(value: string | undefined): boolean {
  return value !== undefined && value !== '';
}

/** Where it stands it is on, with or without a number; only `off` alone asks for nothing. */
function asksForDetection(detection: OutlierDetection | undefined): boolean {
  return detection !== undefined && (detection.off !== true || detection.consecutiveFailures !== undefined);
}

function checkRetryTimeout(value: number | undefined, problems: ProblemList, path: string): void {
  const before = problems.size;
  checkSeconds(problems, path, value, { least: 0 });
  if (problems.size === before && value !== undefined && value !== 0) problems.add(path, NOT_SUPPORTED);
}
