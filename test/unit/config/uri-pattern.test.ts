import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { uriProblem } from '../../../src/config/uri-pattern.ts';

test('paths, parameters and prefixes', () => {
  for (const uri of [
    '/',
    '/*',
    '/index.html',
    '/static*',
    '/static/*',
    '/users/:id',
    '/users/:id/orders/:order_id/*',
    '/v1/things:batch', // no parameter: the colon doesn't begin the segment
    '/.well-known/x',
    '/a/...',
    '/a/.*',
    '/a/..*',
    '/a%5C%2A%3A',
    '/a;b=c,d@e!$&(+)~',
  ]) {
    assert.equal(uriProblem(uri), undefined, uri);
  }
});

const STAR = ': a * may only stand last, and a segment in between is a parameter: write ';

const REFUSED: readonly (readonly [uri: string, reason: string])[] = [
  ['', 'required: a path that starts with /'],
  ['*', "'*' must start with /"],
  ['hello', "'hello' must start with /"],
  ['http://a/b', "'http://a/b' must start with /"],
  ['/a?b=c', "'/a?b=c' must have no '?': only the path is compared, leave out the rest"],
  ['/a#b', "'/a#b' must have no '#': only the path is compared, leave out the rest"],
  ['/a\n', "'/a\\n' must have no control characters"],
  ['/a\\b', "'/a\\b' has a backslash, and requests with one are refused: write /"],
  ['/a/*/b', `'/a/*/b'${STAR}'/a/:segment2/b'`],
  ['/a/**', `'/a/**'${STAR}'/a/*'`],
  ['/**', `'/**'${STAR}'/*'`],
  ['/x*y', `'/x*y'${STAR}'/x*'`],
  ['/x*y/b*c*', `'/x*y/b*c*'${STAR}'/:segment1/b*'`],
  ['/a b', "'/a b' must stand as requests send it: '/a%20b'"],
  ['/ü*', "'/ü*' must stand as requests send it: '/%C3%BC*'"],
  ['/a%zz', "'/a%zz': two hexadecimal digits must follow the percent sign in '%zz'"],
  ['/a%4*', "'/a%4*': two hexadecimal digits must follow the percent sign in '%4'"],
  ['/a%00', "'/a%00' has an encoded NUL, and requests with one are refused"],
  ['/%7euser', "'/%7euser' is compared with paths in normal form: write '/~user'"],
  ['/a%2fb', "'/a%2fb' is compared with paths in normal form: write '/a/b'"],
  ['/a%2Fb', "'/a%2Fb' is compared with paths in normal form: write '/a/b'"],
  ['//a//b/*', "'//a//b/*' is compared with paths in normal form: write '/a/b/*'"],
  ['/a/./b/../c', "'/a/./b/../c' is compared with paths in normal form: write '/a/c'"],
  ['/a/..', "'/a/..' is compared with paths in normal form: write '/'"],
  ['/a/../*', "'/a/../*' is compared with paths in normal form: write '/*'"],
  ['/a/%2e%2e/b', "'/a/%2e%2e/b' is compared with paths in normal form: write '/b'"],
  ['/../a', "'/../a' climbs above its root"],
  ['/a/:/b', "'/a/:/b': a parameter needs a name after its colon, such as ':id'"],
  ['/a/:id*', "'/a/:id*': a parameter stands for a whole segment: write '/a/:id/*'"],
  ['/a/:id.json', "'/a/:id.json': ':id.json' must be a colon and letters, digits, - and _, for a whole segment"],
  ['/:id/:id', "'/:id/:id' has the parameter ':id' twice: name each differently"],
];

for (const [uri, reason] of REFUSED) {
  test(`refused: ${JSON.stringify(uri)}`, () => assert.equal(uriProblem(uri), reason));
}

test('the form that a refusal names is taken', () => {
  const piece = fc.constantFrom('/', '/', 'a', '.', '..', '%2e', '%41', '%2f', '%7E', 'b', '*');
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
      const uri = `/${pieces.join('')}`;
      const fix = /normal form: write '(.*)'$/.exec(uriProblem(uri) ?? '')?.[1];
      if (fix !== undefined) assert.equal(uriProblem(fix), undefined, `${uri} → ${fix}`);
    }),
    { seed: 71, numRuns: 2000 },
  );
});

test('a pattern with stars is as its refusal writes it, but for its form', () => {
  const piece = fc.constantFrom('/', 'a', '*', '**', ':b', '%2f');
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
      const uri = `/${pieces.join('')}`;
      const fix = /parameter: write '(.*)'$/.exec(uriProblem(uri) ?? '')?.[1];
      if (fix === undefined) return;
      assert.notEqual(fix, uri);
      assert.doesNotMatch(uriProblem(fix) ?? '', /may only stand last/, `${uri} → ${fix}`);
    }),
    { seed: 75, numRuns: 1000 },
  );
});
