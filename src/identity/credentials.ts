// The certificates and authorities in use, as they are now: those of Secrets as the snapshot has them, those of files
// as they were last read, inline ones as configured. Who uses one hears when it changes. What can't be used leaves what
// was before it in force, and is told.
import type { Cancel } from '../base/clock.ts';
import type {
  AuthoritiesMaterial,
  AuthoritiesSource,
  CertificateInfo,
  CertificateMaterial,
  CertificateSource,
  SecretSpec,
} from '../model/tls.ts';

/** What a source gives now. */
export interface Credential<M> {
  /** In force; undefined while there is none. */
  readonly material: M | undefined;
  /** Why the newest can't be used, or why there is none: what is wrong and what to change; empty if all is well. */
  readonly error: string;
}

/** One source in use, for display. */
export interface CredentialStatus {
  /** `Secret default/web`, a file's path, or the resource that holds an inline one. */
  readonly name: string;
  readonly kind: 'certificate' | 'authorities';
  /** In the words of whoever uses it, each once, sorted. */
  readonly usedBy: readonly string[];
  readonly info: CertificateInfo | undefined;
  readonly error: string;
}

/** Sources of one user, and how it hears of changes. */
export interface CredentialUse {
  readonly certificates: readonly CertificateSource[];
  readonly authorities: readonly AuthoritiesSource[];
  /** For display: `Listener outbound/7000`. */
  readonly usedBy: string;
  /** Something of it changed. Called in a turn of its own, never from inside a call into the store. */
  readonly onChange: () => void;
}

/** The live store. Files are read synchronously when first used, and watched for as long as somebody uses them. */
export interface Credentials {
  /** Makes these the Secrets that are here. */
  setSecrets(secrets: ReadonlyMap<string, SecretSpec>): void;
  /** Says what is used; `Cancel` ends it. */
  use(use: CredentialUse): Cancel;
  /** Only for what is in use. */
  certificate(source: CertificateSource): Credential<CertificateMaterial>;
  /** Only for what is in use; not for `system`. */
  authorities(source: AuthoritiesSource): Credential<AuthoritiesMaterial>;
  /** Everything in use but `system`, sorted by name. */
  list(): readonly CredentialStatus[];
  stop(): void;
}
