// Templates of variables, ready to be filled in for one request after another: hash keys, and keys and numbers of limits.
import { parseTemplate } from '../model/key-template.ts';
import { compileVariable, type ReadVariable } from './request-variables.ts';

/** A piece of a text that is made for each request anew: text, or what `read` gives, or else `text`. */
interface Piece {
  readonly text: string;
  /** Whether `text` is there by somebody's will, as a default. */
  readonly hasDefault: boolean;
  readonly read: ReadVariable | undefined;
}

/** A template that was taken apart. */
export interface CompiledTemplate {
  /**
   * Fills it in. What isn't resolved is left empty, unless it has a default, which counts as resolved. Undefined where nothing
   * was resolved, since there are no variables or none has a value.
   */
  readonly read: ReadVariable;
  /** What is left of it where nothing is resolved. */
  readonly bareText: string;
  /** Whether it names a variable at all. */
  readonly hasVariables: boolean;
}

/** Takes `template`, a latin1 text, apart. A variable that doesn't exist never has a value. */
export function compileTemplate(template: string): CompiledTemplate {
  const pieces: Piece[] = parseTemplate(template).map((part) =>
    part.kind === 'text'
      ? { text: part.text, hasDefault: false, read: undefined }
      : {
          text: part.fallback ?? '',
          hasDefault: part.fallback !== undefined,
          read: compileVariable(part.name) ?? noValue,
        },
  );
  return {
    read: (request) => {
      let filled = '';
      let isResolved = false;
      for (const piece of pieces) {
        const value = piece.read?.(request);
        filled += value ?? piece.text;
        isResolved ||= value !== undefined || piece.hasDefault;
      }
      return isResolved ? filled : undefined;
    },
    bareText: pieces.map(({ text }) => text).join(''),
    hasVariables: pieces.some(({ read }) => read !== undefined),
  };
}

/** Of a variable that doesn't exist. */
export function noValue(): undefined {
  return undefined;
}
