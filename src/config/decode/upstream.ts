import type { PortLevelSettings, Upstream } from '../../gen/outrigger/config/v1/upstream.ts';
import { parseHostPort } from '../host-port.ts';
import { entry, member, type ProblemList } from '../problem-list.ts';
import { checkAttempts, checkBackoff } from './attempts.ts';
import { checkBalancing } from './balancing.ts';
import { checkChecks } from './checks.ts';
import { checkDiscovery, checkNodes } from './nodes.ts';
import { checkOutlierDetection } from './outlier-detection.ts';
import { checkUpstreamTls } from './tls.ts';
import { checkLabels, checkLeast, checkPort, checkRange, checkSeconds, checkWord } from './values.ts';
import { checkWarmUp } from './warm-up.ts';

/** The policy fields, which an Upstream and its port level settings have in common. */
export type PolicyFields = Omit<PortLevelSettings, 'port'>;

const SCHEMES = ['http', 'https', 'grpc', 'grpcs'];
const PLANNED_SCHEMES = ['tcp', 'tls', 'udp', 'kafka'];
const PASS_HOST = ['pass', 'node', 'rewrite'];
const ALL_UNHEALTHY = ['use-all', 'fail-fast'];

/** Checks an Upstream: its inline nodes, its policy, and each port level setting. */
export function checkUpstream(message: Upstream, problems: ProblemList): void {
  if (message.desc !== undefined && Array.from(message.desc).length > 256) {
    problems.add('desc', 'must have at most 256 characters');
  }
  checkLabels(problems, 'labels', message.labels);
  checkNodes(message.nodes, problems);
  const hasNodes = message.nodes.length > 0;
  checkPolicy(message, undefined, hasNodes, problems, '');
  const first = new Map<number, number>();
  for (const [i, settings] of message.portLevelSettings.entries()) {
    const path = entry('port_level_settings', i);
    checkPort(problems, member(path, 'port'), settings.port);
    const earlier = first.get(settings.port);
    if (earlier === undefined) first.set(settings.port, i);
    else problems.add(member(path, 'port'), `${settings.port} is set by port_level_settings[${earlier}] already`);
    checkPolicy(settings, message, hasNodes, problems, path);
  }
}

/** Checks one level. `inherited` is the level above it, for bounds between values that inherit one by one. */
function checkPolicy(
  policy: PolicyFields,
  inherited: PolicyFields | undefined,
  hasNodes: boolean,
  problems: ProblemList,
  path: string,
): void {
  const at = (name: string): string => member(path, name);
  checkBalancing(policy, problems, path);
  checkWord(problems, at('scheme'), policy.scheme, SCHEMES, PLANNED_SCHEMES);
  checkAttempts(policy, problems, path);
  checkBackoff(policy, inherited, problems, path);
  for (const name of ['connect', 'send', 'read'] as const) {
    checkSeconds(problems, member(at('timeout'), name), policy.timeout?.[name], { above: 0 });
  }
  for (const name of ['total', 'idle'] as const) {
    checkSeconds(problems, member(at('timeout'), name), policy.timeout?.[name], { least: 0 });
  }
  checkSeconds(problems, at('keepalive_pool.idle_timeout'), policy.keepalivePool?.idleTimeout, { least: 0 });
  checkLeast(problems, at('keepalive_pool.requests'), policy.keepalivePool?.requests, 1);
  checkWord(problems, at('pass_host'), policy.passHost, PASS_HOST);
  checkUpstreamHost(policy, problems, at('upstream_host'));
  checkChecks(policy.checks, problems, at('checks'));
  checkOutlierDetection(policy.outlierDetection, problems, at('outlier_detection'));
  checkUpstreamTls(policy.tls, problems, at('tls'));
  checkDiscovery(policy, hasNodes, problems, path);
  checkWarmUp(policy.warmUpConf, problems, at('warm_up_conf'));
  checkWord(problems, at('all_unhealthy'), policy.allUnhealthy, ALL_UNHEALTHY);
  checkRange(problems, at('panic_threshold'), policy.panicThreshold, 0, 100);
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
