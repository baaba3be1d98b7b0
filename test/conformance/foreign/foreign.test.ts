import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { readGhz } from './ghz.ts';
import { readMessages } from './grpcurl.ts';
import { readH2spec } from './h2spec.ts';
import { readCases } from './h2specd.ts';
import { readTap } from './llhttp.ts';
import { parseOptions } from './options.ts';
import { formatDocument, formatSummary } from './report.ts';
import { lastLine, plainText } from './run-tool.ts';
import { readReadyLine } from './sidecar.ts';
import { readAvailable } from './slow-clients.ts';
import { allPass, holds, isGood, none } from './suite.ts';
import type { Result, Suite } from './suite.ts';
import { readFindings } from './testssl.ts';
import { moduleVersion } from './tools.ts';

describe('command line', () => {
  it('writes the document only after a whole run', () => {
    const known = ['h2spec', 'ghz'];
    assert.equal(parseOptions(['--write'], known).write, true);
    assert.equal(parseOptions([], known).write, false);
    assert.equal(parseOptions(['--write', '--quick'], known).write, false);
    assert.equal(parseOptions(['--write', 'ghz'], known).write, false);
    assert.throws(() => parseOptions(['h3spec'], known), /no suite h3spec; there are: h2spec, ghz/);
    assert.throws(() => parseOptions(['--quik'], known), /--quik/);
  });
});

describe('what foreign programs print', () => {
  it('h2spec: counts, and what failed with its section', () => {
    const text = [
      '      × 2: Sends invalid connection preface',
      'Failures: ',
      '',
      'Hypertext Transfer Protocol Version 2 (HTTP/2)',
      '  3. Starting HTTP/2',
      '    3.5. HTTP/2 Connection Preface',
      '      × 2: Sends invalid connection preface',
      '        -> The endpoint MUST terminate the TCP connection.',
      '           Expected: Connection closed',
      '             Actual: Error: unexpected EOF',
      '',
      'Finished in 0.2 seconds',
      '147 tests, 146 passed, 0 skipped, 1 failed',
    ].join('\n');
    assert.deepEqual(readH2spec(text, 'TLS'), {
      how: 'TLS',
      passed: 146,
      total: 147,
      failures: ['TLS: 3.5/2 Sends invalid connection preface (Error: unexpected EOF)'],
    });
    assert.deepEqual(readH2spec('147 tests, 147 passed, 0 skipped, 0 failed', 'TLS').failures, []);
    assert.throws(() => readH2spec('', 'TLS', 'dial tcp: refused'), /no summary: dial tcp/);
  });

  it('h2specd: cases with port, title and verdict', () => {
    const link = (port: number, mark: string, title: string): string =>
      `<div><span style="color: green;">${mark}</span><a href="http://127.0.0.1:${port}/" target="_blank">http://127.0.0.1:${port}/</a>${title}</div>`;
    const html =
      '<div>3 tests</div><div>4.1. Frame Format</div>' +
      link(21000, '✔', 'one') +
      link(21001, '✖', 'two') +
      '<div style="padding-left: 20px; color: red">-> MUST</div>' +
      '<div style="padding-left: 30px; color: green">&nbsp;&nbsp;Actual:&nbsp;Timeout</div>' +
      '<div>4.2. Frame Size</div>' +
      link(21002, '&nbsp;&nbsp;', 'three');
    assert.deepEqual(readCases(html), [
      { port: 21000, title: '4.1 one', passed: true, actual: '' },
      { port: 21001, title: '4.1 two', passed: false, actual: 'Timeout' },
      { port: 21002, title: '4.2 three', passed: undefined, actual: '' },
    ]);
  });

  it('node:test: counts, failed tests and diagnostics', () => {
    const text =
      '# Subtest: a\n    not ok 3 - b\n    # 92 refused alike\nnot ok 1 - a\n# tests 4\n# pass 3\n# duration_ms 7.5\n';
    const { counts, failures, diagnostics } = readTap(text);
    assert.deepEqual([counts.get('tests'), counts.get('pass')], [4, 3]);
    assert.deepEqual([failures, diagnostics], [['b'], ['92 refused alike']]);
    assert.throws(() => readTap('Error: no such file'), /no summary/);
  });

  it('ghz: calls that ended well, and errors', () => {
    const report = { statusCodeDistribution: { OK: 9, Unavailable: 1 }, errorDistribution: { gone: 1 } };
    assert.deepEqual(readGhz(JSON.stringify(report)), { ok: 9, errors: ['1 × gone'] });
    assert.throws(() => readGhz('', 'connection refused'), /connection refused/);
  });

  it('grpcurl: messages one after the other', () => {
    assert.deepEqual(readMessages('{\n "a": 1\n}\n{\n "a": 2\n}\n'), [{ a: 1 }, { a: 2 }]);
    assert.deepEqual(readMessages(''), []);
  });

  it('slowhttptest: the last status', () => {
    assert.equal(readAvailable('service available:   YES\nservice available:   NO\n'), false);
    assert.equal(readAvailable(plainText('\u001b[1;32mservice available:\u001b[0m   \u001b[1;32mYES')), true);
    assert.throws(() => readAvailable(''), /no status/);
  });

  it('testssl: what counts', () => {
    const of = (id: string, severity: string) => ({ id, severity, finding: 'f' });
    const { counted, ofCertificate, total } = readFindings([
      of('cert_revocation', 'HIGH'),
      of('BEAST', 'MEDIUM'),
      of('TLS1', 'OK'),
      of('clock', 'LOW'),
    ]);
    assert.deepEqual([counted.map(({ id }) => id), ofCertificate.length, total], [['BEAST'], 1, 4]);
  });

  it('Go programs: the version of their module', () => {
    const info = 'path\tgithub.com/bojand/ghz/cmd/ghz\nmod\tgithub.com/bojand/ghz\tv0.93.0\th1:x=\n';
    assert.equal(moduleVersion(`\0${info}\0`), 'v0.93.0');
    assert.equal(moduleVersion(info.replace('v0.93.0', '(devel)')), undefined);
    assert.equal(moduleVersion('ELF'), undefined);
  });

  it('the last line, without colours', () => {
    assert.equal(lastLine('a\n\u001b[31mb\u001b[0m\r\n\n'), 'b');
  });
});

describe('the ready line', () => {
  it('gives ports, and says what is missing', () => {
    const line = { listeners: [{ address: '127.0.0.1:7' }, { address: '[::1]:8' }], admin: '127.0.0.1:9' };
    assert.deepEqual(readReadyLine(line), { ports: [7, 8], admin: 9 });
    assert.throws(() => readReadyLine({ listeners: [] }), /no ports/);
    assert.throws(() => readReadyLine({ listeners: [{ error: 'taken' }], admin: '127.0.0.1:9' }), /no ports/);
  });
});

describe('figures and reports', () => {
  const suite = (name: string): Suite => ({
    name,
    summary: `${name} cases`,
    missing: () => undefined,
    run: () => Promise.reject(new Error('not run here')),
  });
  const good: Result = {
    kind: 'ran',
    suite: suite('a'),
    findings: { tools: ['tool 1.2'], figures: [allPass('all', 3, 3, 3)], table: [['x'], ['p|q']], notes: ['A note.'] },
  };
  const bad: Result = {
    kind: 'ran',
    suite: suite('b'),
    findings: { tools: [], figures: [allPass('all', 2, 3, 3)], failures: ['b/1 (127.0.0.1:4711 was late)'] },
  };
  const skipped: Result = { kind: 'skipped', suite: suite('c'), reason: 'c is not installed' };
  const broken: Result = { kind: 'broken', suite: suite('d'), reason: 'no summary' };

  it('hold what they say', () => {
    assert.deepEqual(
      [allPass('n', 3, 3, 3), allPass('n', 2, 3, 3), allPass('n', 2, 2, 3), allPass('n', 0, 0, 1)].map(
        ({ met }) => met,
      ),
      [true, false, false, false],
    );
    assert.deepEqual([none('n', 0).met, none('n', 1).met, holds('n', false).met], [true, false, false]);
    assert.deepEqual([good, bad, skipped, broken].map(isGood), [true, false, true, false]);
  });

  it('name what failed and what was skipped', () => {
    const text = formatSummary([good, bad, skipped, broken]);
    assert.match(text, /^ok {3}a: all: 3 of 3$/m);
    assert.match(text, /^FAIL b: all: 2 of 3, expected 3 of 3$/m);
    assert.match(text, /^ {5}b: b\/1 \(127\.0\.0\.1:4711 was late\)$/m);
    assert.match(text, /^skip c: c is not installed$/m);
    assert.match(text, /^FAIL d: no summary$/m);
  });

  it('make the same document of the same results', () => {
    const text = formatDocument([good, bad, skipped, broken], '24.0.0');
    assert.equal(text, formatDocument([good, bad, skipped, broken], '24.0.0'));
    assert.match(text, /Node 24\.0\.0/);
    assert.match(text, /^\| a \| all \| 3 of 3 \| 3 of 3 \|$/m);
    assert.match(text, /^\| b \| all \| \*\*2 of 3\*\* \| 3 of 3 \|$/m);
    assert.match(text, /^\| c \| {2}\| not run: c is not installed \| {2}\|$/m);
    assert.match(text, /^\| p\\\|q \|$/m);
    assert.match(text, /With tool 1\.2\.\n\nA note\.\n/);
    assert.match(text, /Not passed:\n\n\* b\/1 \(127\.0\.0\.1 was late\)\n/);
  });
});
