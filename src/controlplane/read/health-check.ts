// `healthCheck` of an ApisixUpstream → `checks`. Two habits of that document need care: `unhealthy.timeout` is a count
// of timeouts although its examples write `5s`, and `active.timeout` is a number of nanoseconds in its schema.
import type {
  ActiveCheck,
  ActiveHealthy,
  ActiveUnhealthy,
  Checks,
  PassiveCheck,
} from '../../gen/outrigger/config/v1/upstream.ts';
import { FIRST_NANOSECONDS, parseDurationS, readDurationS } from './duration.ts';
import type { Members, Value } from './value.ts';

/** What is said where `checks.active.unhealthy` is left out. */
export const UNHEALTHY_LEFT_OUT =
  'unhealthy is left out and is filled with its defaults (interval 1s, 5 HTTP failures, 2 TCP failures, 3 timeouts); APISIX would stop probing endpoints that are down';

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

const UNHEALTHY_FIELDS = ['httpCodes', 'httpFailures', 'tcpFailures', 'timeout', 'timeouts'] as const;

/** Highest threshold of any counter. */
const MAX_COUNT = 254;

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
    value.keyFinding('note', UNHEALTHY_LEFT_OUT);
  }
  const path = members.get('httpPath')?.text();
  if (path !== undefined && !path.startsWith('/'))
    members.get('httpPath')?.error(`must start with '/'`, `write /${path}`);
  const headers = members.get('requestHeaders')?.list() ?? [];
  return {
    type: members.get('type')?.word(['http', 'https', 'tcp', 'grpc'] as const),
    timeout: readProbeTimeout(unlessZero(members.get('timeout'), '1s')),
    concurrency: unlessZero(members.get('concurrency'), '10')?.integer(1, 1_000_000),
    host: members.get('host')?.text(),
    port: unlessZero(members.get('port'), "the endpoint's own")?.integer(1, 65_535),
    httpPath: path,
    httpMethod: undefined,
    httpReqBody: undefined,
    reqHeaders: headers.map(readHeaderLine).filter((line) => line !== undefined),
    httpsVerifyCertificate: members.get('strictTLS')?.boolean(),
    grpcService: undefined,
    healthy: readActiveHealthy(members.get('healthy')),
    unhealthy: readActiveUnhealthy(members.get('unhealthy')),
    off: undefined,
    start: undefined,
  };
}

/** The schema of the APISIX controller takes only an integer here, which its code reads as nanoseconds. */
function readProbeTimeout(value: Value | undefined): number | undefined {
  const seconds = readDurationS(value, 'above 0');
  const written = value?.scalar();
  if (value === undefined || seconds === undefined || typeof written !== 'string') return seconds;
  const nanoseconds = Math.round(seconds * 1e9);
  const refused = /[a-zµμ]$/.test(written) ? 'a unit' : 'a text';
  value.warn(
    `'${written}' is read as ${seconds} s; APISIX's ingress controller refuses ${refused} here`,
    `write ${nanoseconds} (nanoseconds), which both read alike, or ${seconds}`,
  );
  return seconds;
}

function readHeaderLine(value: Value): string | undefined {
  const line = value.text();
  if (line === undefined) return undefined;
  if (!/^[!#$%&'*+.^_`|~\w-]+:/.test(line)) {
    value.error(`'${line}' is not a header line`, 'write `Name: value`');
    return undefined;
  }
  const bad = UNFIT.exec(line)?.[0].codePointAt(0);
  if (bad === undefined) return line;
  const code = `U+${bad.toString(16).toUpperCase().padStart(4, '0')}`;
  const name = line.slice(0, line.indexOf(':'));
  value.error(
    `the value of ${name} has a character that a field can't carry (${code})`,
    'remove it, or percent-encode it',
  );
  return undefined;
}

/** RFC 9110 section 5.5: control characters but the tab, and what is no single byte. */
const UNFIT = /[^\t\u0020-\u007e\u0080-\u00ff]/u;

function readActiveHealthy(value: Value | undefined): ActiveHealthy | undefined {
  const members = value?.members(['interval', 'httpCodes', 'successes']);
  if (members === undefined) return undefined;
  return {
    interval: readDurationS(members.get('interval'), 'from 1'),
    httpStatuses: readStatuses(members.get('httpCodes')),
    successes: activeCount(members.get('successes'), 2),
  };
}

function readActiveUnhealthy(value: Value | undefined): ActiveUnhealthy | undefined {
  const members = value?.members(['interval', ...UNHEALTHY_FIELDS]);
  if (value === undefined || members === undefined) return undefined;
  return {
    interval: readDurationS(members.get('interval'), 'from 1'),
    httpStatuses: readStatuses(members.get('httpCodes')),
    httpFailures: activeCount(members.get('httpFailures'), 5),
    tcpFailures: activeCount(members.get('tcpFailures'), 2),
    timeouts: readTimeoutCount(unlessZero(timeoutCountOf(value, members), '3'), 1),
  };
}

function readPassive(value: Value | undefined): PassiveCheck | undefined {
  const members = value?.members(['type', 'healthy', 'unhealthy']);
  if (members === undefined) return undefined;
  const healthy = members.get('healthy')?.members(['httpCodes', 'successes']);
  const unhealthyValue = members.get('unhealthy');
  const unhealthy = unhealthyValue?.members(UNHEALTHY_FIELDS);
  return {
    type: members.get('type')?.word(['http', 'https', 'tcp'] as const),
    healthy: healthy && {
      httpStatuses: readStatuses(healthy.get('httpCodes')),
      successes: passiveCount(healthy.get('successes')),
    },
    unhealthy: unhealthy && {
      httpStatuses: readStatuses(unhealthy.get('httpCodes')),
      httpFailures: passiveCount(unhealthy.get('httpFailures')),
      tcpFailures: passiveCount(unhealthy.get('tcpFailures')),
      timeouts: readTimeoutCount(timeoutCountOf(unhealthyValue, unhealthy), 0),
      returnAfter: undefined,
      maxReturnAfter: undefined,
    },
    off: undefined,
  };
}

/** 0 switches a passive counter off. */
function passiveCount(value: Value | undefined): number | undefined {
  return value?.integer(0, MAX_COUNT);
}

function activeCount(value: Value | undefined, byDefault: number): number | undefined {
  return unlessZero(value, String(byDefault))?.integer(1, MAX_COUNT);
}

/** The v2 schema lets a 0 through that can't be; APISIX's controller drops it, so that the default counts. */
function unlessZero(value: Value | undefined, byDefault: string): Value | undefined {
  if (value?.scalar() !== 0) return value;
  value.warn(`0 is not possible here: the default counts (${byDefault})`, 'remove it, or write another number');
  return undefined;
}

/** The schemas of v1 and v2beta3 call the count `timeouts` in places; everything else calls it `timeout`. */
function timeoutCountOf(
  unhealthy: Value | undefined,
  members: Members<(typeof UNHEALTHY_FIELDS)[number]>,
): Value | undefined {
  if (members.has('timeout') && members.has('timeouts')) {
    unhealthy?.error('timeout and timeouts are the same count', 'remove one of the two');
  }
  return members.get('timeout') ?? members.get('timeouts');
}

/** A count of timeouts; the document's own example writes `5s` and means 5, as seconds or in nanoseconds. */
function readTimeoutCount(value: Value | undefined, min: number): number | undefined {
  const written = value?.scalar();
  const isDuration =
    typeof written === 'number'
      ? written >= FIRST_NANOSECONDS
      : typeof written === 'string' && !/^\d{1,6}$/.test(written);
  if (value === undefined || !isDuration) return value?.integer(min, MAX_COUNT);
  const count = parseDurationS(written);
  if (count === undefined || !Number.isInteger(count) || count < min || count > MAX_COUNT) {
    const message = `must be a count of timeouts from ${min} to ${MAX_COUNT}, not ${value.shape()}`;
    value.error(message, 'write for example `timeout: 3`');
    return undefined;
  }
  const message = `'${written}' looks like a duration, but this is a count of timeouts and is read as ${count}`;
  value.warn(message, `write ${count}`);
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
