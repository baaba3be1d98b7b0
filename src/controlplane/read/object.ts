// Which kind of object a document is, and the parts that all kinds share.
import { isMap } from 'yaml';
import { suggest } from '../../config/suggest.ts';
import { didYouMean, type Value } from './value.ts';
import { type Kind, KINDS } from '../../config/resource.ts';
import { OBJECT_TYPES } from '../apisix/object-type.ts';
import type { Origin } from '../finding.ts';
import { isName, readName } from './name.ts';
import { meantMember, reportUnknownMetadata } from './object-keys.ts';

/** What stands before the spec. */
export interface ObjectHeader {
  readonly namespace: string;
  readonly name: string;
  readonly labels: ReadonlyMap<string, string>;
  readonly origin: Origin;
  readonly spec: Value | undefined;
  /** The object itself. */
  readonly object: Value;
  /** Its members. */
  readonly members: ReadonlyMap<string, Value>;
}

/** How an object is to be read. */
export type ReadAs =
  | {
      readonly as: 'ApisixUpstream' | 'Service' | 'EndpointSlice' | 'Secret' | 'native' | 'List';
      readonly kind: string;
    }
  | { readonly as: 'nothing' };

const APISIX_GROUP = 'apisix.apache.org/';
const APISIX_VERSIONS = ['v1', 'v2beta3', 'v2'];
const NATIVE_VERSION = 'outrigger.config/v1';
/** Native kinds whose name Kubernetes doesn't have. */
const ONLY_NATIVE_KINDS: readonly string[] = [
  'Sidecar',
  'Listener',
  'Upstream',
  'Route',
  'Consumer',
  'PluginConfig',
] satisfies Kind[];
/** Of these others have kinds of the same name (a Route of OpenShift): the version says whose one is. */
const SHARED_KINDS: readonly string[] = ['Route', 'Consumer', 'PluginConfig'] satisfies Kind[];
const KINDS_READ = ['ApisixUpstream', 'Service', 'EndpointSlice', 'Secret', 'List'] as const;
const VERSION_OF: Readonly<Record<(typeof KINDS_READ)[number], string>> = {
  ApisixUpstream: 'apisix.apache.org/v2',
  Service: 'v1',
  EndpointSlice: 'discovery.k8s.io/v1',
  Secret: 'v1',
  List: 'v1',
};
/** Kinds that stand in many directories beside ours: their names are near to ours, but nobody mistyped them. */
const OTHER_KINDS = [
  'Ingress',
  'ServiceAccount',
  'SealedSecret',
  'ExternalSecret',
  'SecretStore',
  'Endpoints',
  'ApisixRoute',
  'ApisixTls',
  'ApisixConsumer',
  'ApisixGlobalRule',
];

/** The kind of an object; reports what isn't read. `listed`: kind and version that a typed list says for its items. */
export function recognise(object: Value, members: ReadonlyMap<string, Value>, listed?: string): ReadAs {
  const apiVersion = scalarText(members.get('apiVersion'));
  const kind = scalarText(members.get('kind')) ?? listed;
  if (kind === undefined) return withoutKind(object, members);
  object.report.object = provisionalName(kind, members);
  if (apiVersion === NATIVE_VERSION) return { as: 'native', kind };
  if (apiVersion?.startsWith('outrigger') === true) {
    members.get('apiVersion')?.error(`'${apiVersion}' is not known`, `write \`apiVersion: ${NATIVE_VERSION}\``);
    return { as: 'nothing' };
  }
  if (apiVersion === undefined && listed === undefined && ONLY_NATIVE_KINDS.includes(kind)) {
    object.error('apiVersion is missing', `write \`apiVersion: ${NATIVE_VERSION}\``);
    return { as: 'nothing' };
  }
  const known = KINDS_READ.find((word) => word === kind);
  if (known === undefined) {
    if (kind.endsWith('List') && members.has('items')) return { as: 'List', kind };
    return notRead(members.get('kind') ?? object, kind, apiVersion);
  }
  if (apiVersion === undefined) {
    if (listed === undefined) object.warn(`apiVersion is missing`, `write \`apiVersion: ${VERSION_OF[known]}\``);
    return { as: known, kind };
  }
  if (apiVersion === VERSION_OF[known]) return { as: known, kind };
  if (known === 'ApisixUpstream') {
    if (APISIX_VERSIONS.some((version) => apiVersion === APISIX_GROUP + version)) return { as: known, kind };
    const versions = APISIX_VERSIONS.map((version) => APISIX_GROUP + version);
    members
      .get('apiVersion')
      ?.error(`'${apiVersion}' is not known (${versions.join(', ')})`, didYouMean(apiVersion, versions));
  } else if (!apiVersion.includes('/')) {
    // A version without a group is Kubernetes' own, and there this kind has no other one.
    members.get('apiVersion')?.error(`'${apiVersion}' is not known`, `write \`apiVersion: ${VERSION_OF[known]}\``);
  } else {
    members
      .get('apiVersion')
      ?.note(`kind ${kind} of ${apiVersion} is not read by this version`, `${kind} is read as ${VERSION_OF[known]}`);
  }
  return { as: 'nothing' };
}

/** The ApisixUpstream document's own examples say `apiVersion: ApisixUpstream` and no kind. */
function withoutKind(object: Value, members: ReadonlyMap<string, Value>): ReadAs {
  const value = members.get('apiVersion');
  if (value !== undefined && scalarText(value) === 'ApisixUpstream') {
    object.report.object = provisionalName('ApisixUpstream', members);
    value.keyFinding(
      'warning',
      "'ApisixUpstream' is a kind, not a version, and kind is missing; it is read as an ApisixUpstream",
      'write `apiVersion: apisix.apache.org/v2` and `kind: ApisixUpstream`',
    );
    return { as: 'ApisixUpstream', kind: 'ApisixUpstream' };
  }
  const native = `${KINDS.join(', ')} with \`apiVersion: ${NATIVE_VERSION}\``;
  const lists = OBJECT_TYPES.filter((type) => type !== 'credentials').join(', ');
  object.error(
    'kind is missing, and none of the lists of an APISIX standalone file is there',
    `write a kind (read are ${KINDS_READ.join(', ')}; ${native}), or such a list (${lists})`,
  );
  return { as: 'nothing' };
}

/** What findings call an object whose metadata isn't checked yet. */
function provisionalName(kind: string, members: ReadonlyMap<string, Value>): string {
  const metadata = members.get('metadata');
  const name = scalarText(metadata?.child('name'));
  return name === undefined ? kind : `${kind} ${scalarText(metadata?.child('namespace')) ?? 'default'}/${name}`;
}

/** A kind near to one of ours is a typing error where the version is that one's too, else likely a kind of others. */
function notRead(value: Value, kind: string, apiVersion: string | undefined): ReadAs {
  const near = OTHER_KINDS.includes(kind) ? undefined : suggest(kind, KINDS_READ);
  const meant = KINDS_READ.find((known) => known === near);
  const fix = meant && `did you mean '${meant}'?`;
  if (meant === undefined) value.note(`kind ${kind} is not read by this version`);
  else if (isVersionOf(meant, apiVersion)) value.error(`kind ${kind} is not known`, fix);
  else value.warn(`kind ${kind} is not known and not read`, fix);
  return { as: 'nothing' };
}

function isVersionOf(kind: (typeof KINDS_READ)[number], apiVersion: string | undefined): boolean {
  if (kind === 'ApisixUpstream') return apiVersion?.startsWith(APISIX_GROUP) === true;
  return apiVersion === VERSION_OF[kind];
}

/** Native kinds whose resources are named `namespace/name`. */
const NAMESPACED_KINDS: readonly string[] = ['Upstream', 'Endpoints', 'Secret'] satisfies Kind[];

/** What an object is called that an error refuses. */
export interface NameInSpiteOfErrors {
  /** As `objectName` calls one that is read. */
  readonly object: string;
  /** Whether a part of it stands under a misspelt key or beside `metadata`, so that it may be called otherwise. */
  readonly isGuess: boolean;
}

/** Undefined where the error hides the name, or the kind isn't one that is read. Reports nothing. */
export function nameInSpiteOfErrors(
  members: ReadonlyMap<string, Value>,
  listed?: string,
): NameInSpiteOfErrors | undefined {
  const apiVersion = scalarText(members.get('apiVersion'));
  const kind = scalarText(members.get('kind')) ?? listed ?? (apiVersion === 'ApisixUpstream' ? apiVersion : undefined);
  const metadata = meantMember(members, 'metadata');
  if (kind === undefined || metadata === undefined || !isMap(metadata.node)) return undefined;
  const parts = metadata.anyMembers() ?? new Map<string, Value>();
  const name = scalarText(meantMember(parts, 'name'));
  const namespaceValue = meantMember(parts, 'namespace');
  const isGiven = namespaceValue !== undefined && !namespaceValue.isEmpty;
  const namespace = isGiven ? scalarText(namespaceValue) : 'default';
  if (name === undefined || name === '' || namespace === undefined) return undefined;
  const isMisspelt = metadata !== members.get('metadata') || namespaceValue !== parts.get('namespace');
  const isGuess = isMisspelt || !parts.has('name') || members.has('name') || members.has('namespace');
  const mayBeOurs = ONLY_NATIVE_KINDS.includes(kind) && (apiVersion === undefined || !SHARED_KINDS.includes(kind));
  const isNative = mayBeOurs || apiVersion?.startsWith('outrigger') === true;
  if (isNative) {
    if (!KINDS.some((known) => known === kind)) return undefined;
    const isNamespaced = NAMESPACED_KINDS.includes(kind) && namespace !== '';
    return { object: isNamespaced ? `${kind} ${namespace}/${name}` : `${kind} ${name}`, isGuess };
  }
  const isRead = KINDS_READ.some((known) => known === kind) && kind !== 'List';
  return isRead && isName(name) && isName(namespace) ? { object: `${kind} ${namespace}/${name}`, isGuess } : undefined;
}

/** Name, namespace and labels. Undefined after the error was reported. */
export function readHeader(object: Value, members: ReadonlyMap<string, Value>, kind: string): ObjectHeader | undefined {
  const metadata = members.get('metadata');
  if (metadata === undefined || metadata.isEmpty) {
    object.error('metadata.name is missing', 'write `metadata: {name: …}`');
    return undefined;
  }
  const parts = metadata.anyMembers();
  if (parts !== undefined) reportUnknownMetadata(parts);
  const name = readName(parts?.get('name'));
  const given = parts?.get('namespace');
  const namespace = given === undefined || given.isEmpty ? 'default' : readName(given);
  if (parts !== undefined && !parts.has('name')) metadata.error('name is missing', 'write `metadata: {name: …}`');
  if (name === undefined || namespace === undefined) return undefined;
  object.report.object = `${kind} ${namespace}/${name}`;
  const labels = readLabels(parts?.get('labels'));
  return { namespace, name, labels, origin: object.origin, spec: members.get('spec'), object, members };
}

function readLabels(value: Value | undefined): ReadonlyMap<string, string> {
  const labels = new Map<string, string>();
  if (value === undefined || value.isEmpty) return labels;
  for (const [key, label] of value.anyMembers() ?? []) {
    if (label.isEmpty) continue;
    const text = label.text();
    if (text !== undefined) labels.set(key, text);
  }
  return labels;
}

/** The items of a list object, each with its path. */
export function listItems(members: ReadonlyMap<string, Value>): readonly Value[] {
  const items = members.get('items');
  return items === undefined || items.isEmpty ? [] : (items.list() ?? []);
}

function scalarText(value: Value | undefined): string | undefined {
  const scalar = value?.scalar();
  return typeof scalar === 'string' ? scalar : undefined;
}
