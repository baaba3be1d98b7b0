import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, describe, it } from 'node:test';
import { Children } from './child.ts';
import { Lineup } from './lineup.ts';
import type { Peer } from './peers/peer.ts';
import { scenarioNamed } from './scenario.ts';
import type { Workbench } from './workbench.ts';

describe('line-up', { skip: process.platform !== 'linux' }, () => {
  const scenario = scenarioNamed('h1-small');
  const certificate = { certificate: '', key: '', both: '', authorityPem: '' };
  const children = new Children({ proxy: 0, others: 0, pinned: false });
  const bench: Workbench = { children, folder: '', node: process.execPath, certificate };
  const server = createServer((_, response) => response.end(scenario.responseBody));
  const wrong = createServer((_, response) => response.end('something else'));

  before(async () => {
    for (const each of [server, wrong]) await new Promise<void>((resolve) => each.listen(0, '127.0.0.1', resolve));
  });
  after(() => {
    for (const each of [server, wrong]) each.close().closeAllConnections();
  });

  function peer(name: string, origin = server): Peer {
    return {
      name,
      isJit: false,
      probe: () => (name === 'absent' ? { missing: 'absent is not installed' } : { version: '1' }),
      start: () =>
        Promise.resolve({
          pid: process.pid,
          port: (origin.address() as AddressInfo).port,
          readyMs: 1,
          lastWords: () => undefined,
          stop: () => Promise.resolve(),
        }),
    };
  }

  it('begins each round with another one, and leaves out who is missing or answers wrongly', async () => {
    const lineup = new Lineup(bench, scenario, () => undefined);
    await lineup.start([peer('a'), peer('absent'), peer('b'), peer('wrong', wrong), peer('c')], 0);
    const turns: string[] = [];
    await lineup.alternate('', 4, lineup.runners, async ({ peer: { name }, rounds }) => {
      turns.push(name);
      rounds.push({ readyMs: turns.length });
      await Promise.resolve();
    });
    assert.equal(turns.join(''), 'abcbcacababc');
    assert.deepEqual(lineup.skipped, [{ peer: 'absent', reason: 'absent is not installed' }]);
    assert.deepEqual(
      lineup.failed.map((absence) => absence.peer),
      ['wrong'],
    );
    assert.deepEqual(
      lineup.results(4).map((result) => [result.peer, result.rounds.length]),
      [
        ['a', 4],
        ['b', 4],
        ['c', 4],
      ],
    );
  });

  it('repeats a round that failed, once', async () => {
    const lineup = new Lineup(bench, scenario, () => undefined);
    await lineup.start([peer('a'), peer('b'), peer('c')], 0);
    const tries = { a: 0, b: 0, c: 0 };
    await lineup.alternate('', 2, lineup.runners, async ({ peer: { name }, rounds }) => {
      const tried = ++tries[name as 'a' | 'b' | 'c'];
      if ((name === 'a' && tried === 1) || name === 'b') throw new Error(`failure ${tried}`);
      rounds.push({});
      await Promise.resolve();
    });
    assert.deepEqual(tries, { a: 3, b: 2, c: 2 });
    assert.deepEqual(lineup.failed, [{ peer: 'b', reason: 'failure 2' }]);
    assert.deepEqual(lineup.notes, ['a: repeated round 1 of 2: failure 1', 'b: repeated round 1 of 2: failure 1']);
    assert.deepEqual(
      lineup.results(2).map((result) => result.peer),
      ['a', 'c'],
    );
  });
});
