// Paths of the Admin API → what is asked for.
import { OBJECT_TYPES, type ObjectId, type ObjectType } from '../apisix/object-type.ts';
import { suggest } from '../../config/suggest.ts';
import { type Answer, refusal } from './answer.ts';

/** What a path stands for. */
export type Target =
  | { readonly kind: 'root' | 'plugins' }
  | { readonly kind: 'validation'; readonly type: ObjectType }
  /** All objects of a type; `consumer`: whose credentials. */
  | { readonly kind: 'collection'; readonly type: ObjectType; readonly consumer: string | undefined }
  | { readonly kind: 'object'; readonly id: ObjectId; readonly subPath: readonly string[] };

/** What routing gives. */
export type Routed = { readonly ok: true; readonly target: Target } | { readonly ok: false; readonly answer: Answer };

/** Objects of APISIX that this version has none of. */
const UNSUPPORTED: readonly string[] = ['consumer_groups', 'global_rules', 'protos', 'secrets', 'stream_routes'];
/** Types of which POST makes an id (APISIX). */
const POSTABLE: readonly ObjectType[] = ['routes', 'services', 'upstreams', 'plugin_configs', 'ssls'];
const TYPES = OBJECT_TYPES.filter((type) => type !== 'credentials');

/** Finds what a path asks for; `segments` are those of the whole path, decoded. */
export function routeRequest(segments: readonly string[], method: string): Routed {
  const [first, second, ...rest] = segments;
  if (first !== 'apisix' || second !== 'admin') return notFound('not found: the Admin API is at /apisix/admin');
  const routed = routePath(rest);
  if (!routed.ok) return routed;
  const methods = methodsOf(routed.target);
  if (methods.includes(method)) return routed;
  const message = `the method ${method} is not allowed here; allowed are ${methods.join(', ')}`;
  return { ok: false, answer: { ...refusal(405, message), headers: { allow: methods.join(', ') } } };
}

function routePath(path: readonly string[]): Routed {
  // A slash at the end says nothing.
  const [name, id, third, own, ...rest] = path.at(-1) === '' ? path.slice(0, -1) : path;
  if (name === undefined) return { ok: true, target: { kind: 'root' } };
  if (name === 'plugins' && id === 'list' && third === undefined) return { ok: true, target: { kind: 'plugins' } };
  if (name === 'schema') {
    if (id !== 'validate' || third === undefined) return notFound('not found: only schema/validate/TYPE is there');
    const type = OBJECT_TYPES.find((known) => known === third);
    return type === undefined ? unknownType(third) : { ok: true, target: { kind: 'validation', type } };
  }
  const type = TYPES.find((known) => known === name);
  if (type === undefined) return unknownType(name);
  if (id === undefined) return { ok: true, target: { kind: 'collection', type, consumer: undefined } };
  if (id === '' || (third === 'credentials' && type === 'consumers' && own === '')) {
    return { ok: false, answer: refusal(400, 'the id is empty') };
  }
  if (type === 'consumers' && third === 'credentials') {
    if (own === undefined) return { ok: true, target: { kind: 'collection', type: third, consumer: id } };
    return { ok: true, target: { kind: 'object', id: { type: third, id: `${id}/${own}` }, subPath: rest } };
  }
  const subPath = [third, own, ...rest].filter((segment) => segment !== undefined);
  return { ok: true, target: { kind: 'object', id: { type, id }, subPath } };
}

function methodsOf(target: Target): readonly string[] {
  switch (target.kind) {
    case 'root':
      return ['HEAD'];
    case 'plugins':
      return ['GET', 'HEAD'];
    case 'validation':
      return ['POST'];
    case 'collection':
      if (target.type === 'credentials') return ['GET', 'HEAD'];
      return POSTABLE.includes(target.type) ? ['GET', 'HEAD', 'PUT', 'POST'] : ['GET', 'HEAD', 'PUT'];
    case 'object':
      return target.subPath.length > 0 ? ['PATCH'] : ['GET', 'HEAD', 'PUT', 'PATCH', 'DELETE'];
  }
}

function unknownType(name: string): Routed {
  const shown = /^[\w-]{1,40}$/.test(name) ? name : JSON.stringify(name.slice(0, 40));
  if (UNSUPPORTED.includes(name)) return notFound(`Unsupported resource type: ${shown}: this version has none of them`);
  const near = suggest(name, TYPES);
  const hint = near === undefined ? `known are ${TYPES.join(', ')}` : `did you mean ${near}?`;
  return notFound(`Unsupported resource type: ${shown}; ${hint}`);
}

function notFound(message: string): Routed {
  return { ok: false, answer: refusal(404, message) };
}
