// Names of objects and namespaces.
import type { Value } from './value.ts';

/** A name may not break the resource names that are made of it. */
const NAME = /^[A-Za-z0-9]([A-Za-z0-9._-]{0,251}[A-Za-z0-9])?$/;

/** Whether a text can be the name of an object or a namespace. */
export function isName(text: string): boolean {
  return NAME.test(text);
}

/** The name of an object or a namespace; reports what can't be one. */
export function readName(value: Value | undefined): string | undefined {
  const name = value?.text();
  if (value === undefined || name === undefined) return undefined;
  if (isName(name)) return name;
  value.error(`'${name}' is not a name`, 'use letters, digits, `-` and `.`, at most 253');
  return undefined;
}
