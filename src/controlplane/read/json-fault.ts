// What is told of a JSON file that is no JSON: the Admin API's words for a body. YAML would speak of flow collections.
import { scanJson } from '../admin-api/json-scan.ts';

/** Where a text is no JSON, and why. `hidesText`: without the tokens around the place. Undefined where nothing of that kind is wrong. */
export function jsonFault(
  text: string,
  hidesText: boolean,
): { readonly offset: number; readonly message: string } | undefined {
  const scan = scanJson(text);
  // The bounds of a body are none of a file.
  if (scan.ok || /^(?:more than|nested more than|a key of) /.test(scan.problem.reason)) return undefined;
  const { offset, reason } = scan.problem;
  const shown = hidesText
    ? reason.replace(/, (?:(?:after|before) .*|at the end of the body)$/s, '')
    : reason.replace(/ the body$/, ' the file');
  return { offset, message: `is no valid JSON: ${shown}` };
}
