import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import type { CertificateFile } from '../../../src/identity/certificate-file.ts';
import { readCertificateFile, stampOfPath } from '../../../src/identity/certificate-file.ts';
import { FileCredential } from '../../../src/identity/file-credential.ts';

const directory = mkdtempSync(join(tmpdir(), 'file-credential-'));
after(() => rmSync(directory, { recursive: true, force: true }));
const path = join(directory, 'file');

/** Takes any text without `bad` in it; counts what it was asked for. */
function setUp(text: string) {
  writeFileSync(path, text);
  const asked = { parses: 0, reads: 0 };
  const credential = new FileCredential<string>({
    paths: [path],
    parse: ([first = '']) => {
      asked.parses++;
      return first.includes('bad') ? { ok: false, reason: first } : { ok: true, material: first };
    },
    equal: (a, b) => a === b,
  });
  const { stamp } = readCertificateFile(path);
  /** A poll that finds this file. */
  const poll = (file: Partial<CertificateFile>) => {
    const found = { stamp, text: '', problem: '', ...file };
    return credential.poll(new Map([[path, found.stamp]]), () => {
      asked.reads++;
      return found;
    });
  };
  return { credential, asked, poll, stamp };
}

test('a file that was written twice within one tick of the clock keeps its stamp, and is read once more', () => {
  const { credential, poll } = setUp('one');
  assert.deepEqual(poll({ text: 'two' }), { changed: true, news: 'replaced' });
  assert.equal(credential.credential.material, 'two');
  assert.deepEqual(poll({ text: 'six' }), { changed: true, news: 'replaced' });
  assert.deepEqual(poll({ text: 'six' }), { changed: false, news: undefined });
});

test('what stands still is not read, and what is the same is not parsed', () => {
  const { asked, poll } = setUp('one');
  for (let i = 0; i < 5; i++) poll({ text: 'one' });
  assert.deepEqual(asked, { parses: 1, reads: 1 });
  for (let i = 0; i < 5; i++) poll({ text: 'one', stamp: `touched ${i}` });
  assert.equal(asked.parses, 1);
});

test('a problem is told at its second poll, logged once, and retried until it is gone', () => {
  const { credential, asked, poll } = setUp('one');
  const step = (text: string): unknown[] => {
    const { changed, news } = poll({ text });
    const { material, error } = credential.credential;
    return [changed, news, material, error];
  };
  assert.deepEqual(step('bad 1'), [false, undefined, 'one', '']);
  assert.deepEqual(step('bad 1'), [true, 'unusable', 'one', `${path}: bad 1`]);
  assert.deepEqual(step('bad 1'), [false, undefined, 'one', `${path}: bad 1`]);
  assert.deepEqual(step('bad 2'), [true, 'unusable', 'one', `${path}: bad 2`]);
  assert.deepEqual(step('bad 1'), [true, undefined, 'one', `${path}: bad 1`]);
  const { reads } = asked;
  assert.deepEqual(step('bad 1'), [false, undefined, 'one', `${path}: bad 1`]);
  assert.equal(asked.reads, reads + 1);
  assert.deepEqual(step('one'), [true, 'usable now', 'one', '']);
  // Forgotten: the same problem is news again.
  assert.deepEqual(step('bad 1'), [false, undefined, 'one', '']);
  assert.deepEqual(step('bad 1'), [true, 'unusable', 'one', `${path}: bad 1`]);
});

test('while nothing is in force, each problem is told at once', () => {
  const { credential, poll } = setUp('bad 1');
  assert.deepEqual(credential.credential, { material: undefined, error: `${path}: bad 1` });
  assert.deepEqual(poll({ text: 'bad 2' }), { changed: true, news: undefined });
  assert.deepEqual(poll({ text: 'bad 2' }), { changed: false, news: 'unusable' });
  assert.deepEqual(poll({ text: 'one' }), { changed: true, news: 'usable now' });
  assert.deepEqual(credential.credential, { material: 'one', error: '' });
});

test('stamps follow the file', async () => {
  writeFileSync(path, 'one');
  assert.equal(await stampOfPath(path), readCertificateFile(path).stamp);
  assert.equal(await stampOfPath(join(directory, 'none')), readCertificateFile(join(directory, 'none')).stamp);
  assert.equal(await stampOfPath('nul\0'), readCertificateFile('nul\0').stamp);
});
