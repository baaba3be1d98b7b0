// All objects of all sources → resources. What was made of one Service is kept until one of its objects changes, so the
// work of a change follows the change.
import type { Endpoints } from '../../gen/outrigger/config/v1/endpoints.ts';
import type { Finding, Origin } from '../finding.ts';
import type {
  ApisixUpstreamObject,
  ConfigObject,
  EndpointSliceObject,
  NativeObject,
  ServiceObject,
} from '../source.ts';
import { versioned, type VersionedResource, versionedFromBytes } from '../versioned-resource.ts';
import type { SecretReference } from '../../config/secret-references.ts';
import { referenceProblem, referencesOf } from '../references.ts';
import { joinEndpoints } from './endpoints.ts';
import { makeUpstream } from './upstream.ts';

/** What was made of one Service. */
export interface DerivedService {
  /** `namespace/name`. */
  readonly name: string;
  readonly origin: Origin;
  /** Service port numbers; each gets a listener. */
  readonly ports: readonly number[];
  /** Its Upstream, and Endpoints per port. */
  readonly resources: readonly VersionedResource[];
  /** Addresses of all Pods behind it, ready or not. */
  readonly backers: ReadonlySet<string>;
  readonly findings: readonly Finding[];
}

/** What all objects mean together. */
export interface Translation {
  /** Sorted by name. */
  readonly services: readonly DerivedService[];
  /** Native resources, served as they are, and Upstreams of ApisixUpstreams without a Service. */
  readonly others: readonly VersionedResource[];
  /** What was found across objects. */
  readonly findings: readonly Finding[];
}

/** Everything that one Service is made of. */
interface Inputs {
  service: ServiceObject | undefined;
  decoration: ApisixUpstreamObject | undefined;
  slices: EndpointSliceObject[];
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
      if (inputs.service === undefined) others.push(...derived.resources);
      else if (!inputs.service.external) services.push(derived);
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
  const services = new Map<string, Inputs>();
  const at = (name: string): Inputs => {
    const inputs = services.get(name) ?? { service: undefined, decoration: undefined, slices: [] };
    services.set(name, inputs);
    return inputs;
  };
  for (const object of objects) {
    if (object.kind === 'Service') at(`${object.namespace}/${object.name}`).service = object;
    else if (object.kind === 'ApisixUpstream') at(`${object.namespace}/${object.name}`).decoration = object;
    else if (object.kind === 'EndpointSlice' && object.service !== undefined) {
      at(`${object.namespace}/${object.service}`).slices.push(object);
    }
  }
  return services;
}

function sameInputs(a: Inputs, b: Inputs): boolean {
  return (
    a.service === b.service &&
    a.decoration === b.decoration &&
    a.slices.length === b.slices.length &&
    a.slices.every((slice, i) => slice === b.slices[i])
  );
}

function derive(name: string, { service, decoration, slices }: Inputs): DerivedService | undefined {
  const findings: Finding[] = [];
  if (service === undefined) {
    if (decoration === undefined) return sliceWithoutService(name, slices);
    const message = 'no Service of this name and namespace is there: no listener is made';
    const fix = 'add the Service, or correct name and namespace';
    const object = `ApisixUpstream ${name}`;
    findings.push({ severity: 'warning', ...decoration.origin, object, path: '', message, fix });
    const resources = [versioned('Upstream', decoration.upstream, decoration.origin, undefined)];
    return { name, origin: decoration.origin, ports: [], resources, backers: new Set(), findings };
  }
  const object = `Service ${name}`;
  const upstream = makeUpstream(service, decoration, (finding) => findings.push(finding));
  const resources = [versioned('Upstream', upstream, (decoration ?? service).origin, name)];
  const noSlice = 'no EndpointSlice names this Service: its calls are answered with no_endpoints';
  if (slices.length === 0 && !service.external) {
    findings.push({ severity: 'note', ...service.origin, object, path: '', message: noSlice });
  }
  for (const port of service.ports) {
    const { endpoints, otherPortNames } = joinEndpoints(service, port, slices);
    const message: Endpoints = { name: `${name}/${port.port}`, endpoints };
    resources.push(versioned('Endpoints', message, slices[0]?.origin ?? service.origin, name));
    if (otherPortNames === undefined) continue;
    const names = otherPortNames.map((other) => `'${other}'`).join(', ');
    findings.push({
      severity: 'warning',
      ...port.origin,
      object,
      path: 'spec.ports',
      message: `no EndpointSlice has a port named '${port.name}' (they have ${names}): port ${port.port} has no endpoints`,
      fix: 'give the port the same name in the Service and in its EndpointSlices',
    });
  }
  const backers = new Set(slices.flatMap((slice) => slice.endpoints.flatMap((endpoint) => endpoint.addresses)));
  const ports = service.ports.map((port) => port.port).sort((a, b) => a - b);
  return { name, origin: service.origin, ports, resources, backers, findings };
}

function sliceWithoutService(name: string, slices: readonly EndpointSliceObject[]): DerivedService | undefined {
  const [first] = slices;
  if (first === undefined) return undefined;
  const object = `EndpointSlice ${first.namespace}/${first.name}`;
  const message = `no Service ${name} is there`;
  const finding: Finding = { severity: 'note', ...first.origin, object, path: '', message };
  return { name, origin: first.origin, ports: [], resources: [], backers: new Set(), findings: [finding] };
}
