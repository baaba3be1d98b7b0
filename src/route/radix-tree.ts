// Patterns of paths and what they stand for. A pattern is text, in which a segment that begins with `:` is a parameter:
// one segment of any text, but not an empty one; a `*` at its end stands for anything, nothing included. A colon inside a
// segment is a colon. Guarded by `npm run bench -- micro route-match`.
//
// The tree is compressed: an edge is as much text as all patterns below it share. The text of a pattern up to a node
// is found in a path in one way only, since a parameter takes its segment whole. So a search comes to each node at most once,
// whatever the patterns are, and where no pattern has parameters it goes down a single line. Nothing here recurses.

const SLASH = 0x2f;
const COLON = 0x3a;

class TreeNode<V> {
  /** Text between the parent and this node; empty for the root and for parameters. */
  label: string;
  /** By the first character of their labels. Undefined: none, never an empty map. */
  children: Map<number, TreeNode<V>> | undefined = undefined;
  /** Behind a parameter that begins here. Only where the text up to here ends with `/`. */
  parameter: TreeNode<V> | undefined = undefined;
  /** Of the pattern that ends here, and of that which ends here with `*`. */
  whole: V | undefined = undefined;
  prefix: V | undefined = undefined;

  constructor(label: string) {
    this.label = label;
  }
}

/** What a search writes down on its way. Trees that are not searched from within each other's visits may share one. */
export class SearchScratch<V> {
  /** Parameters not gone into yet, and where their segments begin. */
  readonly parameters: TreeNode<V>[] = [];
  readonly segments: number[] = [];
  /** Prefixes that match, and their lengths in the path. */
  readonly prefixes: V[] = [];
  readonly lengths: number[] = [];

  /** Lets go of what the last search left. */
  clear(): void {
    this.parameters.length = this.segments.length = this.prefixes.length = this.lengths.length = 0;
  }
}

/** One value for each pattern. Patterns that differ only in the names of parameters are one. */
export class RadixTree<V> {
  readonly #root = new TreeNode<V>('');
  readonly #scratch: SearchScratch<V>;

  constructor(scratch: SearchScratch<V> = new SearchScratch()) {
    this.#scratch = scratch;
  }

  get isEmpty(): boolean {
    return isBare(this.#root);
  }

  /** Value of a pattern, as it was set. */
  get(pattern: string): V | undefined {
    const node = this.#lineTo(pattern)?.at(-1);
    return isPrefixPattern(pattern) ? node?.prefix : node?.whole;
  }

  /** Gives a pattern a value, in the place of the one it had. */
  set(pattern: string, value: V): void {
    let node = this.#root;
    for (const [index, text] of textsOf(pattern).entries()) {
      if (index > 0) node = node.parameter ??= new TreeNode('');
      node = descend(node, text);
    }
    if (isPrefixPattern(pattern)) node.prefix = value;
    else node.whole = value;
  }

  /** Forgets a pattern; false if it wasn't there. */
  delete(pattern: string): boolean {
    const line = this.#lineTo(pattern);
    const node = line?.at(-1);
    if (line === undefined || node === undefined) return false;
    if (isPrefixPattern(pattern)) {
      if (node.prefix === undefined) return false;
      node.prefix = undefined;
    } else {
      if (node.whole === undefined) return false;
      node.whole = undefined;
    }
    prune(line);
    return true;
  }

  /**
   * Calls `visit` with the value of each pattern that matches the first `end` characters of `path`, until it gives something
   * back. First the pattern without parameters and `*`. Then those with parameters, text before parameter where they
   * first differ. Then those with a `*`: what matches the longest part of the path before it comes first, and of equal ones
   * text before parameter again. `visit` may not search or change a tree that shares the scratch.
   */
  search<C, R>(path: string, end: number, visit: (value: V, context: C) => R | undefined, context: C): R | undefined {
    const { parameters, segments, prefixes, lengths } = this.#scratch;
    let node = this.#root;
    let at = 0;
    let waiting = 0;
    let found = 0;
    let hasBranched = false;
    for (;;) {
      for (;;) {
        if (node.prefix !== undefined) {
          prefixes[found] = node.prefix;
          lengths[found++] = at;
        }
        if (at === end) {
          if (node.whole !== undefined) {
            const answer = visit(node.whole, context);
            if (answer !== undefined) return answer;
          }
          break;
        }
        const code = path.charCodeAt(at);
        if (node.parameter !== undefined && code !== SLASH) {
          parameters[waiting] = node.parameter;
          segments[waiting++] = at;
        }
        const child: TreeNode<V> | undefined = node.children?.get(code);
        if (child === undefined || !hasLabel(path, at, end, child.label)) break;
        at += child.label.length;
        node = child;
      }
      // The one met last differs last: what has text for longer stands before what has a parameter sooner.
      if (waiting === 0) break;
      node = parameters[--waiting]!;
      at = segmentEnd(path, segments[waiting]!, end);
      hasBranched = true;
    }
    if (hasBranched && found > 1) sortByLength(prefixes, lengths, found);
    while (found > 0) {
      const answer = visit(prefixes[--found]!, context);
      if (answer !== undefined) return answer;
    }
    return undefined;
  }

  /** Nodes from the root to where a pattern ends; undefined if the tree has no such node. */
  #lineTo(pattern: string): TreeNode<V>[] | undefined {
    let node: TreeNode<V> | undefined = this.#root;
    const line = [node];
    for (const [index, text] of textsOf(pattern).entries()) {
      if (index > 0) {
        node = node.parameter;
        if (node === undefined) return undefined;
        line.push(node);
      }
      for (let at = 0; at < text.length; at += node.label.length) {
        node = node.children?.get(text.charCodeAt(at));
        if (node === undefined || !text.startsWith(node.label, at)) return undefined;
        line.push(node);
      }
    }
    return line;
  }
}

function isPrefixPattern(pattern: string): boolean {
  return pattern.endsWith('*');
}

/** The texts of a pattern between its parameters, one more than there are parameters. */
function textsOf(pattern: string): string[] {
  const end = isPrefixPattern(pattern) ? pattern.length - 1 : pattern.length;
  const texts: string[] = [];
  let start = 0;
  for (let at = 1; at < end; at++) {
    if (pattern.charCodeAt(at) !== COLON || pattern.charCodeAt(at - 1) !== SLASH) continue;
    texts.push(pattern.slice(start, at));
    start = at = segmentEnd(pattern, at, end);
  }
  texts.push(pattern.slice(start, end));
  return texts;
}

function segmentEnd(path: string, start: number, end: number): number {
  const slashAt = path.indexOf('/', start);
  return slashAt < 0 || slashAt > end ? end : slashAt;
}

/** Whether `label` stands in the path at `at`; its first character is known to. Labels are short: a call would cost more. */
function hasLabel(path: string, at: number, end: number, label: string): boolean {
  const { length } = label;
  if (at + length > end) return false;
  for (let i = 1; i < length; i++) if (path.charCodeAt(at + i) !== label.charCodeAt(i)) return false;
  return true;
}

/** Goes down from `node` by `text`, making the nodes that it takes. */
function descend<V>(from: TreeNode<V>, text: string): TreeNode<V> {
  let node = from;
  let at = 0;
  while (at < text.length) {
    const code = text.charCodeAt(at);
    node.children ??= new Map();
    const child = node.children.get(code);
    if (child === undefined) {
      const leaf = new TreeNode<V>(text.slice(at));
      node.children.set(code, leaf);
      return leaf;
    }
    const { label } = child;
    let shared = 1;
    while (shared < label.length && at + shared < text.length && label[shared] === text[at + shared]) shared++;
    at += shared;
    if (shared < label.length) {
      const fork = new TreeNode<V>(label.slice(0, shared));
      child.label = label.slice(shared);
      fork.children = new Map([[child.label.charCodeAt(0), child]]);
      node.children.set(code, fork);
      node = fork;
    } else node = child;
  }
  return node;
}

function isBare(node: TreeNode<unknown>): boolean {
  return (
    node.whole === undefined && node.prefix === undefined && node.parameter === undefined && node.children === undefined
  );
}

/** Takes away what the end of a line is no longer needed for, and joins what need no longer be apart. */
function prune(line: readonly TreeNode<unknown>[]): void {
  for (let index = line.length - 1; index > 0; index--) {
    const node = line[index]!;
    const parent = line[index - 1]!;
    if (!isBare(node)) {
      join(parent, node);
      return;
    }
    if (parent.parameter === node) parent.parameter = undefined;
    else {
      parent.children?.delete(node.label.charCodeAt(0));
      if (parent.children?.size === 0) parent.children = undefined;
    }
  }
}

/** Makes one of a node and its only child, if nothing else is at the node. */
function join(parent: TreeNode<unknown>, node: TreeNode<unknown>): void {
  if (node.label === '' || node.whole !== undefined || node.prefix !== undefined || node.parameter !== undefined)
    return;
  if (node.children?.size !== 1) return;
  for (const child of node.children.values()) {
    child.label = node.label + child.label;
    parent.children?.set(child.label.charCodeAt(0), child);
  }
}

/** Sorts the first `count` so that, taken from the end, the longest come first, and of equal ones those found first. */
function sortByLength(prefixes: unknown[], lengths: readonly number[], count: number): void {
  const order = Array.from({ length: count }, (_, index) => index);
  order.sort((a, b) => lengths[a]! - lengths[b]! || b - a);
  const sorted = order.map((index) => prefixes[index]);
  for (let i = 0; i < count; i++) prefixes[i] = sorted[i];
}
