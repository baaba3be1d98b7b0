// What the aliases (`*name`) of a document stand for, looked up once, and how much the document becomes with them. Nine
// lines of aliases to lists of aliases stand for millions of values, and one inside what it names for endlessly many:
// such a document is refused before anything walks through it.
import { type Alias, isAlias, isCollection, isPair, isScalar, type Node } from 'yaml';

/** Values that aliases may add to a document. */
const MAX_ADDED_VALUES = 100_000;

/** What is wrong with an alias. */
export interface AliasProblem {
  readonly alias: Alias;
  readonly message: string;
}

/** The aliases of a document. */
export interface Aliases {
  readonly targets: ReadonlyMap<Alias, Node>;
  /** The first problem; where there is one, nothing may walk through the document. */
  readonly problem: AliasProblem | undefined;
}

/** Looks up every alias below `root`. An alias names the last anchor of that name before it (YAML 1.2.2 section 7.1). */
export function readAliases(root: unknown): Aliases {
  const targets = new Map<Alias, Node>();
  const anchors = new Map<string, Node>();
  /** Values of each anchored node, itself and all aliases in it counted. */
  const sizes = new Map<Node, number>();
  let added = 0;
  let problem: AliasProblem | undefined;
  sizeOf(root);
  return { targets, problem };

  function sizeOf(node: unknown): number {
    if (isAlias(node)) return sizeOfAlias(node);
    if (isPair(node)) return sizeOf(node.key) + sizeOf(node.value);
    if (!isScalar(node) && !isCollection(node)) return 0;
    if (node.anchor !== undefined) anchors.set(node.anchor, node);
    let size = 1;
    if (isCollection(node)) for (const item of node.items) size += sizeOf(item);
    if (node.anchor !== undefined) sizes.set(node, size);
    return size;
  }

  function sizeOfAlias(alias: Alias): number {
    const target = anchors.get(alias.source);
    if (target === undefined) {
      problem ??= { alias, message: `no anchor &${alias.source} stands before the alias` };
      return 1;
    }
    targets.set(alias, target);
    const size = sizes.get(target);
    if (size === undefined) {
      problem ??= { alias, message: `the alias *${alias.source} stands inside what it names` };
      return 1;
    }
    added += size;
    if (added > MAX_ADDED_VALUES) {
      problem ??= { alias, message: `the aliases up to here stand for more than ${MAX_ADDED_VALUES} values` };
      return 1;
    }
    return size;
  }
}
