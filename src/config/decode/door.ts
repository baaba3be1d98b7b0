// Bytes → a checked Resource, or everything that is wrong with them. This is the only way in: what comes over ADS, from a
// state file, from YAML or from flags passes here, so no later part checks again.
import { ProblemList, quote } from '../problem-list.ts';
import type { Decoded, Kind, Messages, Resource } from '../resource.ts';
import { checkWire } from '../wire-check.ts';
import { nameProblem } from './values.ts';

/** How one kind is read and checked. */
export interface Door<K extends Kind> {
  readonly decode: (bytes: Uint8Array) => Messages[K];
  readonly check: (message: Messages[K], problems: ProblemList, name: string) => void;
}

/**
 * Decodes and checks a resource of `kind`, whose door is given. `name` is the name under which it came; one in the message
 * must be the same. Never throws: bytes that are no such message are a problem like any other.
 */
export function passDoor<K extends Kind>(door: Door<K>, kind: K, name: string, bytes: Uint8Array): Decoded<K> {
  const problems = new ProblemList();
  const reason = nameProblem(name);
  if (reason !== undefined) problems.add('name', reason);
  const before = problems.size;
  const unknownFields = checkWire(`outrigger.config.v1.${kind}`, bytes, problems);
  if (problems.size > before) return { ok: false, problems: problems.list() };
  let message: Messages[K];
  try {
    message = door.decode(bytes);
  } catch (error) {
    problems.add('', `undecodable bytes: ${(error as Error).message}`);
    return { ok: false, problems: problems.list() };
  }
  if (message.name !== '' && message.name !== name) {
    problems.add('name', `${quote(message.name)} differs from the resource name ${quote(name)}`);
  }
  door.check(message, problems, name);
  if (problems.size > 0) return { ok: false, problems: problems.list() };
  shareEmpty(message);
  const resource: Resource<K> = { kind, name, message, bytes, unknownFields };
  return { ok: true, resource };
}

const EMPTY: object = Object.freeze({});

/**
 * Puts one object in the place of every empty map of a message and of the messages in its lists. Of 10,000 Upstreams with
 * five nodes each that is some 14 MiB.
 */
function shareEmpty(message: object): void {
  const fields = message as Record<string, unknown>;
  for (const name in fields) {
    const value = fields[name];
    if (typeof value !== 'object' || value === null) continue;
    if (!Array.isArray(value)) {
      if (isEmpty(value)) fields[name] = EMPTY;
    } else
      for (const item of value as readonly unknown[]) if (typeof item === 'object' && item !== null) shareEmpty(item);
  }
}

function isEmpty(value: object): boolean {
  for (const _ in value) return false;
  return !ArrayBuffer.isView(value);
}
