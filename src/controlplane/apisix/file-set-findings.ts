// What is wrong among the gateway's objects of all files together. None of it refuses an object: the sidecar has an answer
// for each, and what a file doesn't have may come from elsewhere.
import { Consumer, type LimitCount, PluginConfig, Route, Service } from '../../gen/outrigger/config/v1/gateway.ts';
import type { Finding } from '../finding.ts';
import { objectName } from '../object-name.ts';
import type { ConfigObject, NativeObject, ObjectReference } from '../source.ts';

/** What a sidecar answers where one is not known. */
const ANSWERS: Readonly<Record<ObjectReference['kind'], string>> = {
  Upstream: '502 (unknown_upstream)',
  Service: '404 (unknown_service)',
  PluginConfig: '503 (unknown_plugin_config)',
};

/** Warnings about names that no file has, keys that two consumers have, and groups whose limits differ. */
export function fileSetFindings(objects: readonly ConfigObject[]): Finding[] {
  const names = namesOf(objects);
  const findings: Finding[] = [];
  for (const object of objects) {
    if (object.kind !== 'native') continue;
    for (const { kind, name, origin, object: shown, path } of object.references ?? []) {
      if (names[kind].has(name)) continue;
      const message = `no file has the ${kind} '${name}': requests are answered ${ANSWERS[kind]} until it comes`;
      findings.push({
        severity: 'warning',
        ...origin,
        object: shown,
        path,
        message,
        fix: 'add it, or correct the name',
      });
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
interface Claims {
  readonly keys: readonly string[];
  readonly groups: readonly { readonly group: string; readonly limit: string }[];
}

const NONE: Claims = { keys: [], groups: [] };

/** An object that didn't change is the same, so each is decoded once. */
const known = new WeakMap<NativeObject, Claims>();

function claimsOf(object: NativeObject): Claims {
  let claims = known.get(object);
  if (claims === undefined) known.set(object, (claims = decodeClaims(object)));
  return claims;
}

function decodeClaims({ resourceKind, bytes }: NativeObject): Claims {
  switch (resourceKind) {
    case 'Route':
      return { keys: [], groups: groupsOf(Route.decode(bytes).plugins?.limitCount) };
    case 'Service':
      return { keys: [], groups: groupsOf(Service.decode(bytes).plugins?.limitCount) };
    case 'PluginConfig':
      return { keys: [], groups: groupsOf(PluginConfig.decode(bytes).plugins?.limitCount) };
    case 'Consumer': {
      const { plugins, credentials } = Consumer.decode(bytes);
      const keys = [plugins?.keyAuth?.key, ...credentials.map(({ keyAuth }) => keyAuth?.key)];
      return { keys: keys.filter((key) => key !== undefined), groups: groupsOf(plugins?.limitCount) };
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
  const warn = (object: NativeObject, message: string, fix: string): void => {
    findings.push({ severity: 'warning', ...object.origin, object: objectName(object), path: '', message, fix });
  };
  for (const object of objects) {
    if (object.kind !== 'native') continue;
    const { keys, groups: limits } = claimsOf(object);
    for (const key of keys) {
      const owner = owners.get(key);
      if (owner === undefined) owners.set(key, object);
      // An object of the same name stands in the place of the other.
      else if (owner.name !== object.name) {
        warn(object, `${objectName(owner)} has the same key: only one of the two is known by it`, 'give each its own');
      }
    }
    for (const { group, limit } of limits) {
      const first = groups.get(group);
      if (first === undefined) groups.set(group, { limit, object });
      else if (first.limit !== limit && objectName(first.object) !== objectName(object)) {
        const message = `its limit differs from that of ${objectName(first.object)}, which has the same group '${group}'`;
        warn(object, message, 'write the same limit, or another group');
      }
    }
  }
  return findings;
}
