// What a Secret holds that somebody uses: its certificate or its authorities. A Secret that goes away, or loses that
// part, leaves what it held last in force for as long as somebody uses it: a removed resource keeps serving.
import type { SecretSpec } from '../model/tls.ts';
import type { Credential } from './credentials.ts';

/** One part of a Secret. */
export interface SecretPart<M> {
  readonly of: (secret: SecretSpec) => M | undefined;
  /** What is missing and what to add, to stand after `Secret NAME`. */
  readonly missing: string;
  readonly equal: (a: M, b: M) => boolean;
}

/** A part of one Secret, followed over its versions. */
export class SecretCredential<M> {
  readonly secretName: string;
  credential: Credential<M> = { material: undefined, error: '' };
  private readonly part: SecretPart<M>;

  constructor(secretName: string, part: SecretPart<M>) {
    this.secretName = secretName;
    this.part = part;
  }

  /** Takes the Secret as it is now; undefined: there is none. Answers whether that changed anything. */
  update(secret: SecretSpec | undefined): boolean {
    const { material, error } = this.credential;
    const part = secret && this.part.of(secret);
    const newError = part === undefined ? this.errorOf(secret) : '';
    const inForce = part === undefined || (material !== undefined && this.part.equal(material, part)) ? material : part;
    if (inForce === material && newError === error) return false;
    this.credential = { material: inForce, error: newError };
    return true;
  }

  private errorOf(secret: SecretSpec | undefined): string {
    const hadIt = this.credential.material !== undefined;
    const name = `Secret ${this.secretName}`;
    if (secret) return `${name} ${this.part.missing}${hadIt ? '; what it held before stays in use' : ''}`;
    return hadIt
      ? `${name} was removed: what it held stays in use; send it again, or name another one`
      : `${name} is not here: the control plane has sent none that can be used; GetSnapshot shows what came`;
  }
}
