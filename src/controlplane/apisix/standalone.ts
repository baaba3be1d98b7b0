// APISIX's standalone files: a YAML or JSON document with a list for each type of object,
//
//   routes:
//     - id: 1
//       uri: /hello
//       upstream_id: 1
//   upstreams:
//     - {id: 1, nodes: {"127.0.0.1:1980": 1}}
//   #END
//
// A YAML file counts only with `#END` as its last line: without it somebody may still be writing. Items without an id are
// called `arr_N`, N counted from 1; consumers go by their `username`, and an item `JACK/credentials/ID` in their list is a
// credential. Each item is an object of its own: a bad one harms no other.
import { type Document, isCollection, isMap, isSeq } from 'yaml';
import { decodeResource } from '../../config/decode/decode.ts';
import type { Problem } from '../../config/resource.ts';
import { suggest } from '../../config/suggest.ts';
import type { NativeObject, ObjectReference, RefusedObject } from '../source.ts';
import { UNHEALTHY_LEFT_OUT } from '../read/health-check.ts';
import { locate } from '../read/locate.ts';
import { didYouMean, ObjectReport, Value } from '../read/value.ts';
import type { Finding } from '../finding.ts';
import { joinConsumer } from './join-consumer.ts';
import { consumerOf, type ObjectId, type ObjectType } from './object-type.ts';
import { readApisixObject } from './read-apisix-object.ts';
import type { MadeResource, ReadObject } from './read-object.ts';
import { NOT_SUPPORTED } from './reading.ts';

/** Lists that are read. Credentials stand among the consumers. */
const LISTS = ['routes', 'services', 'upstreams', 'consumers', 'plugin_configs', 'plugin_metadata', 'ssls'] as const;
type ListName = (typeof LISTS)[number];

/** Lists that APISIX has and this version doesn't act on, with what to do instead. */
const REFUSED_LISTS: ReadonlyMap<string, string> = new Map([
  ['global_rules', 'set the plugins on services or routes'],
  ['stream_routes', 'remove it'],
  ['consumer_groups', 'write the plugins of a group into its consumers'],
  ['protos', 'remove it'],
  ['secrets', 'remove it'],
  ['plugins', 'plugins need not be switched on here: remove it'],
]);

const KEYS: readonly string[] = [...LISTS, ...REFUSED_LISTS.keys()];

/** What a standalone document gives. */
export interface StandaloneContent {
  readonly objects: readonly NativeObject[];
  readonly refused: readonly RefusedObject[];
  /** Whether an error hides which objects there are. */
  readonly hasNameless: boolean;
  readonly findings: readonly Finding[];
}

/** Whether the last line of a file says that it is whole. */
export function hasEndMark(text: string): boolean {
  return /(?:^|\n)[ \t]*#END\s*$/.test(text);
}

/** Whether a document is a standalone file: it has one of its lists and doesn't say that it is something else. */
export function isStandalone(members: ReadonlyMap<string, Value>, hasEnd: boolean): boolean {
  if (members.has('apiVersion') || members.has('kind') || members.has('metadata')) return false;
  if (hasEnd) return true;
  return [...members].some(([key, value]) => {
    const word = key.trim();
    return KEYS.includes(word) || (isSeq(value.node) && suggest(word, KEYS) !== undefined);
  });
}

/** Whether a document must end with the mark: one in JSON ends with its brace. */
export function needsEndMark({ node }: Value): boolean {
  return !(isCollection(node) && node.flow === true);
}

/** What is said of a document without it. */
export const NO_END_MARK = {
  message: 'the last line is not #END, so the file may be half written: nothing of it is taken',
  fix: 'write #END as the last line, as APISIX wants it too',
};

/** Reads a standalone document. */
export function readStandalone(
  object: Value,
  members: ReadonlyMap<string, Value>,
  document: Document.Parsed,
): StandaloneContent {
  const reader = new StandaloneReader(object, document);
  for (const [key, list] of members) reader.readList(key, list);
  reader.joinConsumers();
  const { objects, refused, hasNameless, findings } = reader;
  return { objects, refused, hasNameless, findings };
}

/** An item that was read. */
interface Item {
  readonly object: ReadObject;
  readonly value: Value;
}

class StandaloneReader {
  readonly objects: NativeObject[] = [];
  readonly refused: RefusedObject[] = [];
  readonly findings: Finding[] = [];
  hasNameless = false;
  private readonly whole: Value;
  private readonly document: Document.Parsed;
  /** By their names; the last of a name stands. */
  private readonly consumers = new Map<string, Item>();
  private readonly credentials = new Map<string, Item>();
  /** Consumers that are refused with all that they have. */
  private readonly refusedConsumers = new Set<string>();

  constructor(whole: Value, document: Document.Parsed) {
    this.whole = whole;
    this.document = document;
  }

  readList(key: string, list: Value): void {
    const name = LISTS.find((known) => known === key.trim());
    const report = this.newReport();
    const value = new Value(report, list.node, key, list.offset);
    const instead = REFUSED_LISTS.get(key.trim());
    if (name === undefined) {
      const known = LISTS.join(', ');
      if (instead === undefined) {
        report.add('error', list.keyOrigin, key, `unknown list (known: ${known})`, didYouMean(key, KEYS));
        this.hasNameless = true;
      } else if (!isSeq(list.node) || list.node.items.length > 0) {
        report.add('error', list.keyOrigin, key, NOT_SUPPORTED, instead);
      }
    } else {
      if (name !== key) {
        const message = `the key ${JSON.stringify(key)} has blanks around it and is read as '${name}'`;
        report.add('warning', list.keyOrigin, name, message, 'remove the blanks');
      }
      // A list without items is how one deletes all of them.
      const items = list.isEmpty ? [] : value.list();
      if (items === undefined) this.hasNameless = true;
      for (const [i, item] of (items ?? []).entries()) this.readItem(name, item, i);
    }
    this.findings.push(...report.findings);
  }

  private readItem(list: ListName, given: Value, index: number): void {
    const report = this.newReport();
    const item = new Value(report, given.node, given.path, given.offset);
    const plain: unknown = item.node?.toJS(this.document, { maxAliasCount: -1 });
    const id = idOf(list, item, index);
    if (!isMap(item.node)) {
      item.error(`must be a map, not ${item.shape()}`);
      this.hasNameless = true;
    } else if (id === undefined) {
      item.error(list === 'consumers' ? 'username is missing' : 'id is missing: the name of the plugin');
      this.hasNameless = true;
    } else this.readObject(id, item, plain);
    this.findings.push(...report.findings);
  }

  private readObject(id: ObjectId, item: Value, plain: unknown): void {
    const { report } = item;
    report.object =
      id.type === 'credentials' ? `consumers/${id.id.replace('/', '/credentials/')}` : `${id.type}/${id.id}`;
    const read = readApisixObject(id, plain);
    for (const { path, reason } of read.ok ? read.object.warnings : read.warnings) {
      report.add('warning', locate(item, path), path, reason, undefined);
    }
    for (const path of ['checks.active', 'upstream.checks.active']) {
      const active = path.split('.').reduce<Value | undefined>((value, step) => value?.child(step), item);
      if (active !== undefined && isMap(active.node) && active.child('unhealthy') === undefined) {
        report.add('note', active.origin, path, UNHEALTHY_LEFT_OUT, undefined);
      }
    }
    if (!read.ok) {
      for (const { path, reason } of read.problems) report.add('error', locate(item, path), path, reason, undefined);
      this.refuse(id, item);
    } else if (id.type === 'consumers') set(this.consumers, read.object, item);
    else if (id.type === 'credentials') set(this.credentials, read.object, item);
    else {
      for (const resource of read.object.resources) {
        this.objects.push(nativeObject(resource, item, referencesOf(read.object, resource, item)));
      }
    }
  }

  /** What an item of this id may have in force stays so. */
  private refuse(id: ObjectId, item: Value): void {
    if (id.type === 'consumers' || id.type === 'credentials') this.refusedConsumers.add(consumerOf(id));
    for (const object of namesOf(id)) this.refused.push({ object, origin: item.origin });
  }

  /** A consumer with its credentials is one resource; where one of them is refused, the whole stays what it was. */
  joinConsumers(): void {
    const byConsumer = new Map<string, ReadObject[]>();
    for (const { object, value } of this.credentials.values()) {
      const name = consumerOf(object);
      if (!this.consumers.has(name) && !this.refusedConsumers.has(name)) {
        value.error(`no consumer ${name} stands in this file`, 'write the consumer into the same file');
        this.findings.push(...value.report.findings.slice(-1));
      }
      byConsumer.set(name, [...(byConsumer.get(name) ?? []), object]);
    }
    for (const [name, { object, value }] of this.consumers) {
      if (this.refusedConsumers.has(name)) continue;
      const joined = joinConsumer(object, byConsumer.get(name) ?? []);
      const decoded = decodeResource(joined.kind, name, joined.bytes);
      if (decoded.ok) this.objects.push(nativeObject(joined, value, []));
      else this.refuseJoined(object, value, decoded.problems);
    }
  }

  /** A consumer and its credentials that are good one by one, and not together: a key stands twice. */
  private refuseJoined(object: ReadObject, { node, path, offset }: Value, problems: readonly Problem[]): void {
    const report = this.newReport();
    report.object = `consumers/${object.id}`;
    const item = new Value(report, node, path, offset);
    for (const { path: field, reason } of problems) report.add('error', item.origin, field, reason, undefined);
    this.refuse(object, item);
    this.findings.push(...report.findings);
  }

  private newReport(): ObjectReport {
    return new ObjectReport(this.whole.report.file, this.whole.report.lines, this.whole.report.aliases);
  }
}

/** Other objects that stand twice are told of where all files are known. */
function set(items: Map<string, Item>, object: ReadObject, value: Value): void {
  const earlier = items.get(object.id);
  if (earlier !== undefined) {
    value.warn(
      `stands in line ${earlier.value.origin.line} too; this one, the last, is in force`,
      'remove one of the two',
    );
  }
  items.set(object.id, { object, value });
}

/** Undefined where an item has no name and can't be given one. */
function idOf(list: ListName, item: Value, index: number): ObjectId | undefined {
  const scalar = (key: string): string | undefined => {
    const value = (item.child(key) ?? trimmedChild(item, key))?.scalar();
    return value === undefined ? undefined : String(value);
  };
  const id = scalar('id');
  if (list === 'consumers') {
    const credential = id === undefined ? undefined : /^([^/]+)\/credentials\/([^/]+)$/.exec(id);
    if (credential) return { type: 'credentials', id: `${credential[1] ?? ''}/${credential[2] ?? ''}` };
    const name = scalar('username') ?? id;
    return name === undefined ? undefined : { type: list, id: name };
  }
  if (id === undefined && list === 'plugin_metadata') return undefined;
  return { type: list, id: id ?? `arr_${index + 1}` };
}

function trimmedChild(item: Value, key: string): Value | undefined {
  if (!isMap(item.node)) return undefined;
  return [...(item.anyMembers() ?? [])].find(([written]) => written.trim() === key)?.[1];
}

/** Names of the resources that an object of the id may make, as `objectName` has them. */
function namesOf(object: ObjectId): readonly string[] {
  const { type, id } = object;
  const names: Readonly<Record<ObjectType, readonly string[]>> = {
    routes: [`Route ${id}`, `Upstream routes/${id}`],
    services: [`Service ${id}`, `Upstream services/${id}`],
    upstreams: [`Upstream ${id}`],
    consumers: [`Consumer ${id}`],
    credentials: [`Consumer ${consumerOf(object)}`],
    plugin_configs: [`PluginConfig ${id}`],
    plugin_metadata: [`PluginConfig plugin_metadata/${id}`],
    ssls: [`Secret ssls/${id}`],
  };
  return names[type];
}

function nativeObject(
  { kind, name, bytes }: MadeResource,
  { origin }: Value,
  references: readonly ObjectReference[],
): NativeObject {
  return { kind: 'native', resourceKind: kind, name, bytes, origin, madeOf: 'standalone file', references };
}

/** What a Route or Service names; Secrets are told of where all resources are known. */
function referencesOf(object: ReadObject, { kind }: MadeResource, item: Value): ObjectReference[] {
  if (kind !== 'Route' && kind !== 'Service') return [];
  const kinds = { upstreams: 'Upstream', services: 'Service', plugin_configs: 'PluginConfig' } as const;
  return object.references.flatMap(({ type, id, path }) =>
    type === 'upstreams' || type === 'services' || type === 'plugin_configs'
      ? [{ kind: kinds[type], name: id, object: `${object.type}/${object.id}`, path, origin: locate(item, path) }]
      : [],
  );
}
