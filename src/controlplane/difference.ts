/** What one list has and another has not. */
export interface Difference<T> {
  readonly removed: readonly T[];
  readonly added: readonly T[];
}

/**
 * Compares two lists of objects by identity, each of which stands once in a list. Where they begin and end alike only
 * what is between is looked at, so a list with one change costs a pass of comparisons. An object that moved counts as
 * neither.
 */
export function difference<T>(before: readonly T[], after: readonly T[]): Difference<T> {
  let start = 0;
  const shorter = Math.min(before.length, after.length);
  while (start < shorter && before[start] === after[start]) start++;
  let end = 0;
  while (end < shorter - start && before[before.length - 1 - end] === after[after.length - 1 - end]) end++;
  const left = before.slice(start, before.length - end);
  const come = after.slice(start, after.length - end);
  if (left.length === 0 || come.length === 0) return { removed: left, added: come };
  const [were, are] = [new Set(left), new Set(come)];
  return { removed: left.filter((one) => !are.has(one)), added: come.filter((one) => !were.has(one)) };
}
