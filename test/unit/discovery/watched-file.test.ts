import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, renameSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { watchedFile } from '../../../src/discovery/watched-file.ts';

test('read when it changed, and only then', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'watched-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const path = join(folder, 'hosts');
  let reads = 0;
  const view = watchedFile(path, (text) => {
    reads++;
    return { text };
  });
  const missing = view();
  assert.equal(missing.text, '', 'a file that is not there says nothing');
  assert.equal(view(), missing);
  writeFileSync(path, 'one');
  const one = view();
  assert.equal(one.text, 'one');
  assert.equal(view(), one);
  writeFileSync(path, 'two');
  utimesSync(path, 1, 1);
  assert.equal(view().text, 'two', 'same size, other time');
  writeFileSync(join(folder, 'new'), 'six');
  utimesSync(join(folder, 'new'), 1, 1);
  renameSync(join(folder, 'new'), path);
  assert.equal(view().text, 'six', 'same size and time, other inode');
  rmSync(path);
  assert.equal(view().text, '');
  assert.equal(reads, 5);
});

test('one that cannot be read says what it said before, or what an empty one does', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'watched-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const path = join(folder, 'hosts');
  writeFileSync(path, 'one');
  const view = watchedFile(path, (text) => ({ text }));
  const one = view();
  rmSync(path);
  mkdirSync(path);
  assert.equal(view(), one, 'a folder is no file');
  assert.equal(watchedFile(path, (text) => ({ text }))().text, '');
});
