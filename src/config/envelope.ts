// The outside of a native document: `{apiVersion, kind, metadata: {namespace, name}, spec}`.
import { keyed, member, type ProblemList, quote } from './problem-list.ts';
import { suggest } from './suggest.ts';

/** `apiVersion` of every native document. */
export const API_VERSION = 'outrigger.config/v1';

/** Package of the messages that `spec` holds. */
export const PROTO_PACKAGE = 'outrigger.config.v1';

/** A native document with its outside checked; `spec` isn't looked at yet. */
export interface Envelope {
  readonly kind: string;
  readonly namespace: string | undefined;
  readonly name: string | undefined;
  readonly spec: Readonly<Record<string, unknown>>;
}

/** A JSON object: what YAML and JSON parsers make of `{…}`. */
export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

/** A JSON type with its article, for messages. */
export function describeType(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'a list';
  switch (typeof value) {
    case 'object':
      // A Map, a Date: made by other code, not by a parser.
      return isObject(value) ? 'an object' : 'a value that JSON does not have';
    case 'boolean':
      return 'true or false';
    case 'undefined':
      return 'nothing';
    default:
      return `a ${typeof value}`;
  }
}

/** Path of an unknown key, which may be any text. */
function keyPath(path: string, key: string): string {
  return /^[A-Za-z_][A-Za-z0-9_]*$/.test(key) ? member(path, key) : keyed(path, key);
}

/** Says that `key` is unknown, which known key is near, and that blanks at its end are the reason if they are. */
export function unknownKey(problems: ProblemList, path: string, key: string, known: readonly string[]): void {
  const trimmed = key.trim();
  const at = keyPath(path, key);
  if (trimmed !== key && known.includes(trimmed)) {
    problems.add(at, `unknown key: ${quote(key)} has blanks around it; did you mean '${trimmed}'?`);
    return;
  }
  const near = suggest(key, known);
  problems.add(
    at,
    near === undefined ? `unknown key; known are ${known.join(', ')}` : `unknown key: did you mean '${near}'?`,
  );
}

/**
 * Reads the outside. `kinds` are those that may stand here. Undefined if it is so wrong that `spec` can't be read; each
 * reason is in `problems`.
 */
export function readEnvelope(document: unknown, kinds: readonly string[], problems: ProblemList): Envelope | undefined {
  if (!isObject(document)) {
    problems.add('', `must be an object with apiVersion, kind, metadata and spec, not ${describeType(document)}`);
    return undefined;
  }
  const keys = ['apiVersion', 'kind', 'metadata', 'spec'];
  for (const key of Object.keys(document)) if (!keys.includes(key)) unknownKey(problems, '', key, keys);
  const { apiVersion, kind, metadata, spec } = document;
  if (apiVersion !== API_VERSION) {
    problems.add(
      'apiVersion',
      `must be ${API_VERSION}${typeof apiVersion === 'string' ? `, not ${quote(apiVersion)}` : ''}`,
    );
  }
  const isKind = typeof kind === 'string' && kinds.includes(kind);
  if (!isKind) addKindProblem(kind, kinds, problems);
  const { namespace, name } = readMetadata(metadata, problems);
  if (!isObject(spec)) {
    problems.add('spec', spec === undefined ? 'required' : `must be an object, not ${describeType(spec)}`);
  }
  return isKind && isObject(spec) ? { kind, namespace, name, spec } : undefined;
}

function addKindProblem(kind: unknown, kinds: readonly string[], problems: ProblemList): void {
  if (kind === undefined) problems.add('kind', `required: one of ${kinds.join(', ')}`);
  else if (typeof kind !== 'string') problems.add('kind', `must be a string, not ${describeType(kind)}`);
  else if (kind === 'Bootstrap') problems.add('kind', 'a Bootstrap is the file of `run -c`, not a resource');
  else {
    const near = suggest(kind, kinds);
    const hint = near === undefined ? '' : `: did you mean '${near}'?`;
    problems.add('kind', `${quote(kind)} is none of ${kinds.join(', ')}${hint}`);
  }
}

function readMetadata(
  metadata: unknown,
  problems: ProblemList,
): { readonly namespace: string | undefined; readonly name: string | undefined } {
  if (metadata === undefined) return { namespace: undefined, name: undefined };
  if (!isObject(metadata)) {
    problems.add('metadata', `must be an object, not ${describeType(metadata)}`);
    return { namespace: undefined, name: undefined };
  }
  const keys = ['namespace', 'name'];
  for (const key of Object.keys(metadata)) if (!keys.includes(key)) unknownKey(problems, 'metadata', key, keys);
  const text = (key: 'namespace' | 'name'): string | undefined => {
    const value = metadata[key];
    if (typeof value === 'string' || value === undefined) return value;
    problems.add(`metadata.${key}`, `must be a string, not ${describeType(value)}`);
    return undefined;
  };
  return { namespace: text('namespace'), name: text('name') };
}
