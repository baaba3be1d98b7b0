// Native documents: a resource as YAML or JSON, `{apiVersion, kind, metadata: {namespace, name}, spec}`.
//
//   kind                 resource name           from metadata
//   Upstream, Secret     ns/name                 namespace (else `default`), name
//   Endpoints            ns/svc/port             namespace (else `default`), name `svc/port`
//   all others           name                    name as it is
//
// An explicit empty namespace means none: the name of any kind is then as it is (ids of the Admin API have no namespace).
import { decodeResource } from './decode/decode.ts';
import { API_VERSION, type Envelope, isObject, PROTO_PACKAGE, readEnvelope } from './envelope.ts';
import { parseHostPort } from './host-port.ts';
import { keyed, ProblemList, quote } from './problem-list.ts';
import { type Kind, KINDS, type Problem, type Resource } from './resource.ts';
import { readSpec } from './spec-reader.ts';
import { writeSpec } from './spec-writer.ts';

/** A native document, as {@link writeNative} makes it. */
export interface NativeDocument {
  readonly apiVersion: typeof API_VERSION;
  readonly kind: Kind;
  readonly metadata: { readonly namespace?: string; readonly name: string };
  readonly spec: Readonly<Record<string, unknown>>;
}

/** What reading a native document gives: a checked resource with its canonical bytes, or all that is wrong. */
export type NativeResult =
  | {
      readonly ok: true;
      readonly kind: Kind;
      readonly name: string;
      readonly bytes: Uint8Array;
      readonly resource: Resource;
    }
  | { readonly ok: false; readonly problems: readonly Problem[] };

/** Namespace of a document that states none. */
export const DEFAULT_NAMESPACE = 'default';

const NAMESPACED: readonly string[] = ['Upstream', 'Endpoints', 'Secret'] satisfies Kind[];

/**
 * Reads what a YAML or JSON parser made of one document. Paths of problems are those of the document,
 * `spec.port_level_settings[1].tls`.
 */
export function readNative(document: unknown): NativeResult {
  const problems = new ProblemList();
  const envelope = readEnvelope(document, KINDS, problems);
  const kind = KINDS.find((known) => known === envelope?.kind);
  if (envelope === undefined || kind === undefined) return { ok: false, problems: problems.list() };
  const name = resourceName(kind, envelope, problems);
  const nodes = kind === 'Upstream' ? readNodeMap(envelope.spec['nodes'], problems) : undefined;
  const spec = nodes === undefined ? envelope.spec : { ...envelope.spec, nodes: nodes.list };
  const inSpec = new ProblemList();
  // The name isn't repeated in a spec, but it is part of the message.
  const named = { ...spec, name: spec['name'] ?? name ?? '' };
  const bytes = readSpec(`${PROTO_PACKAGE}.${kind}`, named, 'spec', inSpec);
  for (const { path, reason } of inSpec.list()) problems.add(nodes?.documentPath(path) ?? path, reason);
  if (name === undefined) return { ok: false, problems: problems.list() };
  const decoded = decodeResource(kind, name, bytes);
  if (decoded.ok && problems.size === 0) return { ok: true, kind, name, bytes, resource: decoded.resource };
  if (!decoded.ok)
    addValueProblems(decoded.problems, inSpec.list(), problems, (path) => {
      if (path === 'name' && spec['name'] === undefined) return 'metadata.name';
      return path === '' ? '' : (nodes?.documentPath(`spec.${path}`) ?? `spec.${path}`);
    });
  return { ok: false, problems: problems.list() };
}

/**
 * Adds what the checks of values found beside the problems of shape, so that both are heard of at once. What could not
 * be read isn't in the bytes: value problems of such a field or list would be about our own gap, and are left out.
 */
function addValueProblems(
  found: readonly Problem[],
  ofShape: readonly Problem[],
  problems: ProblemList,
  documentPath: (path: string) => string,
): void {
  const gaps = ofShape.map(({ path }) => path.replace(/\[[^[\]]*\]$/, ''));
  for (const { path, reason } of found) {
    const inGap = gaps.some((gap) => gap !== '' && `spec.${path}`.startsWith(gap));
    if (!inGap) problems.add(documentPath(path), reason);
  }
}

function resourceName(kind: Kind, envelope: Envelope, problems: ProblemList): string | undefined {
  const { namespace, name } = envelope;
  const before = problems.size;
  if (name === undefined || name === '') problems.add('metadata.name', 'required');
  if (!NAMESPACED.includes(kind)) {
    if (namespace !== undefined && namespace !== '') {
      problems.add('metadata.namespace', `a ${kind} has no namespace: leave it out`);
    }
    return problems.size > before ? undefined : name;
  }
  if (namespace === '') return name === '' ? undefined : name;
  if (namespace?.includes('/') === true) problems.add('metadata.namespace', `${quote(namespace)} must have no '/'`);
  if (name !== undefined && name !== '') {
    const parts = name.split('/').length;
    if (kind === 'Endpoints' && parts !== 2) problems.add('metadata.name', `${quote(name)} must be service/port`);
    if (kind !== 'Endpoints' && parts !== 1) {
      problems.add('metadata.name', `${quote(name)} must have no '/': the namespace has a field of its own`);
    }
  }
  return problems.size > before || name === undefined ? undefined : `${namespace ?? DEFAULT_NAMESPACE}/${name}`;
}

/** The map form of `nodes` as a list, and how paths into that list are called in the document. */
interface NodeMap {
  readonly list: readonly unknown[];
  readonly documentPath: (path: string) => string;
}

/** Reads `{"host:port": weight}` (the port may be missing); undefined if `nodes` is a list, or something else. */
function readNodeMap(nodes: unknown, problems: ProblemList): NodeMap | undefined {
  if (!isObject(nodes)) return undefined;
  const keys: string[] = [];
  const list: unknown[] = [];
  for (const [key, weight] of Object.entries(nodes)) {
    const address = parseHostPort(key, { defaultHost: undefined, defaultPort: 0, minPort: 1 });
    if (!address.ok) {
      problems.add(keyed('spec.nodes', key), address.reason);
      continue;
    }
    keys.push(key);
    list.push({ host: address.host, weight, ...(address.port === 0 ? {} : { port: address.port }) });
  }
  const documentPath = (path: string): string => {
    const index = /^spec\.nodes\[(\d+)\]/.exec(path)?.[1];
    const key = index === undefined ? undefined : keys[Number(index)];
    return key === undefined ? path : keyed('spec.nodes', key);
  };
  return { list, documentPath };
}

/**
 * The document of a resource, such that {@link readNative} gives the resource again; but a field that is never shown
 * (`tls.client_key`, the keys of a Consumer) stands as `[redacted]`. A Secret is never written.
 */
export function writeNative(resource: Resource<Exclude<Kind, 'Secret'>>): NativeDocument {
  const { kind, name } = resource;
  const { name: _, ...spec } = writeSpec(`${PROTO_PACKAGE}.${kind}`, resource.message);
  return { apiVersion: API_VERSION, kind, metadata: metadataOf(kind, name), spec };
}

function metadataOf(kind: Kind, name: string): NativeDocument['metadata'] {
  if (!NAMESPACED.includes(kind)) return { name };
  const parts = name.split('/');
  const [namespace = '', ...rest] = parts;
  const expected = kind === 'Endpoints' ? 3 : 2;
  if (parts.length !== expected || parts.includes('')) return { namespace: '', name };
  return { namespace, name: rest.join('/') };
}
