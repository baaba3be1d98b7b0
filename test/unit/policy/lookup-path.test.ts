import assert from 'node:assert/strict';
import { test } from 'node:test';
import { lookupPath } from '../../../src/policy/lookup-path.ts';

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
  for (const target of ['//admin/x', '/%2Fadmin/x', '/%2fadmin/x', '///admin//x', '/%2F%2fadmin%2Fx']) {
    assert.equal(lookupPath(target), '/admin/x', target);
  }
});

test('where dot segments come to light there is no one path', () => {
  for (const target of [
    '/a/%2F../b',
    '/..%2Fb',
    '/admin/..%2Fx',
    '/a%2F..',
    '/a%2F.',
    '/a%2F./b',
    '/a//%2e%2e%2fb'.replaceAll('%2e', '.'),
  ]) {
    assert.equal(lookupPath(target), undefined, target);
  }
  assert.equal(lookupPath('/a%252F..b'), '/a%252F..b', 'decoded once only');
  assert.equal(lookupPath('/a%2F..b'), '/a/..b');
});
