// Words of an object → a resource as sidecars get it, held to the checks that every sidecar makes. So what passes here,
// none refuses.
import { decodeResource } from '../../config/decode/decode.ts';
import { isObject, PROTO_PACKAGE, unknownKey } from '../../config/envelope.ts';
import { entry, furtherCount, member, ProblemList } from '../../config/problem-list.ts';
import type { Kind, Problem } from '../../config/resource.ts';
import { requiredSchema } from '../../config/schema.ts';
import { readSpec } from '../../config/spec-reader.ts';
import type { MadeResource } from './read-object.ts';

/**
 * Makes a resource of `spec`, the fields of its message. What is wrong goes to `problems` under the path that
 * `objectPath` gives for the message's; the resource is then not to be used. What `problems` has already said about a
 * place, or about one around it, isn't said again.
 */
export function makeResource(
  kind: Kind,
  name: string,
  spec: Readonly<Record<string, unknown>>,
  objectPath: (path: string) => string,
  problems: ProblemList,
): MadeResource {
  const ofShape = new ProblemList();
  const fullName = `${PROTO_PACKAGE}.${kind}`;
  refuseCamelCase(fullName, spec, '', ofShape);
  const bytes = readSpec(fullName, { ...spec, name }, '', ofShape);
  const told = new Set<string>();
  addUntold(ofShape.list(), objectPath, problems, told);
  const decoded = decodeResource(kind, name, bytes);
  if (!decoded.ok) addUntold(decoded.problems, objectPath, problems, told);
  return { kind, name, bytes };
}

function addUntold(
  found: readonly Problem[],
  objectPath: (path: string) => string,
  problems: ProblemList,
  told: Set<string>,
): void {
  const places = problems.list().map(({ path }) => path);
  for (const problem of found) {
    const beyond = furtherCount(problem);
    if (beyond > 0) {
      problems.addUntold(beyond);
      continue;
    }
    const { path, reason } = problem;
    const at = objectPath(path);
    const covered = places.some((place) => place !== '' && isWithin(at, place));
    const line = `${at}\0${reason}`;
    if (covered || told.has(line)) continue;
    told.add(line);
    problems.add(at, reason);
  }
}

/** Whether `path` is `place`, or lies inside it; a list that lacks an item is not looked at as a whole either. */
function isWithin(path: string, place: string): boolean {
  if (path === place) return true;
  if (path.startsWith(place)) return /^[.[]/.test(path.slice(place.length));
  return place.startsWith(`${path}[`) && path !== '';
}

/** Keys in camelCase, which proto JSON has and APISIX has not. */
function refuseCamelCase(fullName: string, value: unknown, path: string, problems: ProblemList): void {
  if (!isObject(value)) return;
  const { fields } = requiredSchema(fullName);
  for (const [key, inner] of Object.entries(value)) {
    const field = fields.find(({ name }) => name === key);
    if (field === undefined) {
      const names = fields.map(({ name }) => name);
      if (fields.some(({ jsonName }) => jsonName === key)) unknownKey(problems, path, key, names);
      continue;
    }
    if (field.type !== 'message' || field.map) continue;
    const at = member(path, key);
    if (!Array.isArray(inner)) refuseCamelCase(field.typeName, inner, at, problems);
    else for (const [i, item] of inner.entries()) refuseCamelCase(field.typeName, item, entry(at, i), problems);
  }
}
