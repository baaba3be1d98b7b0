// A field path in words → its place in the file.
import { isMap } from 'yaml';
import type { Origin } from '../finding.ts';
import type { Value } from './value.ts';

/**
 * The place of the deepest value on the way along `path` (`spec.port_level_settings[1].tls`, `labels["a"]`). A path may
 * start at the object or at its spec.
 */
export function locate(object: Value, path: string): Origin {
  const steps = [...path.matchAll(/\["((?:[^"\\]|\\.)*)"\]|\[(\d+)\]|([^.[\]]+)/g)].map(
    (step) => step[1] ?? step[2] ?? step[3] ?? '',
  );
  const whole = walk(object, steps);
  if (whole.taken > 0) return whole.value.origin;
  const spec = walk(object, ['spec', ...steps]);
  return spec.taken > 1 ? spec.value.origin : object.origin;
}

function walk(from: Value, steps: readonly string[]): { readonly value: Value; readonly taken: number } {
  let value = from;
  let taken = 0;
  for (const step of steps) {
    const next = value.child(step) ?? childWithBlanks(value, step);
    if (next === undefined) break;
    value = next;
    taken++;
  }
  return { value, taken };
}

/** A key that has blanks around it is told of without them. */
function childWithBlanks(value: Value, step: string): Value | undefined {
  if (!isMap(value.node)) return undefined;
  return [...(value.anyMembers() ?? [])].find(([key]) => key.trim() === step)?.[1];
}
