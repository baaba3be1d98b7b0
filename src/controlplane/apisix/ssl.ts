// Certificates of APISIX (`ssls`) → Secrets named `ssls/ID`, which Upstreams name by `tls.client_cert_id` and Listeners by
// `secret`. A Secret holds one certificate with its key.
import { describeType, isObject } from '../../config/envelope.ts';
import { entry, ProblemList, quote } from '../../config/problem-list.ts';
import type { JsonObject } from '../store/store.ts';
import { makeResource } from './make-resource.ts';
import {
  checkCommon,
  checkFields,
  checkName,
  checkNotEmpty,
  COMMON_FIELDS,
  describeNumber,
  type FieldTable,
  type Made,
  NOT_SUPPORTED,
  type Reading,
} from './reading.ts';

const FIELDS: FieldTable = {
  known: [
    ...COMMON_FIELDS,
    ...['name', 'desc', 'labels', 'type', 'status', 'cert', 'key', 'certs', 'keys', 'sni', 'snis', 'client'],
    ...['exptime', 'validity_start', 'validity_end'],
  ],
  refused: new Map([['ssl_protocols', 'TLS 1.2 and 1.3 are spoken']]),
};
const CLIENT_FIELDS: FieldTable = {
  known: ['ca', 'depth'],
  refused: new Map([['skip_mtls_uri_regex', 'callers show a certificate for every path or for none']]),
};

/** APISIX's pattern of `sni`. */
const SNI = /^\*?[0-9A-Za-z._-]+$/;

/** Reads an object of the type `ssls`. One with `status: 0` makes no Secret: who names it fails closed. */
export function readSsl(reading: Reading): Made {
  const { id, value, problems } = reading;
  checkFields(value, '', FIELDS, problems);
  checkCommon(reading);
  checkName(value, '', problems);
  checkPlain(reading);
  checkPairs(reading);
  checkSnis(reading);
  const client = readClient(reading);
  const missing = ['cert', 'key'].filter((name) => value[name] === undefined);
  for (const name of missing) problems.add(name, 'required: PEM text');
  const texts = [
    ['cert', value['cert']],
    ['key', value['key']],
    ['client.ca', client],
  ] as const;
  const wrong = texts.filter(([, text]) => text !== undefined && !isPem(text));
  for (const [name] of wrong) problems.add(name, 'must be PEM text, which begins with -----BEGIN');
  if (missing.length + wrong.length > 0) return { resources: [], references: [] };
  const spec = { certificate: pem(value['cert']), private_key: pem(value['key']), ca: pem(client) };
  const found = new ProblemList();
  const secret = makeResource('Secret', `ssls/${id.id}`, spec, objectPath, found);
  for (const { path, reason } of found.list()) problems.add(path === '' ? fieldOfPair(reason) : path, reason);
  return { resources: value['status'] === 0 ? [] : [secret], references: [] };
}

const FIELDS_OF_SECRET: ReadonlyMap<string, string> = new Map([
  ['certificate', 'cert'],
  ['private_key', 'key'],
  ['ca', 'client.ca'],
  ['name', ''],
]);

function objectPath(path: string): string {
  return FIELDS_OF_SECRET.get(path) ?? path;
}

/** The field that a problem of the pair is about; it begins with that. */
function fieldOfPair(reason: string): string {
  return /^(?:the (?:private|RSA) key|the key's|there are \d+ private keys)/.test(reason) ? 'key' : 'cert';
}

function isPem(text: unknown): text is string {
  return typeof text === 'string' && text.trimStart().startsWith('-----BEGIN ');
}

/** A blank line before the first one is common in pasted texts. */
function pem(text: unknown): unknown {
  return isPem(text) ? text.trimStart() : text;
}

function checkPlain({ value, problems }: Reading): void {
  const { type, status, desc, labels } = value;
  if (type !== undefined && type !== 'server' && type !== 'client') {
    problems.add('type', `${typeof type === 'string' ? quote(type) : describeType(type)} is none of server, client`);
  }
  if (status !== undefined && status !== 0 && status !== 1) {
    problems.add('status', `must be 0 or 1, not ${describeNumber(status)}`);
  }
  if (desc !== undefined && (typeof desc !== 'string' || Array.from(desc).length > 256)) {
    problems.add('desc', 'must be a string of at most 256 characters');
  }
  // Their lengths are checked with the fields of every object.
  const isLabels = isObject(labels) && Object.values(labels).every((label) => typeof label === 'string');
  if (labels !== undefined && !isLabels) problems.add('labels', 'must be an object of strings');
  for (const name of ['exptime', 'validity_start', 'validity_end']) {
    const time = value[name];
    if (time !== undefined && !Number.isSafeInteger(time)) {
      problems.add(name, `must be a whole number, not ${describeNumber(time)}`);
    }
  }
}

/** Further pairs are for other kinds of keys, beside which a Secret has no room. */
function checkPairs({ value: { certs, keys }, problems }: Reading): void {
  for (const [name, list] of [
    ['certs', certs],
    ['keys', keys],
  ] as const) {
    if (list !== undefined && !Array.isArray(list)) problems.add(name, `must be a list, not ${describeType(list)}`);
  }
  const [certCount, keyCount] = [countOf(certs), countOf(keys)];
  if (certCount !== keyCount) problems.add('keys', `mismatched number of certs and keys: ${certCount} and ${keyCount}`);
  else if (certCount > 0) problems.add('certs', `${NOT_SUPPORTED}: write each further pair as an object of its own`);
}

function countOf(list: unknown): number {
  return Array.isArray(list) ? list.length : 0;
}

function checkSnis({ value, problems, warnings }: Reading): void {
  const { sni, snis } = value;
  const names: readonly (readonly [path: string, name: unknown])[] = [
    ...(sni === undefined ? [] : [['sni', sni] as const]),
    ...(Array.isArray(snis) ? snis.map((name: unknown, i) => [entry('snis', i), name] as const) : []),
  ];
  if (snis !== undefined && !Array.isArray(snis)) problems.add('snis', `must be a list, not ${describeType(snis)}`);
  checkNotEmpty(snis, 'snis', problems);
  for (const [path, name] of names) {
    if (typeof name !== 'string') problems.add(path, `must be a string, not ${describeType(name)}`);
    else if (!SNI.test(name)) problems.add(path, `${quote(name)} is no host name`);
  }
  const isServer = (value['type'] ?? 'server') === 'server';
  if (isServer && sni === undefined && snis === undefined)
    problems.add('snis', 'required: sni or snis, but for type client');
  if (names.length > 0) {
    warnings.add(
      sni === undefined ? 'snis' : 'sni',
      'is kept only: listeners choose a certificate by the names that stand in it',
    );
  }
}

/** Gives the authorities that callers' certificates are signed by. */
function readClient({ value, problems }: Reading): unknown {
  const client = value['client'];
  if (client === undefined) return undefined;
  if (!isObject(client)) {
    problems.add('client', `must be an object, not ${describeType(client)}`);
    return undefined;
  }
  checkFields(client, 'client', CLIENT_FIELDS, problems);
  checkDepth(client, problems);
  if (client['ca'] === undefined) problems.add('client.ca', 'required: PEM text');
  return client['ca'];
}

function checkDepth({ depth }: JsonObject, problems: Reading['problems']): void {
  if (depth !== undefined && depth !== 1) problems.add('client.depth', `${NOT_SUPPORTED}: leave it out, or write 1`);
}
