import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { formatComparison } from './compare.ts';
import { formatResult, formatTable } from './report.ts';
import { parseBenchResult } from './result.ts';
import type { BenchResult, Round } from './result.ts';
import type { Unit } from './scenario.ts';

describe('reports', () => {
  const rounds = (...costs: number[]): Round[] =>
    costs.map((cost) => ({
      cpuUsPerRequest: cost,
      requestsPerSecond: 1e6 / cost,
      coreShare: 0.99,
      rssBytes: 64 * 1024 * 1024,
    }));
  const result = (...costs: number[]): BenchResult => ({
    format: 1,
    startedAt: '2026-01-01T00:00:00.000Z',
    commit: 'abc',
    machine: { cpu: 'CPU', cores: 2, kernel: '6.0', pinned: true },
    node: '24.0.0',
    rounds: costs.length,
    seconds: 3,
    scenarios: [
      {
        scenario: 'h1-small',
        summary: 'small',
        unit: 'request',
        load: 'wrk',
        backend: 'nginx',
        directRequestsPerSecond: 90_000,
        peers: [
          { peer: 'outrigger', version: '1', restRssBytes: 0, rounds: rounds(...costs) },
          { peer: 'nginx', version: '2', restRssBytes: 0, rounds: rounds(...costs.map((cost) => cost * 2)) },
        ],
        skipped: [{ peer: 'haproxy', reason: 'haproxy is not installed' }],
        failed: [],
      },
    ],
  });

  it('aligns columns', () => {
    assert.equal(
      formatTable([
        ['a', 'b'],
        ['long', '1'],
      ]),
      'a     b\nlong  1',
    );
  });

  it('shows medians, ranges, ratios and who is missing', () => {
    const text = formatResult(result(10, 12, 11));
    assert.match(text, /outrigger .*11\.00 \(10\.00–12\.00\).* 99 .*0\.50×/);
    assert.match(text, /nginx .*2\.00×/);
    assert.match(text, /skipped haproxy: haproxy is not installed/);
  });

  it('judges connections by their own figure', () => {
    const of = (unit: 'handshake' | 'idle connection', kib: number): BenchResult => {
      const made = result(10, 12, 11);
      const scenarios = made.scenarios.map((scenario) => ({
        ...scenario,
        unit,
        peers: scenario.peers.map((peer, index) => ({
          ...peer,
          rounds: peer.rounds.map((round) => ({ ...round, bytesPerConnection: kib * 1024 * (index + 1) })),
        })),
      }));
      return { ...made, scenarios };
    };
    assert.match(
      formatResult(of('handshake', 9)),
      /µs CPU\/handshake +connections\/s [^]*outrigger .*11\.00 \(10\.00–12\.00\)/,
    );
    const idle = formatResult(of('idle connection', 9));
    assert.match(idle, /KiB\/connection +connections\/s [^]*outrigger .* 9\.00 \(9\.00–9\.00\).*0\.50×/);
    assert.match(
      formatComparison(of('idle connection', 9), of('idle connection', 18)),
      /KiB\/connection .*\+100\.0 %\n/,
    );
  });

  it('has the figures that a unit has', () => {
    const of = (unit: Unit, round: Round): string => {
      const made = result(1);
      const peers = [
        { peer: 'outrigger', version: '1', restRssBytes: 2 ** 26, restPrivateBytes: 2 ** 24, rounds: [round] },
      ];
      const scenarios = made.scenarios.map((scenario) => ({ ...scenario, unit, peers, notes: ['mind this'] }));
      return formatResult({ ...made, scenarios });
    };
    assert.match(
      of('start', { readyMs: 140.25 }),
      /ms to ready.*\noutrigger .*140\.3 \(.*\) +64\.0 +16\.0 .*\nnote: mind/,
    );
    assert.match(
      of('paced request', { p50Us: 90, p99Us: 410 }),
      /µs p99 +µs p50.*\noutrigger +1 +410 \(410–410\) +90 /,
    );
    assert.match(of('GiB', { cpuUsPerRequest: 600_000, requestsPerSecond: 1.5 }), /ms CPU\/GiB.*\n.* 600 .* 1\.50 /);
    assert.match(
      of('MiB', { cpuUsPerRequest: 500, requestsPerSecond: 900 }),
      /µs CPU\/MiB.*MiB\/s.*\n.* 500\.00 .* 900 /,
    );
  });

  it('names what is missing once', () => {
    const made = result(1);
    const twice = [...made.scenarios, ...made.scenarios];
    const left = [
      { scenario: 'bulk', reason: 'curl is not installed', hasFailed: false },
      { scenario: 'churn', reason: 'the backend ended', hasFailed: true },
    ];
    const text = formatResult({ ...made, scenarios: twice, left, tookSeconds: 125 });
    assert.equal(text.split('haproxy is not installed').length, 2);
    assert.match(text, /\nskipped bulk: curl is not installed\nFAILED churn: the backend ended\ntook 2 min 5 s\n$/);
  });

  it('compares two runs and says where the ranges meet', () => {
    const text = formatComparison(result(10, 11, 12), result(5, 5.5, 6));
    assert.match(text, /outrigger +µs CPU\/request +11\.00 .* 5\.50 \(.*\) +-50\.0 %\n/);
    assert.match(formatComparison(result(10, 12), result(11, 13)), /\+9\.1 % \(ranges meet\)/);
  });

  it('refuses a file that is something else', () => {
    assert.throws(() => parseBenchResult('{', 'a.json'), /a\.json: not JSON/);
    assert.throws(() => parseBenchResult('{"format": 2}', 'a.json'), /a\.json: not a result/);
    assert.deepEqual(parseBenchResult(JSON.stringify(result(1)), 'a.json'), result(1));
  });
});
