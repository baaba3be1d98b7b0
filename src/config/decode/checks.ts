import type { ActiveCheck, Checks, PassiveCheck } from '../../gen/outrigger/config/v1/upstream.ts';
import { DEFAULT_PASSIVE } from '../../model/defaults.ts';
import { entry, member, type ProblemList, quote } from '../problem-list.ts';
import { checkLeast, checkPort, checkRange, checkSeconds, checkStatuses, checkWord } from './values.ts';

const ACTIVE_TYPES = ['http', 'https', 'tcp', 'grpc'];
const PASSIVE_TYPES = ['http', 'https', 'tcp'];
const STARTS = ['healthy', 'unhealthy'];
/** APISIX `http_method`. */
const METHODS = ['GET', 'POST', 'PUT', 'DELETE', 'PATCH', 'HEAD', 'OPTIONS', 'CONNECT', 'TRACE', 'PURGE'];
/** Those whose requests have no content (RFC 9110 sections 9.3.6 and 9.3.8). */
const BODILESS_METHODS = ['CONNECT', 'TRACE'];
/** Longest `http_req_body`, bytes. */
const MAX_BODY_BYTES = 64 * 1024;

/** RFC 9110 section 5.6.2. */
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
/** RFC 9110 section 5.5, with the bytes above 127 that it calls obsolete. */
const FIELD_VALUE = /^[\t\u0020-\u007e\u0080-\u00ff]*$/;
/** Fields that the prober itself writes, or that would frame the request (RFC 9112 section 6, RFC 9113 section 8.2.2). */
const OWN_FIELDS = new Set([
  'host',
  'connection',
  'proxy-connection',
  'keep-alive',
  'transfer-encoding',
  'content-length',
  'upgrade',
  'te',
  'trailer',
  'expect',
]);

/** Checks the health checks of one level. */
export function checkChecks(checks: Checks | undefined, problems: ProblemList, path: string): void {
  if (checks?.active) checkActive(checks.active, problems, member(path, 'active'));
  if (checks?.passive) checkPassive(checks.passive, problems, member(path, 'passive'));
}

function checkActive(active: ActiveCheck, problems: ProblemList, path: string): void {
  const at = (name: string): string => member(path, name);
  checkWord(problems, at('type'), active.type, ACTIVE_TYPES);
  checkSeconds(problems, at('timeout'), active.timeout, { above: 0 });
  checkLeast(problems, at('concurrency'), active.concurrency, 1);
  if (active.host !== undefined && !/^[A-Za-z0-9._:[\]-]*$/.test(active.host)) {
    problems.add(at('host'), `${quote(active.host)} is no host: letters, digits and . _ - : [ ] are allowed`);
  }
  checkPort(problems, at('port'), active.port);
  if (active.httpPath !== undefined && !/^\/[\u0021-\u0022\u0024-\u007e]*$/.test(active.httpPath)) {
    problems.add(
      at('http_path'),
      `${quote(active.httpPath)} must start with '/' and have no blanks, '#' or characters beyond ASCII`,
    );
  }
  checkWord(problems, at('http_method'), active.httpMethod, METHODS);
  checkBody(active, problems, at('http_req_body'));
  checkWord(problems, at('start'), active.start, STARTS);
  for (const [i, line] of active.reqHeaders.entries()) {
    const reason = fieldLineProblem(line);
    if (reason !== undefined) problems.add(entry(at('req_headers'), i), reason);
  }
  const healthy = at('healthy');
  checkSeconds(problems, member(healthy, 'interval'), active.healthy?.interval, { least: 1 });
  checkStatuses(problems, member(healthy, 'http_statuses'), active.healthy?.httpStatuses ?? []);
  checkRange(problems, member(healthy, 'successes'), active.healthy?.successes, 1, 254);
  const unhealthy = at('unhealthy');
  checkSeconds(problems, member(unhealthy, 'interval'), active.unhealthy?.interval, { least: 1 });
  checkStatuses(problems, member(unhealthy, 'http_statuses'), active.unhealthy?.httpStatuses ?? []);
  for (const [name, value] of [
    ['http_failures', active.unhealthy?.httpFailures],
    ['tcp_failures', active.unhealthy?.tcpFailures],
    ['timeouts', active.unhealthy?.timeouts],
  ] as const) {
    checkRange(problems, member(unhealthy, name), value, 1, 254);
  }
}

function checkBody({ httpMethod = 'GET', httpReqBody = '' }: ActiveCheck, problems: ProblemList, path: string): void {
  const size = Buffer.byteLength(httpReqBody);
  if (size > MAX_BODY_BYTES) problems.add(path, `must have at most ${MAX_BODY_BYTES} bytes, not ${size}`);
  if (size > 0 && BODILESS_METHODS.includes(httpMethod)) {
    problems.add(path, `not with http_method ${httpMethod}, whose requests have no body`);
  }
}

function checkPassive(passive: PassiveCheck, problems: ProblemList, path: string): void {
  checkWord(problems, member(path, 'type'), passive.type, PASSIVE_TYPES);
  const healthy = member(path, 'healthy');
  checkStatuses(problems, member(healthy, 'http_statuses'), passive.healthy?.httpStatuses ?? []);
  checkRange(problems, member(healthy, 'successes'), passive.healthy?.successes, 0, 254);
  const unhealthy = member(path, 'unhealthy');
  checkStatuses(problems, member(unhealthy, 'http_statuses'), passive.unhealthy?.httpStatuses ?? []);
  for (const [name, value] of [
    ['http_failures', passive.unhealthy?.httpFailures],
    ['tcp_failures', passive.unhealthy?.tcpFailures],
    ['timeouts', passive.unhealthy?.timeouts],
  ] as const) {
    checkRange(problems, member(unhealthy, name), value, 0, 254);
  }
  const { returnAfter, maxReturnAfter } = passive.unhealthy ?? {};
  checkSeconds(problems, member(unhealthy, 'return_after'), returnAfter, { above: 0 });
  checkSeconds(problems, member(unhealthy, 'max_return_after'), maxReturnAfter, { above: 0 });
  const least = returnAfter ?? DEFAULT_PASSIVE.returnAfterMs / 1000;
  if (maxReturnAfter !== undefined && maxReturnAfter > 0 && maxReturnAfter < least) {
    problems.add(member(unhealthy, 'max_return_after'), `must be return_after (${least}) or more`);
  }
}

/** Splits a line `Name: value` into a lower-case name and its value; undefined without a colon. */
export function splitFieldLine(line: string): readonly [name: string, value: string] | undefined {
  const colon = line.indexOf(':');
  if (colon < 0) return undefined;
  return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).replace(/^[ \t]+|[ \t]+$/g, '')];
}

function fieldLineProblem(line: string): string | undefined {
  const parts = splitFieldLine(line);
  if (parts === undefined || !TOKEN.test(parts[0])) return 'must be a line `Name: value`';
  const [name, value] = parts;
  if (!FIELD_VALUE.test(value)) return `the value of ${name} has characters that a field can't carry`;
  if (name === 'host') return 'set `host` instead of a Host field';
  if (OWN_FIELDS.has(name)) return `${name} is set by the prober itself`;
  return undefined;
}
