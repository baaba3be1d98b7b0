// A Kubernetes Secret with a certificate or authorities → the native Secret. Other Secrets aren't looked into. What a
// Secret holds never stands in a finding: values are read here by hand, not by the methods of Value that show them.
import { parseAuthorities, parseCertificate } from '../../identity/certificate.ts';
import { Secret } from '../../gen/outrigger/config/v1/secret.ts';
import type { NativeObject } from '../source.ts';
import type { ObjectHeader } from './object.ts';
import { joinPath, type Value } from './value.ts';

const TLS_TYPE = 'kubernetes.io/tls';
/** Keys of a certificate and its private key: those of Kubernetes, and those that APISIX takes too. */
const PAIRS = [
  ['tls.crt', 'tls.key'],
  ['cert', 'key'],
] as const;
const CA_KEYS = ['ca.crt', 'ca'] as const;

/** Reads the Secret; undefined if it is none of ours. Whether it may be used is told by the report. */
export function readSecret(header: ObjectHeader): NativeObject | undefined {
  const { members } = header;
  const type = typeOf(members.get('type'));
  const values = new Map([...keysOf(members.get('data'), 'data'), ...keysOf(members.get('stringData'), 'stringData')]);
  const isTls = type === TLS_TYPE;
  const pair = isTls ? PAIRS[0] : PAIRS.find((keys) => keys.every((key) => values.has(key)));
  const ca = CA_KEYS.map((key) => values.get(key)).find((value) => value !== undefined);
  if (isOfOthers(type) || (pair === undefined && ca === undefined)) {
    leaveOut(header, type, values);
    return undefined;
  }
  const certificate = pair && readPair(header, pair, values);
  const authorities = ca && readAuthorities(ca);
  if (header.members.has('spec')) {
    members.get('spec')?.keyFinding('warning', 'a Kubernetes Secret has no spec; it is ignored', 'remove it');
  }
  const name = `${header.namespace}/${header.name}`;
  const bytes = Secret.encode({
    name,
    certificate: Buffer.from(certificate?.certificatePem ?? ''),
    privateKey: Buffer.from(certificate?.keyPem ?? ''),
    ca: Buffer.from(authorities ?? ''),
  }).finish();
  return { kind: 'native', resourceKind: 'Secret', name, bytes, origin: header.origin };
}

/** One value, not decoded yet. */
interface SecretValue {
  readonly value: Value;
  readonly encoded: boolean;
}

function typeOf(value: Value | undefined): string {
  const type = value?.scalar();
  return typeof type === 'string' && type !== '' ? type : 'Opaque';
}

/** Tokens of service accounts come with a `ca.crt`, and are nobody's certificates all the same. */
function isOfOthers(type: string): boolean {
  return type !== TLS_TYPE && /^(bootstrap\.)?kubernetes\.io\//.test(type);
}

function keysOf(map: Value | undefined, field: 'data' | 'stringData'): [string, SecretValue][] {
  if (map === undefined || map.isEmpty) return [];
  if (map.scalar() !== undefined) {
    map.error('must be a map of keys to texts');
    return [];
  }
  return [...(map.anyMembers() ?? [])].map(([key, value]) => [key, { value, encoded: field === 'data' }]);
}

function leaveOut(header: ObjectHeader, type: string, values: ReadonlyMap<string, SecretValue>): void {
  const { members } = header;
  const place = members.get('type') ?? members.get('metadata');
  if (members.has('spec') && values.size === 0) {
    const fix = 'write `apiVersion: outrigger.config/v1` for a native Secret';
    members.get('spec')?.keyFinding('warning', 'a Kubernetes Secret has no spec; the Secret is left out', fix);
    return;
  }
  const half = isOfOthers(type) ? undefined : PAIRS[0].find((key) => values.has(key));
  if (half !== undefined) {
    const other = half === 'tls.crt' ? 'tls.key' : 'tls.crt';
    values.get(half)?.value.keyFinding('warning', `stands without ${other}; the Secret is left out`, `add ${other}`);
    return;
  }
  place?.keyFinding(
    'note',
    `a Secret of type ${type} without a certificate is left out`,
    'certificates are read from the keys tls.crt and tls.key (or cert and key), authorities from ca.crt (or ca)',
  );
}

function readPair(
  header: ObjectHeader,
  [certificateKey, keyKey]: readonly [string, string],
  values: ReadonlyMap<string, SecretValue>,
): { readonly certificatePem: string; readonly keyPem: string } | undefined {
  const certificate = textOf(header, certificateKey, values);
  const key = textOf(header, keyKey, values);
  if (certificate === undefined || key === undefined) return undefined;
  const parsed = parseCertificate(certificate, key);
  if (parsed.ok) return { certificatePem: parsed.material.certificatePem, keyPem: parsed.material.key.reveal() };
  values.get(certificateKey)?.value.keyFinding('error', parsed.reason);
  return undefined;
}

function readAuthorities(found: SecretValue): string | undefined {
  const text = decode(found);
  if (text === undefined) return undefined;
  const parsed = parseAuthorities(text);
  if (parsed.ok) return parsed.material.pem;
  found.value.keyFinding('error', parsed.reason);
  return undefined;
}

function textOf(header: ObjectHeader, key: string, values: ReadonlyMap<string, SecretValue>): string | undefined {
  const found = values.get(key);
  if (found !== undefined) return decode(found);
  const data = header.members.get('data') ?? header.members.get('stringData') ?? header.members.get('metadata');
  data?.keyFinding(
    'error',
    `${joinPath('', key)} is missing`,
    `a Secret of type ${TLS_TYPE} needs tls.crt and tls.key`,
  );
  return undefined;
}

/** Undefined after the error was reported. */
function decode({ value, encoded }: SecretValue): string | undefined {
  const text = value.isEmpty ? '' : value.scalar();
  if (typeof text !== 'string') {
    value.keyFinding('error', 'must be a text', encoded ? 'write base64' : 'write PEM');
    return undefined;
  }
  if (text === '') {
    value.keyFinding('error', 'is empty', 'write PEM, under `data` encoded as base64');
    return undefined;
  }
  if (!encoded) return text;
  if (text.includes('-----BEGIN')) {
    value.keyFinding('error', 'is PEM where base64 belongs', 'write it under stringData, or encode it as base64');
    return undefined;
  }
  const plain = text.replace(/\s/g, '');
  if (plain.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(plain)) {
    value.keyFinding('error', 'is not base64', 'encode the PEM text as base64, or write it under stringData');
    return undefined;
  }
  return Buffer.from(plain, 'base64').toString('utf8');
}
