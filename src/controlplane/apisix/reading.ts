// What all types of objects have in common: the reading of one object, its fields, ids and times.
import { describeType, isObject, unknownKey } from '../../config/envelope.ts';
import { type ProblemList, quote } from '../../config/problem-list.ts';
import type { JsonObject } from '../store/store.ts';
import type { ObjectId } from './object-type.ts';
import type { MadeResource, ReadObject } from './read-object.ts';
import { childPath } from './tidy-object.ts';

/** One object that is being read. */
export interface Reading {
  readonly id: ObjectId;
  /** Tidy. */
  readonly value: JsonObject;
  /** Paths are those of the object. */
  readonly problems: ProblemList;
  readonly warnings: ProblemList;
}

/** What reading one gives beside its problems; of no use where there are any. */
export interface Made {
  readonly resources: readonly MadeResource[];
  readonly references: ReadObject['references'];
}

/** The fields of an object. */
export interface FieldTable {
  readonly known: readonly string[];
  /** Fields that APISIX has and this version doesn't act on, with what to do instead; empty: nothing to be said. */
  readonly refused?: ReadonlyMap<string, string>;
  /** Known fields of something inside, and where that stands: `upstream`. */
  readonly inside?: { readonly name: string; readonly fields: readonly string[] };
}

/** Fields of every object that say nothing about traffic. */
export const COMMON_FIELDS = ['id', 'create_time', 'update_time'] as const;

/** Reports fields that aren't known, or that this version refuses. */
export function checkFields(value: JsonObject, path: string, table: FieldTable, problems: ProblemList): void {
  for (const key of Object.keys(value)) {
    if (table.known.includes(key)) continue;
    const instead = table.refused?.get(key);
    if (instead !== undefined) {
      problems.add(childPath(path, key), instead === '' ? NOT_SUPPORTED : `${NOT_SUPPORTED}: ${instead}`);
    } else if (table.inside?.fields.includes(key) === true) {
      problems.add(childPath(path, key), `unknown key: it is a field of ${table.inside.name}, write it there`);
    } else unknownKey(problems, path, key, table.known);
  }
}

/** What is said of a field or plugin that APISIX has and this version doesn't act on. */
export const NOT_SUPPORTED = 'not supported';

const ID = /^[A-Za-z0-9_.-]{1,64}$/;

/** What is wrong with an id, a text by now (APISIX: also a whole number); undefined if nothing is. */
export function idProblem(id: unknown): string | undefined {
  if (typeof id === 'string' && ID.test(id)) return undefined;
  if (typeof id === 'number') return numberIdProblem(id);
  if (id === '') return 'must not be empty';
  const given = typeof id === 'string' ? quote(id) : describeType(id);
  return `must be 1 to 64 of letters, digits, '-', '_' and '.', or a whole number of 1 or more, not ${given}`;
}

/** What is wrong with a number as an id (APISIX: a whole number of 1 or more); undefined if nothing is. */
export function numberIdProblem(id: number): string | undefined {
  if (!(id >= 1)) return `must be 1 or more, or a text, not ${id}`;
  if (!Number.isInteger(id)) return `must be a whole number, or a text, not ${id}`;
  return id <= Number.MAX_SAFE_INTEGER ? undefined : `must be at most ${Number.MAX_SAFE_INTEGER}, or a text`;
}

/** Checks an id that a field of the object holds; undefined where there is none or it is wrong. */
export function readId(value: unknown, path: string, problems: ProblemList): string | undefined {
  if (value === undefined) return undefined;
  const reason = idProblem(value);
  if (reason === undefined && typeof value === 'string') return value;
  problems.add(path, reason ?? 'must be a string');
  return undefined;
}

/** Checks `id`, which must be the one under which the object is written, `create_time` and `update_time`. */
export function checkCommon({ id: { id }, value, problems }: Pick<Reading, 'id' | 'value' | 'problems'>): void {
  const given = value['id'];
  // A credential is `CONSUMER/ID` here and `CONSUMER/credentials/ID` in standalone files.
  const names = [id, id.slice(id.indexOf('/') + 1), id.replace('/', '/credentials/')];
  const ofNumber = typeof given === 'number' ? numberIdProblem(given) : undefined;
  if (ofNumber !== undefined) problems.add('id', ofNumber);
  else if (given !== undefined && !names.some((name) => name === given)) {
    const shown = typeof given === 'string' ? quote(given) : describeType(given);
    problems.add('id', `must be ${quote(names[1] ?? id)}, under which the object is written, not ${shown}`);
  }
  checkTimes(value, '', problems);
  checkLabels(value['labels'], 'labels', problems);
}

/** Checks that labels have 1 to 256 characters (APISIX); what else they may be is checked with the message. */
export function checkLabels(labels: unknown, path: string, problems: ProblemList): void {
  if (!isObject(labels)) return;
  for (const [key, label] of Object.entries(labels)) {
    if (typeof label !== 'string' || (label !== '' && Array.from(label).length <= 256)) continue;
    problems.add(childPath(path, key), 'must have 1 to 256 characters');
  }
}

/** Checks the times that APISIX keeps in an object, seconds. */
export function checkTimes(value: JsonObject, path: string, problems: ProblemList): void {
  for (const name of ['create_time', 'update_time']) {
    const time = value[name];
    if (time !== undefined && !Number.isSafeInteger(time)) {
      problems.add(childPath(path, name), `must be a whole number, not ${describeNumber(time)}`);
    }
  }
}

/** Checks a `name` that isn't sent to sidecars: 1 to 256 characters. */
export function checkName(value: JsonObject, path: string, problems: ProblemList): void {
  const name = value['name'];
  if (name === undefined) return;
  const at = childPath(path, 'name');
  if (typeof name !== 'string') problems.add(at, `must be a string, not ${describeType(name)}`);
  else if (name === '' || Array.from(name).length > 256) problems.add(at, 'must have 1 to 256 characters');
}

/** Checks that all three times of a `timeout` are there (APISIX). Their values are checked by the message. */
export function checkTimeout(timeout: unknown, path: string, problems: ProblemList): void {
  if (!isObject(timeout)) return;
  for (const name of ['connect', 'send', 'read']) {
    if (timeout[name] === undefined) problems.add(childPath(path, name), 'required: connect, send and read together');
  }
}

/** Reports a list that is there and empty: on the wire it would be one that was left out. */
export function checkNotEmpty(list: unknown, path: string, problems: ProblemList): void {
  if (Array.isArray(list) && list.length === 0) problems.add(path, 'must hold at least one; or leave the field out');
}

/** A number as it is, else its type. */
export function describeNumber(value: unknown): string {
  return typeof value === 'number' ? String(value) : describeType(value);
}

/** `value` without the fields of `names`; its keys are the user's, `__proto__` included. */
export function without(value: JsonObject, names: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(Object.entries(value).filter(([key]) => !names.includes(key)));
}
