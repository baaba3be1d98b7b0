import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as syntax from '../../../../src/codec/h2/field-syntax.ts';

test('names', () => {
  for (const name of ['a', 'x-y', 'grpc-status', '__proto__', 'constructor', "!#$%&'*+-.^_`|~09"]) {
    assert.equal(syntax.classifyName(name), syntax.ORDINARY, name);
    assert.equal(syntax.classifyName(name), syntax.ORDINARY, name);
  }
  for (const name of ['', 'A', 'a b', 'a:', 'a\u0000', 'a\u00e9', 'a"', 'a(', 'a@', 'a\t']) {
    assert.equal(syntax.classifyName(name), syntax.MALFORMED, JSON.stringify(name));
  }
  assert.equal(syntax.classifyName(':any'), syntax.PSEUDO);
  assert.equal(syntax.classifyName('keep-alive'), syntax.CONNECTION_SPECIFIC);
});

test('values', () => {
  for (const value of ['', 'a', 'a b', 'a\tb', '\u0080\u00ff'])
    assert.ok(syntax.isFieldValue(value), JSON.stringify(value));
  for (const value of [' a', 'a ', '\ta', 'a\t', 'a\rb', 'a\nb', 'a\u0000b', 'a\u0001b', 'a\u007fb']) {
    assert.ok(!syntax.isFieldValue(value), JSON.stringify(value));
  }
});

test('paths', () => {
  for (const path of ['/', '/a?b=c', '//x', '/%00', '/a|b']) assert.ok(syntax.isPath(path), path);
  for (const path of ['', 'a', '*', '/a b', '/a#b', '/\u007f', '/\u00e9', '/a\t'])
    assert.ok(!syntax.isPath(path), path);
});

test('content-length', () => {
  for (const [text, value] of [
    ['0', 0],
    ['007', 7],
    ['9007199254740991', 9007199254740991],
    ['9007199254740993', -1],
    ['99999999999999999', -1],
    ['', -1],
    ['-1', -1],
    ['1e3', -1],
    ['0x10', -1],
    ['1, 1', -1],
    [' 1', -1],
  ] as const) {
    assert.equal(syntax.parseContentLength(text), value, text);
  }
});
