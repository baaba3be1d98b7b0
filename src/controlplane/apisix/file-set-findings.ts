// What is wrong among the gateway's objects of all files together. None of it refuses an object: the sidecar has an answer
// for each, and what a file doesn't have may come from elsewhere.
import { Consumer, type LimitCount, PluginConfig, Route, Service } from '../../gen/outrigger/config/v1/gateway.ts';
import type { Finding } from '../finding.ts';
import { objectName } from '../object-name.ts';
import { needsServicePort } from './service-port-need.ts';
import type { ConfigObject, NativeObject, ObjectReference } from '../source.ts';

/** What a sidecar answers where one is not known. */
const ANSWERS: Readonly<Record<ObjectReference['kind'], string>> = {
  Upstream: '502 (unknown_upstream)',
  Service: '404 (unknown_service)',
  PluginConfig: '503 (unknown_plugin_config)',
};

/**
 * `isEverything`: the Admin API's objects are among them, and only what is in force. Warnings about names that no file has, Upstreams that need a service port and are given none, keys that two consumers have,
 * and groups whose limits differ.
 */
export function fileSetFindings(objects: readonly ConfigObject[], isEverything = false): Finding[] {
  const nobody = isEverything ? 'neither a file nor the Admin API has' : 'no file has';
  const names = namesOf(objects);
  const portNeeds = needsServicePort(objects);
  const findings: Finding[] = [];
  for (const object of objects) {
    if (object.kind !== 'native') continue;
    for (const { kind, name, origin, object: shown, path } of object.references ?? []) {
      const place = { severity: 'warning', ...origin, object: shown, path } as const;
      if (!names[kind].has(name)) {
        const message = `${nobody} the ${kind} '${name}': requests are answered ${ANSWERS[kind]} until it comes`;
        findings.push({ ...place, message, fix: 'add it, or correct the name' });
        continue;
      }
      const ports = kind === 'Upstream' && claimsOf(object).servicePort === 0 ? portNeeds(name) : undefined;
      if (ports === undefined) continue;
      const message = `the Upstream '${name}' has no nodes of its own, and service_port is missing: requests are answered 503 (no_endpoints)`;
      const known = ports.length === 0 ? 'the port of its Service' : ports.join(' or ');
      findings.push({ ...place, message, fix: `write service_port: ${known}` });
    }
  }
  return [...findings, ...conflicts(objects)];
}

function namesOf(objects: readonly ConfigObject[]): Readonly<Record<ObjectReference['kind'], ReadonlySet<string>>> {
  const names = { Upstream: new Set<string>(), Service: new Set<string>(), PluginConfig: new Set<string>() };
  for (const object of objects) {
    if (object.kind === 'native') {
      const { resourceKind, name } = object;
      if (resourceKind === 'Upstream' || resourceKind === 'Service' || resourceKind === 'PluginConfig') {
        names[resourceKind].add(name);
      }
    } else if (object.kind !== 'EndpointSlice') {
      // Each Service of Kubernetes makes an Upstream, and so does an ApisixUpstream.
      names.Upstream.add(`${object.namespace}/${object.name}`);
    }
  }
  return names;
}

/** What must be had by one consumer only, or be equal in all of a group. */
export interface Claims {
  /** That of a Route or Service; 0: none. */
  readonly servicePort: number;
  readonly keys: readonly string[];
  readonly groups: readonly { readonly group: string; readonly limit: string }[];
}

const NONE: Claims = { servicePort: 0, keys: [], groups: [] };

/** What claims are read of. */
export type ClaimingResource = Pick<NativeObject, 'resourceKind' | 'bytes'>;

/** An object that didn't change is the same, so each is decoded once. */
const known = new WeakMap<ClaimingResource, Claims>();

/** The same object gives the same claims. */
export function claimsOf(object: ClaimingResource): Claims {
  let claims = known.get(object);
  if (claims === undefined) known.set(object, (claims = decodeClaims(object)));
  return claims;
}

function decodeClaims({ resourceKind, bytes }: ClaimingResource): Claims {
  switch (resourceKind) {
    case 'Route':
    case 'Service': {
      const { servicePort = 0, plugins } = (resourceKind === 'Route' ? Route : Service).decode(bytes);
      return { servicePort, keys: [], groups: groupsOf(plugins?.limitCount) };
    }
    case 'PluginConfig':
      return { ...NONE, groups: groupsOf(PluginConfig.decode(bytes).plugins?.limitCount) };
    case 'Consumer': {
      const { plugins, credentials } = Consumer.decode(bytes);
      const keys = [plugins?.keyAuth?.key, ...credentials.map(({ keyAuth }) => keyAuth?.key)];
      return { ...NONE, keys: keys.filter((key) => key !== undefined), groups: groupsOf(plugins?.limitCount) };
    }
    default:
      return NONE;
  }
}

/** Defaults of limit-count: a limit that states one is the same as one that leaves it out. */
const DEFAULTS = {
  windowType: 'fixed',
  keyType: 'var',
  key: 'remote_addr',
  rejectedCode: 503,
  policy: 'local',
  showLimitQuotaHeader: true,
  allowDegradation: false,
};

function groupsOf(limit: LimitCount | undefined): Claims['groups'] {
  if (limit?.group === undefined) return [];
  const { disabled: _, ...rest } = limit;
  const set = Object.fromEntries(Object.entries(rest).filter(([, value]) => value !== undefined));
  return [{ group: limit.group, limit: JSON.stringify({ ...DEFAULTS, ...set }) }];
}

function conflicts(objects: readonly ConfigObject[]): Finding[] {
  const owners = new Map<string, NativeObject>();
  const groups = new Map<string, { readonly limit: string; readonly object: NativeObject }>();
  const findings: Finding[] = [];
  const warn = (object: NativeObject, first: NativeObject, message: string, fix: string): void => {
    // The Admin API refuses what contradicts a file, so a file came later.
    const severity = isOfApi(object) === isOfApi(first) ? 'warning' : 'error';
    findings.push({ severity, ...object.origin, object: objectName(object), path: '', message, fix });
  };
  for (const object of objects) {
    if (object.kind !== 'native') continue;
    const { keys, groups: limits } = claimsOf(object);
    for (const key of keys) {
      const owner = owners.get(key);
      if (owner === undefined) owners.set(key, object);
      // An object of the same name stands in the place of the other.
      else if (owner.name !== object.name) {
        const message = `${shownName(owner, object)} has the same key: only one of the two is known by it`;
        warn(object, owner, message, 'give each its own');
      }
    }
    for (const { group, limit } of limits) {
      const first = groups.get(group);
      if (first === undefined) groups.set(group, { limit, object });
      else if (first.limit !== limit && objectName(first.object) !== objectName(object)) {
        const message = `its limit differs from that of ${shownName(first.object, object)}, which has the same group '${group}'`;
        warn(object, first.object, message, 'write the same limit, or another group');
      }
    }
  }
  return findings;
}

function isOfApi({ madeOf }: NativeObject): boolean {
  return madeOf === 'Admin API';
}

/** With its place where that is of another sort than `beside`'s. */
function shownName(object: NativeObject, beside: NativeObject): string {
  const { file, line } = object.origin;
  if (isOfApi(object) === isOfApi(beside)) return objectName(object);
  return `${objectName(object)} (${isOfApi(object) ? `Admin API, ${file}` : `${file}:${line}`})`;
}
