import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseCoreList } from './cores.ts';
import { cpuUsBetween, parseProcessStat, readPrivateBytes, readUsage, type Usage } from './cpu.ts';

describe('process usage', () => {
  it('reads a stat line whose program name holds brackets and spaces', () => {
    const fields = ['S', 7, 2, 3, 0, -1, 6, 1, 2, 3, 4, 100, 20, 3, 1, 20, 0, 1, 0, 99, 4096, 512, 18];
    assert.deepEqual(parseProcessStat(`42 (a) S 1 (b) ${fields.join(' ')}`), {
      parent: 7,
      ownTicks: 120,
      childTicks: 4,
      rssPages: 512,
    });
    assert.throws(() => parseProcessStat('42 (a) S'), /no number/);
  });

  it('counts what this process used', { skip: process.platform !== 'linux' }, () => {
    const before = readUsage(process.pid);
    const own = process.cpuUsage();
    while (process.cpuUsage(own).user < 60_000);
    const after = readUsage(process.pid);
    assert.ok(cpuUsBetween(before, after) >= 40_000, `${cpuUsBetween(before, after)} µs`);
    assert.ok(after.rssBytes > 10 * 1024 * 1024);
    assert.throws(() => readUsage(2 ** 30), /gone/);
  });

  it('counts threads to the nanosecond, and by ticks where one has ended', () => {
    const usage = (tickUs: number, threadNs: Record<string, number>, endedChildrenUs = 0): Usage => ({
      tickUs,
      threadNs: new Map(Object.entries(threadNs)),
      endedChildrenUs,
      rssBytes: 0,
    });
    const before = usage(10_000, { '1/1': 9_500_000, '1/2': 1_000 });
    assert.equal(cpuUsBetween(before, usage(20_000, { '1/1': 20_500_000, '1/2': 3_000 })), 11_002);
    assert.equal(cpuUsBetween(before, usage(20_000, { '1/1': 9_500_000, '1/2': 1_000, '1/3': 8_000_000 })), 8_000);
    assert.equal(cpuUsBetween(before, usage(40_000, { '1/1': 20_500_000 })), 30_000);
    assert.equal(cpuUsBetween(before, usage(40_000, { '1/1': 20_500_000, '1/2': 1_000 }, 10_000)), 30_000);
    // A thread came and went in between: only the ticks know.
    assert.equal(cpuUsBetween(before, usage(90_000, { '1/1': 20_500_000, '1/2': 1_000 })), 80_000);
    assert.equal(cpuUsBetween(usage(10_000, {}), usage(30_000, {})), 20_000);
  });

  it('tells memory of its own from resident memory', { skip: process.platform !== 'linux' }, () => {
    const { rssBytes } = readUsage(process.pid);
    const own = readPrivateBytes(process.pid);
    assert.ok(own > 1024 * 1024 && own < rssBytes, `${own} of ${rssBytes}`);
  });

  it('reads lists of cores', () => {
    assert.deepEqual(parseCoreList('0-2,5,8-9\n'), [0, 1, 2, 5, 8, 9]);
  });
});
