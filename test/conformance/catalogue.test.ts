// README.md of this folder links each row of the catalogue to its tests: the links must lead somewhere.
import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

const FOLDER = join('test', 'conformance');
/** Tables of rows that test files read. */
const TABLES: Readonly<Record<string, string>> = {
  'h1-requests.test.ts': 'h1-request-rows.ts',
  'h1-responses.test.ts': 'h1-response-rows.ts',
  'h2-floods-listener.test.ts': 'h2-floods.ts',
};
const ROW = /^\| ((?:H1|H2|G)-\d{3}) \| ([^|]+) \| ([^|]+) \|$/;
const LINK = /^\[[\w-]+\]\(([\w-]+\.test\.ts)\)(?: › (.+))?$/;

const lines = readFileSync(join(FOLDER, 'README.md'), 'utf8').split('\n');
const rows = lines.map((line) => ROW.exec(line)).filter((row) => row !== null);

function source(file: string): string {
  const table = TABLES[file];
  const text = readFileSync(join(FOLDER, file), 'utf8');
  return table === undefined ? text : text + readFileSync(join('test', 'support', table), 'utf8');
}

test('every row of the catalogue names a test that is there', () => {
  assert.ok(rows.length > 200, String(rows.length));
  for (const [, id = '', , tests = ''] of rows) {
    for (const cell of tests.split('<br>')) {
      const link = LINK.exec(cell);
      assert.ok(link, `${id}: ${cell}`);
      const [, file = '', title = id] = link;
      assert.ok(source(file).includes(title), `${id}: ${file} has no ${JSON.stringify(title)}`);
    }
  }
});

test('every row that a test names is in the catalogue, once and in order', () => {
  const listed = rows.map(([, id = '']) => id);
  assert.equal(new Set(listed).size, listed.length);
  const named = new Set<string>();
  for (const file of readdirSync(FOLDER)) {
    if (!file.endsWith('.test.ts') || file === 'catalogue.test.ts') continue;
    for (const [id] of source(file).matchAll(/\b(?:H1|H2|G)-\d{3}\b/g)) named.add(id);
  }
  for (const id of named) assert.ok(listed.includes(id), `${id} is tested and not listed`);
});
