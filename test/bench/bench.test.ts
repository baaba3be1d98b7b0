import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createServer as createHttpsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { createServer as createTlsServer, type TlsOptions } from 'node:tls';
import { writeCertificate } from './certificate.ts';
import { checkAnswer } from './check-answer.ts';
import { Children } from './child.ts';
import { formatComparison } from './compare.ts';
import { parseCoreList } from './cores.ts';
import { parseProcessStat, readUsage } from './cpu.ts';
import { connectionsTool, holdConnections } from './load/connections.ts';
import { parseH2loadResult } from './load/h2load.ts';
import { parseWrkResult } from './load/wrk.ts';
import { parseOptions, USAGE } from './options.ts';
import { formatResult, formatTable } from './report.ts';
import { parseBenchResult } from './result.ts';
import type { BenchResult, Round } from './result.ts';
import { chooseScenarios, DEFAULT_SCENARIOS, SCENARIOS } from './scenario.ts';
import type { Scenario } from './scenario.ts';
import { pairedRatio, spreadOf } from './statistics.ts';
import type { Workbench } from './workbench.ts';

function scenarioNamed(name: string): Scenario {
  const [scenario] = chooseScenarios([name]);
  assert.ok(scenario);
  return scenario;
}

describe('statistics', () => {
  it('gives median and range', () => {
    assert.deepEqual(spreadOf([9, 10, 1]), { median: 9, min: 1, max: 10 });
    assert.deepEqual(spreadOf([4, 1, 2, 3]), { median: 2.5, min: 1, max: 4 });
    assert.throws(() => spreadOf([]), /no measurements/);
  });

  it('pairs ratios by round, so that a slow spell of the machine falls out', () => {
    assert.equal(pairedRatio([10, 30, 10], [5, 15, 5]), 2);
    assert.throws(() => pairedRatio([1], [1, 2]), /differ/);
  });
});

describe('process usage', () => {
  it('reads a stat line whose program name holds brackets and spaces', () => {
    const fields = ['S', 7, 2, 3, 0, -1, 6, 1, 2, 3, 4, 100, 20, 3, 1, 20, 0, 1, 0, 99, 4096, 512, 18];
    assert.deepEqual(parseProcessStat(`42 (a) S 1 (b) ${fields.join(' ')}`), { parent: 7, ticks: 124, rssPages: 512 });
    assert.throws(() => parseProcessStat('42 (a) S'), /no number/);
  });

  it('counts what this process used', { skip: process.platform !== 'linux' }, () => {
    const before = readUsage(process.pid);
    const own = process.cpuUsage();
    while (process.cpuUsage(own).user < 60_000);
    const after = readUsage(process.pid);
    assert.ok(after.cpuUs - before.cpuUs >= 40_000, `${after.cpuUs - before.cpuUs} µs`);
    assert.ok(after.rssBytes > 10 * 1024 * 1024);
    assert.throws(() => readUsage(2 ** 30), /gone/);
  });

  it('reads lists of cores', () => {
    assert.deepEqual(parseCoreList('0-2,5,8-9\n'), [0, 1, 2, 5, 8, 9]);
  });
});

describe('load tools', () => {
  it('reads the line of the wrk script', () => {
    assert.deepEqual(parseWrkResult('x\nRESULT 100 2000000 0 0 0 0 0\n'), { answered: 100, seconds: 2, trouble: '' });
    assert.deepEqual(parseWrkResult('RESULT 100 2000000 0 3 0 40 0'), {
      answered: 60,
      seconds: 2,
      trouble: '3 × read, 40 × status',
    });
    assert.throws(() => parseWrkResult('unable to connect'), /no result/);
  });

  it("reads h2load's summary", () => {
    const summary = (failed: number, wrong: number): string =>
      `finished in 1.00s, 9.00 req/s\nrequests: 90 total, 99 started, 90 done, 90 succeeded, ${failed} failed, 0 errored, 0 timeout\n` +
      `status codes: 90 2xx, 0 3xx, ${wrong} 4xx, 0 5xx\n`;
    assert.deepEqual(parseH2loadResult(summary(0, 0), 1), { answered: 90, seconds: 1, trouble: '' });
    assert.equal(parseH2loadResult(summary(2, 1), 1).trouble, '2 × failed, 1 × other status');
    assert.throws(() => parseH2loadResult('', 1), /no summary/);
  });
});

describe('command line', () => {
  it('has defaults for a bounded run', () => {
    const command = parseOptions([]);
    assert.ok(command.kind === 'run');
    assert.deepEqual([command.rounds, command.seconds, command.node], [3, 3, process.execPath]);
  });

  it('reads scenarios, flags and compare', () => {
    const command = parseOptions(['h1-small', '--rounds', '5', '--peers', 'nginx,haproxy']);
    assert.ok(command.kind === 'run');
    assert.deepEqual([command.scenarios, command.rounds, command.peers], [['h1-small'], 5, ['nginx', 'haproxy']]);
    assert.deepEqual(parseOptions(['compare', 'a', 'b']), { kind: 'compare', before: 'a', after: 'b' });
  });

  it('names what is wrong', () => {
    assert.throws(() => parseOptions(['--rounds', '0']), /--rounds .* not 0/);
    assert.throws(() => parseOptions(['compare', 'a']), /two files/);
    assert.throws(() => parseOptions(['--rouns', '3']), /--rouns/);
    assert.throws(() => chooseScenarios(['h2']), /no scenario h2; there are: h1-small, grpc-unary/);
    assert.deepEqual(chooseScenarios([]), DEFAULT_SCENARIOS);
    assert.deepEqual(chooseScenarios(['all']), SCENARIOS);
    assert.deepEqual(chooseScenarios(['tls-h2']), [scenarioNamed('tls-h2')]);
  });

  it('lists every scenario in its help', () => {
    for (const { name, summary } of SCENARIOS) assert.match(USAGE, new RegExp(`^  ${name} +${summary}$`, 'm'));
    assert.match(USAGE, /without a name h1-small and grpc-unary:/);
  });
});

describe('TLS', () => {
  const folder = mkdtempSync(join(tmpdir(), 'outrigger-bench-test-'));
  const cores = { proxy: 0, others: 0, pinned: false };
  const handshakes = scenarioNamed('tls-handshakes');
  const closers: (() => void)[] = [];
  let bench: Workbench;
  let shown: TlsOptions;

  before(async () => {
    const certificate = await writeCertificate(folder);
    bench = { children: new Children(cores), folder, node: process.execPath, certificate };
    shown = await loadShown(certificate);
  });

  after(() => {
    for (const close of closers) close();
    rmSync(folder, { recursive: true });
  });

  async function loadShown(files: { certificate: string; key: string }): Promise<TlsOptions> {
    return { cert: await readFile(files.certificate), key: await readFile(files.key) };
  }

  /** An HTTPS server with the body of the scenario; gives its port. */
  async function serve(options: TlsOptions): Promise<number> {
    const server = createHttpsServer(options, (_, response) => response.end(handshakes.responseBody));
    closers.push(() => server.close().closeAllConnections());
    await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
    return (server.address() as AddressInfo).port;
  }

  it('takes only TLS 1.3 with the certificate of the run', async () => {
    await checkAnswer(bench, handshakes, await serve(shown));
    const older = await serve({ ...shown, maxVersion: 'TLSv1.2' });
    await assert.rejects(checkAnswer(bench, handshakes, older), /speaks TLSv1.2, not TLSv1.3/);
    const otherFolder = mkdtempSync(join(folder, 'other-'));
    const other = await serve(await loadShown(await writeCertificate(otherFolder)));
    await assert.rejects(checkAnswer(bench, handshakes, other), /unable to verify/);
  });

  it('counts connections, each with a full handshake and one request', async () => {
    let requests = 0;
    let handshakesMade = 0;
    const server = createHttpsServer(shown, (_, response) => {
      requests++;
      response.end(handshakes.responseBody);
    });
    server.on('secureConnection', (socket) => {
      assert.ok(!socket.isSessionReused());
      handshakesMade++;
    });
    closers.push(() => server.close().closeAllConnections());
    await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
    const { answered, trouble } = await connectionsTool().run(
      bench,
      handshakes,
      (server.address() as AddressInfo).port,
      1,
    );
    assert.equal(trouble, '');
    assert.ok(
      answered > 0 && answered <= requests && requests <= handshakesMade,
      `${answered} ${requests} ${handshakesMade}`,
    );
    assert.ok(handshakesMade - answered <= handshakes.connections);
  });

  it('says when idle connections do not stay', async () => {
    const head = `HTTP/1.1 200 OK\r\ncontent-length: 64\r\n\r\n${'x'.repeat(64)}`;
    const server = createTlsServer(shown, (socket) => {
      socket.on('error', () => undefined);
      socket.once('data', () => socket.end(head));
    });
    closers.push(() => server.close());
    await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
    const { port } = server.address() as AddressInfo;
    await assert.rejects(holdConnections(bench, scenarioNamed('tls-idle'), port), /closed connection/);
  });
});

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
    assert.match(text, /outrigger .*11\.00 \(10\.00–12\.00\).* 99 % .*0\.50×/);
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
