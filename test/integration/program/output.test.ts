// What commands print reaches a reader that takes its time.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';

const MAIN = fileURLToPath(new URL('../../../src/main.js', import.meta.url));
const ROUTES = 2000;
let dir: string;

before(() => {
  dir = mkdtempSync(join(tmpdir(), 'outrigger-output-'));
  const items = Array.from({ length: ROUTES }, (_, i) => `  - {id: r${i}, uri: bad}\n`);
  writeFileSync(join(dir, 'apisix.yaml'), `routes:\n${items.join('')}#END\n`);
});
after(() => rmSync(dir, { recursive: true }));

test('a page that is longer than a pipe arrives whole, with its status', async () => {
  const child = spawn(process.execPath, [MAIN, 'lint', dir], { stdio: ['ignore', 'pipe', 'inherit'] });
  // Nothing is read until the pipe is full and the program has nothing left to do but wait.
  await once(child.stdout, 'readable');
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
  const [status] = (await once(child, 'close')) as [number];
  assert.equal(status, 1);
  assert.equal(text.split('\n').filter((line) => line.includes(': error: ')).length, 2 * ROUTES);
});

test('a reader that goes away is no failure of the program', async () => {
  const child = spawn(process.execPath, [MAIN, 'lint', dir], { stdio: ['ignore', 'pipe', 'pipe'] });
  let log = '';
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => (log += chunk));
  await once(child.stdout, 'readable');
  child.stdout.destroy();
  const [status] = (await once(child, 'close')) as [number];
  assert.deepEqual([status, log], [1, '']);
});
