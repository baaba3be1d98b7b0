// Configuration from a store: what the Admin API was given. What an object makes is kept until it changes, so one change
// among thousands costs a pass over references.
import { decodeResource } from '../../config/decode/decode.ts';
import { Route } from '../../gen/outrigger/config/v1/gateway.ts';
import { joinConsumer } from '../apisix/join-consumer.ts';
import { consumerOf, keyOf, objectIdOf } from '../apisix/object-type.ts';
import { objectIdProblem } from '../apisix/read-apisix-object.ts';
import type { MadeResource, ReadObject } from '../apisix/read-object.ts';
import type { Finding, Origin } from '../finding.ts';
import type { ConfigObject, NativeObject, RefusedObject, Source } from '../source.ts';
import type { EntryReader } from '../store/read-entries.ts';
import type { JsonObject, Store } from '../store/store.ts';

/** Where the objects come from. */
export interface StoreSourceOptions {
  /** Started and stopped by whoever made it; {@link StoreSource.onChanged} must hear of its changes. */
  readonly store: Store;
  readonly reader: EntryReader;
}

/** What one object of the store gives. */
interface Made {
  readonly natives: readonly NativeObject[];
  readonly findings: readonly Finding[];
}

/** The objects of a store that has started. */
export class StoreSource implements Source {
  private readonly store: Store;
  private readonly reader: EntryReader;
  private readonly made = new Map<string, Made>();
  /** Keys of the credentials of a consumer, by the consumer's key. */
  private readonly credentials = new Map<string, Set<string>>();
  private flat: readonly NativeObject[] | undefined;
  private changed: () => void = () => undefined;

  constructor({ store, reader }: StoreSourceOptions) {
    this.store = store;
    this.reader = reader;
  }

  start(changed: () => void): Promise<void> {
    this.changed = changed;
    const keys = Array.from(this.store.entries(), ({ key }) => key);
    this.take(keys);
    return Promise.resolve();
  }

  /** Takes in what the store says has changed. */
  onChanged(keys: readonly string[]): void {
    this.take(keys);
    this.changed();
  }

  objects(): readonly ConfigObject[] {
    this.flat ??= [...this.made.values()].flatMap(({ natives }) => natives);
    return this.flat;
  }

  /** Nothing of what can't be read was ever in force in this process. */
  refused(): readonly RefusedObject[] {
    return [];
  }

  held(): readonly ConfigObject[] {
    return [];
  }

  findings(): readonly Finding[] {
    return [...this.made.values()].flatMap(({ findings }) => findings);
  }

  stop(): void {
    this.changed = () => undefined;
  }

  private take(keys: readonly string[]): void {
    const touched = new Set<string>();
    for (const key of keys) {
      const consumer = consumerKeyOf(key);
      if (consumer === undefined) {
        touched.add(key);
        continue;
      }
      const own = this.credentials.get(consumer) ?? new Set<string>();
      if (this.store.get(key) === undefined) own.delete(key);
      else own.add(key);
      if (own.size > 0) this.credentials.set(consumer, own);
      else this.credentials.delete(consumer);
      // What is wrong with a credential stands under its own key, what it makes under the consumer's.
      touched.add(key).add(consumer);
    }
    for (const key of touched) {
      const made = this.make(key);
      if (made === undefined) this.made.delete(key);
      else this.made.set(key, made);
    }
    this.flat = undefined;
  }

  private make(key: string): Made | undefined {
    const entry = this.store.get(key);
    if (entry === undefined) return undefined;
    const id = objectIdOf(key);
    if (id === undefined)
      return refused(key, [{ path: '', reason: 'is no object that this version knows' }], removalOf(key));
    const result = this.reader.read(id, entry.value);
    if (!result.ok) {
      const canBeWritten = objectIdProblem(id) === undefined;
      const fix = canBeWritten ? 'write it anew over the Admin API, or delete it there' : removalOf(key);
      const made = refused(key, result.problems, fix);
      return id.type === 'routes' ? { ...made, natives: guardOf(id.id, entry.value, originOf(key)) } : made;
    }
    const resources =
      id.type === 'consumers' ? [joinConsumer(result.object, this.credentialsOf(key))] : result.object.resources;
    return { natives: resources.map((resource) => nativeOf(resource, originOf(key))), findings: [] };
  }

  private credentialsOf(consumer: string): ReadObject[] {
    return [...(this.credentials.get(consumer) ?? [])].flatMap((key) => {
      const [entry, id] = [this.store.get(key), objectIdOf(key)];
      const result = entry && id && this.reader.read(id, entry.value);
      return result?.ok === true ? [result.object] : [];
    });
  }
}

/** Name of a PluginConfig that nobody has. */
const UNREADABLE = '..unreadable-route..';

/**
 * What stands for a Route that can't be read, so that what it guarded doesn't fall to another: one for the same uris, hosts
 * and priority, as far as they can be read, which is answered 503 `unknown_plugin_config`.
 */
function guardOf(id: string, value: JsonObject, origin: Origin): NativeObject[] {
  const listOf = (one: string, several: string): string[] =>
    [value[one], value[several]].flat().filter((text): text is string => typeof text === 'string');
  const priority = typeof value['priority'] === 'number' ? value['priority'] : undefined;
  const message = Route.fromPartial({
    name: id,
    desc: 'stands for a route that cannot be read',
    uris: listOf('uri', 'uris'),
    hosts: listOf('host', 'hosts'),
    ...(priority === undefined ? {} : { priority }),
    pluginConfigId: UNREADABLE,
  });
  if (value['status'] === 0) return [];
  const bytes = Route.encode(message).finish();
  if (!decodeResource('Route', id, bytes).ok) return [];
  return [{ kind: 'native', resourceKind: 'Route', name: id, bytes, origin, madeOf: 'Admin API' }];
}

function nativeOf({ kind, name, bytes }: MadeResource, origin: Origin): NativeObject {
  return { kind: 'native', resourceKind: kind, name, bytes, origin, madeOf: 'Admin API' };
}

/** What can be done about an object that this version has no words for. */
function removalOf(key: string): string {
  const path = /^\/apisix(\/.+)$/.exec(key)?.[1];
  if (path === undefined) return 'it disturbs nothing; another program or version wrote it, which can remove it';
  const escaped = path.split('/').map(encodeURIComponent).join('/');
  return `use the version that wrote it, or remove it: DELETE /apisix/admin${escaped}`;
}

function refused(
  key: string,
  problems: readonly { readonly path: string; readonly reason: string }[],
  fix: string,
): Made {
  const findings = problems.map(({ path, reason }): Finding => {
    return { severity: 'error', ...originOf(key), object: '', path, message: reason, fix };
  });
  return { natives: [], findings };
}

function originOf(key: string): Origin {
  return { file: key, line: 1, column: 1 };
}

function consumerKeyOf(key: string): string | undefined {
  const id = objectIdOf(key);
  return id?.type === 'credentials' ? keyOf({ type: 'consumers', id: consumerOf(id) }) : undefined;
}
