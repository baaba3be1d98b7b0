// What sidecars of this version would answer to the resources that configuration is translated to.
import { decodeResource } from '../config/decode/decode.ts';
import type { Finding } from './finding.ts';
import type { Translation } from './translate/translator.ts';
import type { VersionedResource } from './versioned-resource.ts';

/** A resource that didn't change is the same object, so only changes are decoded. */
const known = new WeakMap<VersionedResource, readonly Finding[]>();

/** An error for each thing that a sidecar would refuse, which then keeps what it had. */
export function refusals({ services, others }: Translation): Finding[] {
  return [...services.flatMap((service) => service.resources), ...others].flatMap((resource) => {
    let findings = known.get(resource);
    if (findings === undefined) known.set(resource, (findings = refusalsOf(resource)));
    return findings;
  });
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
