import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { canonicalIp } from '../../../src/base/ip-address.ts';
import { createLateResolver } from '../../../src/discovery/late-resolver.ts';

let directory: string;

before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'outrigger-late-resolver-'));
  await writeFile(join(directory, 'hosts'), '10.0.0.7 cart.shop\n');
});

after(() => rm(directory, { recursive: true, force: true }));

const query = { kind: 'addresses', name: 'cart.shop', previous: undefined } as const;

function resolver() {
  return createLateResolver({ canonicalIp, hostsPath: join(directory, 'hosts') });
}

test('look-ups that come at once are all answered by the resolver that the first one loads', async () => {
  const late = resolver();
  for (const result of await Promise.all([late.lookup(query), late.lookup(query)])) {
    assert.ok('answer' in result);
    assert.deepEqual([...result.answer.addresses], [['cart.shop', ['10.0.0.7']]]);
  }
  late.stop();
});

test('a look-up that waits for the resolver when it is stopped is a failure', async () => {
  const late = resolver();
  const waiting = late.lookup(query);
  late.stop();
  assert.deepEqual(await waiting, { failure: 'stopped' });
});
