import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HostTable } from '../../../src/route/host-table.ts';

function tableOf(...patterns: (string | undefined)[]): HostTable<string> {
  const table = new HostTable<string>();
  for (const pattern of patterns) table.set(pattern, String(pattern));
  return table;
}

function visits(table: HostTable<string>, authority: string): string[] {
  const visited: string[] = [];
  table.search(authority, (pattern) => void visited.push(pattern), undefined);
  return visited;
}

test('what patterns match', () => {
  const rows: [pattern: string, authority: string, matches: boolean][] = [
    ['foo.com', 'foo.com', true],
    ['foo.com', 'FOO.com', true],
    ['foo.com', 'foo.com:9080', true],
    ['foo.com', 'foo.com.', true],
    ['foo.com', 'Foo.com.:80', true],
    ['foo.com', 'a.foo.com', false],
    ['foo.com', 'foo.com:x', false],
    ['foo.com', '', false],
    ['*.foo.com', 'a.foo.com', true],
    ['*.foo.com', 'a.b.foo.com:80', true],
    ['*.foo.com', 'A.FOO.com', true],
    ['*.foo.com', 'foo.com', false],
    ['*.foo.com', '.foo.com', false],
    ['*.foo.com', 'afoo.com', false],
    ['*foo.com', 'xfoo.com', true],
    ['*foo.com', 'a.foo.com', true],
    ['*foo.com', 'foo.com', false],
    ['*', 'x', true],
    ['*', '', false],
    ['10.0.0.1', '10.0.0.1:80', true],
    ['[::1]', '[::1]:80', true],
    ['[::1]', '[0:0::1]:80', true],
    ['::1', '[::1]', true],
  ];
  for (const [pattern, authority, matches] of rows) {
    assert.deepEqual(visits(tableOf(pattern), authority), matches ? [pattern] : [], `${pattern} and ${authority}`);
  }
});

test('from the most to the least specific', () => {
  const table = tableOf('*.com', undefined, '*.b.com', 'a.b.com', '*b.com', '*.a.b.com', '*', 'b.com', '*.net');
  assert.deepEqual(visits(table, 'a.b.com'), ['a.b.com', '*.b.com', '*b.com', '*.com', '*', 'undefined']);
  assert.deepEqual(visits(table, 'A.b.com:80'), ['a.b.com', '*.b.com', '*b.com', '*.com', '*', 'undefined']);
  assert.deepEqual(visits(table, 'b.com'), ['b.com', '*.com', '*', 'undefined']);
  assert.deepEqual(visits(table, ''), ['undefined']);
  assert.equal(
    table.search('a.b.com', (pattern) => (pattern.startsWith('*') ? pattern : undefined), undefined),
    '*.b.com',
  );
});

test('patterns come and go', () => {
  const table = tableOf('a.com', '*.com', '*xcom', undefined);
  table.set('*.com', 'new');
  assert.equal(table.get('*.com'), 'new');
  table.delete('*.com');
  table.delete('*.com');
  assert.deepEqual(visits(table, 'b.com'), ['undefined']);
  assert.deepEqual(visits(table, 'bxcom'), ['*xcom', 'undefined']);
  for (const pattern of ['a.com', '*xcom', undefined]) table.delete(pattern);
  for (const pattern of ['a.com', '*xcom', undefined]) assert.equal(table.get(pattern), undefined);
  for (const host of ['a.com', 'bxcom']) assert.deepEqual(visits(table, host), []);
});
