// What finding the route of a request costs, and taking over a change of one route. Runs in this process, without any
// network. The requests are made beforehand, 1,024 at a time and each used once, as heads come from a parser: a string that was
// looked up before keeps its hash, which would flatter the figures.
import { performance } from 'node:perf_hooks';
import { seededRng, type Rng } from '../../src/base/rng.ts';
import type { RouteSpec } from '../../src/model/gateway.ts';
import type { HashedRequest } from '../../src/policy/request-variables.ts';
import { RouteTable } from '../../src/route/route-table.ts';
import { routeSpec } from '../support/route-spec.ts';
import { routeRequest } from './route-request.ts';

const ROUNDS = 9;
const BATCHES = 10;
const CHANGES = 50;
const REQUESTS = 1_024;
const MANY = 10_000;

/** Host and path of a request. */
type Target = readonly [authority: string, path: string];

type NextTarget = () => Target;

interface Case {
  readonly name: string;
  readonly count: number;
  /** What the route of a number has of its own. */
  readonly route: (index: number) => Partial<RouteSpec>;
  /** What a request for the route of a number asks for. */
  readonly target: (index: number) => Target;
}

const number = (index: number): string => String(index).padStart(5, '0');
const HOST = 'shop.example';
const EXACT: Omit<Case, 'name' | 'count'> = {
  route: (index) => ({ uris: [`/api/v1/items/${number(index)}`] }),
  target: (index) => [HOST, `/api/v1/items/${number(index)}`],
};
const PREFIX: Omit<Case, 'name' | 'count'> = {
  route: (index) => ({ uris: [`/api/${number(index)}/*`] }),
  target: (index) => [HOST, `/api/${number(index)}/orders`],
};
const BY_HOST: Omit<Case, 'name' | 'count'> = {
  route: (index) => ({ uris: ['/*'], hosts: [`shop-${number(index)}.example`] }),
  target: (index) => [`shop-${number(index)}.example`, '/api/v1/orders'],
};
const BY_WILDCARD: Omit<Case, 'name' | 'count'> = {
  route: (index) => ({ uris: ['/*'], hosts: [`*.shop-${number(index)}.example`] }),
  target: (index) => [`www.shop-${number(index)}.example`, '/api/v1/orders'],
};
const BY_HOST_AND_PORT: Omit<Case, 'name' | 'count'> = {
  route: BY_HOST.route,
  target: (index) => [`shop-${number(index)}.example:9080`, '/api/v1/orders'],
};
const WITH_PARAMETER: Omit<Case, 'name' | 'count'> = {
  route: (index) => ({ uris: [`/api/${number(index)}/:id/orders`] }),
  target: (index) => [HOST, `/api/${number(index)}/4711/orders`],
};

const CASES: readonly Case[] = [
  ['exact path', EXACT] as const,
  ['prefix', PREFIX] as const,
  ['parameter', WITH_PARAMETER] as const,
  ['host', BY_HOST] as const,
  ['host, asked for with a port', BY_HOST_AND_PORT] as const,
  ['wildcard host', BY_WILDCARD] as const,
].flatMap(([name, kind]) => [1, MANY].map((count) => ({ name, count, ...kind })));

/** Measures all cases and returns a table for people. Takes a few seconds. */
export function measureRoutes(): string {
  const lines = [`| | routes | match the last | match any | match none | change one |`, `|---|--:|--:|--:|--:|--:|`];
  for (const each of CASES) {
    const table = new RouteTable();
    const routes = new Map(Array.from({ length: each.count }, (_, index) => [String(index), routeOf(each, index)]));
    table.apply(routes);
    const rng = seededRng(each.count);
    const last: NextTarget = () => each.target(each.count - 1);
    const any: NextTarget = () => each.target(rng.below(each.count));
    const none: NextTarget = () => [each.target(each.count)[0], `/none/${number(rng.below(MANY))}`];
    const cells = [
      `${measureMatch(table, last, true).toFixed(0)} ns`,
      `${measureMatch(table, any, true).toFixed(0)} ns`,
      `${measureMatch(table, none, false).toFixed(0)} ns`,
      `${(measureChange(table, routes, each, rng) * 1e3).toFixed(0)} µs`,
    ];
    lines.push(`| ${each.name} | ${each.count.toLocaleString('en')} | ${cells.join(' | ')} |`);
  }
  return `${lines.join('\n')}\n\nNode ${process.version}, median of ${ROUNDS} rounds\n`;
}

function routeOf(each: Case, index: number): RouteSpec {
  return routeSpec(String(index), each.route(index));
}

function requests(next: NextTarget): HashedRequest[] {
  return Array.from({ length: REQUESTS }, () => routeRequest(...next()));
}

/** ns of a match. */
function measureMatch(table: RouteTable, next: NextTarget, isThere: boolean): number {
  const rounds = Array.from({ length: ROUNDS + 3 }, () => {
    let found = 0;
    let ms = 0;
    for (let batch = 0; batch < BATCHES; batch++) {
      const asked = requests(next);
      const begin = performance.now();
      for (const request of asked) if (table.match(request) !== undefined) found++;
      ms += performance.now() - begin;
    }
    if (isThere && found < BATCHES * REQUESTS) throw new Error('a request has found no route');
    return (ms * 1e6) / (BATCHES * REQUESTS);
  });
  return median(rounds.slice(3));
}

/** ms until a map with one new route is in force. */
function measureChange(table: RouteTable, routes: Map<string, RouteSpec>, each: Case, rng: Rng): number {
  const rounds = Array.from({ length: CHANGES }, () => {
    const index = rng.below(each.count);
    routes.set(String(index), { ...routeOf(each, index), priority: 1 });
    const begin = performance.now();
    table.apply(routes);
    return performance.now() - begin;
  });
  return median(rounds.slice(5));
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1]!;
}
