import assert from 'node:assert/strict';
import { isIPv4 } from 'node:net';
import { describe, it } from 'node:test';
import { parseOptions, USAGE } from './options.ts';
import { choosePeers, takingPart } from './peers/choose.ts';
import { loopbackAddress } from './peers/loopback.ts';
import type { Peer } from './peers/peer.ts';
import { chooseScenarios, DEFAULT_SCENARIOS, MANY_ENDPOINTS, scenarioNamed, SCENARIOS } from './scenario.ts';
import { pairedRatio, percentile, spreadOf } from './statistics.ts';

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

  it('gives percentiles by rank', () => {
    const values = Array.from({ length: 200 }, (_, index) => 200 - index);
    assert.deepEqual([percentile(values, 0.5), percentile(values, 0.99), percentile(values, 1)], [100, 198, 200]);
    assert.equal(percentile([7], 0.01), 7);
    assert.throws(() => percentile([], 0.5), /no measurements/);
  });
});

describe('command line', () => {
  it('has defaults for a bounded run', () => {
    const command = parseOptions([]);
    assert.ok(command.kind === 'run');
    assert.deepEqual([command.rounds, command.seconds, command.node], [5, 1, process.execPath]);
  });

  it('reads scenarios, flags and compare', () => {
    const command = parseOptions(['h1-small', '--rounds', '5', '--peers', 'nginx,haproxy']);
    assert.ok(command.kind === 'run');
    assert.deepEqual([command.scenarios, command.rounds, command.peers], [['h1-small'], 5, ['nginx', 'haproxy']]);
    assert.deepEqual(parseOptions(['micro', 'pick']), { kind: 'micro', names: ['pick'] });
    assert.deepEqual(parseOptions(['compare', 'a', 'b']), { kind: 'compare', before: 'a', after: 'b' });
  });

  it('names what is wrong', () => {
    assert.throws(() => parseOptions(['--rounds', '0']), /--rounds .* not 0/);
    assert.throws(() => parseOptions(['compare', 'a']), /two files/);
    assert.throws(() => parseOptions(['--rouns', '3']), /--rouns/);
    assert.throws(() => chooseScenarios(['h2']), /no scenario h2; there are: h1-small, h1-10k/);
    assert.deepEqual(chooseScenarios([]), DEFAULT_SCENARIOS);
    assert.deepEqual(chooseScenarios(['all']), SCENARIOS);
    assert.deepEqual(chooseScenarios(['tls-h2']), [scenarioNamed('tls-h2')]);
  });

  it('lists every scenario in its help', () => {
    for (const { name, summary } of SCENARIOS) assert.match(USAGE, new RegExp(`^  ${name} +${summary}$`, 'm'));
    const defaults = DEFAULT_SCENARIOS.map(({ name }) => name);
    assert.deepEqual(
      defaults,
      SCENARIOS.slice(0, defaults.length).map(({ name }) => name),
    );
    assert.match(USAGE, new RegExp(`without a name the first ${defaults.length}, `));
  });
});

describe('peers', () => {
  const names = (peers: readonly Peer[]): string[] => peers.map(({ name }) => name);

  it('take part where the scenario says so, another build beside the first', () => {
    const all = choosePeers(undefined, '/old/main.js');
    assert.deepEqual(names(takingPart(scenarioNamed('h1-post'), all)), [
      ...['outrigger', 'outrigger-before', 'haproxy', 'envoy'],
    ]);
    for (const scenario of SCENARIOS) {
      assert.deepEqual(names(takingPart(scenario, choosePeers(undefined, undefined))), scenario.peers);
    }
  });

  it('are chosen by name or by what their names begin with', () => {
    const chosen = choosePeers(['outrigger', 'envoy-many-routes'], undefined);
    assert.deepEqual(names(takingPart(scenarioNamed('many-routes'), chosen)), [
      ...['outrigger', 'outrigger-gateway', 'outrigger-many-routes', 'envoy-many-routes'],
    ]);
    assert.throws(() => choosePeers(['enwoy'], undefined), /no peer enwoy; there are: outrigger, /);
  });

  it('have as many loopback addresses as endpoints', () => {
    const addresses = Array.from({ length: MANY_ENDPOINTS }, (_, index) => loopbackAddress(index));
    assert.equal(new Set(addresses).size, MANY_ENDPOINTS);
    assert.deepEqual([addresses[0], addresses[253], addresses[254]], ['127.0.0.1', '127.0.0.254', '127.0.1.1']);
    for (const address of addresses) assert.ok(isIPv4(address), address);
  });
});
