// Which Secrets a resource names, and for what.
import type { Kind } from '../config/resource.ts';
import { listenerSecrets, upstreamSecrets, type SecretReference } from '../config/secret-references.ts';
import { Listener } from '../gen/outrigger/config/v1/listener.ts';
import { Secret } from '../gen/outrigger/config/v1/secret.ts';
import { Upstream } from '../gen/outrigger/config/v1/upstream.ts';
import type { VersionedResource } from './versioned-resource.ts';

/** What a resource names. */
export interface References {
  /** Upstreams of a Listener's targets. */
  readonly upstreams: readonly string[];
  readonly secrets: readonly SecretReference[];
}

const NONE: References = { upstreams: [], secrets: [] };

/** A resource that didn't change is the same object, so each is decoded once. */
const known = new WeakMap<VersionedResource, References>();

/** What a Listener or an Upstream names. */
export function referencesOf(resource: VersionedResource): References {
  let references = known.get(resource);
  if (references === undefined) known.set(resource, (references = read(resource.kind, resource.bytes)));
  return references;
}

function read(kind: Kind, bytes: Uint8Array): References {
  if (kind === 'Upstream') return { upstreams: [], secrets: upstreamSecrets(Upstream.decode(bytes)) };
  if (kind !== 'Listener') return NONE;
  const listener = Listener.decode(bytes);
  return { upstreams: listener.targets.map(({ upstream }) => upstream), secrets: listenerSecrets(listener) };
}

/** Why a Secret is of no use for a reference; undefined: it is. `secret` is undefined where there is none of that name. */
export function referenceProblem(
  { name, part }: Omit<SecretReference, 'path'>,
  secret: VersionedResource | undefined,
): { readonly message: string; readonly fix: string } | undefined {
  if (secret === undefined) {
    const message = `no Secret ${name} is there: what needs it fails until it comes`;
    return { message, fix: 'add the Secret, or correct name and namespace' };
  }
  if (partsOf(secret)[part]) return undefined;
  return part === 'certificate'
    ? { message: `the Secret ${name} has no certificate with a key`, fix: 'give it the keys tls.crt and tls.key' }
    : { message: `the Secret ${name} has no authorities`, fix: 'give it the key ca.crt' };
}

const parts = new WeakMap<VersionedResource, Readonly<Record<SecretReference['part'], boolean>>>();

function partsOf(secret: VersionedResource): Readonly<Record<SecretReference['part'], boolean>> {
  let found = parts.get(secret);
  if (found === undefined) {
    const { certificate, privateKey, ca } = Secret.decode(secret.bytes);
    parts.set(secret, (found = { certificate: certificate.length > 0 && privateKey.length > 0, ca: ca.length > 0 }));
  }
  return found;
}
