// TLS messages that were checked → what the data plane takes: where certificates come from, and whom to trust.
import { invariant } from '../base/assert.ts';
import type {
  ListenerTls,
  SubjectAltName,
  TlsAuthorities,
  TlsCertificate,
  UpstreamTls,
} from '../gen/outrigger/config/v1/tls.ts';
import type { Parsed } from '../identity/certificate.ts';
import type {
  AllowedName,
  AuthoritiesSource,
  CertificateSource,
  ClientCertificateMode,
  ListenerTlsSpec,
  SecretSpec,
  UpstreamTlsPolicy,
} from '../model/tls.ts';
import { secretParts } from './decode/secret.ts';
import { inlineAuthorities, inlineCertificate } from './decode/tls.ts';
import { REDACTED } from './redact.ts';
import type { Resource } from './resource.ts';

/** What holds where `tls` says nothing, or is switched off: the endpoint is verified against the authorities that Node brings. */
export const DEFAULT_UPSTREAM_TLS: UpstreamTlsPolicy = {
  verify: true,
  ca: { kind: 'system' },
  clientCertificate: undefined,
  serverName: undefined,
  serverNames: [],
};

/** TLS towards endpoints. `owner` is the resource that holds the message, `Upstream default/web`. */
export function upstreamTlsPolicy(tls: UpstreamTls, owner: string): UpstreamTlsPolicy {
  if (tls.off === true) return DEFAULT_UPSTREAM_TLS;
  return {
    verify: tls.verify ?? DEFAULT_UPSTREAM_TLS.verify,
    ca: trusted(tls, owner),
    clientCertificate: clientCertificate(tls, owner),
    serverName: tls.serverName,
    serverNames: allowedNames(tls.serverNames),
  };
}

function trusted(tls: UpstreamTls, owner: string): AuthoritiesSource {
  if (tls.ca !== undefined) return authoritiesSource(tls.ca);
  if (tls.caCerts.length === 0) return DEFAULT_UPSTREAM_TLS.ca;
  return { kind: 'inline', owner, material: checked(inlineAuthorities(tls)) };
}

function clientCertificate(tls: UpstreamTls, owner: string): CertificateSource | undefined {
  if (tls.clientCertificate !== undefined) return certificateSource(tls.clientCertificate);
  if (tls.clientCertId !== undefined) return { kind: 'secret', name: tls.clientCertId };
  if (tls.clientKey === undefined) return undefined;
  // It was restored from a state file. No resource can have this name, so the key counts as missing until it comes.
  if (tls.clientKey === REDACTED) return { kind: 'secret', name: `client_key of ${owner}` };
  return { kind: 'inline', owner, material: checked(inlineCertificate(tls)) };
}

/** What the door let through was parsed there. */
function checked<M>(parsed: Parsed<M>): M {
  invariant(parsed.ok, 'unsound PEM text in a checked resource');
  return parsed.material;
}

/** TLS towards callers. */
export function listenerTlsSpec(tls: ListenerTls): ListenerTlsSpec {
  return {
    certificates: tls.certificates.map(certificateSource),
    clientCertificate: (tls.clientCertificate ?? 'none') as ClientCertificateMode,
    clientCa: tls.clientCa && authoritiesSource(tls.clientCa),
    clientNames: allowedNames(tls.clientNames),
  };
}

/** Where a certificate comes from that stands by reference. */
export function certificateSource({ secret, certificateFile, keyFile }: TlsCertificate): CertificateSource {
  if (secret !== undefined) return { kind: 'secret', name: secret };
  return { kind: 'files', certificateFile: certificateFile ?? '', keyFile: keyFile ?? '' };
}

/** Where authorities come from that stand by reference. */
export function authoritiesSource({ secret, file }: TlsAuthorities): AuthoritiesSource {
  return secret !== undefined ? { kind: 'secret', name: secret } : { kind: 'file', file: file ?? '' };
}

/** Names of which a certificate must have one. */
function allowedNames(names: readonly SubjectAltName[]): readonly AllowedName[] {
  return names.map(({ uri, dns }) =>
    uri === undefined ? { type: 'dns', value: dns ?? '' } : { type: 'uri', value: uri },
  );
}

/** What a Secret holds. Its certificates are parsed once per resource. */
export function secretSpec({ name, message }: Resource<'Secret'>): SecretSpec {
  const { certificate, authorities } = secretParts(message);
  return {
    name,
    certificate: certificate && checked(certificate),
    authorities: authorities && checked(authorities),
  };
}
