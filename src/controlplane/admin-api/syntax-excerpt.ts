// The tokens around a place, without what texts say: a key or password in a body that is no JSON must not come back in an
// answer or a log.

/** Tokens shown behind a place, and characters looked at for them. */
const MAX_TOKENS = 8;
const MAX_CHARS = 400;
/** Longer names and numbers aren't shown. */
const MAX_SHOWN_CHARS = 40;

const TOKEN = /"(?:[^"\\]|\\.)*"(?=(\s*:)?)|[{}[\],:]|"|[^\s{}[\],:"]+/gsu;
const SIGN_OR_LITERAL = /^(?:[{}[\],:]|true|false|null|-?\d[\d.eE+-]*)$/;

/** A token as it is shown: names of members, numbers and signs as they are. */
export function shownToken(token: string, isName: boolean): string {
  const isText = token.startsWith('"');
  if (token.length <= MAX_SHOWN_CHARS && (isText ? isName : SIGN_OR_LITERAL.test(token))) return token;
  return isText && token.length > 1 ? '"…"' : '…';
}

/** The first tokens of a text from an offset on; they may be no JSON. */
export function tokensBehind(text: string, from: number): string {
  const shown: string[] = [];
  for (const [token, colon] of text.slice(from, from + MAX_CHARS).matchAll(TOKEN)) {
    shown.push(shownToken(token, colon !== undefined));
    // An open quote: whatever follows may be inside of it.
    if (shown.length >= MAX_TOKENS || token === '"') break;
  }
  return joinTokens(shown);
}

/** On one line: `"a": 1, "b": "…"`. */
export function joinTokens(tokens: readonly string[]): string {
  return tokens.join(' ').replaceAll(/ (?=[,:](?: |$))/g, '');
}
