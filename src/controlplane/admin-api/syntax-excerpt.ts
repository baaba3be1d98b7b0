// The tokens around a place, without what texts say: a key or password in a body that is no JSON must not come back in an
// answer or a log.

/** Tokens shown behind a place, and characters looked at for them. */
const MAX_TOKENS = 8;
const MAX_CHARS = 400;

const TOKEN = /"(?:[^"\\]|\\.)*"|[{}[\],:]|"|[^\s{}[\],:"]+/gsu;
const SIGN = /^[{}[\],:]$/;

/** Longer names aren't shown. */
const MAX_SHOWN_CHARS = 40;

/**
 * A token as it is shown: signs, and names that are known to be some, as they are; of all else only that it stands there.
 * Behind a fault no name is known: where a quote is missing or one too many, names, texts and numbers can't be told apart.
 */
export function shownToken(token: string, isName = false): string {
  if (SIGN.test(token) || (isName && token.length <= MAX_SHOWN_CHARS)) return token;
  return token.startsWith('"') && token.length > 1 ? '"…"' : '…';
}

/** The first tokens of a text from an offset on; they may be no JSON. */
export function tokensBehind(text: string, from: number): string {
  const shown: string[] = [];
  for (const [token] of text.slice(from, from + MAX_CHARS).matchAll(TOKEN)) {
    shown.push(shownToken(token));
    // An open quote: whatever follows may be inside of it.
    if (shown.length >= MAX_TOKENS || token === '"') break;
  }
  return joinTokens(shown);
}

/** On one line: `"…": …, "…": "…"`. */
export function joinTokens(tokens: readonly string[]): string {
  return tokens.join(' ').replaceAll(/ (?=[,:](?: |$))/g, '');
}
