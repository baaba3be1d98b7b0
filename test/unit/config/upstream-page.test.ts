// docs/upstream.md: its examples are valid, and it names every field.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { parse } from 'yaml';
import { readNative } from '../../../src/config/native.ts';
import { describeProblems } from '../../../src/config/resource.ts';
import { messageFields } from '../../../src/config/schema.ts';

/** The first folder at or above this one that has the page: tests run from wherever they were compiled to. */
function readPage(name: string): string {
  for (let folder = import.meta.dirname; ; folder = join(folder, '..')) {
    try {
      return readFileSync(join(folder, 'docs', name), 'utf8');
    } catch (error) {
      if (folder === join(folder, '..')) throw error;
    }
  }
}

const page = readPage('upstream.md');

test('every example is a valid Upstream', () => {
  const blocks = [...page.matchAll(/^```yaml\n(.*?)^```$/gms)].map((match) => match[1] ?? '');
  assert.ok(blocks.length >= 7);
  for (const block of blocks) {
    const read = readNative(parse(block));
    assert.ok(read.ok, read.ok ? '' : `${describeProblems(read.problems)}\n${block}`);
  }
});

test('every policy field has its place', () => {
  const of = (message: string): string[] => messageFields(message).map(({ name }) => name);
  const wanted = [
    ...of('outrigger.config.v1.PortLevelSettings').filter((name) => name !== 'port' && name !== 'checks'),
    ...[
      'Node',
      'Timeout',
      'KeepalivePool',
      'RetryBackoff',
      'CircuitBreakers',
      'WarmUpConf',
      'OutlierDetection',
    ].flatMap((name) => of(`outrigger.config.v1.${name}`)),
  ];
  const words = new Set(page.match(/[a-z0-9_]+/g));
  assert.deepEqual(
    wanted.filter((name) => !words.has(name)),
    [],
  );
});
