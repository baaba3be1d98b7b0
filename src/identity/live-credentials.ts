// The live store of certificates and authorities: who uses which, where each stands now, and who hears of changes. All
// files are watched by one loop that looks at them every 500 ms: notifications of the kernel miss swapped links and
// network file systems.
import type { Cancel, Clock } from '../base/clock.ts';
import type { Logger } from '../base/log.ts';
import type {
  AuthoritiesMaterial,
  AuthoritiesSource,
  CertificateInfo,
  CertificateMaterial,
  CertificateSource,
  SecretSpec,
} from '../model/tls.ts';
import { parseAuthorities, parseCertificate } from './certificate.ts';
import { type CertificateFile, readCertificateFile, stampOfPath } from './certificate-file.ts';
import type { Credential, Credentials, CredentialStatus, CredentialUse } from './credentials.ts';
import { FileCredential } from './file-credential.ts';
import { SecretCredential, type SecretPart } from './secret-credential.ts';

const POLL_MS = 500;

/** What the store needs. */
export interface CredentialsOptions {
  readonly clock: Clock;
  readonly logger: Logger;
}

type Material = CertificateMaterial | AuthoritiesMaterial;

/** One source in use. */
interface Entry<M extends Material> {
  /** {@link CredentialStatus.name} */
  readonly name: string;
  readonly kind: CredentialStatus['kind'];
  readonly users: Set<User>;
  readonly source: FileCredential<M> | SecretCredential<M> | { readonly credential: Credential<M> };
}

type User = Pick<CredentialUse, 'usedBy' | 'onChange'>;

const CERTIFICATE_PART: SecretPart<CertificateMaterial> = {
  of: (secret) => secret.certificate,
  missing: 'holds no certificate; add `certificate` and `private_key`',
  equal: sameCertificate,
};

const AUTHORITIES_PART: SecretPart<AuthoritiesMaterial> = {
  of: (secret) => secret.authorities,
  missing: 'holds no authorities; add `ca`',
  equal: sameAuthorities,
};

/** A store in which nothing is used yet. */
export function createCredentials(options: CredentialsOptions): LiveCredentials {
  return new LiveCredentials(options);
}

/** {@link Credentials} as the program uses them. */
export class LiveCredentials implements Credentials {
  private readonly clock: Clock;
  private readonly logger: Logger;
  private readonly certificates = new Map<string, Entry<CertificateMaterial>>();
  private readonly authoritySets = new Map<string, Entry<AuthoritiesMaterial>>();
  private secrets: ReadonlyMap<string, SecretSpec> = new Map();
  /** Users that hear of a change in the next turn. */
  private readonly toTell = new Set<User>();
  private cancelTelling: Cancel | undefined;
  private cancelForgetting: Cancel | undefined;
  private cancelPoll: Cancel | undefined;
  private polling: Promise<void> | undefined;
  private stopped = false;

  constructor({ clock, logger }: CredentialsOptions) {
    this.clock = clock;
    this.logger = logger;
  }

  setSecrets(secrets: ReadonlyMap<string, SecretSpec>): void {
    if (secrets === this.secrets) return;
    this.secrets = secrets;
    for (const entry of this.entries()) {
      if (!(entry.source instanceof SecretCredential)) continue;
      const before = entry.source.credential.material;
      if (!entry.source.update(secrets.get(entry.source.secretName))) continue;
      const now = entry.source.credential.material;
      if (before !== undefined && now !== undefined && now !== before) this.logInForce(entry, 'replaced');
      this.tell(entry.users);
    }
  }

  use({ certificates, authorities, usedBy, onChange }: CredentialUse): Cancel {
    const user: User = { usedBy, onChange };
    for (const source of certificates) {
      const entry = entryOf(this.certificates, certificateKey(source), () => this.certificateEntry(source));
      entry.users.add(user);
    }
    for (const source of authorities) {
      if (source.kind === 'system') continue;
      const entry = entryOf(this.authoritySets, authoritiesKey(source), () => this.authoritiesEntry(source));
      entry.users.add(user);
    }
    this.schedulePoll();
    return () => {
      for (const entry of this.entries()) entry.users.delete(user);
      this.toTell.delete(user);
      this.forgetSoon();
    };
  }

  certificate(source: CertificateSource): Credential<CertificateMaterial> {
    if (source.kind === 'inline') return { material: source.material, error: '' };
    return this.certificates.get(certificateKey(source))?.source.credential ?? notInUse();
  }

  authorities(source: AuthoritiesSource): Credential<AuthoritiesMaterial> {
    if (source.kind === 'inline') return { material: source.material, error: '' };
    return this.authoritySets.get(authoritiesKey(source))?.source.credential ?? notInUse();
  }

  list(): readonly CredentialStatus[] {
    const list: CredentialStatus[] = [];
    for (const { name, kind, users, source } of this.entries()) {
      if (users.size === 0) continue;
      const { material, error } = source.credential;
      const usedBy = [...new Set([...users].map((user) => user.usedBy))].toSorted();
      list.push({ name, kind, usedBy, info: material?.info, error });
    }
    return list.toSorted((a, b) => compare(a.name, b.name) || compare(b.kind, a.kind));
  }

  stop(): void {
    this.stopped = true;
    this.cancelPoll?.();
    this.cancelTelling?.();
    this.cancelForgetting?.();
    this.toTell.clear();
  }

  /** Looks at all files now, or waits for the look that is under way. For tests; else the clock sees to it. */
  poll(): Promise<void> {
    this.cancelPoll?.();
    this.cancelPoll = undefined;
    this.polling ??= this.lookAtFiles().finally(() => {
      this.polling = undefined;
      this.schedulePoll();
    });
    return this.polling;
  }

  private schedulePoll(): void {
    if (this.stopped || this.cancelPoll || this.polling || this.fileEntries().length === 0) return;
    this.cancelPoll = this.clock.after(POLL_MS, () => void this.poll());
  }

  private async lookAtFiles(): Promise<void> {
    const paths = new Set(this.fileEntries().flatMap(({ source }) => source.paths));
    const stamps = new Map<string, string>();
    await Promise.all([...paths].map(async (path) => stamps.set(path, await stampOfPath(path))));
    if (this.stopped) return;
    const files = new Map<string, CertificateFile>();
    const readOnce = (path: string): CertificateFile => entryOf(files, path, () => readCertificateFile(path));
    for (const entry of this.fileEntries()) {
      // One that came into use meanwhile was read then.
      if (entry.users.size === 0 || !entry.source.paths.every((path) => stamps.has(path))) continue;
      const { changed, news } = entry.source.poll(stamps, readOnce);
      if (news === 'unusable') this.logUnusable(entry);
      else if (news !== undefined) this.logInForce(entry, news);
      if (changed) this.tell(entry.users);
    }
  }

  private fileEntries(): (Entry<Material> & { readonly source: FileCredential<Material> })[] {
    return [...this.entries()].filter(
      (entry): entry is Entry<Material> & { readonly source: FileCredential<Material> } =>
        entry.source instanceof FileCredential,
    );
  }

  private *entries(): Iterable<Entry<Material>> {
    yield* this.certificates.values();
    yield* this.authoritySets.values();
  }

  private certificateEntry(source: CertificateSource): Entry<CertificateMaterial> {
    const users = new Set<User>();
    const kind = 'certificate';
    switch (source.kind) {
      case 'secret':
        return { name: `Secret ${source.name}`, kind, users, source: this.secret(source.name, CERTIFICATE_PART) };
      case 'files': {
        const files = new FileCredential<CertificateMaterial>({
          paths: [source.certificateFile, source.keyFile],
          parse: ([certificate = '', key = '']) => parseCertificate(certificate, key),
          equal: sameCertificate,
        });
        return { name: source.certificateFile, kind, users, source: files };
      }
      case 'inline':
        return { name: source.owner, kind, users, source: { credential: { material: source.material, error: '' } } };
    }
  }

  private authoritiesEntry(source: Exclude<AuthoritiesSource, { kind: 'system' }>): Entry<AuthoritiesMaterial> {
    const users = new Set<User>();
    const kind = 'authorities';
    switch (source.kind) {
      case 'secret':
        return { name: `Secret ${source.name}`, kind, users, source: this.secret(source.name, AUTHORITIES_PART) };
      case 'file': {
        const file = new FileCredential<AuthoritiesMaterial>({
          paths: [source.file],
          parse: ([pem = '']) => parseAuthorities(pem),
          equal: sameAuthorities,
        });
        return { name: source.file, kind, users, source: file };
      }
      case 'inline':
        return { name: source.owner, kind, users, source: { credential: { material: source.material, error: '' } } };
    }
  }

  private secret<M>(name: string, part: SecretPart<M>): SecretCredential<M> {
    const secret = new SecretCredential(name, part);
    secret.update(this.secrets.get(name));
    return secret;
  }

  private tell(users: Iterable<User>): void {
    for (const user of users) this.toTell.add(user);
    if (this.stopped || this.toTell.size === 0) return;
    this.cancelTelling ??= this.clock.after(0, () => {
      this.cancelTelling = undefined;
      // One may end another's use.
      for (const user of [...this.toTell]) if (this.toTell.delete(user)) user.onChange();
    });
  }

  /** In a turn of its own: who replaces a use by another in one turn keeps what was good last. */
  private forgetSoon(): void {
    if (this.stopped) return;
    this.cancelForgetting ??= this.clock.after(0, () => {
      this.cancelForgetting = undefined;
      forgetUnused(this.certificates);
      forgetUnused(this.authoritySets);
      if (this.fileEntries().length > 0) return;
      this.cancelPoll?.();
      this.cancelPoll = undefined;
    });
  }

  private logInForce({ name, kind, source }: Entry<Material>, news: 'replaced' | 'usable now'): void {
    const info = source.credential.material?.info;
    if (!info) return;
    this.logger.log('info', { name, kind, ...shown(info) }, `${kind} ${news}`);
  }

  private logUnusable({ name, kind, source }: Entry<Material>): void {
    const { material, error } = source.credential;
    const still = material ? 'the last good stays in use' : 'there is none to use';
    this.logger.log('warn', { name, kind, error }, `${kind} can't be used; ${still}`);
  }
}

function shown({ notAfterMs, fingerprint }: CertificateInfo): Record<string, string> {
  return { notAfter: new Date(notAfterMs).toISOString(), fingerprint };
}

/** Names can hold any character but NUL. */
function certificateKey(source: CertificateSource): string {
  switch (source.kind) {
    case 'secret':
      return `secret\0${source.name}`;
    case 'files':
      return `files\0${source.certificateFile}\0${source.keyFile}`;
    case 'inline':
      return `inline\0${source.owner}\0${source.material.key.digest}\0${source.material.certificatePem}`;
  }
}

function authoritiesKey(source: AuthoritiesSource): string {
  switch (source.kind) {
    case 'system':
      return 'system';
    case 'secret':
      return `secret\0${source.name}`;
    case 'file':
      return `file\0${source.file}`;
    case 'inline':
      return `inline\0${source.owner}\0${source.material.pem}`;
  }
}

function entryOf<E>(entries: Map<string, E>, key: string, make: () => E): E {
  let entry = entries.get(key);
  if (entry === undefined) entries.set(key, (entry = make()));
  return entry;
}

function forgetUnused<M extends Material>(entries: Map<string, Entry<M>>): void {
  for (const [key, { users }] of entries) if (users.size === 0) entries.delete(key);
}

/** A mistake of the caller; answered like a missing one, so that nothing is sent without it. */
function notInUse<M>(): Credential<M> {
  return { material: undefined, error: 'it is not in use' };
}

function sameCertificate(a: CertificateMaterial, b: CertificateMaterial): boolean {
  return a === b || (a.certificatePem === b.certificatePem && a.key.digest === b.key.digest);
}

function sameAuthorities(a: AuthoritiesMaterial, b: AuthoritiesMaterial): boolean {
  return a === b || a.pem === b.pem;
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
