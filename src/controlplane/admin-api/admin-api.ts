// What each request of the Admin API is answered, apart from HTTP.
import type { Clock } from '../../base/clock.ts';
import { objectIdProblem, readApisixObject } from '../apisix/read-apisix-object.ts';
import { objectIdOf, type ObjectType } from '../apisix/object-type.ts';
import { PLUGINS } from '../apisix/plugin-names.ts';
import type { FileClaims } from '../apisix/file-claims.ts';
import type { EntryReader } from '../store/read-entries.ts';
import type { JsonObject, Store } from '../store/store.ts';
import type { AdminRequest } from './admin-request.ts';
import { type Answer, refusal } from './answer.ts';
import type { AwaitApplied } from './apply-wait.ts';
import { getObject, listObjects } from './list-objects.ts';
import { ObjectIndex } from './object-index.ts';
import { ObjectWriter } from './object-writer.ts';
import { memberOf, readObjectBody, remarkText, withId } from './read-body.ts';
import { routeRequest, type Target } from './routes.ts';

/** What the Admin API works on. */
export interface AdminApiOptions {
  /** Started by whoever made it. */
  readonly store: Store;
  readonly reader: EntryReader;
  readonly awaitApplied: AwaitApplied;
  readonly clock: Clock;
  /** What files have that writes must not contradict; undefined: there are none. */
  readonly fileClaims?: FileClaims | undefined;
}

/** Answers requests. */
export class AdminApi {
  private readonly store: Store;
  private readonly index: ObjectIndex;
  private readonly writer: ObjectWriter;

  constructor({ store, reader, awaitApplied, clock, fileClaims }: AdminApiOptions) {
    this.store = store;
    this.index = new ObjectIndex(store, reader);
    this.writer = new ObjectWriter({ store, index: this.index, reader, awaitApplied, clock, fileClaims });
  }

  /** Takes in what the store holds, once it has started. */
  load(): void {
    this.index.load();
  }

  /** Call it with what the store says has changed. */
  onChanged(keys: readonly string[]): void {
    this.index.onChanged(keys);
  }

  /** Never rejects but for a bug. */
  async answer(request: AdminRequest): Promise<Answer> {
    const routed = routeRequest(request.segments, request.method);
    const unknown = request.method === 'DELETE' ? unknownKey(request.segments) : undefined;
    const deleted = unknown === undefined ? undefined : await this.writer.deleteUnknown(unknown, request);
    if (deleted !== undefined) return deleted;
    return routed.ok ? this.answerTarget(routed.target, request) : routed.answer;
  }

  private async answerTarget(target: Target, request: AdminRequest): Promise<Answer> {
    switch (target.kind) {
      case 'root':
        return { status: 200, body: undefined };
      case 'plugins':
        return { status: 200, body: PLUGINS };
      case 'validation':
        return validate(target.type, request);
      case 'collection':
        if (request.method === 'PUT') return this.writer.put(target.type, undefined, request);
        if (request.method === 'POST') return this.writer.post(target.type, request);
        return listObjects(target.type, target.consumer, request, this.store);
      case 'object': {
        const { id, subPath } = target;
        const problem = objectIdProblem(id);
        if (problem !== undefined) return refusal(400, `${id.type === 'consumers' ? 'username' : 'id'}: ${problem}`);
        if (request.method === 'GET' || request.method === 'HEAD') return getObject(id, request, this.store);
        if (request.method === 'DELETE') return this.writer.delete(id, request);
        if (request.method === 'PATCH') return this.writer.patch(id, subPath, request);
        return this.writer.put(id.type, id.id, request);
      }
    }
  }
}

/** `POST /apisix/admin/schema/validate/TYPE`: an object by itself, without what it names. */
function validate(type: ObjectType, request: AdminRequest): Answer {
  const body = readObjectBody(request.body);
  if (!body.ok) return body.answer;
  const id = { type, id: idToValidate(type, body.value) };
  const result = readApisixObject(id, withId(id, body.value));
  const warnings = result.ok ? result.object.warnings : result.warnings;
  const context = { places: body.places, isPart: false, within: [] };
  const tell = (remark: (typeof warnings)[number]): string => remarkText(remark, context);
  if (!result.ok) return refusal(400, result.problems.map(tell).join('; '));
  return { status: 200, body: warnings.length === 0 ? undefined : { warnings: warnings.map(tell) } };
}

/** The key that a path stands for, where no object of this version may have it; undefined: one may, or it is no key. */
function unknownKey(segments: readonly string[]): string | undefined {
  const names = segments.slice(2);
  if (names.length === 0 || names.some((name) => name.includes('/'))) return undefined;
  const key = `/apisix/${names.join('/')}`;
  const id = objectIdOf(key);
  return id === undefined || objectIdProblem(id) !== undefined ? key : undefined;
}

function idToValidate(type: ObjectType, body: JsonObject): string {
  const stated = memberOf(body, type === 'consumers' ? 'username' : 'id');
  const id = typeof stated === 'string' || typeof stated === 'number' ? String(stated) : '1';
  if (type === 'credentials') return `consumer/${id}`;
  return type === 'plugin_metadata' && stated === undefined ? (PLUGINS.at(-1) ?? id) : id;
}
