// Names that objects of APISIX give to resources: an inline upstream makes the Upstream `routes/ID` or `services/ID`, a
// certificate the Secret `ssls/ID`. A Service or Secret of Kubernetes in a namespace of such a name makes resources of the
// same form. Where one has the very name, its calls would go to the nodes of the route, or its listeners show another
// certificate, so it is refused, and so is what is written as a file's own. All other names of these namespaces are free.
import type { Finding } from '../finding.ts';
import { objectName } from '../object-name.ts';
import type { ConfigObject, NativeObject } from '../source.ts';

/** Names of Upstreams and Secrets that objects of APISIX make beside those of their own. */
const RESERVED = /^(?:Upstream (?:routes|services)|Secret ssls)\//;

/** What took each name, by kind and name of the resource. */
export type TakenNames = ReadonlyMap<string, NativeObject>;

/** The names that these objects take. */
export function takenNames(...lists: readonly Iterable<ConfigObject>[]): TakenNames {
  const taken = new Map<string, NativeObject>();
  for (const objects of lists) {
    for (const object of objects) if (takes(object)) taken.set(objectName(object), object);
  }
  return taken;
}

/** Whether a name is taken by the object of APISIX that it was made of. */
function takes(object: ConfigObject): object is NativeObject {
  return object.kind === 'native' && object.madeOf !== undefined && RESERVED.test(objectName(object));
}

/** What took the name that an object needs; undefined: it is free. */
export function takerOf(object: ConfigObject, taken: TakenNames): NativeObject | undefined {
  if (taken.size === 0) return undefined;
  if (object.kind === 'native') return object.madeOf === undefined ? taken.get(objectName(object)) : undefined;
  const name = object.kind === 'EndpointSlice' ? object.service : object.name;
  return name === undefined ? undefined : taken.get(`Upstream ${object.namespace}/${name}`);
}

/** The objects whose names are free. Each other one is told of; the slices of a Service go with it. */
export function withFreeNames(
  objects: readonly ConfigObject[],
  taken: TakenNames,
  findings: Finding[],
): readonly ConfigObject[] {
  if (taken.size === 0) return objects;
  return objects.filter((object) => {
    const taker = takerOf(object, taken);
    if (taker !== undefined && object.kind !== 'EndpointSlice') findings.push(nameTaken(object, taker));
    return taker === undefined;
  });
}

/** Names of objects by which one is found that contends with `object` for the name of a resource. */
export function rivalNames(object: ConfigObject): readonly string[] {
  if (object.kind === 'native') {
    return takes(object) && object.resourceKind === 'Upstream'
      ? [`Service ${object.name}`, `ApisixUpstream ${object.name}`]
      : [];
  }
  const name = object.kind === 'EndpointSlice' ? object.service : object.name;
  const upstream = `Upstream ${object.namespace}/${name}`;
  return RESERVED.test(upstream) ? [upstream] : [];
}

function nameTaken(object: ConfigObject, { resourceKind, name, origin, madeOf }: NativeObject): Finding {
  const what = resourceKind === 'Secret' ? 'the certificate' : 'the inline upstream';
  const place = madeOf === 'Admin API' ? origin.file : `${origin.file}:${origin.line}`;
  const message = `is refused: ${what} of ${name} (${place}, ${madeOf}) makes the ${resourceKind} ${name}, and keeps that name`;
  const fix = 'rename one of the two, or move this one to another namespace';
  return { severity: 'error', ...object.origin, object: objectName(object), path: '', message, fix };
}
