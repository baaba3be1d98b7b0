// Text that comes from another process, as a terminal may be given it: a node id or a reason can hold anything, also
// sequences that move the cursor, and lines that look like ours.

/** Characters of a reason that a table shows; `--json` shows all of it. */
const MAX_REASON_CHARACTERS = 300;

/** The text with each control character (C0, DEL, C1; also the end of a line) as `\xNN`. */
export function shownText(text: string): string {
  return text.replace(CONTROL, (character) => `\\x${hex(character).padStart(2, '0')}`);
}

/** The same of a reason, cut where it is long. */
export function shownReason(reason: string): string {
  const characters = Array.from(reason.slice(0, 2 * MAX_REASON_CHARACTERS + 2));
  if (characters.length <= MAX_REASON_CHARACTERS) return shownText(reason);
  return `${shownText(characters.slice(0, MAX_REASON_CHARACTERS).join(''))}…`;
}

/** A value as indented JSON with an end of line. What JSON lets stand of control characters, DEL and C1, is escaped too. */
export function shownJson(value: unknown): string {
  const text = JSON.stringify(value, undefined, 2);
  return `${text.replace(AFTER_ASCII, (character) => `\\u${hex(character).padStart(4, '0')}`)}\n`;
}

const CONTROL = /[\u0000-\u001f\u007f-\u009f]/g;
const AFTER_ASCII = /[\u007f-\u009f]/g;

function hex(character: string): string {
  return character.charCodeAt(0).toString(16);
}
