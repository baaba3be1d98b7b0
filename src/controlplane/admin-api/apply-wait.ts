// `?wait=applied`: the answer waits for the sidecars.
import type { Applied } from '../applied.ts';
import type { Kind } from '../../config/resource.ts';
import { consumerOf, objectIdOf } from '../apisix/object-type.ts';
import type { ReadObject } from '../apisix/read-object.ts';

const DEFAULT_TIMEOUT_SECONDS = 10;
const MAX_TIMEOUT_SECONDS = 60;

const DECIMAL = /^\d{1,15}(?:\.\d{1,9})?$/;

/** A resource that a write concerns. */
export interface ConcernedResource {
  readonly kind: Kind;
  readonly name: string;
}

/** Waits until all connected sidecars have answered for resources as they are now. */
export type AwaitApplied = (resources: readonly ConcernedResource[], timeoutMs: number) => Promise<Applied>;

/** What a request says of waiting; undefined: it doesn't wait. */
export type WaitWish =
  | { readonly ok: true; readonly timeoutMs: number | undefined }
  | { readonly ok: false; readonly reason: string };

/** Reads `wait` and `timeout`. */
export function readWait(query: URLSearchParams): WaitWish {
  const wait = query.get('wait');
  if (wait === null) return { ok: true, timeoutMs: undefined };
  if (wait !== 'applied') return { ok: false, reason: `wait must be applied, not ${JSON.stringify(wait)}` };
  const given = query.get('timeout');
  const seconds = given === null ? DEFAULT_TIMEOUT_SECONDS : DECIMAL.test(given) ? Number(given) : NaN;
  if (!(seconds > 0 && seconds <= MAX_TIMEOUT_SECONDS)) {
    return { ok: false, reason: `timeout must be seconds, more than 0 and at most ${MAX_TIMEOUT_SECONDS}` };
  }
  return { ok: true, timeoutMs: seconds * 1000 };
}

/**
 * The resources that a change from one object to another concerns; undefined: it isn't there. An Upstream that it names is
 * one of them: a sidecar asks for it only now, and until it has it the change is not in force.
 */
export function concerned(before: ReadObject | undefined, after: ReadObject | undefined): ConcernedResource[] {
  const found = new Map<string, ConcernedResource>();
  for (const object of [before, after]) {
    for (const { kind, name } of object?.resources ?? []) found.set(`${kind} ${name}`, { kind, name });
  }
  for (const { type, id } of after?.references ?? []) {
    if (type === 'upstreams') found.set(`Upstream ${id}`, { kind: 'Upstream', name: id });
  }
  return [...found.values()];
}

/** The Consumer that a credential is part of. */
export function concernedConsumer(key: string): ConcernedResource[] {
  const id = objectIdOf(key);
  return id?.type === 'credentials' ? [{ kind: 'Consumer', name: consumerOf(id) }] : [];
}

/** As an answer shows it. */
export function appliedBody({ acknowledged, refused, pending }: Applied): unknown {
  return { acknowledged, refused: refused.map(({ nodeId, reason }) => ({ node: nodeId, reason })), pending };
}
