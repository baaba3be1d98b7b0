// Looks at every resource of a response and goes on after the first bad one: what is good is used, and a NACK names all
// that is bad (gRFC A46). Anything that nobody asked for is passed over.
import { createHash } from 'node:crypto';
import { describeProblems, typeUrl } from '../config/resource.ts';
import type { Kind, Problem } from '../config/resource.ts';
import type { Accepted, Decode, DeliveredResource, DeliveredResponse, Refused } from './subscription.ts';

/** What a response comes to. */
export interface Examined {
  readonly accepted: readonly Accepted[];
  readonly refreshed: readonly { readonly name: string; readonly ttlMs: number | undefined }[];
  readonly refused: readonly Refused[];
  /** Wanted names that the server says don't exist. */
  readonly removed: readonly string[];
}

/** Against what a response is held. */
export interface Expectation {
  readonly kind: Kind;
  readonly wanted: Pick<ReadonlySet<string>, 'has'>;
  /** Name to the server's version of what is held and good. */
  readonly held: ReadonlyMap<string, string>;
  readonly decode: Decode;
}

/** Sorts a response's resources. Never throws, whatever the bytes. */
export function examineResponse(response: DeliveredResponse, expectation: Expectation): Examined {
  const accepted: Accepted[] = [];
  const refreshed: { name: string; ttlMs: number | undefined }[] = [];
  const refused: Refused[] = [];
  const twice = namesTwice(response);
  const told = new Set<string>();
  response.resources.forEach((delivered, index) => {
    const { name, version, ttlMs } = delivered;
    if (name === undefined || name === '') {
      refused.push({ name: `#${index}`, version, error: 'name: missing or not readable', isNameless: true });
      return;
    }
    if (!expectation.wanted.has(name)) return;
    if (twice.has(name)) {
      if (!told.has(name)) refused.push({ name, version, error: 'is in the response twice' });
      told.add(name);
      return;
    }
    const verdict = examineOne(delivered, name, expectation);
    if (verdict === 'alias') return;
    if (verdict === 'heartbeat') refreshed.push({ name, ttlMs });
    else if (typeof verdict === 'string') refused.push({ name, version, error: verdict.slice('bad:'.length) });
    else accepted.push({ name, version, ttlMs, resource: verdict });
  });
  const removed = response.removed.filter((name) => expectation.wanted.has(name) && !twice.has(name));
  for (const name of response.removed) {
    if (!expectation.wanted.has(name) || !twice.has(name) || told.has(name)) continue;
    told.add(name);
    refused.push({ name, version: '', error: 'is in the response twice' });
  }
  return { accepted, refreshed, refused, removed };
}

type Verdict = Accepted['resource'] | 'alias' | 'heartbeat' | `bad:${string}`;

function examineOne(delivered: DeliveredResource, name: string, { kind, held, decode }: Expectation): Verdict {
  const { bytes, version, ttlMs } = delivered;
  if (ttlMs !== undefined && !(ttlMs > 0)) return 'bad:ttl: must be greater than 0';
  if (bytes === undefined) {
    if (delivered.aliases.length > 0) return 'alias';
    if (held.get(name) === version) return 'heartbeat';
    return `bad:has no content, and its version ${JSON.stringify(version)} is not the one held`;
  }
  if (delivered.typeUrl !== typeUrl(kind)) {
    return `bad:is of type ${JSON.stringify(delivered.typeUrl)} in a response of type ${JSON.stringify(typeUrl(kind))}`;
  }
  let problems: readonly Problem[];
  try {
    const decoded = decode(kind, name, bytes);
    if (decoded.ok) {
      if (decoded.resource.name === name) return decoded.resource;
      return `bad:name: is ${JSON.stringify(decoded.resource.name)} inside the resource`;
    }
    problems = decoded.problems;
  } catch (error) {
    // A resource that trips the decoder is refused like any other bad one; its siblings must not suffer.
    // What a parser says of it may quote it, and a resource may hold a secret.
    const what = error instanceof Error ? error.name : 'something else';
    problems = [{ path: '', reason: `reading it failed with ${what}, which is a fault of this program` }];
  }
  return `bad:${describeProblems(problems)}`;
}

/** Names that occur more than once among the resources, or among the resources and in `removed`. */
function namesTwice(response: DeliveredResponse): ReadonlySet<string> {
  const once = new Set<string>();
  const twice = new Set<string>();
  for (const { name } of response.resources) {
    if (name === undefined) continue;
    if (once.has(name)) twice.add(name);
    once.add(name);
  }
  for (const name of response.removed) if (once.has(name)) twice.add(name);
  return twice;
}

/** Same content, same digest. The version and the nonce don't count: a server may give the same content new ones. */
export function digestOf(response: DeliveredResponse): string {
  const hash = createHash('sha256');
  for (const { name, typeUrl: type, bytes } of response.resources) {
    hash.update(JSON.stringify([name ?? 0, type, bytes?.length ?? -1]));
    if (bytes !== undefined) hash.update(bytes);
  }
  hash.update(JSON.stringify(response.removed));
  return hash.digest('hex');
}
