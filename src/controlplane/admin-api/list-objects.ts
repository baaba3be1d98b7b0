// GET of objects: one, or a list with APISIX's filters and pages.
import { keyOf, objectIdOf, type ObjectId, type ObjectType } from '../apisix/object-type.ts';
import { isObject } from '../store/file-format.ts';
import type { JsonObject, Store, StoredEntry } from '../store/store.ts';
import { type AdminRequest } from './admin-request.ts';
import { type Answer, KEY_NOT_FOUND, refusal } from './answer.ts';
import { entityTag, isNotModified } from './preconditions.ts';
import { shownValue } from './shown-value.ts';

const MIN_PAGE_SIZE = 10;
const MAX_PAGE_SIZE = 500;
/** Fields of a route that `filter` may name (APISIX 3.14). */
const FILTER_FIELDS: readonly string[] = ['service_id', 'upstream_id'];

/** Answers `GET /apisix/admin/TYPE/ID`. */
export function getObject(id: ObjectId, { headers }: AdminRequest, store: Store): Answer {
  const entry = store.get(keyOf(id));
  if (entry === undefined) return KEY_NOT_FOUND;
  const tag = { etag: entityTag(entry.modifiedIndex) };
  if (isNotModified(headers, entry.modifiedIndex)) return { status: 304, body: undefined, headers: tag };
  return { status: 200, body: shownEntry(id.type, entry), headers: tag };
}

/** Answers `GET /apisix/admin/TYPE`; `consumer`: whose credentials. */
export function listObjects(
  type: ObjectType,
  consumer: string | undefined,
  { query }: AdminRequest,
  store: Store,
): Answer {
  const page = readPage(query);
  if (typeof page === 'string') return refusal(400, page);
  const fields = readFilter(query);
  if (typeof fields === 'string') return refusal(400, fields);
  const found: StoredEntry[] = [];
  for (const entry of store.entries()) {
    const id = objectIdOf(entry.key);
    if (id?.type !== type || (consumer !== undefined && !id.id.startsWith(`${consumer}/`))) continue;
    if (matches(entry.value, query) && fields.every(([name, wanted]) => String(entry.value[name]) === wanted)) {
      found.push(entry);
    }
  }
  let shown: readonly StoredEntry[] = found;
  if (page !== undefined) {
    found.sort((a, b) => a.createdIndex - b.createdIndex);
    shown = found.slice((page.number - 1) * page.size, page.number * page.size);
  }
  return { status: 200, body: { total: found.length, list: shown.map((entry) => shownEntry(type, entry)) } };
}

function shownEntry(type: ObjectType, { key, value, createdIndex, modifiedIndex }: StoredEntry): JsonObject {
  return { key, value: shownValue(type, value), createdIndex, modifiedIndex };
}

function matches(value: JsonObject, query: URLSearchParams): boolean {
  const name = query.get('name');
  if (name !== null && !(typeof value['name'] === 'string' && value['name'].includes(name))) return false;
  const label = query.get('label');
  if (label !== null && !hasLabel(value['labels'], label)) return false;
  const uri = query.get('uri');
  if (uri === null) return true;
  const uris: readonly unknown[] = [
    value['uri'],
    ...(Array.isArray(value['uris']) ? (value['uris'] as unknown[]) : []),
  ];
  return uris.some((one) => typeof one === 'string' && one.includes(uri));
}

/** `KEY` or `KEY:VALUE`. */
function hasLabel(labels: unknown, wanted: string): boolean {
  if (!isObject(labels)) return false;
  if (Object.hasOwn(labels, wanted)) return true;
  const colon = wanted.indexOf(':');
  const key = wanted.slice(0, colon);
  return colon > 0 && Object.hasOwn(labels, key) && labels[key] === wanted.slice(colon + 1);
}

function readFilter(query: URLSearchParams): string | readonly (readonly [string, string])[] {
  const fields = [...new URLSearchParams(query.get('filter') ?? '')];
  const other = fields.find(([name]) => !FILTER_FIELDS.includes(name));
  return other === undefined ? fields : `filter: ${other[0]} is not known; known are ${FILTER_FIELDS.join(', ')}`;
}

interface Page {
  readonly number: number;
  readonly size: number;
}

/** Undefined: everything at once, as APISIX has it where one of the two is missing. What is there is checked. */
function readPage(query: URLSearchParams): Page | string | undefined {
  const [number, size] = [query.get('page'), query.get('page_size')];
  const page = { number: wholeNumber(number ?? '1'), size: wholeNumber(size ?? String(MIN_PAGE_SIZE)) };
  if (!(page.size >= MIN_PAGE_SIZE && page.size <= MAX_PAGE_SIZE)) {
    return `page_size must be between ${MIN_PAGE_SIZE} and ${MAX_PAGE_SIZE}`;
  }
  if (!(page.number >= 1)) return 'page must be a whole number of 1 or more';
  return number === null || size === null ? undefined : page;
}

/** Plain digits, else NaN. */
function wholeNumber(text: string): number {
  return /^\d{1,15}$/.test(text) ? Number(text) : NaN;
}
