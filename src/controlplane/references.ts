// Which Upstreams and Secrets a resource names, and for what.
import type { Kind, Messages } from '../config/resource.ts';
import { listenerSecrets, upstreamSecrets, type SecretReference } from '../config/secret-references.ts';
import { Secret } from '../gen/outrigger/config/v1/secret.ts';
import type { VersionedResource } from './versioned-resource.ts';

/** What a resource names. */
export interface References {
  /** Upstreams of a Listener's targets, or the one of a Route or Service. */
  readonly upstreams: readonly string[];
  readonly secrets: readonly SecretReference[];
}

const NONE: References = { upstreams: [], secrets: [] };

/** What a Listener, Upstream, Route or Service names; other kinds name nothing. */
export function referencesOf<K extends Kind>(kind: K, message: Messages[K]): References {
  const read: Reader<K> | undefined = READERS[kind];
  const found = read?.(message) ?? NONE;
  // Most name nothing, and share that.
  return found.upstreams.length + found.secrets.length === 0 ? NONE : found;
}

type Reader<K extends Kind> = (message: Messages[K]) => References;

const READERS: { readonly [K in Kind]?: Reader<K> } = {
  Listener: (listener) => ({
    upstreams: listener.targets.map(({ upstream }) => upstream),
    secrets: listenerSecrets(listener),
  }),
  Upstream: (upstream) => ({ upstreams: [], secrets: upstreamSecrets(upstream) }),
  Route: ({ upstreamId }) => namesUpstream(upstreamId),
  Service: ({ upstreamId }) => namesUpstream(upstreamId),
};

function namesUpstream(name: string | undefined): References {
  return name === undefined || name === '' ? NONE : { upstreams: [name], secrets: [] };
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
