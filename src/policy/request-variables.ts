// The variables of a request that a hash key can be made of, by the names that nginx and APISIX give them. A name is looked
// up once, when the policy is compiled; what comes out reads one request after another, without regular expressions. All
// strings are latin1, one character for each byte that came.
import type { Fields, RequestHead } from '../codec/exchange.ts';
import { findField } from '../codec/fields.ts';
import { variablePrefix, type VariableName, type VariablePrefix } from '../model/variable-names.ts';
import { lookupPath } from './lookup-path.ts';

/** What a hash key can be made of. Read before the head is changed for an endpoint, and before forwarding fields are added. */
export interface HashedRequest {
  readonly head: RequestHead;
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly localAddress: string;
  readonly localPort: number;
  /** Name of this machine. */
  readonly hostname: string;
  /** Name of the consumer that the gateway has authenticated. */
  readonly consumer: string | undefined;
  /** Route of the gateway that the request matched, and its service; empty where there is none. */
  readonly routeId: string;
  readonly serviceId: string;
}

/** Reads a value from a request; undefined where the request has none. An empty value is one. */
export type ReadVariable = (request: HashedRequest) => string | undefined;

/** What nginx calls a server that has no name, as APISIX's one has none. */
const NAMELESS_SERVER = '_';

const READERS: Readonly<Record<VariableName, ReadVariable>> = {
  uri: ({ head }) => lookupPath(head.path) ?? pathOf(head.path),
  document_uri: ({ head }) => lookupPath(head.path) ?? pathOf(head.path),
  request_uri: ({ head }) => withoutEmptyQuery(head.path),
  query_string: ({ head }) => queryOf(head.path),
  args: ({ head }) => queryOf(head.path),
  is_args: ({ head }) => (queryOf(head.path) === undefined ? '' : '?'),
  host: ({ head }) => hostOf(head.authority),
  // The server's name in nginx's sense, which is the same for all requests: so are their keys, as in APISIX.
  server_name: () => NAMELESS_SERVER,
  server_addr: (request) => request.localAddress,
  server_port: (request) => String(request.localPort),
  server_protocol: ({ head }) => (head.version === 20 ? 'HTTP/2.0' : head.version === 10 ? 'HTTP/1.0' : 'HTTP/1.1'),
  remote_addr: (request) => request.remoteAddress,
  remote_port: (request) => String(request.remotePort),
  hostname: (request) => request.hostname,
  consumer_name: (request) => request.consumer,
  route_id: ({ routeId }) => (routeId === '' ? undefined : routeId),
  service_id: ({ serviceId }) => (serviceId === '' ? undefined : serviceId),
  request_method: ({ head }) => head.method,
  method: ({ head }) => head.method,
  scheme: ({ head }) => head.scheme,
  https: ({ head }) => (head.scheme === 'https' ? 'on' : ''),
  content_type: ({ head }) => findField(head.fields, 'content-type'),
  content_length: ({ head }) => (head.contentLength < 0 ? undefined : String(head.contentLength)),
  // Of streams of MQTT, which this proxy doesn't carry.
  mqtt_client_id: () => undefined,
};
const VARIABLES: ReadonlyMap<string, ReadVariable> = new Map(Object.entries(READERS));

/** How those are read whose names have a prefix, by what stands behind it. */
const FAMILIES: Readonly<Record<VariablePrefix, (name: string) => ReadVariable>> = {
  http_: readHeader,
  cookie_: readCookie,
  arg_: readArgument,
};

/**
 * How to read the variable called `name`: one of the list above, `http_NAME` (a header), `cookie_NAME` or `arg_NAME`.
 * Undefined: there is no such variable.
 */
export function compileVariable(name: string): ReadVariable | undefined {
  const prefix = variablePrefix(name);
  if (prefix === undefined) return VARIABLES.get(name);
  return name.length > prefix.length ? FAMILIES[prefix](name.slice(prefix.length)) : undefined;
}

/**
 * Reads a header whatever the case of its name, `-` and `_` being the same in it (nginx with `underscores_in_headers`, as
 * APISIX sets it). Several of the name are joined by `, `, as nginx does since 1.23.
 */
export function readHeader(name: string): ReadVariable {
  const folded = name.toLowerCase().replaceAll('-', '_');
  if (folded === 'host') return ({ head }) => (head.authority === '' ? undefined : head.authority);
  const separator = folded === 'cookie' ? '; ' : ', ';
  return ({ head: { fields } }) => {
    let value: string | undefined;
    for (let i = 0; i < fields.length; i += 2) {
      if (!foldsTo(fields[i]!, folded)) continue;
      value = value === undefined ? fields[i + 1]! : value + separator + fields[i + 1]!;
    }
    return value;
  };
}

/** Reads a cookie, whose name is case-sensitive (RFC 6265). Of several with the name the last counts, as in APISIX. */
export function readCookie(name: string): ReadVariable {
  return ({ head: { fields } }) => {
    let value: string | undefined;
    for (let i = 0; i < fields.length; i += 2) {
      if (foldsTo(fields[i]!, 'cookie')) value = lastCookie(fields, i + 1, name) ?? value;
    }
    return value;
  };
}

/**
 * Reads the first argument of a name in the query, as APISIX does: `%XX` and `+` are decoded in name and value, the name is
 * case-sensitive, and an argument without `=` has the value `true`.
 */
export function readArgument(name: string): ReadVariable {
  return ({ head: { path } }) => {
    let start = path.indexOf('?') + 1;
    if (start === 0) return undefined;
    while (start < path.length) {
      const found = path.indexOf('&', start);
      const end = found < 0 ? path.length : found;
      const equalsAt = path.indexOf('=', start);
      const nameEnd = equalsAt >= 0 && equalsAt < end ? equalsAt : end;
      if (isCalled(path, start, nameEnd, name)) {
        return nameEnd < end ? decode(path.slice(nameEnd + 1, end)) : 'true';
      }
      start = end + 1;
    }
    return undefined;
  };
}

function pathOf(target: string): string {
  const queryAt = target.indexOf('?');
  return queryAt < 0 ? target : target.slice(0, queryAt);
}

/** An empty query is none, as for nginx. */
function queryOf(target: string): string | undefined {
  const queryAt = target.indexOf('?');
  return queryAt < 0 || queryAt === target.length - 1 ? undefined : target.slice(queryAt + 1);
}

function withoutEmptyQuery(target: string): string {
  return target.endsWith('?') && target.indexOf('?') === target.length - 1 ? target.slice(0, -1) : target;
}

/** The host of an authority in lower case, without its port and without a dot at its end; nginx's `$host`. */
function hostOf(authority: string): string {
  if (authority === '') return NAMELESS_SERVER;
  let end = authority.lastIndexOf(':');
  if (end < 0 || authority.endsWith(']')) end = authority.length;
  if (authority.charCodeAt(end - 1) === DOT) end--;
  return authority.slice(0, end).toLowerCase();
}

const TAB = 0x09;
const SPACE = 0x20;
const DOT = 0x2e;
const HYPHEN = 0x2d;
const UPPER_A = 0x41;
const UPPER_Z = 0x5a;
const UNDERSCORE = 0x5f;
const TO_LOWER = 0x20;

/** Whether `name`, in lower case and with `_` for `-`, is `folded`. */
function foldsTo(name: string, folded: string): boolean {
  if (name.length !== folded.length) return false;
  for (let i = 0; i < name.length; i++) {
    let code = name.charCodeAt(i);
    if (code === HYPHEN) code = UNDERSCORE;
    else if (code >= UPPER_A && code <= UPPER_Z) code |= TO_LOWER;
    if (code !== folded.charCodeAt(i)) return false;
  }
  return true;
}

/** Value of the last cookie called `name` in the list of cookies at `index`: `a=1; b=2`. */
function lastCookie(fields: Fields, index: number, name: string): string | undefined {
  const list = fields[index]!;
  let value: string | undefined;
  let start = 0;
  while (start < list.length) {
    const found = list.indexOf(';', start);
    const end = found < 0 ? list.length : found;
    const from = skipBlanks(list, start, end);
    const equalsAt = list.indexOf('=', from);
    if (equalsAt >= 0 && equalsAt < end) {
      const nameEnd = trimBlanks(list, from, equalsAt);
      if (nameEnd - from === name.length && list.startsWith(name, from)) {
        const valueFrom = skipBlanks(list, equalsAt + 1, end);
        value = list.slice(valueFrom, trimBlanks(list, valueFrom, end));
      }
    }
    start = end + 1;
  }
  return value;
}

function skipBlanks(text: string, start: number, end: number): number {
  let at = start;
  while (at < end && isBlank(text.charCodeAt(at))) at++;
  return at;
}

function trimBlanks(text: string, start: number, end: number): number {
  let at = end;
  while (at > start && isBlank(text.charCodeAt(at - 1))) at--;
  return at;
}

function isBlank(code: number): boolean {
  return code === SPACE || code === TAB;
}

/** Whether the name of an argument, from `start` to `end`, is `name` once it is decoded. */
function isCalled(path: string, start: number, end: number, name: string): boolean {
  const length = end - start;
  if (length === name.length && path.startsWith(name, start)) return true;
  // What is encoded is longer, or as long where a `+` is a blank.
  if (length < name.length) return false;
  const raw = path.slice(start, end);
  const decoded = decode(raw);
  return decoded !== raw && decoded === name;
}

/** Decodes `%XX` and `+`; a percent sign without two digits stays. */
function decode(text: string): string {
  let escapeAt = nextEscape(text, 0);
  if (escapeAt < 0) return text;
  let decoded = '';
  let start = 0;
  for (; escapeAt >= 0; escapeAt = nextEscape(text, start)) {
    decoded += text.slice(start, escapeAt);
    const isPlus = text.charCodeAt(escapeAt) === PLUS;
    const byte = isPlus ? SPACE : hexByte(text, escapeAt + 1);
    decoded += byte < 0 ? '%' : String.fromCharCode(byte);
    start = escapeAt + (isPlus || byte < 0 ? 1 : 3);
  }
  return decoded + text.slice(start);
}

const PLUS = 0x2b;
const PERCENT = 0x25;

function nextEscape(text: string, start: number): number {
  for (let i = start; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code === PERCENT || code === PLUS) return i;
  }
  return -1;
}

/** The byte that two hexadecimal digits write; -1 where they aren't there. */
function hexByte(text: string, at: number): number {
  const high = hexDigit(text.charCodeAt(at));
  const low = hexDigit(text.charCodeAt(at + 1));
  return high < 0 || low < 0 ? -1 : high * 16 + low;
}

function hexDigit(code: number): number {
  if (code >= 0x30 && code <= 0x39) return code - 0x30;
  const lower = code | TO_LOWER;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x61 + 10 : -1;
}
