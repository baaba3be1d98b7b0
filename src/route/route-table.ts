// Which route a request of the gateway takes. Of those that match, the one with the more specific host stands first, then
// the one with the more specific uri, then the one with the higher priority, then the one with the lower id. A host or
// uri of which no route's other conditions are met gives way to the next less specific one. Guarded by
// `npm run bench -- micro route-match`.
//
// Host and uri are found by their texts, so a request costs the same whatever the number of routes. Only routes with the
// same host and uri are gone through one by one.
import type { RouteSpec } from '../model/gateway.ts';
import type { HashedRequest } from '../policy/request-variables.ts';
import { RouteConditions, type Refusal } from './conditions.ts';
import { HostTable } from './host-table.ts';
import { lookupPath } from '../policy/lookup-path.ts';
import { RadixTree, SearchScratch } from './radix-tree.ts';

/** Where in the table a route was come upon. */
export interface RoutePlace {
  readonly route: RouteSpec;
  /** The one of its uris that the request's path matches. */
  readonly uri: string;
  /** The one of its hosts that the request's host matches; undefined: it takes any host. */
  readonly host: string | undefined;
}

/** Why a request takes a route. */
export interface RouteExplanation {
  /** Undefined: no route matches. */
  readonly match: RoutePlace | undefined;
  /**
   * Routes of the request's host and path that stand before it, in order, with the first condition that refused the
   * request. No more than {@link MAX_REFUSED}.
   */
  readonly refused: readonly (RoutePlace & { readonly by: Refusal })[];
}

/** Refused routes that an explanation names. */
export const MAX_REFUSED = 100;

interface Entry extends RoutePlace {
  readonly conditions: RouteConditions;
}

/** Routes of one host and uri, in the order in which they are tried. Never empty. */
type Leaf = Entry[];
type UriTree = RadixTree<Leaf>;

/** A request on its way through the table. Of the same shape for all, and taken anew by each search. */
interface Search {
  request: HashedRequest | undefined;
  path: string;
  refused: (RoutePlace & { readonly by: Refusal })[] | undefined;
}

/** The routes in force. */
export class RouteTable {
  readonly #byHost = new HostTable<UriTree>();
  readonly #scratch = new SearchScratch<Leaf>();
  readonly #held = new Map<string, RouteSpec>();
  readonly #search: Search = { request: undefined, path: '', refused: undefined };

  /** Takes over routes by id. What is the same object as before is left alone. */
  apply(routes: ReadonlyMap<string, RouteSpec>): void {
    let kept = 0;
    for (const [id, route] of routes) {
      const held = this.#held.get(id);
      if (held !== undefined) kept++;
      if (held === route) continue;
      if (held !== undefined) this.#remove(held);
      this.#insert(route);
      this.#held.set(id, route);
    }
    if (kept < this.#held.size) {
      for (const [id, route] of this.#held) {
        if (routes.has(id)) continue;
        this.#remove(route);
        this.#held.delete(id);
      }
    }
    // What searches wrote down may be all that still holds a route that is gone.
    this.#scratch.clear();
  }

  /** The route that a request takes; undefined: none. Its path is in normal form; it is looked up as lookup-path.ts says. */
  match(request: HashedRequest): RouteSpec | undefined {
    return this.#find(request, undefined)?.route;
  }

  /** As {@link match}, with the reasons. */
  explain(request: HashedRequest): RouteExplanation {
    const refused: (RoutePlace & { readonly by: Refusal })[] = [];
    const entry = this.#find(request, refused);
    return { match: entry && placeOf(entry), refused };
  }

  #find(request: HashedRequest, refused: Search['refused']): Entry | undefined {
    const { path, authority } = request.head;
    const found = lookupPath(path);
    if (found === undefined) return undefined;
    const search = this.#search;
    search.request = request;
    search.path = found;
    search.refused = refused;
    const entry = this.#byHost.search(authority, searchUris, search);
    search.request = search.refused = undefined;
    return entry;
  }

  #insert(route: RouteSpec): void {
    const conditions = new RouteConditions(route);
    for (const host of hostsOf(route)) {
      let tree = this.#byHost.get(host);
      if (tree === undefined) this.#byHost.set(host, (tree = new RadixTree(this.#scratch)));
      for (const uri of new Set(route.uris)) {
        const entry = { route, uri, host, conditions };
        const leaf = tree.get(uri);
        if (leaf === undefined) tree.set(uri, [entry]);
        else leaf.splice(placeIn(leaf, entry), 0, entry);
      }
    }
  }

  #remove(route: RouteSpec): void {
    for (const host of hostsOf(route)) {
      const tree = this.#byHost.get(host);
      if (tree === undefined) continue;
      for (const uri of route.uris) {
        const leaf = tree.get(uri);
        const index = leaf?.findIndex((entry) => entry.route === route) ?? -1;
        if (leaf === undefined || index < 0) continue;
        if (leaf.length > 1) leaf.splice(index, 1);
        else tree.delete(uri);
      }
      if (tree.isEmpty) this.#byHost.delete(host);
    }
  }
}

function hostsOf({ hosts }: RouteSpec): Iterable<string | undefined> {
  return hosts.length === 0 ? [undefined] : new Set(hosts);
}

function searchUris(tree: UriTree, search: Search): Entry | undefined {
  return tree.search(search.path, search.path.length, firstThatTakes, search);
}

function firstThatTakes(leaf: Leaf, { request, refused }: Search): Entry | undefined {
  for (const entry of leaf) {
    const by = entry.conditions.refusal(request!);
    if (by === undefined) return entry;
    if (refused !== undefined && refused.length < MAX_REFUSED) refused.push({ ...placeOf(entry), by });
  }
  return undefined;
}

function placeOf({ route, uri, host }: Entry): RoutePlace {
  return { route, uri, host };
}

/** Index at which an entry belongs. */
function placeIn(leaf: Leaf, entry: Entry): number {
  let low = 0;
  let high = leaf.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (compareRoutes(leaf[middle]!.route, entry.route) <= 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Negative: `a` is tried before `b`, their hosts and uris being the same. */
function compareRoutes(a: RouteSpec, b: RouteSpec): number {
  return b.priority - a.priority || compareIds(a.id, b.id);
}

const WHOLE_NUMBER = /^[0-9]+$/;

/** Ids that are whole numbers by value and before others; these by their characters. */
export function compareIds(a: string, b: string): number {
  const [isNumberA, isNumberB] = [WHOLE_NUMBER.test(a), WHOLE_NUMBER.test(b)];
  if (isNumberA !== isNumberB) return isNumberA ? -1 : 1;
  if (!isNumberA) return compareText(a, b);
  const [digitsA, digitsB] = [a.replace(/^0+(?=.)/, ''), b.replace(/^0+(?=.)/, '')];
  return digitsA.length - digitsB.length || compareText(digitsA, digitsB) || compareText(a, b);
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
