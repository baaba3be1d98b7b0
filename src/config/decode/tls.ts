// Checks of the TLS messages. Reasons never say what is in a certificate or a key, and what was parsed here is kept for
// the parts that use it, so that each is parsed once.
import type {
  ListenerTls,
  SubjectAltName,
  TlsAuthorities,
  TlsCertificate,
  UpstreamTls,
} from '../../gen/outrigger/config/v1/tls.ts';
import { parseAuthorities, parseCertificate, type Parsed } from '../../identity/certificate.ts';
import { allowedNameProblem } from '../../identity/names.ts';
import type { AuthoritiesMaterial, CertificateMaterial } from '../../model/tls.ts';
import { canonicalIp } from '../../base/ip-address.ts';
import { entry, member, type ProblemList, quote } from '../problem-list.ts';
import { REDACTED } from '../redact.ts';
import { checkWord, nameProblem } from './values.ts';

/** Bounds of PEM texts, bytes: APISIX's of `tls.client_cert` and `tls.client_key`. */
export const CERTIFICATE_BYTES = { least: 128, most: 64 * 1024 };
/** Of a private key. */
export const KEY_BYTES = { least: 64, most: 64 * 1024 };
/** Of authorities: a whole bundle of a system has about 250 KiB. */
export const AUTHORITIES_BYTES = { least: 128, most: 1024 * 1024 };

const CLIENT_CERTIFICATE = ['none', 'optional', 'required'];

/** Checks `tls` of a Listener. */
export function checkListenerTls(tls: ListenerTls | undefined, problems: ProblemList, path: string): void {
  if (tls === undefined) return;
  const at = (name: string): string => member(path, name);
  if (tls.certificates.length === 0) problems.add(at('certificates'), 'required: at least one');
  for (const [i, certificate] of tls.certificates.entries()) {
    checkCertificate(certificate, problems, entry(at('certificates'), i));
  }
  checkWord(problems, at('client_certificate'), tls.clientCertificate, CLIENT_CERTIFICATE);
  checkAuthorities(tls.clientCa, problems, at('client_ca'));
  checkAllowedNames(tls.clientNames, problems, at('client_names'));
  const mode = tls.clientCertificate ?? 'none';
  if (mode === 'none' && tls.clientCa !== undefined) {
    problems.add(
      at('client_ca'),
      'callers are asked for no certificate: set client_certificate to optional or required',
    );
  }
  if (['optional', 'required'].includes(mode) && tls.clientCa === undefined) {
    problems.add(at('client_ca'), `required with client_certificate: ${mode}`);
  }
  if (['none', 'optional'].includes(mode) && tls.clientNames.length > 0) {
    problems.add(at('client_names'), 'only with client_certificate: required');
  }
}

/** Checks `tls` of an Upstream or of one of its ports. */
export function checkUpstreamTls(tls: UpstreamTls | undefined, problems: ProblemList, path: string): void {
  if (tls === undefined) return;
  const at = (name: string): string => member(path, name);
  checkInlineCertificate(tls, problems, path);
  if (tls.clientCertId !== undefined) checkSecretName(tls.clientCertId, problems, at('client_cert_id'));
  checkCertificate(tls.clientCertificate, problems, at('client_certificate'));
  checkOneOf(problems, path, [
    ['client_cert', tls.clientCert ?? tls.clientKey],
    ['client_cert_id', tls.clientCertId],
    ['client_certificate', tls.clientCertificate],
  ]);
  checkInlineAuthorities(tls, problems, at('ca_certs'));
  checkAuthorities(tls.ca, problems, at('ca'));
  checkOneOf(problems, path, [
    ['ca_certs', tls.caCerts[0]],
    ['ca', tls.ca],
  ]);
  checkServerName(tls.serverName, problems, at('server_name'));
  checkAllowedNames(tls.serverNames, problems, at('server_names'));
  if (tls.off === true && setsSomething(tls)) {
    problems.add(at('off'), 'switches the whole group off: leave the other members out');
  }
}

/** Whether something beside `off` is set. */
function setsSomething(tls: UpstreamTls): boolean {
  const { clientCert, clientKey, clientCertId, verify, caCerts, ca, clientCertificate, serverName, serverNames } = tls;
  const single = [clientCert, clientKey, clientCertId, verify, ca, clientCertificate, serverName];
  return single.some((value) => value !== undefined) || caCerts.length > 0 || serverNames.length > 0;
}

/** Names of members with their values, of which one may be set. */
type Alternatives = readonly (readonly [name: string, value: unknown])[];

function checkOneOf(problems: ProblemList, path: string, alternatives: Alternatives): void {
  const [first, ...others] = alternatives.filter(([, value]) => value !== undefined);
  for (const [name] of others) problems.add(member(path, name), `not together with ${first?.[0] ?? ''}`);
}

/** Checks a certificate by reference: a Secret, or two files. */
function checkCertificate(certificate: TlsCertificate | undefined, problems: ProblemList, path: string): void {
  if (certificate === undefined) return;
  const { secret, certificateFile, keyFile } = certificate;
  if (secret !== undefined) checkSecretName(secret, problems, member(path, 'secret'));
  checkFiles(certificateFile, keyFile, problems, path);
  checkOneOf(problems, path, [
    ['secret', secret],
    ['certificate_file', certificateFile ?? keyFile],
  ]);
  if (secret === undefined && certificateFile === undefined && keyFile === undefined) {
    problems.add(path, 'required: secret, or certificate_file and key_file');
  }
}

/** Checks a pair of files: both or neither. */
export function checkFiles(
  certificateFile: string | undefined,
  keyFile: string | undefined,
  problems: ProblemList,
  path: string,
): void {
  checkPath(certificateFile, problems, member(path, 'certificate_file'));
  checkPath(keyFile, problems, member(path, 'key_file'));
  if (certificateFile === undefined && keyFile !== undefined) {
    problems.add(member(path, 'certificate_file'), 'required beside key_file');
  }
  if (certificateFile !== undefined && keyFile === undefined) {
    problems.add(member(path, 'key_file'), 'required beside certificate_file');
  }
}

/** Checks authorities by reference: a Secret, or a file. */
function checkAuthorities(authorities: TlsAuthorities | undefined, problems: ProblemList, path: string): void {
  if (authorities === undefined) return;
  const { secret, file } = authorities;
  if (secret !== undefined) checkSecretName(secret, problems, member(path, 'secret'));
  checkPath(file, problems, member(path, 'file'));
  checkOneOf(problems, path, [
    ['secret', secret],
    ['file', file],
  ]);
  if (secret === undefined && file === undefined) problems.add(path, 'required: secret or file');
}

/** A path as it is handed to the system; a relative one starts at the working directory. */
export function checkPath(file: string | undefined, problems: ProblemList, path: string): void {
  if (file === undefined) return;
  if (file === '') problems.add(path, 'required: the path of a PEM file');
  else if (file.includes('-----BEGIN')) problems.add(path, 'holds PEM text; give the path of a PEM file');
  else if (file.includes('\0')) problems.add(path, 'must have no NUL');
}

function checkSecretName(name: string, problems: ProblemList, path: string): void {
  const reason = name.includes('-----BEGIN') ? 'holds PEM text; give the name of a Secret' : nameProblem(name);
  if (reason !== undefined) problems.add(path, reason);
}

/** Checks names of which a certificate must have one: each exactly one of `uri` and `dns`, and each once. */
function checkAllowedNames(names: readonly SubjectAltName[], problems: ProblemList, path: string): void {
  const first = new Map<string, number>();
  for (const [i, { uri, dns }] of names.entries()) {
    const at = entry(path, i);
    if ((uri === undefined) === (dns === undefined)) {
      problems.add(at, 'must have exactly one of uri and dns');
      continue;
    }
    const type = uri === undefined ? 'dns' : 'uri';
    const value = uri ?? dns ?? '';
    const reason = allowedNameProblem({ type, value });
    if (reason !== undefined) problems.add(member(at, type), reason);
    const earlier = first.get(`${type} ${value}`);
    if (earlier === undefined) first.set(`${type} ${value}`, i);
    else problems.add(member(at, type), `is ${path.slice(path.lastIndexOf('.') + 1)}[${earlier}] already`);
  }
}

const LABEL = /^[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?$/;

/** A name that can be asked for (RFC 6066 section 3: without a final dot), or an IP address. */
function checkServerName(name: string | undefined, problems: ProblemList, path: string): void {
  if (name === undefined || canonicalIp(name) !== undefined) return;
  const labels = name.split('.');
  // What ends in a number would be an IPv4 address, and is none.
  if (name.length > 253 || !labels.every((label) => LABEL.test(label)) || /^\d+$/.test(labels.at(-1) ?? '')) {
    const hint = name.includes('*') ? '; wildcards stand in certificates only' : name.includes(':') ? '; no port' : '';
    problems.add(path, `${quote(name)} is no DNS name and no IP address${hint}`);
  }
}

function checkInlineCertificate(tls: UpstreamTls, problems: ProblemList, path: string): void {
  const { clientCert, clientKey } = tls;
  if (clientCert === undefined && clientKey === undefined) return;
  const before = problems.size;
  if (clientCert === undefined) problems.add(member(path, 'client_cert'), 'required beside client_key');
  else checkSize(clientCert, CERTIFICATE_BYTES, problems, member(path, 'client_cert'));
  if (clientKey === undefined) problems.add(member(path, 'client_key'), 'required beside client_cert');
  else if (clientKey !== REDACTED) checkSize(clientKey, KEY_BYTES, problems, member(path, 'client_key'));
  if (problems.size > before || clientKey === REDACTED) return;
  const parsed = inlineCertificate(tls);
  // The reason says which of the two it is about.
  if (!parsed.ok) problems.add(path, parsed.reason);
}

/** Each by itself, so that the reason has its place, and then all together, which may be too many. */
function checkInlineAuthorities(tls: UpstreamTls, problems: ProblemList, path: string): void {
  if (tls.caCerts.length === 0) return;
  const before = problems.size;
  for (const [i, pem] of tls.caCerts.entries()) {
    const sizes = problems.size;
    checkSize(pem, AUTHORITIES_BYTES, problems, entry(path, i));
    const parsed = problems.size > sizes ? undefined : parseAuthorities(pem);
    if (parsed?.ok === false) problems.add(entry(path, i), parsed.reason);
  }
  if (problems.size > before) return;
  const parsed = inlineAuthorities(tls);
  if (!parsed.ok) problems.add(path, parsed.reason);
}

/** The bounds of a PEM text or its bytes. */
export function checkSize(
  pem: string | Uint8Array,
  { least, most }: { readonly least: number; readonly most: number },
  problems: ProblemList,
  path: string,
): void {
  const size = typeof pem === 'string' ? Buffer.byteLength(pem) : pem.length;
  if (size < least || size > most) problems.add(path, `must be PEM text of ${least} to ${most} bytes, not ${size}`);
}

const certificates = new WeakMap<UpstreamTls, Parsed<CertificateMaterial>>();
const authorities = new WeakMap<UpstreamTls, Parsed<AuthoritiesMaterial>>();

/** `client_cert` with `client_key`. The same message gives the same object. */
export function inlineCertificate(tls: UpstreamTls): Parsed<CertificateMaterial> {
  let parsed = certificates.get(tls);
  if (parsed === undefined) {
    parsed = parseCertificate(tls.clientCert ?? '', tls.clientKey ?? '');
    certificates.set(tls, parsed);
  }
  return parsed;
}

/** All of `ca_certs`. The same message gives the same object. */
export function inlineAuthorities(tls: UpstreamTls): Parsed<AuthoritiesMaterial> {
  let parsed = authorities.get(tls);
  if (parsed === undefined) {
    parsed = parseAuthorities(tls.caCerts.map((pem) => pem.trimEnd()).join('\n'));
    authorities.set(tls, parsed);
  }
  return parsed;
}
