// All objects of all sources → resources. What was made of one Service is kept until one of its objects changes, so the
// work of a change follows the change. An object that is refused is what it was when it was last good.
import type { Finding, Origin } from '../finding.ts';
import { objectName } from '../object-name.ts';
import type { ConfigObject, EndpointSliceObject, NativeObject, RefusedObject } from '../source.ts';
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
  /** The objects in force by name. */
  private inForce: ReadonlyMap<string, ConfigObject> = new Map();
  /** Names of objects that were read and that one of another file overrules. */
  private contested: ReadonlySet<string> = new Set();

  /**
   * `objects` in the order of their files: of two with one kind and name the last stands. `held`: those that an error in
   * their file may hide.
   */
  translate(
    objects: readonly ConfigObject[],
    refused: readonly RefusedObject[] = [],
    held: readonly ConfigObject[] = [],
  ): Translation {
    const findings: Finding[] = [];
    const byName = lastOfEachName(objects, findings);
    hold(byName, refused, this.inForce, this.contested, findings);
    holdHidden(byName, held, this.inForce, this.contested, findings);
    this.inForce = byName;
    const beside = objects.filter((one) => byName.get(objectName(one))?.origin.file !== one.origin.file);
    this.contested = new Set(beside.map(objectName));
    const standing = [...byName.values()];
    const withheld = refusedPolicies(byName, refused);
    const services: DerivedService[] = [];
    const others: VersionedResource[] = [];
    const kept: typeof this.services = new Map();
    for (const [name, gathered] of gather(standing)) {
      const before = this.services.get(name);
      const inputs = { ...gathered, refusedPolicy: refusedPolicy(withheld.get(name), before?.derived) };
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
    const object = objectName(decoration);
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
      decoration === undefined ? [] : warn(origin, objectName(decoration), path, { name, part, path }),
    ),
  );
  return [...ofNatives, ...ofDecorations];
}

function lastOfEachName(objects: readonly ConfigObject[], findings: Finding[]): Map<string, ConfigObject> {
  const byName = new Map<string, ConfigObject>();
  for (const object of objects) {
    const key = objectName(object);
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
  return byName;
}

/**
 * Puts in the place of each object that is refused what was in force of it. Where a good one of its name stands in another
 * file that one is taken, unless the one in force was of the same file as the refused one; where that one is hidden, only
 * if the good one stood beside it before.
 */
function hold(
  byName: Map<string, ConfigObject>,
  refused: readonly RefusedObject[],
  before: ReadonlyMap<string, ConfigObject>,
  contested: ReadonlySet<string>,
  findings: Finding[],
): void {
  for (const { object, origin, isHidden } of refused) {
    const last = before.get(object);
    const stays = last?.origin.file === origin.file && (isHidden !== true || contested.has(object));
    if (last === undefined || (byName.has(object) && !stays)) continue;
    byName.set(object, last);
    const message = 'is refused: its last good version stays in force';
    findings.push({ severity: 'note', ...origin, object, path: '', message });
  }
}

/**
 * Puts in force what is held for a file with an error, where nothing of its name is read. One that was in force over
 * another file's stays so: the error is no reason to change that. Of several the one that was in force is taken, else the
 * last.
 */
function holdHidden(
  byName: Map<string, ConfigObject>,
  held: readonly ConfigObject[],
  before: ReadonlyMap<string, ConfigObject>,
  contested: ReadonlySet<string>,
  findings: Finding[],
): void {
  const found = new Map<string, ConfigObject>();
  for (const object of held) {
    const key = objectName(object);
    const wasInForce = before.get(key);
    if (found.has(key) && found.get(key) === wasInForce) continue;
    const read = byName.get(key);
    if (read === undefined || (object === wasInForce && contested.has(key))) found.set(key, object);
    else if (read.origin.file !== object.origin.file) {
      const message = `is in force; the last good version of ${object.origin.file}, which has an error, is not`;
      findings.push({ severity: 'note', ...read.origin, object: key, path: '', message, fix: undefined });
    }
  }
  for (const [key, object] of found) byName.set(key, object);
}

/** Policies that are refused, by the name of their Service, where nothing of them is in force. */
function refusedPolicies(
  byName: ReadonlyMap<string, ConfigObject>,
  refused: readonly RefusedObject[],
): ReadonlyMap<string, RefusedObject> {
  const found = new Map<string, RefusedObject>();
  for (const one of refused) {
    const [kind, name = ''] = one.object.split(' ');
    const native = `Upstream ${name}`;
    // A native Upstream takes the place of an ApisixUpstream, refused or not.
    const isOpen = !byName.has(native) && (kind === 'Upstream' || !byName.has(one.object));
    if (isOpen && (kind === 'Upstream' || (kind === 'ApisixUpstream' && !found.has(name)))) found.set(name, one);
  }
  return found;
}

function refusedPolicy(
  refused: RefusedObject | undefined,
  before: DerivedService | undefined,
): Inputs['refusedPolicy'] {
  if (refused === undefined) return undefined;
  return { refused, isWithheld: before?.resources.some(({ kind }) => kind === 'Upstream') !== true };
}

type Gathered = Omit<Inputs, 'refusedPolicy'>;

function gather(objects: readonly ConfigObject[]): Map<string, Gathered> {
  const found = new Map<string, { -readonly [K in keyof Gathered]: Gathered[K] }>();
  const slices = new Map<string, EndpointSliceObject[]>();
  const at = (name: string) => {
    const nothing = { service: undefined, decoration: undefined, native: undefined, slices: [], named: new Map() };
    const inputs = found.get(name) ?? nothing;
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
  for (const object of objects) {
    if (object.kind !== 'native' || object.resourceKind !== 'Upstream') continue;
    const inputs = found.get(object.name);
    if (inputs !== undefined) inputs.native = object;
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
    a.native === b.native &&
    a.refusedPolicy?.refused === b.refusedPolicy?.refused &&
    a.refusedPolicy?.isWithheld === b.refusedPolicy?.isWithheld &&
    a.slices.length === b.slices.length &&
    a.slices.every((slice, i) => slice === b.slices[i]) &&
    // The names are those of the same decoration.
    [...a.named].every(([name, service]) => service === b.named.get(name))
  );
}
