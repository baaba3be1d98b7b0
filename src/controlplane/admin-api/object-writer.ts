// Writes of the Admin API: PUT, POST, PATCH and DELETE. What a write is based on (the object before, the objects that it
// names) is looked at and entered in the index in one go, so writes that come together see each other.
import type { Clock } from '../../base/clock.ts';
import { ProblemList } from '../../config/problem-list.ts';
import { usernameProblem } from '../apisix/consumer.ts';
import { numberIdProblem } from '../apisix/reading.ts';
import { isFreeMap, tidyObject } from '../apisix/tidy-object.ts';
import { keyOf, type ObjectId, type ObjectType } from '../apisix/object-type.ts';
import type { ObjectRemark, ReadObject } from '../apisix/read-object.ts';
import type { FileClaims } from '../apisix/file-claims.ts';
import { isObject } from '../store/file-format.ts';
import type { EntryReader } from '../store/read-entries.ts';
import type { Change, JsonObject, Store, WriteResult } from '../store/store.ts';
import type { AdminRequest } from './admin-request.ts';
import { type Answer, KEY_NOT_FOUND, refusal } from './answer.ts';
import {
  appliedBody,
  type AwaitApplied,
  concerned,
  concernedConsumer,
  type ConcernedResource,
  readWait,
} from './apply-wait.ts';
import type { BodyPlaces } from './body-places.ts';
import { NOUNS, useProblem } from './consistency.ts';
import { mergePatch, replaceAttribute } from './merge-patch.ts';
import type { IndexedObject, ObjectIndex, PlannedChange } from './object-index.ts';
import { parseBody } from './parse-body.ts';
import { entityTag, preconditionFailed, readPreconditions } from './preconditions.ts';
import { checkObject, forbiddenFields, memberOf, readObjectBody, remarkText, withId, withTimes } from './read-body.ts';
import { shownValue } from './shown-value.ts';

/** What writing needs. */
export interface ObjectWriterOptions {
  readonly store: Store;
  readonly index: ObjectIndex;
  readonly reader: EntryReader;
  readonly awaitApplied: AwaitApplied;
  readonly clock: Clock;
  readonly fileClaims: FileClaims | undefined;
}

/** Ids that are made have as many digits as those of etcd. */
const MADE_ID_DIGITS = 20;
/** Somebody else writes to the store at the same time: how often a write is tried anew. */
const ATTEMPTS = 5;

/** What a request wants written, made of the object as it is; or the answer that says why not. */
type Plan = (before: IndexedObject | undefined) => Planned;
type Planned =
  | { readonly ok: true; readonly object: ReadObject; readonly warnings: readonly string[] }
  | { readonly ok: false; readonly answer: Answer };

/** Answers requests that write. */
export class ObjectWriter {
  private readonly options: ObjectWriterOptions;
  private lastMadeId = 0;

  constructor(options: ObjectWriterOptions) {
    this.options = options;
  }

  /** `PUT /apisix/admin/TYPE/ID`; `givenId` undefined: the body states it. */
  async put(type: ObjectType, givenId: string | undefined, request: AdminRequest): Promise<Answer> {
    const body = readObjectBody(request.body);
    if (!body.ok) return body.answer;
    const stated = givenId ?? statedId(type, body.value);
    if (stated === undefined) return refusal(400, missingId(type));
    const context = { places: body.places, isPart: false, within: [] };
    if (typeof stated !== 'string') return refusal(400, remarkText(stated, context));
    const id = { type, id: stated };
    const found = forbiddenFields(body.value);
    return this.write(id, request, (before) => this.check(id, body.value, before, { ...context, found, warned: [] }));
  }

  /** `POST /apisix/admin/TYPE`: the id is made. */
  async post(type: ObjectType, request: AdminRequest): Promise<Answer> {
    const body = readObjectBody(request.body);
    if (!body.ok) return body.answer;
    if (memberOf(body.value, 'id') !== undefined) {
      const place = body.places.find('id', true);
      const where = place === undefined ? '' : ` (line ${place.line}, column ${place.column})`;
      return refusal(400, `wrong ${NOUNS[type]} id, do not need it: leave id out${where}, or use PUT`);
    }
    const id = { type, id: this.makeId(type) };
    const found = forbiddenFields(body.value);
    return this.write(id, request, (before) => {
      // Somebody else took the id in between.
      if (before !== undefined) return { ok: false, answer: refusal(503, `the id ${id.id} was taken; try again`) };
      const context = { found, warned: [], places: body.places, isPart: false, within: [] };
      return this.check(id, body.value, before, context);
    });
  }

  /** `PATCH /apisix/admin/TYPE/ID` and `…/ID/SUB/PATH`. */
  async patch(id: ObjectId, subPath: readonly string[], request: AdminRequest): Promise<Answer> {
    const parsed = parseBody(request.body);
    if (!parsed.ok) return refusal(400, parsed.reason);
    if (subPath.length === 0 && !isObject(parsed.value)) {
      return refusal(400, 'invalid configuration: the body must be an object');
    }
    // The same look as at a whole object, before its keys meet those of the object.
    const problems = new ProblemList();
    const warnings = new ProblemList('warnings');
    const within = subPath.map((name, i) => (isFreeMap(subPath[i - 1]?.trim()) ? name : name.trim()));
    if (within.includes('')) return refusal(400, `invalid sub-path: /${subPath.join('/')}: a name in it is empty`);
    for (const [i, name] of subPath.entries()) {
      if (name === within[i]) continue;
      const shown = JSON.stringify(name.slice(0, 60));
      warnings.add('', `the name ${shown} in the path has blanks around it: they are taken off`);
    }
    const wrapped = within.reduceRight<unknown>((inner, name) => ({ [name]: inner }), parsed.value);
    const tidied = tidyObject(wrapped, problems, warnings);
    const patch = within.reduce<unknown>((outer, name) => (isObject(outer) ? outer[name] : outer), tidied);
    const found = [...problems.list(), ...(isObject(tidied) ? forbiddenFields(tidied) : [])];
    return this.write(id, request, (before) => {
      if (before === undefined) return { ok: false, answer: KEY_NOT_FOUND };
      let value: unknown = mergePatch(before.value, patch);
      if (subPath.length > 0) {
        const replaced = replaceAttribute(before.value, within, patch);
        if (!replaced.ok) return { ok: false, answer: refusal(400, replaced.reason) };
        ({ value } = replaced);
      }
      const { places } = parsed;
      const context = { found, warned: warnings.list(), places, isPart: true, within };
      return this.check(id, value as JsonObject, before, context);
    });
  }

  /** `DELETE /apisix/admin/TYPE/ID`. A consumer goes with its credentials, in one write. */
  async delete(id: ObjectId, request: AdminRequest): Promise<Answer> {
    const { index } = this.options;
    const key = keyOf(id);
    const force = request.query.get('force');
    if (force !== null && force !== 'true' && force !== 'false') {
      return refusal(400, `force must be true or false, not ${JSON.stringify(force)}`);
    }
    return this.attempt(key, request, (before) => {
      if (before === undefined) return { ok: false, answer: KEY_NOT_FOUND };
      const problem = force === 'true' ? undefined : useProblem(id, index);
      if (problem !== undefined) return { ok: false, answer: refusal(400, problem) };
      const also = id.type === 'consumers' ? index.credentialsOf(id.id) : [];
      const changes = [key, ...also].map((gone) => ({ key: gone, object: undefined }));
      const resources = [...concerned(before.object, undefined), ...concernedConsumer(key)];
      return { ok: true, changes, resources, answer: () => ({ status: 200, body: { key, deleted: '1' } }) };
    });
  }

  /** `DELETE` of what another version has stored, and this one doesn't know; undefined: it isn't there. */
  async deleteUnknown(key: string, request: AdminRequest): Promise<Answer | undefined> {
    const { store } = this.options;
    if (store.get(key) === undefined) return undefined;
    return this.attempt(key, request, () => {
      if (store.get(key) === undefined) return { ok: false, answer: KEY_NOT_FOUND };
      const answer = (): Answer => ({ status: 200, body: { key, deleted: '1' } });
      return { ok: true, changes: [{ key, object: undefined }], resources: [], answer };
    });
  }

  private check(
    id: ObjectId,
    body: JsonObject,
    before: IndexedObject | undefined,
    told: {
      readonly found: readonly ObjectRemark[];
      readonly warned: readonly ObjectRemark[];
      readonly places: BodyPlaces;
      readonly isPart: boolean;
      readonly within: readonly string[];
    },
  ): Planned {
    const { reader, index, clock, fileClaims } = this.options;
    if (id.type === 'credentials') {
      const [consumer = ''] = id.id.split('/');
      const isThere = index.get(keyOf({ type: 'consumers', id: consumer })) !== undefined;
      if (!isThere) return { ok: false, answer: refusal(404, `consumer not found: ${consumer}; create it first`) };
    }
    const { found, warned, ...places } = told;
    const context = { reader, index, fileClaims, ...places, before: before?.object };
    const checked = checkObject(id, withId(id, body), found, warned, context);
    if (!checked.ok) return checked;
    const value = withTimes(checked.object.value, before?.value, Math.floor(clock.wallMs() / 1000));
    return { ok: true, object: { ...checked.object, value }, warnings: checked.warnings };
  }

  private write(id: ObjectId, request: AdminRequest, plan: Plan): Promise<Answer> {
    const { reader } = this.options;
    const key = keyOf(id);
    return this.attempt(key, request, (before) => {
      const planned = plan(before);
      if (!planned.ok) return planned;
      const { object, warnings } = planned;
      reader.remember(object);
      const answer = ({ revision: modifiedIndex, createdIndexes: [createdIndex] }: Written): Answer => {
        const value = shownValue(id.type, object.value);
        const told = warnings.length === 0 ? {} : { warnings };
        return {
          status: before === undefined ? 201 : 200,
          body: { key, value, createdIndex, modifiedIndex, ...told },
          headers: { etag: entityTag(modifiedIndex) },
        };
      };
      const resources = [...concerned(before?.object, object), ...concernedConsumer(key)];
      return { ok: true, changes: [{ key, object }], resources, answer };
    });
  }

  /** Plans and writes, anew where somebody else changed the object in between. */
  private async attempt(key: string, request: AdminRequest, plan: AttemptPlan): Promise<Answer> {
    const { store, index } = this.options;
    const preconditions = readPreconditions(request);
    if (!preconditions.ok) return preconditions.answer;
    const wish = readWait(request.query);
    if (!wish.ok) return refusal(400, wish.reason);
    if (request.query.has('ttl')) return refusal(400, 'ttl is not supported: delete the object when its time is over');
    const { condition } = preconditions;
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      // Looked at anew each time: of several that wait the first may write again.
      while (condition !== undefined && index.isPending(key)) await index.whenSettled(key);
      const modifiedIndex = store.get(key)?.modifiedIndex ?? 0;
      if (condition?.(modifiedIndex) === false) return preconditionFailed(key, modifiedIndex);
      const planned = plan(index.get(key));
      if (!planned.ok) return planned.answer;
      // With a write under way the store comes to what the index has, which this one is based on.
      const ifModifiedIndex = index.isPending(key) ? undefined : modifiedIndex;
      const settle = index.begin(planned.changes);
      let result;
      try {
        result = await store.write(planned.changes.map((change) => storeChange(change, key, ifModifiedIndex)));
      } catch (error) {
        return refusal(503, (error as Error).message);
      } finally {
        settle();
      }
      if (result.ok) return this.answered(planned.answer(result), planned.resources, wish.timeoutMs);
      if (condition?.(result.modifiedIndex) === false) {
        return preconditionFailed(key, result.modifiedIndex);
      }
    }
    return refusal(503, `${key} is being changed by others all the time; try again`);
  }

  private async answered(
    answer: Answer,
    resources: readonly ConcernedResource[],
    timeoutMs: number | undefined,
  ): Promise<Answer> {
    if (timeoutMs === undefined) return answer;
    const applied = await this.options.awaitApplied(resources, timeoutMs);
    return { ...answer, body: { ...(answer.body as JsonObject), applied: appliedBody(applied) } };
  }

  private makeId(type: ObjectType): string {
    const { store, index } = this.options;
    let number = Math.max(this.lastMadeId, store.revision);
    let id;
    do id = String(++number).padStart(MADE_ID_DIGITS, '0');
    while (index.get(keyOf({ type, id })) !== undefined);
    this.lastMadeId = number;
    return id;
  }
}

type AttemptPlan = (before: IndexedObject | undefined) =>
  | { readonly ok: false; readonly answer: Answer }
  | {
      readonly ok: true;
      readonly changes: readonly PlannedChange[];
      readonly resources: readonly ConcernedResource[];
      readonly answer: (written: Written) => Answer;
    };
type Written = Extract<WriteResult, { readonly ok: true }>;

function storeChange({ key, object }: PlannedChange, own: string, ifModifiedIndex: number | undefined): Change {
  const condition = { key, ifModifiedIndex: key === own ? ifModifiedIndex : undefined };
  return object === undefined ? { ...condition, op: 'delete' } : { ...condition, op: 'put', value: object.value };
}

/** The id that a body states, or what is wrong with it. */
function statedId(type: ObjectType, body: JsonObject): string | ObjectRemark | undefined {
  if (type === 'consumers') {
    const name = memberOf(body, 'username');
    if (typeof name === 'string' || name === undefined) return name;
    return { path: 'username', reason: usernameProblem(name) ?? 'must be a string' };
  }
  const id = memberOf(body, 'id');
  if (typeof id !== 'number') return typeof id === 'string' ? id : undefined;
  const reason = numberIdProblem(id);
  return reason === undefined ? String(id) : { path: 'id', reason };
}

function missingId(type: ObjectType): string {
  return type === 'consumers'
    ? 'missing consumer name: the body needs username, a text'
    : `missing ${NOUNS[type]} id: write it behind the path, or use POST to have one made`;
}
