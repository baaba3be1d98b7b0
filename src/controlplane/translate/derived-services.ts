// What was made of all services. Each is made again only where one of its objects is another one.
import type { Finding } from '../finding.ts';
import { compareText } from '../finding.ts';
import { objectName } from '../object-name.ts';
import type { ConfigObject, EndpointSliceObject, NativeObject, RefusedObject, ServiceObject } from '../source.ts';
import type { VersionedResource } from '../versioned-resource.ts';
import { derive, type DerivedService, type Inputs } from './service.ts';

/** What was made of a service, and of what. */
export interface DerivedFrom {
  readonly inputs: Inputs;
  readonly derived: DerivedService;
}

/** What a change is about. */
export interface Touched {
  /** Services with an object that came, went or is another one; undefined: any may be. */
  readonly touched: ReadonlySet<string> | undefined;
  /** Policies that are refused, by the name of their Service, where nothing of them is in force. */
  readonly refused: ReadonlyMap<string, RefusedObject>;
}

/** Everything of a name but what is refused. */
type Gathered = { -readonly [K in keyof Omit<Inputs, 'refusedPolicy'>]: Inputs[K] };

/** Makes services, and remembers them. */
export class DerivedServices {
  /** Sorted by name. The same list while it holds the same services. */
  services: readonly DerivedService[] = [];
  /** Upstreams of ApisixUpstreams without a Service and endpoints. */
  policies: readonly VersionedResource[] = [];
  findings: readonly Finding[] = [];
  private readonly byName = new Map<string, DerivedFrom>();
  /** Services whose external nodes name other Services. */
  private readonly naming = new Map<string, DerivedFrom>();
  private refused: Touched['refused'] = new Map();

  /** Whether something was made of a name. */
  has(name: string): boolean {
    return this.byName.has(name);
  }

  /** All, in no particular order. */
  all(): Iterable<DerivedFrom> {
    return this.byName.values();
  }

  /** Takes over a change of the objects in force; true if anything is another one. */
  update(inForce: ReadonlyMap<string, ConfigObject>, { touched, refused }: Touched): boolean {
    const names = touched && this.widened(touched, refused);
    this.refused = refused;
    if (names?.size === 0) return false;
    const gathered = gather(inForce, names);
    let hasMoved = false;
    for (const name of names ?? new Set([...this.byName.keys(), ...gathered.keys()])) {
      hasMoved = this.remake(name, gathered.get(name)) || hasMoved;
    }
    if (hasMoved) this.collect();
    return hasMoved;
  }

  /** Also those whose external nodes name one of these, and those whose policy is or was refused. */
  private widened(touched: ReadonlySet<string>, refused: Touched['refused']): ReadonlySet<string> {
    const names = new Set([...touched, ...refused.keys(), ...this.refused.keys()]);
    for (const [name, { inputs }] of this.naming) {
      const namespace = inputs.decoration?.namespace ?? '';
      for (const other of inputs.named.keys()) if (touched.has(`${namespace}/${other}`)) names.add(name);
    }
    return names;
  }

  private remake(name: string, gathered: Gathered | undefined): boolean {
    const before = this.byName.get(name);
    const inputs = gathered && { ...gathered, refusedPolicy: refusedPolicy(this.refused.get(name), before?.derived) };
    if (before !== undefined && inputs !== undefined && sameInputs(before.inputs, inputs)) return false;
    const derived = inputs && derive(name, inputs);
    if (inputs === undefined || derived === undefined) {
      this.naming.delete(name);
      return this.byName.delete(name);
    }
    const made = { inputs, derived };
    this.byName.set(name, made);
    if (inputs.named.size > 0) this.naming.set(name, made);
    else this.naming.delete(name);
    return true;
  }

  private collect(): void {
    const services: DerivedService[] = [];
    const policies: VersionedResource[] = [];
    const findings: Finding[] = [];
    for (const { inputs, derived } of this.byName.values()) {
      findings.push(...derived.findings);
      if (inputs.service !== undefined || derived.ports.length > 0) services.push(derived);
      // A native Upstream takes the place of the policy.
      else if (inputs.native === undefined) policies.push(...derived.resources);
    }
    for (const { inputs } of this.byName.values()) findings.push(...overruled(inputs));
    services.sort((a, b) => compareText(a.name, b.name));
    this.services = services;
    this.policies = policies;
    this.findings = findings;
  }
}

/** The service that an object belongs to; undefined: none. A native Upstream belongs to the one of its name, if there is one. */
export function serviceNameOf(object: ConfigObject): string | undefined {
  switch (object.kind) {
    case 'Service':
    case 'ApisixUpstream':
      return `${object.namespace}/${object.name}`;
    case 'EndpointSlice':
      return object.service === undefined ? undefined : `${object.namespace}/${object.service}`;
    case 'native':
      return object.resourceKind === 'Upstream' ? object.name : undefined;
  }
}

const NO_SLICES: readonly EndpointSliceObject[] = [];
const NO_SERVICES: Inputs['named'] = new Map();

/** The inputs of the services of these names, or of all. */
function gather(
  inForce: ReadonlyMap<string, ConfigObject>,
  names: ReadonlySet<string> | undefined,
): Map<string, Gathered> {
  const found = new Map<string, Gathered>();
  const slices = new Map<string, EndpointSliceObject[]>();
  const upstreams: NativeObject[] = [];
  const at = (name: string): Gathered => {
    let inputs = found.get(name);
    if (inputs === undefined) {
      inputs = { service: undefined, decoration: undefined, native: undefined, slices: NO_SLICES, named: NO_SERVICES };
      found.set(name, inputs);
    }
    return inputs;
  };
  for (const object of inForce.values()) {
    const name = serviceNameOf(object);
    if (name === undefined || names?.has(name) === false) continue;
    if (object.kind === 'native') upstreams.push(object);
    else if (object.kind === 'Service') at(name).service = object;
    else if (object.kind === 'ApisixUpstream') at(name).decoration = object;
    else {
      const list = slices.get(name) ?? [];
      list.push(object);
      slices.set(name, list);
      at(name).slices = list;
    }
  }
  for (const native of upstreams) {
    const inputs = found.get(native.name);
    if (inputs !== undefined) inputs.native = native;
  }
  for (const inputs of found.values()) {
    const { namespace, externalNodes } = inputs.decoration ?? { namespace: '', externalNodes: [] };
    const others = externalNodes.filter(({ type }) => type === 'Service').map(({ name }) => name);
    if (others.length > 0) inputs.named = new Map(others.map((name) => [name, serviceIn(inForce, namespace, name)]));
  }
  return found;
}

function serviceIn(
  inForce: ReadonlyMap<string, ConfigObject>,
  namespace: string,
  name: string,
): ServiceObject | undefined {
  const object = inForce.get(`Service ${namespace}/${name}`);
  return object?.kind === 'Service' ? object : undefined;
}

function refusedPolicy(
  refused: RefusedObject | undefined,
  before: DerivedService | undefined,
): Inputs['refusedPolicy'] {
  if (refused === undefined) return undefined;
  return { refused, isWithheld: before?.resources.some(({ kind }) => kind === 'Upstream') !== true };
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

/** The policy of an ApisixUpstream that a native Upstream of the same name takes the place of. */
function overruled({ decoration, native }: Inputs): Finding[] {
  if (decoration === undefined || native === undefined) return [];
  const message = `has no effect: the native Upstream in ${native.origin.file}:${native.origin.line} has the same name`;
  const object = objectName(decoration);
  return [{ severity: 'warning', ...decoration.origin, object, path: '', message, fix: 'remove one of the two' }];
}
