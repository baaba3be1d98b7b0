import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import type { RouteSpec } from '../../../src/model/gateway.ts';
import type { HashedRequest } from '../../../src/policy/request-variables.ts';
import { compareIds, MAX_REFUSED, RouteTable } from '../../../src/route/route-table.ts';
import { routeSpec } from '../../support/route-spec.ts';
import { hashedRequest } from '../../support/hashed-request.ts';

function byId(...routes: RouteSpec[]): Map<string, RouteSpec> {
  return new Map(routes.map((each) => [each.id, each]));
}

function tableOf(...routes: RouteSpec[]): RouteTable {
  const table = new RouteTable();
  table.apply(byId(...routes));
  return table;
}

function get(authority: string, path: string, method = 'GET'): HashedRequest {
  return hashedRequest({ authority, path, method });
}

const isJack = { kind: 'compare', variable: 'arg_name', not: false, operator: '==', value: 'jack' } as const;

test('an empty table matches nothing', () => {
  assert.equal(new RouteTable().match(get('a.com', '/')), undefined);
});

test('APISIX row 111: a path that no route has is not found', () => {
  const table = tableOf(routeSpec('1', { uris: ['/hello'] }));
  assert.equal(table.match(get('a.com', '/hello2')), undefined);
  assert.equal(table.match(get('a.com', '/hello?a=1'))?.id, '1');
});

test('host, then uri, then priority, then id', () => {
  const table = tableOf(
    routeSpec('10', { uris: ['/a'] }),
    routeSpec('9', { uris: ['/a'] }),
    routeSpec('x', { uris: ['/a'], priority: 1 }),
    routeSpec('p', { uris: ['/*'], priority: 9 }),
    routeSpec('h', { uris: ['/*'], hosts: ['a.com'], priority: -5 }),
    routeSpec('w', { uris: ['/a'], hosts: ['*.com'] }),
  );
  assert.equal(table.match(get('a.com', '/a'))?.id, 'h');
  assert.equal(table.match(get('b.com', '/a'))?.id, 'w');
  assert.equal(table.match(get('b.com', '/b'))?.id, 'p');
  assert.equal(table.match(get('b.net', '/a'))?.id, 'x');
  assert.equal(tableOf(routeSpec('10'), routeSpec('9'), routeSpec('a')).match(get('', '/'))?.id, '9');
});

test('conditions that are not met give way to what is less specific', () => {
  const table = tableOf(
    routeSpec('vars', { hosts: ['a.com'], uris: ['/a'], vars: isJack }),
    routeSpec('methods', { hosts: ['a.com'], uris: ['/a'], methods: ['PUT', 'POST'] }),
    routeSpec('address', { hosts: ['*.com'], uris: ['/a'], remoteAddrs: ['10.1.0.0/16', '2001:db8::/32'] }),
    routeSpec('any', { uris: ['/*'] }),
  );
  assert.equal(table.match(get('a.com', '/a?name=jack'))?.id, 'vars');
  assert.equal(table.match(get('a.com', '/a?name=jack', 'PUT'))?.id, 'methods');
  assert.equal(table.match(get('a.com', '/a', 'put'))?.id, 'any');
  assert.equal(table.match(get('a.com', '/a'))?.id, 'any');
  const from = (remoteAddress: string): HashedRequest =>
    hashedRequest({ authority: 'a.com', path: '/a' }, { remoteAddress });
  assert.equal(table.match(from('10.1.2.3'))?.id, 'address');
  assert.equal(table.match(from('::ffff:10.1.2.3'))?.id, 'address');
  assert.equal(table.match(from('2001:db8::9'))?.id, 'address');
  assert.equal(table.match(from('10.2.2.3'))?.id, 'any');
});

test('the order of ids', () => {
  const sorted = [
    '0',
    '00',
    '01',
    '1',
    '2',
    '9',
    '10',
    '99999999999999999999',
    '100000000000000000000',
    'A',
    'a',
    'a1',
  ];
  for (const [i, a] of sorted.entries()) {
    for (const [j, b] of sorted.entries()) {
      assert.equal(Math.sign(compareIds(a, b)), Math.sign(i - j), `${a} and ${b}`);
    }
  }
});

test('what an explanation says', () => {
  const jack = routeSpec('jack', { hosts: ['a.com'], uris: ['/x', '/users/:id'], vars: isJack });
  const put = routeSpec('put', { hosts: ['*.com'], uris: ['/users/:name'], methods: ['PUT'] });
  const near = routeSpec('near', { uris: ['/users*'], remoteAddrs: ['10.0.0.0/30'] });
  const any = routeSpec('any', { uris: ['/*'] });
  const table = tableOf(any, near, put, jack);
  assert.deepEqual(table.explain(get('a.com:80', '/users/7')), {
    match: { route: any, uri: '/*', host: undefined },
    refused: [
      { route: jack, uri: '/users/:id', host: 'a.com', by: 'vars' },
      { route: put, uri: '/users/:name', host: '*.com', by: 'methods' },
      { route: near, uri: '/users*', host: undefined, by: 'remote_addrs' },
    ],
  });
  assert.deepEqual(table.explain(get('a.com', '/users/7', 'PUT')).match, {
    route: put,
    uri: '/users/:name',
    host: '*.com',
  });
  assert.deepEqual(tableOf(jack).explain(get('a.com', '/y')), { match: undefined, refused: [] });
  const many = tableOf(
    ...Array.from({ length: MAX_REFUSED + 5 }, (_, i) => routeSpec(String(i), { methods: ['PUT'] })),
  );
  assert.equal(many.explain(get('a.com', '/')).refused.length, MAX_REFUSED);
});

test('only what changed is taken out and put in', () => {
  const old = routeSpec('1', { uris: ['/a', '/a', '/b', '/:x'], hosts: ['a.com', 'a.com', '*.net'] });
  const other = routeSpec('2', { uris: ['/b', '/:y'] });
  const table = tableOf(old, other);
  assert.equal(table.match(get('a.com', '/b')), old);
  const changed = routeSpec('1', { uris: ['/c'], hosts: ['a.com'] });
  table.apply(byId(changed, other));
  assert.equal(table.match(get('a.com', '/c')), changed);
  assert.equal(table.match(get('a.com', '/b')), other);
  assert.equal(table.match(get('a.com', '/a')), other);
  assert.equal(table.match(get('x.net', '/a')), other);
  table.apply(byId(changed));
  assert.equal(table.match(get('x.net', '/a')), undefined);
  assert.equal(table.match(get('a.com', '/c')), changed);
  table.apply(new Map());
  assert.equal(table.match(get('a.com', '/c')), undefined);
});

test('one change among 10,000 routes touches that one', () => {
  // The conditions of a route are compiled when it is put in, which reads `methods`.
  let compiled = 0;
  const routes = new Map<string, RouteSpec>();
  for (let i = 0; i < 10_000; i++) {
    const spec = routeSpec(String(i), { uris: [`/r/${i}`], hosts: i % 2 === 0 ? [] : [`h${i}.com`] });
    routes.set(
      spec.id,
      Object.defineProperty({ ...spec }, 'methods', {
        get: () => {
          compiled++;
          return [];
        },
      }),
    );
  }
  const table = new RouteTable();
  table.apply(routes);
  assert.equal(compiled, 10_000);
  const changed = new Map(routes).set('77', routeSpec('77', { uris: ['/other'] }));
  changed.delete('78');
  table.apply(changed);
  assert.equal(compiled, 10_000);
  assert.equal(table.match(get('h77.com', '/r/77')), undefined);
  assert.equal(table.match(get('h77.com', '/other'))?.id, '77');
  assert.equal(table.match(get('h79.com', '/r/79'))?.id, '79');
  assert.equal(table.match(get('x', '/r/78')), undefined);
  assert.equal(table.match(get('x', '/r/9998'))?.id, '9998');
});

// A matcher that goes through all routes: host and uri become regular expressions, and what matches is sorted.

/** Numbers that order what matches, the smaller first; undefined: it doesn't match. */
function hostRank(pattern: string | undefined, host: string): number[] | undefined {
  if (pattern === undefined) return [2];
  if (pattern === host) return [0];
  if (!pattern.startsWith('*')) return undefined;
  const suffix = pattern.slice(1);
  return host.length > suffix.length && host.endsWith(suffix) ? [1, -suffix.length] : undefined;
}

function uriRank(pattern: string, path: string): number[] | undefined {
  const isPrefix = pattern.endsWith('*');
  const segments = (isPrefix ? pattern.slice(0, -1) : pattern).split('/').slice(1);
  const source = segments.map((each) => (each.startsWith(':') ? '[^/]+(?=/|$)' : each.replaceAll('.', '\\.')));
  const match = new RegExp(`^/${source.join('/')}${isPrefix ? '' : '$'}`).exec(path);
  if (match === null) return undefined;
  const parameters = segments.map((each) => (each.startsWith(':') ? 1 : 0));
  if (isPrefix) return [2, -match[0].length, ...parameters];
  return [parameters.includes(1) ? 1 : 0, ...parameters];
}

function naiveMatch(routes: ReadonlyMap<string, RouteSpec>, request: HashedRequest): RouteSpec | undefined {
  const host = request.head.authority.toLowerCase().replace(/:\d+$/, '').replace(/\.$/, '');
  const path = request.head.path.replace(/\?.*$/, '').replace(/\/\/+/g, '/');
  const found: { spec: RouteSpec; rank: number[] }[] = [];
  for (const spec of routes.values()) {
    if (spec.methods.length > 0 && !spec.methods.includes(request.head.method)) continue;
    if (spec.vars !== undefined && !/[?&]name=jack(&|$)/.test(request.head.path)) continue;
    if (spec.remoteAddrs.length > 0 && !spec.remoteAddrs.includes(request.remoteAddress)) continue;
    for (const pattern of spec.hosts.length === 0 ? [undefined] : spec.hosts) {
      for (const uri of spec.uris) {
        const [hosts, uris] = [hostRank(pattern, host), uriRank(uri, path)];
        if (!hosts || !uris) continue;
        const pad = (list: number[], length: number): number[] => [...list, ...Array(length).fill(0)].slice(0, length);
        found.push({ spec, rank: [...pad(hosts, 2), ...pad(uris, 12), -spec.priority, Number(spec.id)] });
      }
    }
  }
  found.sort((a, b) => {
    const at = a.rank.findIndex((value, index) => value !== b.rank[index]);
    return at < 0 ? 0 : (a.rank[at] ?? 0) - (b.rank[at] ?? 0);
  });
  return found[0]?.spec;
}

test('any routes and requests: as a matcher that goes through all of them', () => {
  const segment = fc.constantFrom('a', 'b', 'ab', 'a.b', '');
  const uri = fc
    .tuple(fc.array(fc.oneof(segment, fc.constantFrom(':p', ':q')), { maxLength: 4 }), fc.constantFrom('', '', '*'))
    .map(([segments, end]) => `/${segments.join('/')}${end}`);
  const path = fc
    .tuple(fc.array(segment, { maxLength: 4 }), fc.constantFrom('', '?name=jack', '?x=1'))
    .map(([segments, query]) => `/${segments.join('/')}${query}`);
  const host = fc.constantFrom('a.com', 'b.a.com', 'c.b.a.com', 'xa.com', 'b.net');
  const pattern = fc.oneof(host, fc.constantFrom('*.a.com', '*a.com', '*.com', '*', '*.b.a.com', '*om'));
  const spec = fc.record({
    uris: fc.array(uri, { minLength: 1, maxLength: 3 }),
    hosts: fc.array(pattern, { maxLength: 2 }),
    methods: fc.constantFrom([], [], ['GET'], ['PUT', 'POST']),
    remoteAddrs: fc.constantFrom([], [], ['10.0.0.1'], ['10.0.0.2', '10.0.0.3']),
    vars: fc.constantFrom(undefined, undefined, isJack),
    priority: fc.constantFrom(0, 0, 1, -1),
  });
  const change = fc.tuple(fc.integer({ min: 1, max: 12 }), fc.option(spec, { nil: undefined }));
  const request = fc
    .tuple(host, fc.constantFrom('', ':9080', '.'), path, fc.constantFrom('GET', 'PUT'), fc.integer({ min: 1, max: 3 }))
    .map(([name, end, target, method, address]) =>
      hashedRequest({ authority: name + end, path: target, method }, { remoteAddress: `10.0.0.${address}` }),
    );
  let matched = 0;
  fc.assert(
    fc.property(
      fc.array(fc.array(change, { maxLength: 12 }), { minLength: 1, maxLength: 4 }),
      fc.array(request, { minLength: 6, maxLength: 12 }),
      (rounds, requests) => {
        const table = new RouteTable();
        let routes = new Map<string, RouteSpec>();
        for (const changes of rounds) {
          routes = new Map(routes);
          for (const [id, others] of changes) {
            if (others === undefined) routes.delete(String(id));
            else routes.set(String(id), routeSpec(String(id), others));
          }
          table.apply(routes);
          for (const each of requests) {
            const expected = naiveMatch(routes, each);
            if (expected !== undefined) matched++;
            assert.equal(table.match(each), expected);
            assert.equal(table.explain(each).match?.route, expected);
          }
        }
      },
    ),
    { seed: 41, numRuns: 600 },
  );
  assert.ok(matched > 3_000, `only ${matched} requests found a route`);
});
