// Where the fields of a body stand in its text.
import { type Node, parseTree } from 'jsonc-parser';

/** A place in a text; both count from 1, columns in characters. */
export interface TextPlace {
  readonly line: number;
  readonly column: number;
}

/** `line 3, column 10`. */
export function placeText({ line, column }: TextPlace): string {
  return `line ${line}, column ${column}`;
}

/** Longer lines have their columns counted in UTF-16 units: nobody counts there. */
const MAX_COUNTED = 10_000;

/** Finds offsets, and fields by the paths that problems name. */
export class BodyPlaces {
  private readonly text: string;
  /** The tree of the body: made when a field is looked for, which good bodies don't need. */
  private root: Node | undefined;
  private lineStarts: readonly number[] | undefined;

  constructor(text: string) {
    this.text = text;
  }

  /** The place of an offset. */
  at(offset: number): TextPlace {
    this.lineStarts ??= [0, ...Array.from(this.text.matchAll(/\n/g), ({ index }) => index + 1)];
    let [low, high] = [0, this.lineStarts.length];
    while (high - low > 1) {
      const middle = (low + high) >>> 1;
      if ((this.lineStarts[middle] ?? 0) <= offset) low = middle;
      else high = middle;
    }
    const start = this.lineStarts[low] ?? 0;
    const length = offset - start;
    const column = length > MAX_COUNTED ? length : Array.from(this.text.slice(start, offset)).length;
    return { line: low + 1, column: column + 1 };
  }

  /**
   * Place of a field: of its key, or of the item of a list. A field that isn't there has the place of what would hold it.
   * With `onlyPresent` undefined where not even the first word of the path is there, as the field is none of this body.
   */
  find(path: string, onlyPresent: boolean): TextPlace | undefined {
    this.root ??= parseTree(this.text);
    let node = this.root;
    let rest = path;
    let offset = node?.offset;
    while (node !== undefined && rest !== '') {
      const step: Step | undefined = nextStep(node, rest);
      if (step === undefined) break;
      ({ node, rest, offset } = step);
    }
    if (offset === undefined || (onlyPresent && rest === path && path !== '')) return undefined;
    return this.at(offset);
  }
}

interface Step {
  readonly node: Node | undefined;
  readonly rest: string;
  readonly offset: number;
}

/** Goes one member or item down; `rest` begins with its name. Names may hold dots, so the longest that fits is taken. */
function nextStep({ type, children = [] }: Node, path: string): Step | undefined {
  const rest = path.startsWith('.') ? path.slice(1) : path;
  if (type === 'array') {
    const [whole, digits] = /^\[(\d+)\]/.exec(rest) ?? [];
    const node = digits === undefined ? undefined : children[Number(digits)];
    return whole === undefined || node === undefined ? undefined : step(node, rest.slice(whole.length), node.offset);
  }
  if (type !== 'object') return undefined;
  let found: Step | undefined;
  let length = 0;
  for (const { children: [key, value] = [] } of children) {
    const name = String(key?.value).trim();
    for (const written of [name, `[${JSON.stringify(name)}]`]) {
      if (written.length <= length || !rest.startsWith(written) || !/^($|[.[])/.test(rest.slice(written.length)))
        continue;
      length = written.length;
      found = step(value, rest.slice(length), key?.offset ?? 0);
    }
  }
  return found;
}

function step(node: Node | undefined, rest: string, offset: number): Step {
  return { node, rest, offset };
}
