import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { RadixTree } from '../../../src/route/radix-tree.ts';

/** A tree in which each pattern stands for itself. */
function treeOf(...patterns: string[]): RadixTree<string> {
  const tree = new RadixTree<string>();
  for (const pattern of patterns) tree.set(pattern, pattern);
  return tree;
}

/** All patterns that match, in order. */
function visits(tree: RadixTree<string>, path: string, end = path.length): string[] {
  const visited: string[] = [];
  tree.search(path, end, (pattern) => void visited.push(pattern), undefined);
  return visited;
}

test('what patterns match', () => {
  const rows: [pattern: string, path: string, matches: boolean][] = [
    ['/', '/', true],
    ['/', '/a', false],
    ['/static', '/static', true],
    ['/static', '/static/', false],
    ['/static', '/stati', false],
    ['/static', '/Static', false],
    ['/static*', '/static', true],
    ['/static*', '/staticx', true],
    ['/static*', '/static/x', true],
    ['/static*', '/stati', false],
    ['/static/*', '/static/', true],
    ['/static/*', '/static/a/b', true],
    ['/static/*', '/static', false],
    ['/*', '/', true],
    ['/*', '/a/b', true],
    ['/*', '*', false],
    ['/*', '', false],
    ['/users/:id', '/users/7', true],
    ['/users/:id', '/users/', false],
    ['/users/:id', '/users', false],
    ['/users/:id', '/users/7/', false],
    ['/users/:id', '/users/7/x', false],
    ['/users/:id', '/users/:id', true],
    ['/users/:id/', '/users/7/', true],
    ['/users/:id/orders', '/users/7/orders', true],
    ['/users/:id/orders', '/users//orders', false],
    ['/users/:id/orders/:order', '/users/7/orders/8', true],
    ['/users/:id/*', '/users/7/', true],
    ['/users/:id/*', '/users/7/a/b', true],
    ['/users/:id/*', '/users/7', false],
    ['/users/:id*', '/users/7', true],
    ['/users/:id*', '/users/7/a', true],
    ['/users/:id*', '/users/', false],
    ['/:a/:b', '/x/y', true],
    ['/:a/:b', '/x', false],
    ['/v1/books:list', '/v1/books:list', true],
    ['/v1/books:list', '/v1/booksx', false],
    ['/a*b', '/a*b', true],
    ['/a*b', '/axb', false],
  ];
  for (const [pattern, path, matches] of rows) {
    assert.deepEqual(visits(treeOf(pattern), path), matches ? [pattern] : [], `${pattern} and ${path}`);
  }
});

test('from the most to the least specific', () => {
  const tree = treeOf('/*', '/a*', '/a/*', '/a/b', '/a/b*', '/a/:x', '/:y/b', '/:y/:z', '/:y/*', '/a/:x/*', '/a/:x*');
  assert.deepEqual(visits(tree, '/a/b'), [
    '/a/b',
    ...['/a/:x', '/:y/b', '/:y/:z'],
    // Of those that take as much of the path, text stands before a parameter.
    ...['/a/b*', '/a/:x*', '/a/*', '/:y/*', '/a*', '/*'],
  ]);
  assert.deepEqual(visits(tree, '/a/b/c'), ['/a/:x/*', '/a/b*', '/a/:x*', '/a/*', '/:y/*', '/a*', '/*']);
  assert.deepEqual(visits(tree, '/c'), ['/*']);
  assert.deepEqual(visits(tree, ''), []);
});

test('a search ends with the first answer', () => {
  const tree = treeOf('/a', '/a*', '/*', '/:x');
  for (const wanted of ['/a', '/:x', '/a*', '/*']) {
    const seen: string[] = [];
    const answer = tree.search(
      '/a',
      2,
      (pattern, context) => {
        seen.push(pattern);
        return pattern === context ? `found ${pattern}` : undefined;
      },
      wanted,
    );
    assert.equal(answer, `found ${wanted}`);
    assert.equal(seen.at(-1), wanted);
  }
});

test('a query is left aside', () => {
  const tree = treeOf('/a?b', '/a', '/:x', '/:x/b', '/a*', '/a?*');
  assert.deepEqual(visits(tree, '/a?b', 2), ['/a', '/:x', '/a*']);
  assert.deepEqual(visits(tree, '/a?x/b', 2), ['/a', '/:x', '/a*']);
});

test('patterns that differ in names only are one', () => {
  const tree = treeOf('/users/:id');
  tree.set('/users/:name', 'other');
  assert.equal(tree.get('/users/:id'), 'other');
  assert.deepEqual(visits(tree, '/users/7'), ['other']);
  assert.equal(tree.delete('/users/:x'), true);
  assert.equal(tree.isEmpty, true);
});

test('what was set and what is left after deletion', () => {
  const tree = treeOf('/abc', '/abd*', '/ab', '/ab/:x/y');
  assert.equal(tree.get('/abc'), '/abc');
  for (const none of ['/a', '/abc*', '/abd', '/ab/:x', '/ab/:x/', '/abcd', '', '/ab/:x/y*', '/x/:y']) {
    assert.equal(tree.get(none), undefined, none);
    assert.equal(tree.delete(none), false, none);
  }
  assert.equal(tree.delete('/ab'), true);
  assert.equal(tree.delete('/ab'), false);
  assert.deepEqual(visits(tree, '/ab/1/y'), ['/ab/:x/y']);
  assert.deepEqual(visits(tree, '/abd1'), ['/abd*']);
  for (const pattern of ['/ab/:x/y', '/abd*', '/abc']) assert.equal(tree.delete(pattern), true);
  assert.equal(tree.isEmpty, true);
});

test('any sets and deletions leave what a map would hold', () => {
  const pattern = fc
    .tuple(
      fc.array(fc.constantFrom('/', 'a', 'b', 'ab', '/:p', '/:q', '/a'), { maxLength: 6 }),
      fc.constantFrom('', '*'),
    )
    .map(([parts, end]) => `/${parts.join('')}${end}`);
  const steps = fc.array(fc.tuple(fc.boolean(), pattern), { maxLength: 40 });
  const shape = (text: string): string => text.replace(/(?<=\/):[^/*]*/g, ':');
  fc.assert(
    fc.property(steps, (list) => {
      const tree = new RadixTree<string>();
      const held = new Map<string, string>();
      for (const [sets, text] of list) {
        if (sets) {
          tree.set(text, text);
          held.set(shape(text), text);
        } else assert.equal(tree.delete(text), held.delete(shape(text)));
        for (const [, other] of list) assert.equal(tree.get(other), held.get(shape(other)));
      }
      for (const text of held.values()) assert.equal(tree.delete(text), true);
      assert.equal(tree.isEmpty, true);
    }),
    { seed: 7, numRuns: 300 },
  );
});

test('deep trees and many ways cost what they are large', () => {
  const deep = new RadixTree<number>();
  const depth = 20_000;
  const line = `/${'ab'.repeat(depth / 2)}`;
  for (let i = 1; i <= depth; i += 7) deep.set(line.slice(0, i), i);
  const segments = 2_000;
  deep.set(`${'/:p'.repeat(segments)}/end`, -1);
  let visited = 0;
  deep.search(line, depth, () => void visited++, undefined);
  deep.search(`${'/x'.repeat(segments)}/end`, 2 * segments + 4, () => void visited++, undefined);
  assert.equal(visited, 2);
  for (let i = 1; i <= depth; i += 7) assert.equal(deep.delete(line.slice(0, i)), true);

  // Text or a parameter at each of twelve places: all 4,096 match, each once, although 2^12 ways lead there.
  const bushy = new RadixTree<number>();
  for (let bits = 0; bits < 4_096; bits++) {
    bushy.set(Array.from({ length: 12 }, (_, i) => ((bits >> (11 - i)) & 1 ? '/:p' : '/a')).join(''), bits);
  }
  const order: number[] = [];
  bushy.search('/a'.repeat(12), 24, (bits) => void order.push(bits), undefined);
  assert.deepEqual(
    order,
    Array.from({ length: 4_096 }, (_, bits) => bits),
  );
});
