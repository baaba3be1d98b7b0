import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { makeFolder } from '../../../src/base/folder.ts';

function makeDirectory(context: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'outrigger-folder-'));
  context.after(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

test('a folder is made with those around it, and only if it is not there', (context) => {
  const directory = makeDirectory(context);
  const path = join(directory, 'a', 'b', 'c');
  assert.equal(makeFolder(path), join(directory, 'a'));
  assert.equal(statSync(path).mode & 0o777, 0o700);
  assert.equal(makeFolder(path), undefined);
  assert.equal(makeFolder(`${path}/`), undefined);
  symlinkSync(path, join(directory, 'link'));
  assert.equal(makeFolder(join(directory, 'link', 'd')), join(directory, 'link', 'd'));
});

test('what is in the way is told', (context) => {
  const directory = makeDirectory(context);
  writeFileSync(join(directory, 'file'), '');
  symlinkSync(join(directory, 'nowhere'), join(directory, 'link'));
  assert.throws(() => makeFolder(join(directory, 'file')), /file is a file; name a directory$/);
  assert.throws(() => makeFolder(join(directory, 'file', 'a', 'b')), /\/file is a file; name a directory$/);
  assert.throws(() => makeFolder(join(directory, 'link')), /link: the link leads nowhere; /);
  assert.throws(() => makeFolder(join(directory, 'link', 'a')), /\/link: the link leads nowhere; /);
  assert.ok(!existsSync(join(directory, 'nowhere')));
});

test('a file system that takes no folder is told, and nothing hangs', { skip: !existsSync('/proc/self') }, () => {
  assert.throws(
    () => makeFolder('/proc/x/y'),
    /^Error: \/proc takes no new folder \(ENOENT.*; name another directory$/,
  );
});
