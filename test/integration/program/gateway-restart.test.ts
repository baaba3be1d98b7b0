// A sidecar that starts with what it saved, while its control plane is away.
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { startBackend, startGatewayScene, type Backend, type GatewayScene } from '../../support/gateway-scene.ts';
import { httpCall } from '../../support/http-call.ts';
import { portOf, startProgram } from '../../support/program.ts';

let scene: GatewayScene;
let backend: Backend;
let dir: string;

before(async () => {
  dir = mkdtempSync(join(tmpdir(), 'outrigger-gateway-state-'));
  backend = await startBackend();
  scene = await startGatewayScene();
});
after(async () => {
  await scene.stop();
  backend.close();
  rmSync(dir, { recursive: true });
});

test('routes serve from the state file; keys, which are kept nowhere, are answered 503 and not 401', async () => {
  const upstream = { nodes: { [`127.0.0.1:${backend.port}`]: 1 } };
  await scene.admin('PUT', '/consumers', { username: 'jack', plugins: { 'key-auth': { key: 'key-of-jack' } } });
  await scene.admin('PUT', '/routes/open', { uri: '/open', upstream });
  await scene.admin('PUT', '/routes/keyed', { uri: '/keyed', plugins: { 'key-auth': {} }, upstream });
  const args = ['--node-id', 'saved', '--state-dir', dir];
  const first = await scene.another(args);
  const ask = async (gateway: string | undefined, path: string, headers: Record<string, string> = {}) => {
    const answer = await httpCall(portOf(gateway), { path, headers });
    return [answer.status, answer.headers['x-outrigger-reason']];
  };
  const key = { apikey: 'key-of-jack' };
  assert.deepEqual(await ask(first.ready.gateway, '/keyed', key), [200, undefined]);
  await first.stop();
  for (const file of readdirSync(dir)) assert.ok(!readFileSync(join(dir, file), 'utf8').includes('key-of-jack'), file);

  const alone = await startProgram([
    ...['run', '--control', '127.0.0.1:1', '--admin', '0', '--health', '0', '--gateway', '0'],
    ...args,
  ]);
  assert.deepEqual(await ask(alone.ready.gateway, '/open'), [200, undefined]);
  assert.deepEqual(await ask(alone.ready.gateway, '/keyed', key), [503, 'not_configured']);
  assert.deepEqual(await ask(alone.ready.gateway, '/keyed'), [401, 'unauthenticated'], 'no key is no key');
  await alone.stop();

  const back = await scene.another(args);
  // From its ready line on there is no moment in which a good key is called wrong.
  let answer = await ask(back.ready.gateway, '/keyed', key);
  const deadline = process.hrtime.bigint() + 10_000_000_000n;
  while (answer[0] !== 200) {
    assert.deepEqual(answer, [503, 'not_configured']);
    assert.ok(process.hrtime.bigint() < deadline, 'in time');
    answer = await ask(back.ready.gateway, '/keyed', key);
  }
});
