// What a stream may see over which no private key may go: everything without one.
import { redact } from '../config/redact.ts';
import type { View } from './views.ts';
import type { VersionedResource } from './versioned-resource.ts';

/** A resource that didn't change is the same object, so each is searched once. */
const known = new WeakMap<VersionedResource, boolean>();

/** Whether something in the resource must be kept from who may not see it. */
function holdsSecret(resource: VersionedResource): boolean {
  if (resource.kind === 'Secret') return true;
  let holds = known.get(resource);
  if (holds === undefined) known.set(resource, (holds = redact(resource.kind, resource.bytes).redacted));
  return holds;
}

/**
 * The view without Secrets and without any other resource that holds a private key; `onWithheld` hears of each that would
 * have been seen.
 */
export function withheldView(view: View, onWithheld: (resource: VersionedResource) => void): View {
  const passes = (resource: VersionedResource): boolean => {
    if (!holdsSecret(resource)) return true;
    onWithheld(resource);
    return false;
  };
  return {
    get: (kind, name) => {
      const resource = view.get(kind, name);
      return resource !== undefined && passes(resource) ? resource : undefined;
    },
    all: (kind) => view.all(kind).filter(passes),
    moment: view.moment,
    changedSince: (earlier, kind) => view.changedSince(earlier, kind),
  };
}
