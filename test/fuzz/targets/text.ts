// The small readers of text: paths, gRPC's fields, addresses and durations. Each against a second reading of its rule.
import { isIP } from 'node:net';
import { canonicalIp } from '../../../src/base/ip-address.ts';
import { CONNECT_RULES, type HostPortRules, LISTEN_RULES, parseHostPort } from '../../../src/config/host-port.ts';
import { parseDurationS } from '../../../src/controlplane/read/duration.ts';
import { encodeGrpcMessage, isGrpcContentType, parseGrpcStatus } from '../../../src/codec/grpc/status.ts';
import { formatGrpcTimeout, parseGrpcTimeout } from '../../../src/codec/grpc/timeout.ts';
import { normalizePath } from '../../../src/codec/path.ts';
import { ByteMutator } from '../../support/fuzz-mutator.ts';
import { broken, type FuzzTarget } from '../../support/fuzz-run.ts';
import { latin1 } from './h1-words.ts';

function target(name: string, words: readonly string[], maxBytes: number, check: (text: string) => void): FuzzTarget {
  const seeds = words.map(latin1);
  return {
    name,
    seeds,
    mutate: new ByteMutator(seeds, maxBytes).mutate,
    check: (input) => check(input.latin1Slice(0, input.length)),
  };
}

function same(rule: string, text: string, ours: unknown, theirs: unknown): void {
  if (!Object.is(ours, theirs)) broken(rule, `${JSON.stringify(text)}: ${String(ours)}, not ${String(theirs)}`);
}

// ---------------------------------------------------------------- paths

/** The normal form by RFC 3986 section 6.2.2, segment by segment; undefined where there is none. */
function referencePath(target: string): string | undefined {
  const [path = '', ...query] = target.split('?');
  if (path.includes('\\') || /%(?![0-9A-Fa-f]{2})/.test(path) || path.includes('%00')) return undefined;
  const spelled = path.replace(/%../g, (triplet) => {
    const character = decodeLatin1(triplet);
    return /[A-Za-z0-9._~-]/.test(character) ? character : triplet.toUpperCase();
  });
  const segments: string[] = [];
  const all = spelled.split('/').slice(1);
  for (const [i, segment] of all.entries()) {
    if (segment === '..' && segments.length === 0) return undefined;
    if (segment === '..') segments.length--;
    if (segment !== '.' && segment !== '..') segments.push(segment);
    else if (i === all.length - 1) segments.push('');
  }
  return ['', ...segments].join('/') + query.map((part) => `?${part}`).join('');
}

function decodeLatin1(triplet: string): string {
  return String.fromCharCode(Number.parseInt(triplet.slice(1), 16));
}

/** Turns any text into a target that the parsers let through: visible ASCII that starts with a slash, without `#`. */
function toTarget(text: string): string {
  let made = '/';
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    const visible = code > 0x20 && code < 0x7f ? code : 0x21 + (code % 94);
    made += visible === 0x23 ? '/' : String.fromCharCode(visible);
  }
  return made;
}

function checkPath(text: string): void {
  const path = toTarget(text);
  const normal = normalizePath(path);
  const expected = referencePath(path);
  if (typeof normal === 'number') {
    if (expected !== undefined) broken('paths that have a normal form are taken', JSON.stringify([path, expected]));
    return;
  }
  same('paths get their normal form', path, normal, expected);
  same('a normal form stays as it is', path, normalizePath(normal), normal);
  if (/\/\.\.?(?:[/?]|$)/.test(normal.split('?')[0] ?? '')) broken('no dot segment is left', normal);
}

export const PATH = target(
  'path',
  ['a', '/', '.', '..', '/.', '/..', '/./', '/../', 'a/../b', '%2e', '%2E%2e', '%2f', '%5c', '%00', '%', '%4', '%zz', '%41', '%7E', '%ff', '\\', '?', '?a=/../b', '//', ';', '...', '*',
    'x'.repeat(200), '/a'.repeat(50)],
  600,
  checkPath,
); // prettier-ignore

// ---------------------------------------------------------------- gRPC

const MS: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1000, m: 1, u: 1e-3, n: 1e-6 };

function checkTimeout(text: string): void {
  const match = /^([0-9]{1,8})([HMSmun])$/.exec(text);
  const timeoutMs = parseGrpcTimeout(text);
  same(
    'timeouts are one to eight digits and a unit',
    text,
    timeoutMs,
    match ? Number(match[1]) * (MS[match[2] ?? ''] ?? NaN) : undefined,
  );
  if (timeoutMs === undefined) return;
  const written = formatGrpcTimeout(timeoutMs);
  const again = parseGrpcTimeout(written);
  if (again === undefined) broken('timeouts that are written can be read', `${text} ${written}`);
  // A microsecond is the finest that is written; what is shorter becomes the shortest there is. Fractions of a
  // millisecond are binary, so the last digit of a double may differ.
  if (again > timeoutMs * (1 + 1e-12) && written !== '1n') broken('deadlines never move back', `${text} ${written}`);
  if (timeoutMs >= 0.001 && again < timeoutMs * (1 - 1e-4) - 0.001) {
    broken('deadlines stay about the same', `${text} ${written}`);
  }
}

export const GRPC_TIMEOUT = target(
  'grpc-timeout',
  ['1S', '0m', '99999999H', '100000000S', '1', 'S', '5u', '17n', '00000001M', '1s', '-1S', '1.5S', ' 1S', '1S ', '\xb91S', '12345678'],
  40,
  checkTimeout,
); // prettier-ignore

function checkStatus(text: string): void {
  const status = parseGrpcStatus(text);
  const isNumber =
    text.length >= 1 && text.length <= 9 && text.split('').every((digit) => digit >= '0' && digit <= '9');
  same('a status is a number of at most nine digits', text, status, isNumber ? Number(text) : undefined);
  const media = text.toLowerCase();
  const isGrpc = /^application\/grpc(?:\+|[ \t]*(?:;|$))/.test(media);
  same('content-types of gRPC', text, isGrpcContentType(text), isGrpc);
}

export const GRPC_STATUS = target(
  'grpc-status',
  ['0', '16', '00', '999999999', '1000000000', '-1', '1 ', '１', 'application/grpc', 'application/grpc+proto', 'application/grpc; a=b', 'application/grpc-web', 'Application/GRPC ;x', ';', '+', ' '],
  80,
  checkStatus,
); // prettier-ignore

function checkMessage(text: string): void {
  const encoded = encodeGrpcMessage(text);
  if (!/^(?! )[ -~]*(?<! )$/.test(encoded)) broken('messages are written in printable ASCII', encoded);
  const whole = Buffer.from(text, 'utf8').toString('utf8');
  same('messages are read back as they were', text, decodeURIComponent(encoded), whole);
}

export const GRPC_MESSAGE = target(
  'grpc-message',
  ['not found', '%', '%25', '%C3%BC', '%e2%82%ac', '%f0%9f%98%80', '%zz', '%4', '\xff', '\xc3\xbc', '%00', '\r\n', '%ed%a0%80', '%ff%fe', 'a%20b', '%%41'],
  400,
  checkMessage,
); // prettier-ignore

// ---------------------------------------------------------------- addresses and durations

function checkIp(text: string): void {
  const ip = canonicalIp(text);
  same(
    'addresses are those that Node takes, without zones',
    text,
    ip !== undefined,
    isIP(text) !== 0 && !text.includes('%'),
  );
  if (ip === undefined) return;
  same('an address has one spelling', text, canonicalIp(ip), ip);
  if (!ip.includes(':')) return same('IPv4 stays as it is', text, ip, text);
  same('IPv6 is spelled as RFC 5952 says', text, ip, new URL(`http://[${text}]/`).hostname.slice(1, -1));
}

export const IP_ADDRESS = target(
  'ip-address',
  ['127.0.0.1', '::', '::1', '1::', 'fe80::1%eth0', '::ffff:127.0.0.1', '2001:db8:0:0:1:0:0:1', '1:2:3:4:5:6:7:8', '0:0:0:0:0:0:0:0', '01.2.3.4', '256.1.1.1', '1.2.3', ':', '::1.2.3.4', 'ABCD::', '12345::', '.'],
  60,
  checkIp,
); // prettier-ignore

function checkHostPort(text: string): void {
  for (const rules of [LISTEN_RULES, CONNECT_RULES] satisfies HostPortRules[]) {
    const result = parseHostPort(text, rules);
    if (!result.ok) {
      if (result.reason === '') broken('a refusal has a reason', text);
      continue;
    }
    const { host, port } = result;
    if (!Number.isInteger(port) || port < rules.minPort || port > 65_535)
      broken('ports are in their range', `${text} ${port}`);
    if (!/^[A-Za-z0-9._:-]+$/.test(host)) broken('hosts hold what hosts hold', JSON.stringify([text, host]));
    if (host.includes(':') && isIP(host) !== 6) broken('a host with a colon is IPv6', JSON.stringify([text, host]));
    const spelled = host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
    const again = parseHostPort(spelled, rules);
    if (!again.ok || again.host !== host || again.port !== port) broken('an address is read back as it was', spelled);
  }
}

export const HOST_PORT = target(
  'host-port',
  ['8080', '0', '127.0.0.1:80', 'a.example:65535', ':80', '[::1]:80', '[::1]', '::1', 'a:', 'a:0', 'a:65536', 'a:080', '[a]:1', 'a b:1', 'a:b:c', '[::1]x:1', '_svc._tcp:1', '[', ']', 'é:1'],
  80,
  checkHostPort,
); // prettier-ignore

const SECONDS: Readonly<Record<string, number>> = { ns: 1e-9, us: 1e-6, ms: 1e-3, s: 1, m: 60, h: 3600 };

function checkDuration(text: string): void {
  const seconds = parseDurationS(text);
  const isText = text.length <= 64 && /^(?:(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:ns|us|\xb5s|ms|s|m|h))+$/.test(text);
  const isNumber = /^[0-9]{1,15}(?:\.[0-9]{1,9})?$/.test(text);
  same('durations are numbers with units', text, seconds !== undefined, isText || isNumber);
  if (seconds === undefined) return;
  if (!Number.isFinite(seconds) || seconds < 0) broken('durations are finite', `${text} ${seconds}`);
  let expected = 0;
  if (isNumber) {
    expected = Number(text);
    if (Number.isInteger(expected) && expected >= 1e6) expected /= 1e9;
  } else {
    for (const [, amount = '', unit = ''] of text.replaceAll('\xb5', 'u').matchAll(/([0-9.]+)([a-z]+)/g)) {
      expected += Number(amount) * (SECONDS[unit] ?? NaN);
    }
  }
  if (Math.abs(expected - seconds) > Math.abs(expected) * 1e-9 + 1e-15)
    broken('durations add up', `${text} ${seconds} ${expected}`);
}

export const DURATION = target(
  'duration',
  ['5', '5s', '500ms', '1m30s', '1.5h', '.5s', '1.s', '5000000000', '999999', '1000000', '3us', '3\xb5s', '7ns', '-1s', '1e3', '1 s', 's', '1d', '0', '0s', '99999999999999999h'],
  80,
  checkDuration,
); // prettier-ignore

export const TEXT_TARGETS = [PATH, GRPC_TIMEOUT, GRPC_STATUS, GRPC_MESSAGE, IP_ADDRESS, HOST_PORT, DURATION];
