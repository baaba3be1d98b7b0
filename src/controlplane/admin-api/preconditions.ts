// Conditional writes (RFC 9110 §13, with the modifiedIndex as the entity tag) and `?modifiedIndex=N`.
import { type Answer, refusal } from './answer.ts';
import type { AdminRequest } from './admin-request.ts';

/** What must be true of the object's modifiedIndex now, 0 if it isn't there. */
export type Precondition = (modifiedIndex: number) => boolean;

/** What reading gives; `condition` undefined: there is none. */
export type Preconditions =
  | { readonly ok: true; readonly condition: Precondition | undefined }
  | { readonly ok: false; readonly answer: Answer };

/** The tag of a version. */
export function entityTag(modifiedIndex: number): string {
  return `"${modifiedIndex}"`;
}

/** Reads the conditions of a write. All that are there must hold. */
export function readPreconditions({ headers, query }: Pick<AdminRequest, 'headers' | 'query'>): Preconditions {
  const conditions: Precondition[] = [];
  const wrong = (reason: string): Preconditions => ({ ok: false, answer: refusal(400, reason) });
  const match = headers['if-match'];
  if (match !== undefined) {
    const tags = readTags(match);
    if (tags === undefined) return wrong(`If-Match must be * or tags such as "12", not ${match}`);
    conditions.push((index) => index !== 0 && (tags === '*' || tags.includes(index)));
  }
  const noneMatch = headers['if-none-match'];
  if (noneMatch !== undefined) {
    const tags = readTags(noneMatch);
    if (tags === undefined) return wrong(`If-None-Match must be * or tags such as "12", not ${noneMatch}`);
    conditions.push((index) => index === 0 || !(tags === '*' || tags.includes(index)));
  }
  const given = query.get('modifiedIndex');
  if (given !== null) {
    if (!/^\d{1,15}$/.test(given)) return wrong(`modifiedIndex must be a whole number, not ${JSON.stringify(given)}`);
    conditions.push((index) => index === Number(given));
  }
  const condition = conditions.length === 0 ? undefined : (index: number) => conditions.every((one) => one(index));
  return { ok: true, condition };
}

/** The answer where a condition isn't met. */
export function preconditionFailed(key: string, modifiedIndex: number): Answer {
  const state = modifiedIndex === 0 ? 'is not there' : `has modifiedIndex ${modifiedIndex}`;
  return refusal(412, `${key} ${state}: nothing was written`, { modifiedIndex });
}

/** Whether a GET may be answered 304. */
export function isNotModified(headers: AdminRequest['headers'], modifiedIndex: number): boolean {
  const tags = readTags(headers['if-none-match']?.replaceAll('W/', '') ?? '');
  return tags === '*' || tags?.includes(modifiedIndex) === true;
}

/** Weak tags match nothing here: a write must know what it replaces. */
function readTags(field: string): '*' | readonly number[] | undefined {
  if (field.trim() === '*') return '*';
  const tags = field.split(',').map((tag) => tag.trim());
  if (!tags.every((tag) => /^(W\/)?"[^"]*"$/.test(tag))) return undefined;
  return tags.map((tag) => (/^"\d{1,15}"$/.test(tag) ? Number(tag.slice(1, -1)) : -1));
}
