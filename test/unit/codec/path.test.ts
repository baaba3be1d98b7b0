import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  ABOVE_ROOT,
  BAD_TRIPLET,
  ENCODED_NUL,
  PATH_FAULTS,
  RAW_BACKSLASH,
  normalizePath,
} from '../../../src/codec/path.ts';

const SEED = 0x9a7;

/** Steps A to E of RFC 3986 section 5.2.4 to the letter, on text; undefined where step C finds nothing to remove. */
function removeDotSegments(path: string): string | undefined {
  let input = path;
  let output = '';
  while (input !== '') {
    if (input.startsWith('/./')) input = input.slice(2);
    else if (input === '/.') input = '/';
    else if (input.startsWith('/../') || input === '/..') {
      if (output === '') return undefined;
      input = input === '/..' ? '/' : input.slice(3);
      output = output.slice(0, output.lastIndexOf('/'));
    } else {
      const next = input.indexOf('/', 1);
      const end = next < 0 ? input.length : next;
      output += input.slice(0, end);
      input = input.slice(end);
    }
  }
  return output;
}

describe('the normal form of a path', () => {
  const same: readonly string[] = [
    '/',
    '*',
    '/greeter.Greeter/Greet',
    '/a/b/c.d?e=f',
    '//',
    '//a///b//',
    '/a/',
    '/a%2Fb',
    '/a%5Cb',
    '/a;x=1/b;y',
    '/a/..;x=1/b',
    '/a/.;/b',
    '/...',
    '/a/.../b',
    '/.well-known/x',
    '/a/..b/b../.c/c.',
    '/a%25',
    '/a%252e%252e/b',
    '/%C3%A9',
    '/a b'.replace(' ', '%20'),
    '/a%0D%0Ab',
    '/a?b=%2e%2e%zz%00\\/../x',
    '/?/../..',
    '/a"<>^`{|}b',
  ];
  for (const path of same) test(`${path} stays`, () => assert.equal(normalizePath(path), path));

  const changed: readonly (readonly [string, string])[] = [
    ['/%c3%a9', '/%C3%A9'],
    ['/a%2fb%5c', '/a%2Fb%5C'],
    ['/%41%7a%30%2D%2e%5F%7E', '/Az0-._~'],
    ['/a%7eb?c=%7e', '/a~b?c=%7e'],
    ['/./a', '/a'],
    ['/a/.', '/a/'],
    ['/a/./b', '/a/b'],
    ['/a/..', '/'],
    ['/a/../', '/'],
    ['/a/../b', '/b'],
    ['/a/b/../../c', '/c'],
    ['/a/b/..', '/a/'],
    ['/a//../b', '/a/b'],
    ['//..', '/'],
    ['/.//a', '//a'],
    ['/a/%2e%2E/b', '/b'],
    ['/a/.%2e/b', '/b'],
    ['/a/%2e/b', '/a/b'],
    ['/a/..?b/../c', '/?b/../c'],
    ['/public/%2e%2e/admin', '/admin'],
    ['/a/b/c/./../../g', '/a/g'], // RFC 3986 section 5.2.4
    ['/mid/content=5/../6', '/mid/6'],
  ];
  for (const [path, normal] of changed) {
    test(`${path} is ${normal}`, () => {
      assert.equal(normalizePath(path), normal);
      assert.equal(normalizePath(normal), normal);
    });
  }

  const refused: readonly (readonly [string, number])[] = [
    ['/%', BAD_TRIPLET],
    ['/a%2', BAD_TRIPLET],
    ['/a%2?b', BAD_TRIPLET],
    ['/a%g1', BAD_TRIPLET],
    ['/a%1g/..', BAD_TRIPLET],
    ['/%%32%65', BAD_TRIPLET],
    ['/a%00', ENCODED_NUL],
    ['/a%00/../b', ENCODED_NUL],
    ['/a\\b', RAW_BACKSLASH],
    ['/..\\..\\a', RAW_BACKSLASH],
    ['/..', ABOVE_ROOT],
    ['/../a', ABOVE_ROOT],
    ['/a/../../b', ABOVE_ROOT],
    ['/%2e%2e/a', ABOVE_ROOT],
    ['/a/%2e%2e/..?b', ABOVE_ROOT],
    ['/./..', ABOVE_ROOT],
  ];
  for (const [path, fault] of refused) {
    test(`${path} is refused`, () => {
      assert.equal(normalizePath(path), fault);
      assert.notEqual(PATH_FAULTS[fault], undefined);
    });
  }

  const piece = fc.constantFrom(
    ...[
      '/',
      '/',
      '.',
      '..',
      '%2e',
      '%2E',
      '%2f',
      '%41',
      '%7e',
      '%25',
      '%',
      '%00',
      '\\',
      'a',
      'B',
      ';',
      '?',
      '%zz',
      '%c3',
    ],
  );
  const anyPath = fc.array(piece, { maxLength: 14 }).map((parts) => `/${parts.join('')}`);

  test('the form of the form is the form', () => {
    fc.assert(
      fc.property(anyPath, (path) => {
        const normal = normalizePath(path);
        if (typeof normal === 'number') return;
        assert.equal(normalizePath(normal), normal);
        assert.equal(normal.charCodeAt(0), 0x2f);
      }),
      { seed: SEED, numRuns: 3000 },
    );
  });

  test('no dot segment, lower-case triplet or encoded unreserved character is left, and the query is untouched', () => {
    fc.assert(
      fc.property(anyPath, (path) => {
        const normal = normalizePath(path);
        if (typeof normal === 'number') return;
        const [before = ''] = normal.split('?', 1);
        assert.doesNotMatch(before, /\/\.\.?(?:\/|$)/);
        assert.doesNotMatch(before, /%(?:[0-9A-F]?[a-f]|2[DE]|3[0-9]|4[1-9A-F]|5[0-9AF]|6[1-9A-F]|7[0-9AE]|00)/);
        assert.doesNotMatch(before, /%(?![0-9A-F]{2})|\\/);
        const query = (text: string): string => (text.includes('?') ? text.slice(text.indexOf('?')) : '');
        assert.equal(query(normal), query(path));
      }),
      { seed: SEED + 1, numRuns: 3000 },
    );
  });

  test('dots are resolved as by the steps of RFC 3986 section 5.2.4', () => {
    const dotted = fc.array(fc.constantFrom('/', '.', '..', '/..', '/.', 'a', 'bc', '/a'), { maxLength: 12 });
    let refused = 0;
    fc.assert(
      fc.property(dotted, (parts) => {
        const path = `/${parts.join('')}`;
        const normal = normalizePath(path);
        if (typeof normal === 'string') assert.equal(normal, removeDotSegments(path));
        else {
          refused++;
          assert.equal(normal, ABOVE_ROOT);
          assert.equal(removeDotSegments(path), undefined);
        }
      }),
      { seed: SEED + 2, numRuns: 3000 },
    );
    assert.ok(refused > 100, `${refused} refused`);
  });

  test('a long path of dots costs linear time', () => {
    const path = '/a/..'.repeat(200_000);
    assert.equal(normalizePath(path), '/');
    assert.equal(normalizePath(`/${'%2e%2e/'.repeat(2)}${'/../'.repeat(100_000)}`), ABOVE_ROOT);
  });
});
