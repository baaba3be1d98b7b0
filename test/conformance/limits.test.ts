// Every limit of the wire, one below it, at it and one above it: what the caller sees, and that it is counted.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, describe, test } from 'node:test';
import { DEFAULT_LIMITS } from '../../src/codec/limits.ts';
import { closeScenes } from '../support/limit-scene.ts';
import { rows as bodies } from './limit-rows/bodies.ts';
import { rows as floods } from './limit-rows/floods.ts';
import { rows as heads } from './limit-rows/heads.ts';
import { rows as streams } from './limit-rows/streams.ts';
import { rows as times } from './limit-rows/times.ts';

const ROWS = [...heads, ...bodies, ...streams, ...floods, ...times];

test('every limit has a row', () => {
  const named = new Set<string>(ROWS.map(({ limit }) => limit));
  assert.deepEqual(
    Object.keys(DEFAULT_LIMITS).filter((limit) => !named.has(limit)),
    [],
  );
});

/** A figure as docs/operating.md prints it. */
function shown(name: string, figure: number): string {
  const grouped = (value: number, unit: string): string => `${value.toLocaleString('en-US')} ${unit}`.trim();
  if (name.endsWith('Bytes')) {
    if (figure % 0x10_0000 === 0) return grouped(figure / 0x10_0000, 'MiB');
    return figure % 1024 === 0 ? grouped(figure / 1024, 'KiB') : grouped(figure, 'bytes');
  }
  if (name.endsWith('Ms'))
    return figure % 3_600_000 === 0 ? grouped(figure / 3_600_000, 'h') : grouped(figure / 1000, 's');
  return name.endsWith('Share') ? grouped(figure * 100, '%') : grouped(figure, '');
}

test('docs/operating.md lists each with its default', async () => {
  const page = await readFile('docs/operating.md', 'utf8');
  const section = page.slice(page.indexOf('\n## Limits\n'));
  const rows = [...section.matchAll(/^\| `(\w+)` \| ([^|]+) \|/gm)].map(([, name, figure]) => [name, figure]);
  assert.deepEqual(
    rows,
    Object.entries(DEFAULT_LIMITS).map(([name, figure]) => [name, shown(name, figure)]),
  );
});

describe('limits', { timeout: 60_000 }, () => {
  after(closeScenes);
  for (const { limit, where, n, check } of ROWS) test(`${limit} ${n}: ${where}`, check);
});
