// A body → a checked object, or the answer that says everything that is wrong with it, each with its place in the body.
import { furtherCount } from '../../config/problem-list.ts';
import type { ObjectId } from '../apisix/object-type.ts';
import type { ObjectRemark, ReadObject } from '../apisix/read-object.ts';
import type { FileClaims } from '../apisix/file-claims.ts';
import { isObject } from '../store/file-format.ts';
import type { EntryReader } from '../store/read-entries.ts';
import type { JsonObject } from '../store/store.ts';
import { type Answer, refusal } from './answer.ts';
import { type BodyPlaces, pathBehind, placeText, type TextPlace } from './body-places.ts';
import { contradictions } from './consistency.ts';
import type { ObjectIndex } from './object-index.ts';
import { parseBody } from './parse-body.ts';

/** What reading a body gives. */
export type Body =
  | { readonly ok: true; readonly value: JsonObject; readonly places: BodyPlaces }
  | { readonly ok: false; readonly answer: Answer };

/** What checking gives. */
export type Checked =
  | { readonly ok: true; readonly object: ReadObject; readonly warnings: readonly string[] }
  | { readonly ok: false; readonly answer: Answer };

/** Fields that the server sets. */
const OWN_TIMES: readonly string[] = ['create_time', 'update_time'];

/** Parses a body that must be an object. */
export function readObjectBody(bytes: Uint8Array): Body {
  const parsed = parseBody(bytes);
  if (!parsed.ok) return { ok: false, answer: refusal(400, parsed.reason) };
  const { value, places } = parsed;
  if (!isObject(value)) return { ok: false, answer: refusal(400, 'invalid configuration: the body must be an object') };
  return { ok: true, value, places };
}

/** The value of a member, whatever blanks are around its key. */
export function memberOf(value: JsonObject, name: string): unknown {
  if (Object.hasOwn(value, name)) return value[name];
  return Object.entries(value).find(([key]) => key.trim() === name)?.[1];
}

/** Fields that a body may not state. */
export function forbiddenFields(value: JsonObject): ObjectRemark[] {
  return OWN_TIMES.filter((name) => memberOf(value, name) !== undefined).map((name) => ({
    path: name,
    reason: `the property is forbidden: ${name}; the server sets it, leave it out`,
  }));
}

/** What a body is checked against. */
export interface CheckContext {
  readonly reader: EntryReader;
  readonly index: ObjectIndex;
  readonly fileClaims: FileClaims | undefined;
  readonly places: BodyPlaces;
  /** Whether the body is only a part of the object, so that what isn't in it has no place. */
  readonly isPart: boolean;
  /** Names of the members that the body stands in, where it is the value of an attribute. */
  readonly within: readonly string[];
  /** What was told of the object before: warnings about it are told again only where the body has the field. */
  readonly before: ReadObject | undefined;
}

/**
 * Checks an object as it would be stored. `found` and `warned`: what was found in the body already.
 */
export function checkObject(
  id: ObjectId,
  value: JsonObject,
  found: readonly ObjectRemark[],
  warned: readonly ObjectRemark[],
  context: CheckContext,
): Checked {
  const { reader, index, isPart, before } = context;
  const tell = (remarks: readonly ObjectRemark[]): string[] => [
    ...new Set(remarks.map((remark) => remarkText(remark, context))),
  ];
  const result = reader.read(id, value);
  if (!result.ok) return { ok: false, answer: refusal(400, tell([...found, ...result.problems]).join('; ')) };
  const { object } = result;
  const problems = [...found, ...contradictions(object, index, context.fileClaims)];
  if (problems.length > 0) return { ok: false, answer: refusal(400, tell(problems).join('; ')) };
  const known = new Set(before?.warnings.map(({ path, reason }) => `${path}: ${reason}`));
  const isNews = (remark: ObjectRemark): boolean =>
    !isPart || !known.has(`${remark.path}: ${remark.reason}`) || placeOf(remark.path, context) !== undefined;
  return { ok: true, object, warnings: tell([...warned, ...object.warnings.filter(isNews)]) };
}

/** The value with its id, where the type has one and the body doesn't state it. */
export function withId({ type, id }: ObjectId, value: JsonObject): JsonObject {
  if (type === 'consumers' || memberOf(value, 'id') !== undefined) return value;
  return { ...value, id: id.slice(id.indexOf('/') + 1) };
}

/** The value with its times, seconds since 1970. */
export function withTimes(value: JsonObject, before: JsonObject | undefined, nowSeconds: number): JsonObject {
  const created = before?.['create_time'];
  return { ...value, create_time: typeof created === 'number' ? created : nowSeconds, update_time: nowSeconds };
}

/** Where a body is looked at. */
export type PlaceContext = Pick<CheckContext, 'places' | 'isPart' | 'within'>;

/** `upstream.nodes (line 3, column 10): …`. */
export function remarkText(remark: ObjectRemark, context: PlaceContext): string {
  const { path, reason } = remark;
  // That there are more is said of no place.
  if (furtherCount(remark) > 0) return reason;
  const place = placeOf(path, context);
  const where = place === undefined ? '' : placeText(place);
  if (path === '') return where === '' || context.isPart ? reason : `${where}: ${reason}`;
  return where === '' ? `${path}: ${reason}` : `${path} (${where}): ${reason}`;
}

/** The place of a field of the object in the body; undefined: it is none of the body. */
function placeOf(path: string, { places, isPart, within }: PlaceContext): TextPlace | undefined {
  if (within.length === 0) return places.find(path, isPart);
  const inside = pathBehind(path, within);
  return inside === undefined ? undefined : places.find(inside, false);
}
