import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { descriptorLimit, FALLBACK_DESCRIPTORS } from '../../../src/runtime/descriptor-limit.ts';

const folder = mkdtempSync(join(tmpdir(), 'descriptors-'));
after(() => rmSync(folder, { recursive: true }));

function limitOf(text: string): number {
  const path = join(folder, 'limits');
  writeFileSync(path, text);
  return descriptorLimit(path);
}

test('the soft limit of open files is read', () => {
  const head = 'Limit                     Soft Limit           Hard Limit           Units     \n';
  assert.equal(limitOf(`${head}Max open files            64                   1024                 files     \n`), 64);
  assert.equal(limitOf(head), FALLBACK_DESCRIPTORS);
  assert.equal(limitOf('Max open files            unlimited            unlimited            files\n'), 1024);
  assert.equal(descriptorLimit(join(folder, 'none')), FALLBACK_DESCRIPTORS);
});

test('that of this process is what its shell says', { skip: process.platform !== 'linux' }, () => {
  assert.equal(descriptorLimit(), Number(execFileSync('sh', ['-c', 'ulimit -n'], { encoding: 'utf8' })));
});
