import assert from 'node:assert/strict';
import { test } from 'node:test';
import { mergePatch, replaceAttribute } from '../../../../src/controlplane/admin-api/merge-patch.ts';

test('merging: null deletes, lists replace, objects merge (RFC 7396, appendix A)', () => {
  const rows: readonly [unknown, unknown, unknown][] = [
    [{ a: 'b' }, { a: 'c' }, { a: 'c' }],
    [{ a: 'b' }, { b: 'c' }, { a: 'b', b: 'c' }],
    [{ a: 'b' }, { a: null }, {}],
    [{ a: 'b', b: 'c' }, { a: null }, { b: 'c' }],
    [{ a: ['b'] }, { a: 'c' }, { a: 'c' }],
    [{ a: 'c' }, { a: ['b'] }, { a: ['b'] }],
    [{ a: { b: 'c' } }, { a: { b: 'd', c: null } }, { a: { b: 'd' } }],
    [{ a: [{ b: 'c' }] }, { a: [1] }, { a: [1] }],
    [{ e: null }, { a: 1 }, { e: null, a: 1 }],
    [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
    [[1, 2], { a: 'b', c: null }, { a: 'b' }],
  ];
  for (const [target, patch, expected] of rows) {
    const before = JSON.stringify(target);
    assert.deepEqual(mergePatch(target, patch), expected);
    assert.equal(JSON.stringify(target), before);
  }
});

test('a key __proto__ is a key', () => {
  const merged = mergePatch({ a: 1 }, JSON.parse('{"__proto__": {"polluted": true}}'));
  assert.deepEqual(Object.keys(merged as object), ['a', '__proto__']);
  assert.equal(({} as Record<string, unknown>)['polluted'], undefined);
});

test('one attribute is replaced as a whole', () => {
  const target = { a: { b: { x: 1 }, c: 2 }, l: [1] };
  assert.deepEqual(replaceAttribute(target, ['a', 'b'], { y: 2 }), {
    ok: true,
    value: { a: { b: { y: 2 }, c: 2 }, l: [1] },
  });
  assert.deepEqual(replaceAttribute(target, ['a', 'b'], null), { ok: true, value: { a: { c: 2 }, l: [1] } });
  assert.deepEqual(replaceAttribute(target, ['n', 'm'], 1), { ok: true, value: { ...target, n: { m: 1 } } });
  assert.deepEqual(replaceAttribute(target, ['l', '0'], 1), {
    ok: false,
    reason: 'invalid sub-path: /l/0: l is a list, which is replaced as a whole',
  });
  assert.deepEqual(replaceAttribute(target, ['a', 'c', 'd'], 1), {
    ok: false,
    reason: 'invalid sub-path: /a/c/d: a/c is no object',
  });
});
