// The policy fields that an ApisixUpstream has twice: for the whole Service and for one port.
import { UpstreamTls } from '../../gen/outrigger/config/v1/tls.ts';
import type { PortLevelSettings, Timeout } from '../../gen/outrigger/config/v1/upstream.ts';
import { readDiscovery } from './discovery.ts';
import { parseDurationS, readDurationS } from './duration.ts';
import { readHealthCheck } from './health-check.ts';
import { readName } from './name.ts';
import { STREAM_SCHEMES } from './stream-scheme.ts';
import type { Members, Value } from './value.ts';

const POLICY_FIELDS = [
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

/** Fields of the spec of an ApisixUpstream. */
export const SPEC_FIELDS = ['ingressClassName', 'externalNodes', 'portLevelSettings', ...POLICY_FIELDS] as const;
/** Fields of one of its `portLevelSettings`. */
export const PORT_FIELDS = ['port', ...POLICY_FIELDS] as const;

type PolicyField = (typeof POLICY_FIELDS)[number];

/** What both levels share. Only what was written is present. */
export type PolicyValues = Partial<Omit<PortLevelSettings, 'port'>>;

const SCHEMES = ['http', 'https', 'grpc', 'grpcs', ...STREAM_SCHEMES] as const;
const TYPES = ['roundrobin', 'chash', 'ewma', 'least_conn'] as const;
const HASH_ON = ['vars', 'header', 'cookie', 'consumer', 'vars_combinations'] as const;

/** Reads the policy of one level. `hasOuterActive`: a port may add passive checks to the active ones that it inherits. */
export function readPolicy(members: Members<PolicyField>, level: { readonly hasOuterActive: boolean }): PolicyValues {
  const retries = members.get('retries')?.integer(0, 1_000_000);
  members
    .get('subsets')
    ?.warn('is not supported by this version and has no effect', 'remove it, or make a Service for each subset');
  return present({
    ...readLoadBalancer(members.get('loadbalancer')),
    scheme: readScheme(members.get('scheme')),
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

function readScheme(value: Value | undefined): PolicyValues['scheme'] {
  const scheme = value?.word(SCHEMES);
  if (STREAM_SCHEMES.some((word) => word === scheme)) {
    value?.warn(
      `${scheme} is not supported by this version: ports with it get no listener`,
      'write http, https, grpc or grpcs',
    );
  }
  return scheme;
}

function readLoadBalancer(value: Value | undefined): PolicyValues {
  const members = value?.members(['type', 'hashOn', 'key']);
  if (value === undefined || members === undefined) return {};
  const type = members.get('type')?.word(TYPES);
  const hashOn = members.get('hashOn')?.word(HASH_ON);
  const key = members.get('key')?.text();
  if (!members.has('type')) value.error('type is missing', 'write `type: roundrobin` (or chash, ewma, least_conn)');
  if (type === 'chash') {
    if (hashOn === 'consumer') members.get('key')?.warn('has no effect with hashOn consumer', 'remove it');
    else if (!members.has('key')) value.error('chash needs a key', 'write, say, `key: remote_addr`');
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
    connect: readTimeoutS(members.get('connect')),
    send: readTimeoutS(members.get('send')),
    read: readTimeoutS(members.get('read')),
  };
}

/** The schema takes any text here that is a Go duration, and APISIX's controller takes `0s` for one that is left out. */
function readTimeoutS(value: Value | undefined): number | undefined {
  const written = value?.scalar();
  if (value === undefined || typeof written !== 'string' || parseDurationS(written) !== 0) {
    return readDurationS(value, 'above 0');
  }
  value.warn(`'${written}' is not possible here: it counts as left out`, 'remove it, or write for example 5s');
  return undefined;
}

function readHost(passHost: Value | undefined, upstreamHost: Value | undefined): PolicyValues {
  const mode = passHost?.word(['pass', 'node', 'rewrite'] as const);
  const host = upstreamHost?.text();
  if (mode === 'rewrite' && upstreamHost === undefined) {
    passHost?.error('rewrite needs upstreamHost', 'write the name to send in upstreamHost');
  }
  if (passHost === undefined || (mode !== undefined && mode !== 'rewrite')) {
    upstreamHost?.warn('has no effect without passHost: rewrite beside it', 'write `passHost: rewrite`, or remove it');
  }
  return { passHost: mode, upstreamHost: host };
}

function readTlsSecret(value: Value | undefined): PolicyValues['tls'] {
  const members = value?.members(['name', 'namespace']);
  if (value === undefined || members === undefined) return undefined;
  const name = readName(members.get('name'));
  const namespace = readName(members.get('namespace'));
  if (!members.has('name') || !members.has('namespace')) {
    value.error('needs name and namespace of the Secret', 'write for example `{name: web-cert, namespace: default}`');
  }
  if (name === undefined || namespace === undefined) return undefined;
  return UpstreamTls.fromPartial({ clientCertId: `${namespace}/${name}` });
}

/** Without the members that are undefined. */
function present(values: PolicyValues): PolicyValues {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined));
}
