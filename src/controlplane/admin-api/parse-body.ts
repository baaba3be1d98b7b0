// The text of a body → its value, strictly, and where everything stands in it. Content types aren't looked at: curl -d
// says that it sends a form.
import { type ParseError, visit } from 'jsonc-parser';
import { BodyPlaces, placeText } from './body-places.ts';
import { syntaxMessage } from './syntax-message.ts';

/** A body that is JSON. */
export interface ParsedBody {
  readonly value: unknown;
  readonly places: BodyPlaces;
}

/** What parsing gives: the value, or what is wrong with the text. */
export type ParseResult = ({ readonly ok: true } & ParsedBody) | { readonly ok: false; readonly reason: string };

/** Objects and lists inside each other; parsers recurse. No object of APISIX has a tenth of it. */
const MAX_DEPTH = 100;
/** Keys that stand twice are told up to this number. */
const MAX_REPEATS = 20;

/** Parses a body. Never throws. */
export function parseBody(bytes: Uint8Array): ParseResult {
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return { ok: false, reason: 'the body is not UTF-8 text' };
  }
  const tooDeep = offsetTooDeep(text);
  if (tooDeep !== undefined) {
    const place = placeText(new BodyPlaces(text).at(tooDeep));
    return { ok: false, reason: `invalid request body: ${place}: nested more than ${MAX_DEPTH} levels deep` };
  }
  const { error, repeats } = look(text);
  if (error !== undefined) return { ok: false, reason: `invalid request body: ${syntaxMessage(text, error)}` };
  const places = new BodyPlaces(text);
  if (repeats.length > 0) {
    const told = repeats.map(({ key, offset, earlier }) => {
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
    return { ok: false, reason: `invalid request body: ${(error as Error).message}` };
  }
}

/** Where the nesting passes the bound; undefined: nowhere. */
function offsetTooDeep(text: string): number | undefined {
  let depth = 0;
  let isInString = false;
  for (let i = 0; i < text.length; i++) {
    const char = text[i];
    if (isInString) {
      if (char === '\\') i++;
      else if (char === '"') isInString = false;
    } else if (char === '"') isInString = true;
    else if (char === '{' || char === '[') {
      if (++depth > MAX_DEPTH) return i;
    } else if (char === '}' || char === ']') depth--;
  }
  return undefined;
}

interface RepeatedKey {
  readonly key: string;
  readonly offset: number;
  readonly earlier: number;
}

/** The first thing that is no JSON, and keys that stand twice in one object. */
function look(text: string): { readonly error: ParseError | undefined; readonly repeats: readonly RepeatedKey[] } {
  const errors: ParseError[] = [];
  const repeats: RepeatedKey[] = [];
  /** Keys of the objects that are open. */
  const open: Map<string, number>[] = [];
  visit(
    text,
    {
      onObjectBegin: () => void open.push(new Map()),
      onObjectEnd: () => void open.pop(),
      onObjectProperty: (key, offset) => {
        const keys = open.at(-1);
        const earlier = keys?.get(key);
        if (earlier === undefined) keys?.set(key, offset);
        else if (repeats.length < MAX_REPEATS) repeats.push({ key, offset, earlier });
      },
      onError: (error, offset, length) => {
        if (errors.length === 0) errors.push({ error, offset, length });
      },
    },
    { disallowComments: true, allowTrailingComma: false },
  );
  return { error: errors[0], repeats };
}
