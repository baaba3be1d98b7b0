// The text of a body → its value, strictly, and where everything stands in it. Content types aren't looked at: curl -d
// says that it sends a form.
import { BodyPlaces, placeText } from './body-places.ts';
import { scanJson } from './json-scan.ts';

/** A body that is JSON. */
export interface ParsedBody {
  readonly value: unknown;
  readonly places: BodyPlaces;
}

/** What parsing gives: the value, or what is wrong with the text. */
export type ParseResult = ({ readonly ok: true } & ParsedBody) | { readonly ok: false; readonly reason: string };

/** Parses a body. Never throws. */
export function parseBody(bytes: Uint8Array): ParseResult {
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return { ok: false, reason: 'the body is not UTF-8 text' };
  }
  const invalid = (reason: string): ParseResult => ({ ok: false, reason: `invalid request body: ${reason}` });
  if (text.trim() === '') return invalid('missing configurations: the body is empty');
  const scan = scanJson(text);
  if (!scan.ok) {
    const { offset, reason } = scan.problem;
    return invalid(`${placeText(new BodyPlaces(text, undefined).at(offset))}: ${reason}`);
  }
  const places = new BodyPlaces(text, scan.root);
  if (scan.repeats.length > 0) {
    const told = scan.repeats.map(({ key, offset, earlier }) => {
      const shown = JSON.stringify(key.slice(0, 60));
      const [here, there] = [placeText(places.at(offset)), placeText(places.at(earlier))];
      return `the key ${shown} (${here}) stands twice: remove this one or that at ${there}`;
    });
    return { ok: false, reason: told.join('; ') };
  }
  try {
    // It has the last word on what is JSON.
    return { ok: true, value: JSON.parse(text) as unknown, places };
  } catch (error) {
    return invalid((error as Error).message);
  }
}
