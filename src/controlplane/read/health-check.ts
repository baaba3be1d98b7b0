// `healthCheck` of an ApisixUpstream → `checks`. Two habits of that document need care: `unhealthy.timeout` is a count
// of timeouts although its examples write `5s`, and `active.timeout` is a number of nanoseconds in its schema.
import type {
  ActiveCheck,
  ActiveHealthy,
  ActiveUnhealthy,
  Checks,
  PassiveCheck,
} from '../../gen/outrigger/config/v1/upstream.ts';
import { parseDurationS, readDurationS } from './duration.ts';
import type { Value } from './value.ts';

const ACTIVE_FIELDS = [
  'type',
  'timeout',
  'concurrency',
  'host',
  'port',
  'httpPath',
  'strictTLS',
  'requestHeaders',
  'healthy',
  'unhealthy',
] as const;

/** Thresholds of active checks. */
const ACTIVE_COUNT = { min: 1, max: 254 };
/** Thresholds of passive checks; 0 switches the counter off. */
const PASSIVE_COUNT = { min: 0, max: 254 };

interface Bounds {
  readonly min: number;
  readonly max: number;
}

/** Reads `healthCheck`. `hasOuterActive`: active checks stand at the outer level, so passive ones may stand alone. */
export function readHealthCheck(value: Value | undefined, hasOuterActive: boolean): Checks | undefined {
  const members = value?.members(['active', 'passive']);
  if (value === undefined || members === undefined) return undefined;
  const active = readActive(members.get('active'));
  const passive = readPassive(members.get('passive'));
  if (!members.has('active') && !hasOuterActive) {
    const what = members.has('passive') ? 'passive checks need active ones, which bring an endpoint back' : 'is empty';
    value.keyFinding(
      'error',
      `active is missing: ${what}`,
      'add healthCheck.active, for example `active: {type: http}`',
    );
  }
  return { active, passive };
}

function readActive(value: Value | undefined): ActiveCheck | undefined {
  const members = value?.members(ACTIVE_FIELDS);
  if (value === undefined || members === undefined) return undefined;
  if (!members.has('unhealthy')) {
    value.keyFinding(
      'note',
      'unhealthy is left out and is filled with its defaults (interval 1s, 5 HTTP failures, 2 TCP failures, 3 timeouts); APISIX would stop probing endpoints that are down',
    );
  }
  const path = members.get('httpPath')?.text();
  if (path !== undefined && !path.startsWith('/'))
    members.get('httpPath')?.error(`must start with '/'`, `write /${path}`);
  const headers = members.get('requestHeaders')?.list() ?? [];
  return {
    type: members.get('type')?.word(['http', 'https', 'tcp', 'grpc'] as const),
    timeout: readProbeTimeout(members.get('timeout')),
    concurrency: members.get('concurrency')?.integer(1, 1_000_000),
    host: members.get('host')?.text(),
    port: members.get('port')?.integer(1, 65_535),
    httpPath: path,
    httpMethod: undefined,
    httpReqBody: undefined,
    reqHeaders: headers.map(readHeaderLine).filter((line) => line !== undefined),
    httpsVerifyCertificate: members.get('strictTLS')?.boolean(),
    grpcService: undefined,
    healthy: readActiveHealthy(members.get('healthy')),
    unhealthy: readActiveUnhealthy(members.get('unhealthy')),
    off: undefined,
  };
}

/** The schema of the APISIX controller takes only an integer here, which its code reads as nanoseconds. */
function readProbeTimeout(value: Value | undefined): number | undefined {
  const seconds = readDurationS(value, 'above 0');
  const written = value?.scalar();
  if (value === undefined || seconds === undefined || typeof written !== 'string') return seconds;
  const nanoseconds = Math.round(seconds * 1e9);
  value.warn(
    `'${written}' is read as ${seconds} s; APISIX's ingress controller refuses a unit here`,
    `write ${nanoseconds} (nanoseconds), which both read alike, or ${seconds}`,
  );
  return seconds;
}

function readHeaderLine(value: Value): string | undefined {
  const line = value.text();
  if (line === undefined || /^[!#$%&'*+.^_`|~\w-]+:[^\r\n\0]*$/.test(line)) return line;
  value.error(`'${line}' is not a header line`, 'write `Name: value`');
  return undefined;
}

function readActiveHealthy(value: Value | undefined): ActiveHealthy | undefined {
  const members = value?.members(['interval', 'httpCodes', 'successes']);
  if (members === undefined) return undefined;
  return {
    interval: readDurationS(members.get('interval'), 'from 1'),
    httpStatuses: readStatuses(members.get('httpCodes')),
    successes: readCount(members.get('successes'), ACTIVE_COUNT),
  };
}

function readActiveUnhealthy(value: Value | undefined): ActiveUnhealthy | undefined {
  const members = value?.members(['interval', 'httpCodes', 'httpFailures', 'tcpFailures', 'timeout']);
  if (members === undefined) return undefined;
  return {
    interval: readDurationS(members.get('interval'), 'from 1'),
    httpStatuses: readStatuses(members.get('httpCodes')),
    httpFailures: readCount(members.get('httpFailures'), ACTIVE_COUNT),
    tcpFailures: readCount(members.get('tcpFailures'), ACTIVE_COUNT),
    timeouts: readTimeoutCount(members.get('timeout'), ACTIVE_COUNT),
  };
}

function readPassive(value: Value | undefined): PassiveCheck | undefined {
  const members = value?.members(['type', 'healthy', 'unhealthy']);
  if (members === undefined) return undefined;
  const healthy = members.get('healthy')?.members(['httpCodes', 'successes']);
  const unhealthy = members.get('unhealthy')?.members(['httpCodes', 'httpFailures', 'tcpFailures', 'timeout']);
  return {
    type: members.get('type')?.word(['http', 'https', 'tcp'] as const),
    healthy: healthy && {
      httpStatuses: readStatuses(healthy.get('httpCodes')),
      successes: readCount(healthy.get('successes'), PASSIVE_COUNT),
    },
    unhealthy: unhealthy && {
      httpStatuses: readStatuses(unhealthy.get('httpCodes')),
      httpFailures: readCount(unhealthy.get('httpFailures'), PASSIVE_COUNT),
      tcpFailures: readCount(unhealthy.get('tcpFailures'), PASSIVE_COUNT),
      timeouts: readTimeoutCount(unhealthy.get('timeout'), PASSIVE_COUNT),
      returnAfter: undefined,
    },
    off: undefined,
  };
}

function readCount(value: Value | undefined, bounds: Bounds): number | undefined {
  return value?.integer(bounds.min, bounds.max);
}

/** A count of timeouts; the document's own example writes `5s` and means 5. */
function readTimeoutCount(value: Value | undefined, bounds: Bounds): number | undefined {
  const written = value?.scalar();
  if (value === undefined || typeof written !== 'string' || /^\d+$/.test(written)) return readCount(value, bounds);
  const count = parseDurationS(written);
  if (count === undefined || !/^\d+s$/.test(written) || count < bounds.min || count > bounds.max) {
    const message = `must be a count of timeouts from ${bounds.min} to ${bounds.max}, not ${value.shape()}`;
    value.error(message, 'write for example `timeout: 3`');
    return undefined;
  }
  value.warn(
    `'${written}' looks like a duration, but this is a count of timeouts and is read as ${count}`,
    `write ${count}`,
  );
  return count;
}

function readStatuses(value: Value | undefined): number[] {
  const items = value?.list();
  if (value === undefined || items === undefined) return [];
  if (items.length === 0) value.error('must hold at least one status', 'remove it to use the defaults');
  const statuses = new Set<number>();
  for (const item of items) {
    const status = item.integer(200, 599);
    if (status === undefined) continue;
    if (statuses.has(status)) item.error(`${status} stands here twice`, 'remove one');
    statuses.add(status);
  }
  return [...statuses];
}
