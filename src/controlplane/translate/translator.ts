// All objects of all sources → resources. What was made of one Service is kept until one of its objects changes, so the
// work of a change follows the change.
import type { Finding, Origin } from '../finding.ts';
import type { ConfigObject, EndpointSliceObject, NativeObject } from '../source.ts';
import { type VersionedResource, versionedFromBytes } from '../versioned-resource.ts';
import type { SecretReference } from '../../config/secret-references.ts';
import { referenceProblem, referencesOf } from '../references.ts';
import { derive, type DerivedService, type Inputs } from './service.ts';

/** What all objects mean together. */
export interface Translation {
  /** Sorted by name. */
  readonly services: readonly DerivedService[];
  /** Native resources, served as they are, and Upstreams of ApisixUpstreams without a Service and endpoints. */
  readonly others: readonly VersionedResource[];
  /** What was found across objects. */
  readonly findings: readonly Finding[];
}

/** Translates, and remembers. */
export class Translator {
  private services = new Map<string, { readonly inputs: Inputs; readonly derived: DerivedService }>();
  private natives = new Map<NativeObject, VersionedResource>();

  /** `objects` in the order of their files: of two with one kind and name the last stands. */
  translate(objects: readonly ConfigObject[]): Translation {
    const findings: Finding[] = [];
    const standing = lastOfEachName(objects, findings);
    const services: DerivedService[] = [];
    const others: VersionedResource[] = [];
    const kept: typeof this.services = new Map();
    for (const [name, inputs] of gather(standing)) {
      const before = this.services.get(name);
      const derived = before !== undefined && sameInputs(before.inputs, inputs) ? before.derived : derive(name, inputs);
      if (derived === undefined) continue;
      kept.set(name, { inputs, derived });
      findings.push(...derived.findings);
      if (inputs.service === undefined && derived.ports.length === 0) others.push(...derived.resources);
      else services.push(derived);
    }
    this.services = kept;
    const natives = this.nativeResources(standing);
    findings.push(...overruled(natives, kept), ...uselessSecrets(natives, kept));
    others.push(...natives);
    services.sort((a, b) => (a.name < b.name ? -1 : 1));
    return { services, others, findings };
  }

  private nativeResources(objects: readonly ConfigObject[]): VersionedResource[] {
    const natives: typeof this.natives = new Map();
    for (const object of objects) {
      if (object.kind !== 'native') continue;
      const { resourceKind, name, bytes, origin } = object;
      natives.set(object, this.natives.get(object) ?? versionedFromBytes(resourceKind, name, bytes, origin));
    }
    this.natives = natives;
    return [...natives.values()];
  }
}

/** Policies of ApisixUpstreams that a native Upstream of the same name takes the place of. */
function overruled(
  natives: readonly VersionedResource[],
  services: ReadonlyMap<string, { readonly inputs: Inputs }>,
): Finding[] {
  return natives.flatMap(({ kind, name, origin }) => {
    const decoration = kind === 'Upstream' ? services.get(name)?.inputs.decoration : undefined;
    if (decoration === undefined) return [];
    const message = `has no effect: the native Upstream in ${origin.file}:${origin.line} has the same name`;
    const object = describe(decoration);
    return [{ severity: 'warning', ...decoration.origin, object, path: '', message, fix: 'remove one of the two' }];
  });
}

/** Names of Secrets that aren't there, or lack what they are named for. */
function uselessSecrets(
  natives: readonly VersionedResource[],
  services: ReadonlyMap<string, { readonly inputs: Inputs }>,
): Finding[] {
  const secrets = new Map(natives.filter(({ kind }) => kind === 'Secret').map((secret) => [secret.name, secret]));
  const warn = (origin: Origin, object: string, path: string, named: SecretReference): Finding[] => {
    const problem = referenceProblem(named, secrets.get(named.name));
    return problem === undefined ? [] : [{ severity: 'warning', ...origin, object, path, ...problem }];
  };
  const ofNatives = natives.flatMap((resource) =>
    referencesOf(resource).secrets.flatMap((named) =>
      warn(resource.origin, `${resource.kind} ${resource.name}`, `spec.${named.path}`, named),
    ),
  );
  const ofDecorations = [...services.values()].flatMap(({ inputs: { decoration } }) =>
    (decoration?.tlsSecrets ?? []).flatMap(({ name, part, path, origin }) =>
      decoration === undefined ? [] : warn(origin, describe(decoration), path, { name, part, path }),
    ),
  );
  return [...ofNatives, ...ofDecorations];
}

function lastOfEachName(objects: readonly ConfigObject[], findings: Finding[]): ConfigObject[] {
  const byName = new Map<string, ConfigObject>();
  for (const object of objects) {
    const key = describe(object);
    const earlier = byName.get(key);
    if (earlier !== undefined) {
      const { file, line } = earlier.origin;
      const message = `stands in ${file}:${line} too; this one, the last by file name, is in force`;
      findings.push({
        severity: 'warning',
        ...object.origin,
        object: key,
        path: '',
        message,
        fix: 'remove one of the two',
      });
    }
    byName.set(key, object);
  }
  return [...byName.values()];
}

/** Kind and name, as findings call an object. */
function describe(object: ConfigObject): string {
  return object.kind === 'native'
    ? `${object.resourceKind} ${object.name}`
    : `${object.kind} ${object.namespace}/${object.name}`;
}

function gather(objects: readonly ConfigObject[]): Map<string, Inputs> {
  const found = new Map<string, { -readonly [K in keyof Inputs]: Inputs[K] }>();
  const slices = new Map<string, EndpointSliceObject[]>();
  const at = (name: string) => {
    const inputs = found.get(name) ?? { service: undefined, decoration: undefined, slices: [], named: new Map() };
    found.set(name, inputs);
    return inputs;
  };
  for (const object of objects) {
    if (object.kind === 'Service') at(`${object.namespace}/${object.name}`).service = object;
    else if (object.kind === 'ApisixUpstream') at(`${object.namespace}/${object.name}`).decoration = object;
    else if (object.kind === 'EndpointSlice' && object.service !== undefined) {
      const name = `${object.namespace}/${object.service}`;
      const list = slices.get(name) ?? [];
      list.push(object);
      slices.set(name, list);
      at(name).slices = list;
    }
  }
  for (const inputs of found.values()) {
    const { namespace, externalNodes } = inputs.decoration ?? { namespace: '', externalNodes: [] };
    const names = externalNodes.filter(({ type }) => type === 'Service').map(({ name }) => name);
    inputs.named = new Map(names.map((name) => [name, found.get(`${namespace}/${name}`)?.service]));
  }
  return found;
}

function sameInputs(a: Inputs, b: Inputs): boolean {
  return (
    a.service === b.service &&
    a.decoration === b.decoration &&
    a.slices.length === b.slices.length &&
    a.slices.every((slice, i) => slice === b.slices[i]) &&
    // The names are those of the same decoration.
    [...a.named].every(([name, service]) => service === b.named.get(name))
  );
}
