// What sidecars of this version would answer to the resources that configuration is translated to.
import { decodeResource } from '../config/decode/decode.ts';
import type { Finding } from './finding.ts';
import type { Translation } from './translate/translator.ts';
import type { VersionedResource } from './versioned-resource.ts';

/** A resource that didn't change is the same object, so only changes are decoded. */
const known = new WeakMap<VersionedResource, readonly Finding[]>();

/** An error for each thing that a sidecar would refuse, which then keeps what it had. */
export function refusals({ services, others }: Translation): Finding[] {
  const found: Finding[] = [];
  for (const { resources } of services) for (const resource of resources) addRefusals(resource, found);
  for (const resource of others) addRefusals(resource, found);
  return found;
}

function addRefusals(resource: VersionedResource, found: Finding[]): void {
  let findings = known.get(resource);
  if (findings === undefined) known.set(resource, (findings = refusalsOf(resource)));
  if (findings.length > 0) found.push(...findings);
}

function refusalsOf(resource: VersionedResource): Finding[] {
  const decoded = decodeResource(resource.kind, resource.name, resource.bytes);
  if (decoded.ok) return [];
  const object = `${resource.kind} ${resource.name}`;
  return decoded.problems.map(({ path, reason }) => {
    const message = `sidecars of this version refuse the resource: ${reason}`;
    return { severity: 'error', ...resource.origin, object, path, message };
  });
}
