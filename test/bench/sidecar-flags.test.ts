import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { it } from 'node:test';
import { OWN_PROGRAM } from './peers/control-plane.ts';
import { nodeFlags } from './peers/sidecar.ts';

it('starts the sidecar with the flags of its first line, which are those of the image', () => {
  const flags = nodeFlags(OWN_PROGRAM);
  assert.deepEqual(flags, ['--max-semi-space-size=16']);
  const entrypoint = /^ENTRYPOINT (.+)$/m.exec(readFileSync('Dockerfile', 'utf8'))?.[1];
  assert.deepEqual(JSON.parse(entrypoint ?? ''), ['node', ...flags, '/app/dist/src/main.js']);
});
