import assert from 'node:assert/strict';
import { test } from 'node:test';
import { lookupPath } from '../../../src/route/lookup-path.ts';

test('an ordinary path is itself, without its query', () => {
  for (const [target, path] of [
    ['/', '/'],
    ['/a/b', '/a/b'],
    ['/a?b=//c', '/a'],
    ['/a%20b', '/a%20b'],
    ['*', '*'],
  ] as const) {
    assert.equal(lookupPath(target), path);
  }
});

test('no second spelling of a slash gets past a route', () => {
  for (const target of [
    '//admin/x',
    '/%2Fadmin/x',
    '/%2fadmin/x',
    '///admin//x',
    '/%2F%2fadmin%2Fx',
    '/y/..%2Fadmin/x',
  ]) {
    assert.equal(lookupPath(target), '/admin/x', target);
  }
});

test('dot segments that come to light are resolved, never above the root', () => {
  assert.equal(lookupPath('/a/%2F../b'), '/b');
  assert.equal(lookupPath('/..%2F..%2Fb'), '/b');
  assert.equal(lookupPath('/a%2F..'), '/');
  assert.equal(lookupPath('/a%2F.'), '/a/');
  assert.equal(lookupPath('/a%252Fb'), '/a%252Fb', 'decoded once only');
});
