// The policy fields that an ApisixUpstream has twice: for the whole Service and for one port.
import { UpstreamTls } from '../../gen/outrigger/config/v1/tls.ts';
import type { PortLevelSettings, Timeout } from '../../gen/outrigger/config/v1/upstream.ts';
import { readDurationS } from './duration.ts';
import { readHealthCheck } from './health-check.ts';
import type { Members, Value } from './value.ts';

export const POLICY_FIELDS = [
  'loadbalancer',
  'scheme',
  'retries',
  'timeout',
  'healthCheck',
  'tlsSecret',
  'subsets',
  'passHost',
  'upstreamHost',
  'discovery',
] as const;
type PolicyField = (typeof POLICY_FIELDS)[number];

/** What both levels share. Only what was written is present. */
export type PolicyValues = Partial<Omit<PortLevelSettings, 'port'>>;

const SCHEMES = ['http', 'https', 'grpc', 'grpcs', 'tcp', 'tls', 'udp'] as const;
const TYPES = ['roundrobin', 'chash', 'ewma', 'least_conn'] as const;
const HASH_ON = ['vars', 'header', 'cookie', 'consumer', 'vars_combinations'] as const;

/** Reads the policy of one level. `hasOuterActive`: a port may add passive checks to the active ones that it inherits. */
export function readPolicy(members: Members<PolicyField>, level: { readonly hasOuterActive: boolean }): PolicyValues {
  const retries = members.get('retries')?.integer(0, 1_000_000);
  members
    .get('subsets')
    ?.warn('is not supported yet and has no effect', 'remove it, or make a Service of its own for each subset');
  return present({
    ...readLoadBalancer(members.get('loadbalancer')),
    scheme: members.get('scheme')?.word(SCHEMES),
    maxAttempts: retries === undefined ? undefined : maxAttempts(retries),
    timeout: readTimeout(members.get('timeout')),
    checks: readHealthCheck(members.get('healthCheck'), level.hasOuterActive),
    ...readHost(members.get('passHost'), members.get('upstreamHost')),
    tls: readTlsSecret(members.get('tlsSecret')),
    ...readDiscovery(members.get('discovery')),
  });
}

/** The ApisixUpstream document promises "retries: 3 → at most 3 requests", and at least one retry where any is asked for. */
function maxAttempts(retries: number): number {
  return retries === 0 ? 1 : Math.max(2, retries);
}

function readLoadBalancer(value: Value | undefined): PolicyValues {
  const members = value?.members(['type', 'hashOn', 'key']);
  if (value === undefined || members === undefined) return {};
  const type = members.get('type')?.word(TYPES);
  const hashOn = members.get('hashOn')?.word(HASH_ON);
  const key = members.get('key')?.text();
  if (!members.has('type')) value.error('type is missing', 'write `type: roundrobin` (or chash, ewma, least_conn)');
  if (type === 'chash') {
    if (!members.has('key') && hashOn !== 'consumer')
      value.error('chash needs a key', 'write, say, `key: remote_addr`');
  } else if (type !== undefined) {
    members.get('hashOn')?.warn(`has no effect with type ${type}`, 'remove it, or write `type: chash`');
    members.get('key')?.warn(`has no effect with type ${type}`, 'remove it, or write `type: chash`');
  }
  return { type, hashOn, key };
}

function readTimeout(value: Value | undefined): Timeout | undefined {
  const members = value?.members(['connect', 'send', 'read']);
  if (members === undefined) return undefined;
  return {
    connect: readDurationS(members.get('connect'), 'above 0'),
    send: readDurationS(members.get('send'), 'above 0'),
    read: readDurationS(members.get('read'), 'above 0'),
  };
}

function readHost(passHost: Value | undefined, upstreamHost: Value | undefined): PolicyValues {
  const mode = passHost?.word(['pass', 'node', 'rewrite'] as const);
  const host = upstreamHost?.text();
  if (mode === 'rewrite' && upstreamHost === undefined) {
    passHost?.error('rewrite needs upstreamHost', 'write the name to send in upstreamHost');
  }
  return { passHost: mode, upstreamHost: host };
}

function readTlsSecret(value: Value | undefined): PolicyValues['tls'] {
  const members = value?.members(['name', 'namespace']);
  if (value === undefined || members === undefined) return undefined;
  const name = members.get('name')?.text();
  const namespace = members.get('namespace')?.text();
  if (!members.has('name') || !members.has('namespace')) value.error('needs name and namespace of the Secret');
  if (name === undefined || namespace === undefined) return undefined;
  return UpstreamTls.fromPartial({ clientCertId: `${namespace}/${name}` });
}

function readDiscovery(value: Value | undefined): PolicyValues {
  const members = value?.members(['serviceName', 'type', 'args']);
  if (value === undefined || members === undefined) return {};
  const serviceName = members.get('serviceName')?.text();
  const discoveryType = members.get('type')?.text();
  if (!members.has('serviceName') || !members.has('type')) value.error('needs serviceName and type');
  const args: [string, string][] = [];
  for (const [key, argument] of members.get('args')?.anyMembers() ?? []) {
    const text = argument.text();
    if (text !== undefined) args.push([key, text]);
  }
  args.sort(([a], [b]) => (a < b ? -1 : 1));
  return { serviceName, discoveryType, discoveryArgs: Object.fromEntries(args) };
}

/** Without the members that are undefined. */
function present(values: PolicyValues): PolicyValues {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined));
}
