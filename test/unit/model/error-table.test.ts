import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { ERROR_TABLE } from '../../../src/model/error-table.ts';

test('docs/request.md prints this table, row by row', async () => {
  const page = await readFile('docs/request.md', 'utf8');
  const rows = [...page.matchAll(/^\| `(\w+)` \| (\d+) \| (\d+) \| (\S+) \|$/gm)];
  assert.deepEqual(
    rows.map(([, kind, http, grpc, flag]) => [kind, Number(http), Number(grpc), flag]),
    Object.entries(ERROR_TABLE).map(([kind, reply]) => [kind, reply.httpStatus, reply.grpcStatus, reply.flag]),
  );
});

test('docs/request.md says where each kind can end a request', async () => {
  const page = await readFile('docs/request.md', 'utf8');
  const phases = page.slice(page.indexOf('| phase |'), page.indexOf('## What the caller sees'));
  const notOfAPhase = ['draining', 'overflow', 'internal'];
  for (const kind of Object.keys(ERROR_TABLE).filter((each) => !notOfAPhase.includes(each))) {
    assert.ok(phases.includes(`\`${kind}\``), kind);
  }
});
