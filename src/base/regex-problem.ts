import { compileRegex } from './linear-regex.ts';

/**
 * What is wrong with a regular expression of a condition, as a sentence for its user; undefined if it is taken. `source` is
 * text as it was set: a letter beyond ASCII counts as its UTF-8 bytes. Taken is what PCRE and this proxy read alike
 * and one walk over a text decides: no look-around, back references, atomic groups or possessive quantifiers.
 */
export function regexProblem(source: string): string | undefined {
  const compiled = compileRegex(Buffer.from(source, 'utf8').toString('latin1'), false);
  return typeof compiled === 'string' ? compiled : undefined;
}
