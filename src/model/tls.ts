// TLS as configured: who shows which certificate, whom it trusts and which names it takes. Sources say where material
// comes from; the material itself, which changes when certificates are rotated, is kept by identity/credentials.ts.
import type { SecretText } from '../base/secret-text.ts';

/** Where a certificate with its key comes from. */
export type CertificateSource =
  | { readonly kind: 'secret'; readonly name: string }
  | { readonly kind: 'files'; readonly certificateFile: string; readonly keyFile: string }
  /** `owner` names the resource that holds it, `Upstream default/web`. */
  | { readonly kind: 'inline'; readonly owner: string; readonly material: CertificateMaterial };

/** Where trusted authorities come from. `system`: those that Node brings. */
export type AuthoritiesSource =
  | { readonly kind: 'system' }
  | { readonly kind: 'secret'; readonly name: string }
  | { readonly kind: 'file'; readonly file: string }
  | { readonly kind: 'inline'; readonly owner: string; readonly material: AuthoritiesMaterial };

/** A name of which a certificate must have one; compared byte by byte. */
export interface AllowedName {
  readonly type: 'uri' | 'dns';
  readonly value: string;
}

/** Names of a certificate as they stand in it, each exactly its bytes read as latin1 (RFC 5280 section 4.2.1.6). */
export interface SubjectAltNames {
  readonly dns: readonly string[];
  readonly uris: readonly string[];
  /** In the canonical form of config/ip-address.ts. */
  readonly ips: readonly string[];
}

/** What is shown of a certificate. */
export interface CertificateInfo {
  /** As RFC 4514 writes it. */
  readonly subject: string;
  readonly names: SubjectAltNames;
  /** ms since 1970. */
  readonly notBeforeMs: number;
  /** ms since 1970; of a chain or of several authorities the earliest. */
  readonly notAfterMs: number;
  /** SHA-256 of the certificate, lower-case hexadecimal without colons. */
  readonly fingerprint: string;
}

/** A certificate chain with its key, checked: it parses, and the key fits the leaf. */
export interface CertificateMaterial {
  /** PEM, leaf first. */
  readonly certificatePem: string;
  /** PEM. */
  readonly key: SecretText;
  /** Of the leaf. */
  readonly info: CertificateInfo;
}

/** Trusted authorities, checked: at least one, and each parses. */
export interface AuthoritiesMaterial {
  readonly pem: string;
  /** Of the first; `notAfterMs` is the earliest of all. */
  readonly info: CertificateInfo;
}

/** A Secret resource. At least one of the two is there. */
export interface SecretSpec {
  readonly name: string;
  readonly certificate: CertificateMaterial | undefined;
  readonly authorities: AuthoritiesMaterial | undefined;
}

/** Whether callers show a certificate: not asked for, verified where shown, or required. */
export type ClientCertificateMode = 'none' | 'optional' | 'required';

/** TLS towards callers. */
export interface ListenerTlsSpec {
  /** At least one; the first is used where no server name fits. */
  readonly certificates: readonly CertificateSource[];
  readonly clientCertificate: ClientCertificateMode;
  /** Undefined only where `clientCertificate` is `none`. */
  readonly clientCa: AuthoritiesSource | undefined;
  /** Empty: any certificate that `clientCa` signed. */
  readonly clientNames: readonly AllowedName[];
}

/** TLS towards endpoints. */
export interface UpstreamTlsPolicy {
  /** `false`: any certificate is taken. */
  readonly verify: boolean;
  readonly ca: AuthoritiesSource;
  readonly clientCertificate: CertificateSource | undefined;
  /** Asked for and looked for; undefined: the host that is sent, without its port. */
  readonly serverName: string | undefined;
  /** Where there are any, one of these instead of the server name. */
  readonly serverNames: readonly AllowedName[];
}
