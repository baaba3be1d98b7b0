// Lists of endpoints: ordered by address and port, without duplicates, and shared with the list before where equal. The
// order lets two lists be compared in one walk.
import type { EndpointSpec } from './snapshot.ts';

/**
 * By address, then port. Of two with the same address and port the last one stands (as in APISIX). `specs` itself if it
 * is so already.
 */
export function orderedEndpoints(specs: readonly EndpointSpec[]): readonly EndpointSpec[] {
  if (areOrdered(specs)) return specs;
  // Sorting is stable: of equals the last one in the list is the last one here.
  const sorted = specs.toSorted(compareEndpoints);
  return sorted.filter((spec, i) => i + 1 === sorted.length || compareEndpoints(spec, sorted[i + 1]!) !== 0);
}

function areOrdered(specs: readonly EndpointSpec[]): boolean {
  for (let i = 1; i < specs.length; i++) if (compareEndpoints(specs[i - 1]!, specs[i]!) >= 0) return false;
  return true;
}

/** 0: the same endpoint. The order of code units: it is the same on every machine and needs no collation. */
export function compareEndpoints(a: EndpointSpec, b: EndpointSpec): number {
  if (a.address !== b.address) return a.address < b.address ? -1 : 1;
  return a.port - b.port;
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
    if (old === undefined || !isSame(old, spec)) return spec;
    shared++;
    return old;
  });
  return shared === next.length && shared === previous.length ? previous : result;
}

function isSame(a: EndpointSpec, b: EndpointSpec): boolean {
  return (
    a === b ||
    (a.address === b.address &&
      a.port === b.port &&
      a.weight === b.weight &&
      a.priority === b.priority &&
      a.draining === b.draining &&
      a.host === b.host &&
      hasSameLabels(a.labels, b.labels))
  );
}

function hasSameLabels(a: ReadonlyMap<string, string>, b: ReadonlyMap<string, string>): boolean {
  if (a === b) return true;
  if (a.size !== b.size) return false;
  for (const [key, value] of a) if (b.get(key) !== value) return false;
  return true;
}
