// What is wrong with a text that is no JSON: line, column, the text around it, and what is missing there.
import type { ParseError } from 'jsonc-parser';
import { BodyPlaces, placeText } from './body-places.ts';

/** Codes of jsonc-parser; its own enum can't be imported as a value. */
const CODE = {
  invalidSymbol: 1,
  invalidNumber: 2,
  nameExpected: 3,
  valueExpected: 4,
  colonExpected: 5,
  commaExpected: 6,
  braceExpected: 7,
  bracketExpected: 8,
  endExpected: 9,
  comment: 10,
  openComment: 11,
  openString: 12,
  openNumber: 13,
  unicode: 14,
  escape: 15,
  character: 16,
} as const;

/** Characters shown on either side of the place. */
const AROUND = 30;

/** `line 15, column 10: a comma is missing, after …: 1 }, before "type": "roun…`. */
export function syntaxMessage(text: string, error: ParseError): string {
  const { error: code, offset, length }: { error: number; offset: number; length: number } = error;
  if (text.trim() === '') return 'missing configurations: the body is empty';
  const before = text.slice(0, offset).trimEnd();
  // What is missing belongs behind what stands before, not where the next thing begins.
  const isMissing =
    code === CODE.commaExpected ||
    code === CODE.colonExpected ||
    code === CODE.braceExpected ||
    code === CODE.bracketExpected;
  const at = isMissing ? before.length : offset;
  const place = placeText(new BodyPlaces(text).at(at));
  return `${place}: ${words(code, text.slice(offset, offset + length), before)}${around(text, at)}`;
}

function words(code: number, token: string, before: string): string {
  const last = before.at(-1);
  switch (code) {
    case CODE.commaExpected:
      return 'a comma is missing';
    case CODE.colonExpected:
      return 'a colon is missing';
    case CODE.braceExpected:
      return 'a closing } is missing';
    case CODE.bracketExpected:
      return 'a closing ] is missing';
    case CODE.nameExpected:
      return last === ','
        ? 'a name is missing, or the comma before is one too many'
        : 'a name in double quotes is missing';
    case CODE.valueExpected:
      return last === ',' ? 'a value is missing, or the comma before is one too many' : 'a value is missing';
    case CODE.invalidSymbol:
      return /^['‘’“”`]/.test(token)
        ? 'names and texts stand in double quotes, "'
        : `${JSON.stringify(token.slice(0, 40))} is no JSON value: a text stands in double quotes`;
    case CODE.endExpected:
      return 'nothing may follow the end of the object';
    case CODE.comment:
    case CODE.openComment:
      return 'JSON has no comments';
    case CODE.openString:
      return 'the closing double quote of this text is missing';
    case CODE.invalidNumber:
    case CODE.openNumber:
      return 'this number is not complete';
    case CODE.unicode:
    case CODE.escape:
      return 'this text has an escape that JSON does not know';
    case CODE.character:
      return 'this text holds a line break or control character: write \\n, \\t or \\u00xx';
    default:
      return 'this is no JSON';
  }
}

function around(text: string, at: number): string {
  const oneLine = (part: string): string => part.replaceAll(/\s+/g, ' ').trim();
  const left = oneLine(text.slice(Math.max(0, at - 2 * AROUND), at)).slice(-AROUND);
  const right = oneLine(text.slice(at, at + 2 * AROUND)).slice(0, AROUND);
  const after = left === '' ? '' : `, after ${left}`;
  return right === '' ? `${after}, at the end of the body` : `${after}, before ${right}`;
}
