// Operations on the flat field lists of codec/exchange.ts.
import type { Fields } from './exchange.ts';

/** Sets the first field called `name` (given in lower case), or adds it. */
export function setField(fields: Fields, name: string, value: string): void {
  for (let i = 0; i < fields.length; i += 2) {
    if (fields[i]!.toLowerCase() !== name) continue;
    fields[i + 1] = value;
    return;
  }
  fields.push(name, value);
}

/** Value of the first field called `name` (given in lower case), whatever the case of the list. */
export function findField(fields: Fields, name: string): string | undefined {
  for (let i = 0; i < fields.length; i += 2) {
    const candidate = fields[i]!;
    if (candidate === name || (candidate.length === name.length && candidate.toLowerCase() === name)) {
      return fields[i + 1];
    }
  }
  return undefined;
}

/** Takes out every field called `name`, whatever the case. */
export function removeField(fields: Fields, name: string): void {
  const wanted = name.toLowerCase();
  for (let i = 0; i < fields.length; i += 2) {
    if (fields[i]!.length !== wanted.length || fields[i]!.toLowerCase() !== wanted) continue;
    fields.splice(i, 2);
    i -= 2;
  }
}
