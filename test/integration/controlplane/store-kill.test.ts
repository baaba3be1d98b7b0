// kill -9 of the real program while it writes.
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { Agent } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { seededRng } from '../../../src/base/rng.ts';
import { type AdminReply, callAdminApi } from '../../support/admin-api.ts';
import { portOf, type Program, type ReadyLine, startProgram } from '../../support/program.ts';

interface Scene {
  readonly program: Program;
  call(method: string, path: string, body?: string, agent?: Agent): Promise<AdminReply>;
}

async function start(context: TestContext, store: string): Promise<Scene> {
  const args = [
    'control',
    '--admin-api',
    '0',
    '--ads',
    '0',
    '--store',
    store,
    '--admin-key',
    'k',
    '--log-level',
    'warn',
  ];
  const program = await startProgram(args);
  context.after(() => program.kill());
  const port = portOf((program.ready as ReadyLine & { adminApi?: string }).adminApi);
  return {
    program,
    call: (method, path, body, agent) =>
      callAdminApi({
        port,
        method,
        path: `/apisix/admin${path}`,
        key: 'k',
        ...(body === undefined ? {} : { body }),
        ...(agent === undefined ? {} : { agent }),
      }),
  };
}

const ROUNDS = 20;
const WRITES = 1_000;
const WRITERS = 16;

/** What is known of one key: what was acknowledged last, and what was sent since. */
interface Known {
  acknowledged: number;
  sent: number;
}

test('kill -9 during 1,000 writes, 20 times: every acknowledged write is there, and the store always loads', async (context) => {
  const directory = mkdtempSync(join(tmpdir(), 'outrigger-kill-'));
  context.after(() => rmSync(directory, { recursive: true, force: true }));
  const seed = 7;
  const rng = seededRng(seed);
  const known = new Map<string, Known>();
  let highest = 0;
  let acknowledged = 0;
  const pad = Object.fromEntries(Array.from({ length: 60 }, (_, i) => [`10.0.0.${i}:80`, 1]));

  async function verify({ call }: Scene): Promise<void> {
    const reply = await call('GET', '/upstreams');
    assert.equal(reply.status, 200);
    const { list } = reply.body as { list: { value: { id: string; retries: number }; modifiedIndex: number }[] };
    const stored = new Map(list.map(({ value }) => [value.id, value.retries]));
    for (const { modifiedIndex } of list) highest = Math.max(highest, modifiedIndex);
    for (const [id, { acknowledged: last, sent }] of known) {
      const now = stored.get(id) ?? 0;
      assert.ok(now === last || now === sent, `seed ${seed}: ${id} is ${now}, ${last} was acknowledged, ${sent} sent`);
      known.set(id, { acknowledged: now, sent: now });
    }
    for (const id of stored.keys()) assert.ok(known.has(id), id);
  }

  for (let round = 0; round < ROUNDS; round++) {
    const scene = await start(context, directory);
    await verify(scene);
    const floor = highest;
    const agent = new Agent({ keepAlive: true, maxSockets: WRITERS });
    const killAfter = 1 + rng.below(WRITES - WRITERS);
    let [begun, answered] = [0, 0];
    let dead: Promise<void> | undefined;
    const writers = Array.from({ length: WRITERS }, async (_, writer) => {
      while (begun < WRITES && dead === undefined) {
        const number = ++begun;
        const id = `${writer}-${number % 10}`;
        const state = known.get(id) ?? { acknowledged: 0, sent: 0 };
        known.set(id, state);
        const isDelete = state.acknowledged !== 0 && number % 7 === 0;
        state.sent = isDelete ? 0 : round * WRITES + number;
        const body = JSON.stringify({ retries: state.sent, nodes: pad });
        try {
          const reply = isDelete
            ? await scene.call('DELETE', `/upstreams/${id}`, undefined, agent)
            : await scene.call('PUT', `/upstreams/${id}`, body, agent);
          assert.ok(reply.status === 200 || reply.status === 201, reply.text);
          state.acknowledged = state.sent;
          const index = reply.body['modifiedIndex'];
          if (typeof index === 'number') {
            assert.ok(index > floor, `seed ${seed}: revision ${index} after ${floor}`);
            highest = Math.max(highest, index);
          }
        } catch (error) {
          if (dead === undefined) throw error;
          return;
        }
        if (++answered === killAfter) dead = scene.program.kill();
      }
    });
    await Promise.all(writers);
    await dead;
    agent.destroy();
    acknowledged += answered;
    assert.ok(dead !== undefined, 'it was not killed');
  }
  const scene = await start(context, directory);
  await verify(scene);
  // Revisions went on from the highest that anybody saw.
  const last = await scene.call('PUT', '/upstreams/last', '{"nodes": {"127.0.0.1:80": 1}}');
  assert.ok(Number(last.body['modifiedIndex']) > highest);
  assert.ok(acknowledged >= ROUNDS);
  context.diagnostic(`${acknowledged} acknowledged writes, ${readdirSync(directory).join(' ')}`);
});
