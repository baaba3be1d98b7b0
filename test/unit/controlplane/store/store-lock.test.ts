import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { FileStore } from '../../../../src/controlplane/store/file-store.ts';
import { lockStore } from '../../../../src/controlplane/store/store-lock.ts';

function makePath(context: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'outrigger-lock-'));
  context.after(() => rmSync(directory, { recursive: true, force: true }));
  return join(directory, 'lock');
}

test('one at a time', (context) => {
  const path = makePath(context);
  const lock = lockStore(path);
  assert.throws(() => lockStore(path), new RegExp(`in use by process ${process.pid} .*--store`));
  assert.ok(lock.isHeld());
  lock.release();
  assert.ok(!lock.isHeld());
  lockStore(path).release();
  assert.deepEqual(readdirSync(join(path, '..')), []);
});

test('what a process left that is gone is taken over, also where its pid is used again', (context) => {
  const path = makePath(context);
  const own = lockStore(path);
  const { started } = JSON.parse(readFileSync(path, 'utf8')) as { started?: string };
  own.release();
  // Beyond the largest pid of Linux.
  const gone = { pid: 2 ** 22 + 1, started };
  // Another process of this pid, as in a container that starts anew.
  const recycled = { pid: process.pid, started: `${started ?? ''}0` };
  for (const holder of started === undefined ? [gone] : [gone, recycled, { pid: 1, started: 'other boot 1' }]) {
    writeFileSync(path, JSON.stringify(holder));
    lockStore(path).release();
  }
});

test('a lock that cannot be read is told, not taken', (context) => {
  const path = makePath(context);
  for (const text of ['', 'nonsense', '{"pid":0}']) {
    writeFileSync(path, text);
    assert.throws(() => lockStore(path), /can't be read; delete it if no other control plane/);
  }
});

test('who loses the lock writes no more', async (context) => {
  const directory = join(makePath(context), '..', 'store');
  const store = new FileStore({ directory });
  await store.start(() => undefined);
  const change = { op: 'put', key: '/a', value: {} } as const;
  await store.write([change]);
  rmSync(join(directory, 'lock'));
  const other = new FileStore({ directory });
  await other.start(() => undefined);
  await assert.rejects(store.write([change]), /another process took its lock/);
  await other.write([change]);
  await store.stop();
  assert.deepEqual(readdirSync(directory).includes('lock'), true);
  await other.stop();
});
