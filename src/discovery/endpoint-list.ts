// Lists of endpoints in the order that config/ gives them, sharing what didn't change with the list before.
import type { EndpointSpec } from '../model/snapshot.ts';
import { byCodeUnits } from './answer.ts';

/** By address, then port. Of two with the same address and port the last one stands (as in APISIX). */
export function orderedEndpoints(specs: Iterable<EndpointSpec>): readonly EndpointSpec[] {
  const byIdentity = new Map<string, EndpointSpec>();
  for (const spec of specs) byIdentity.set(`${spec.address} ${spec.port}`, spec);
  return [...byIdentity.values()].sort(compareEndpoints);
}

function compareEndpoints(a: EndpointSpec, b: EndpointSpec): number {
  return byCodeUnits(a.address, b.address) || a.port - b.port;
}

/** `next` with every equal endpoint taken from `previous`; `previous` itself if all are. Both are ordered. */
export function shareEndpoints(
  next: readonly EndpointSpec[],
  previous: readonly EndpointSpec[],
): readonly EndpointSpec[] {
  let at = 0;
  let shared = 0;
  const result = next.map((spec) => {
    let old = previous[at];
    while (old !== undefined && compareEndpoints(old, spec) < 0) old = previous[++at];
    if (old === undefined || !sameEndpoint(old, spec)) return spec;
    shared++;
    return old;
  });
  return shared === next.length && shared === previous.length ? previous : result;
}

function sameEndpoint(a: EndpointSpec, b: EndpointSpec): boolean {
  return (
    a === b ||
    (a.address === b.address &&
      a.port === b.port &&
      a.weight === b.weight &&
      a.priority === b.priority &&
      a.draining === b.draining &&
      a.host === b.host &&
      sameLabels(a.labels, b.labels))
  );
}

function sameLabels(a: ReadonlyMap<string, string>, b: ReadonlyMap<string, string>): boolean {
  if (a === b) return true;
  if (a.size !== b.size) return false;
  for (const [key, value] of a) if (b.get(key) !== value) return false;
  return true;
}
