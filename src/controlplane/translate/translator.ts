// All objects of all sources → resources. What was made of one Service is kept until one of its objects changes, and a
// native resource until its object does; of the rest, what is alike is only passed by. An object that is refused is what it was
// when it was last good.
import type { Finding, Origin } from '../finding.ts';
import { objectName } from '../object-name.ts';
import type { ConfigObject, NativeObject, RefusedObject } from '../source.ts';
import { type VersionedResource, versionedFromBytes } from '../versioned-resource.ts';
import type { SecretReference } from '../../config/secret-references.ts';
import { difference } from '../difference.ts';
import { referenceProblem } from '../references.ts';
import { type DerivedFrom, DerivedServices, serviceNameOf } from './derived-services.ts';
import type { DerivedService } from './service.ts';
import { rivalNames, takenNames, takerOf, type TakenNames, withFreeNames } from './taken-names.ts';

/** What all objects mean together. Lists that are alike from one to the next are the same. */
export interface Translation {
  /** Sorted by name. */
  readonly services: readonly DerivedService[];
  /**
   * Native resources, served as they are, and Upstreams of ApisixUpstreams without a Service and endpoints. Each kind and
   * name is here once.
   */
  readonly others: readonly VersionedResource[];
  /** What was found across objects. */
  readonly findings: readonly Finding[];
}

/** What an object was and is by its name; undefined: there was or is none. */
type Changes = Map<string, { readonly before: ConfigObject | undefined; readonly after: ConfigObject | undefined }>;

/** Translates, and remembers. */
export class Translator {
  private objects: readonly ConfigObject[] = [];
  /** The objects in force by name. */
  private inForce = new Map<string, ConfigObject>();
  /** Whether each object read is in force, and nothing else. */
  private isPlain = true;
  /** Names of objects that were read and that one of another file overrules. */
  private contested: ReadonlySet<string> = new Set();
  private readonly derived = new DerivedServices();
  private readonly natives = new Map<string, VersionedResource>();
  /** Those of them that name Secrets. */
  private readonly naming = new Map<string, VersionedResource>();
  private secretFindings: readonly Finding[] = [];
  private others: readonly VersionedResource[] = [];

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
    const isPlain = this.isPlain && refused.length === 0 && held.length === 0;
    const step = isPlain ? this.step(objects) : undefined;
    const changes = step ?? this.sort(objects, refused, held, findings);
    this.objects = objects;
    const { derived } = this;
    const hasMoved = derived.update(this.inForce, {
      // The order of a Service's slices counts too, and only a step keeps it.
      touched: step && touchedServices(step, derived),
      refused: refusedPolicies(this.inForce, refused),
    });
    const touchesSecrets = this.makeNatives(changes);
    if (touchesSecrets || hasMoved) this.secretFindings = uselessSecrets(this.naming, this.natives, derived.all());
    if (hasMoved || changes.size > 0) this.others = [...derived.policies, ...this.natives.values()];
    findings.push(...derived.findings, ...this.secretFindings);
    return { services: derived.services, others: this.others, findings };
  }

  /** Takes over a few changes where each name was and is there once; undefined: it takes more than that to tell. */
  private step(objects: readonly ConfigObject[]): Changes | undefined {
    const { removed, added } = difference(this.objects, objects);
    const changes: Changes = new Map();
    for (const object of removed) changes.set(objectName(object), { before: object, after: undefined });
    for (const object of added) {
      const name = objectName(object);
      const before = this.inForce.get(name);
      const change = changes.get(name);
      if (change === undefined ? before !== undefined : change.after !== undefined) return undefined;
      // Which of the two keeps the name is not seen here.
      if (rivalNames(object).some((rival) => this.inForce.has(rival))) return undefined;
      // A new place of a slice is not seen here.
      const keepsPlace = before?.origin.file === object.origin.file && added.length === 1;
      if (object.kind === 'EndpointSlice' && !keepsPlace) return undefined;
      changes.set(name, { before, after: object });
    }
    for (const [name, { after }] of changes) {
      if (after === undefined) this.inForce.delete(name);
      else this.inForce.set(name, after);
    }
    return changes;
  }

  /** Finds anew which objects are in force. */
  private sort(
    objects: readonly ConfigObject[],
    refused: readonly RefusedObject[],
    held: readonly ConfigObject[],
    findings: Finding[],
  ): Changes {
    const before = this.inForce;
    const taken = takenNames(held, objects);
    const free = withFreeNames(objects, taken, findings);
    const byName = lastOfEachName(free, findings);
    this.isPlain = byName.size === objects.length && refused.length === 0 && held.length === 0;
    const mayStay = withoutTaken(before, taken);
    hold(byName, refused, mayStay, this.contested, findings);
    holdHidden(byName, withFreeNames(held, taken, findings), mayStay, this.contested, findings);
    // What stays may take names too.
    const takenNow = takenNames(byName.values());
    if (takenNow.size > taken.size) keepFree(byName, takenNow, findings);
    const beside = this.isPlain
      ? []
      : objects.filter((one) => byName.get(objectName(one))?.origin.file !== one.origin.file);
    this.contested = new Set(beside.map(objectName));
    this.inForce = byName;
    const changes: Changes = new Map();
    for (const [name, after] of byName) {
      const last = before.get(name);
      if (last !== after) changes.set(name, { before: last, after });
    }
    for (const [name, last] of before) if (!byName.has(name)) changes.set(name, { before: last, after: undefined });
    return changes;
  }

  /** Makes the native resources that changed; true if one of them is or names a Secret. */
  private makeNatives(changes: Changes): boolean {
    let touchesSecrets = false;
    for (const [key, change] of changes) {
      const before = this.natives.get(key);
      const after = change.after?.kind === 'native' ? nativeResource(change.after) : undefined;
      if (after === undefined) this.natives.delete(key);
      else this.natives.set(key, after);
      const namesSecrets = (after?.references.secrets.length ?? 0) > 0;
      touchesSecrets ||= namesSecrets || this.naming.has(key) || (after ?? before)?.kind === 'Secret';
      if (after !== undefined && namesSecrets) this.naming.set(key, after);
      else this.naming.delete(key);
    }
    return touchesSecrets;
  }
}

function nativeResource({ resourceKind, name, bytes, origin }: NativeObject): VersionedResource {
  return versionedFromBytes(resourceKind, name, bytes, origin);
}

/** Names of the services that the changed objects belong to. */
function touchedServices(changes: Changes, derived: DerivedServices): Set<string> {
  const names = new Set<string>();
  for (const { before, after } of changes.values()) {
    for (const object of [before, after]) {
      const name = object && serviceNameOf(object);
      // Most native Upstreams have no Service.
      if (name !== undefined && (object?.kind !== 'native' || derived.has(name))) names.add(name);
    }
  }
  return names;
}

/** Names of Secrets that aren't there, or lack what they are named for. */
function uselessSecrets(
  naming: ReadonlyMap<string, VersionedResource>,
  natives: ReadonlyMap<string, VersionedResource>,
  services: Iterable<DerivedFrom>,
): Finding[] {
  const warn = (origin: Origin, object: string, path: string, named: SecretReference): Finding[] => {
    const problem = referenceProblem(named, natives.get(`Secret ${named.name}`));
    return problem === undefined ? [] : [{ severity: 'warning', ...origin, object, path, ...problem }];
  };
  const ofNatives = [...naming].flatMap(([key, { origin, references }]) =>
    references.secrets.flatMap((named) => warn(origin, key, `spec.${named.path}`, named)),
  );
  const ofDecorations = [...services].flatMap(({ inputs: { decoration } }) =>
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
      const place = { object: key, path: '', fix: 'remove one of the two' };
      if (isWritten(object) && !isWritten(earlier)) {
        const message = `has no effect: the object of the Admin API (${object.origin.file}) stands above that of a file`;
        findings.push({ severity: 'warning', ...earlier.origin, ...place, message });
      } else {
        const { file, line } = earlier.origin;
        const message = `stands in ${file}:${line} too; this one, the last by file name, is in force`;
        findings.push({ severity: 'warning', ...object.origin, ...place, message });
      }
    }
    byName.set(key, object);
  }
  return byName;
}

/** Whether the Admin API has it. */
function isWritten(object: ConfigObject): boolean {
  return object.kind === 'native' && object.madeOf === 'Admin API';
}

/** What was in force, without those whose names are taken now. */
function withoutTaken(before: ReadonlyMap<string, ConfigObject>, taken: TakenNames): ReadonlyMap<string, ConfigObject> {
  if (taken.size === 0) return before;
  return new Map([...before].filter(([, object]) => takerOf(object, taken) === undefined));
}

function keepFree(byName: Map<string, ConfigObject>, taken: TakenNames, findings: Finding[]): void {
  const kept = new Set(withFreeNames([...byName.values()], taken, findings));
  for (const [name, object] of byName) if (!kept.has(object)) byName.delete(name);
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
