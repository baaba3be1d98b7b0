import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Answer } from '../../../src/discovery/answer.ts';
import { activeNames, activeNamesOf, portEndpoints } from '../../../src/discovery/port-endpoints.ts';
import type { EndpointSpec, NameSpec } from '../../../src/model/snapshot.ts';
import {
  addressesAnswer,
  endpointAt,
  nameSpec,
  portWithNames,
  serviceAnswer,
  shown,
  snapshotOf,
} from '../../support/dns-names.ts';

const expand = (own: readonly EndpointSpec[], names: readonly [NameSpec, Answer | undefined][]): string[] => {
  const answers = new Map(names);
  const endpoints = portEndpoints(own, [...answers.keys()], (name) => answers.get(name));
  return shown(portWithNames('x', [], { endpoints }));
};

test('every address is an endpoint, with its name, and the weight is divided', () => {
  assert.deepEqual(
    expand([endpointAt(80, { address: '10.0.0.9' })], [[nameSpec('a.x'), addressesAnswer('a.x', ['10.0.0.1', '::1'])]]),
    ['10.0.0.1:80*1@a.x', '10.0.0.9:80*2', '[::1]:80*1@a.x'],
  );
  assert.deepEqual(
    expand([], [[nameSpec('a.x', { priority: -1, port: 81 }), addressesAnswer('a.x.search', ['10.0.0.1'])]]),
    ['10.0.0.1:81*1^-1@a.x'],
    'the host is the name as configured, not as completed by the search list',
  );
  assert.deepEqual(
    expand([], [[nameSpec('a.x.'), addressesAnswer('a.x', ['10.0.0.1'])]]),
    ['10.0.0.1:80*1@a.x'],
    'but without a final dot, which no Host and no certificate has',
  );
});

test('a name without an answer is no endpoint and divides nothing', () => {
  assert.deepEqual(expand([endpointAt(80)], [[nameSpec('a.x'), undefined]]), ['127.0.0.1:80*1']);
  assert.deepEqual(expand([], [[nameSpec('a.x'), undefined]]), []);
});

test('of one address and port under two names the last one stands', () => {
  assert.deepEqual(
    expand(
      [endpointAt(80, { address: '10.0.0.1', weight: 7 })],
      [
        [nameSpec('a.x', { weight: 2 }), addressesAnswer('a.x', ['10.0.0.1'])],
        [nameSpec('b.x', { weight: 3 }), addressesAnswer('b.x', ['10.0.0.1'])],
        [nameSpec('c.x', { weight: 4, port: 81 }), addressesAnswer('c.x', ['10.0.0.1'])],
      ],
    ),
    ['10.0.0.1:80*3@b.x', '10.0.0.1:81*4@c.x'],
  );
});

test('labels go to every endpoint of the name', () => {
  const labels = new Map([['zone', 'a']]);
  const [first] = portEndpoints([], [nameSpec('a.x', { labels })], () => addressesAnswer('a.x', ['10.0.0.1']));
  assert.equal(first?.labels, labels);
});

test('SRV: weight 0 is 1, targets divide theirs, ports and priorities of the records', () => {
  const answer = serviceAnswer('s.x', ['1 0 8080 a.x', '1 4 0 b.x', '20 3 8082 c.x'], {
    'a.x': ['10.0.0.1'],
    'b.x': ['10.0.0.2', '10.0.0.3'],
    'c.x': ['10.0.0.4', '10.0.0.5', '10.0.0.6'],
  });
  const service = nameSpec('s.x', { kind: 'service', port: 80, portIsSet: false });
  assert.deepEqual(expand([], [[service, answer]]), [
    '10.0.0.1:8080*6^-1@a.x',
    '10.0.0.2:80*12^-1@b.x',
    '10.0.0.3:80*12^-1@b.x',
    '10.0.0.4:8082*6^-20@c.x',
    '10.0.0.5:8082*6^-20@c.x',
    '10.0.0.6:8082*6^-20@c.x',
  ]);
  assert.deepEqual(
    expand([], [[{ ...service, port: 9000, portIsSet: true }, answer]]).map((it) => it.split('*')[0]),
    ['10.0.0.1:9000', '10.0.0.2:9000', '10.0.0.3:9000', '10.0.0.4:9000', '10.0.0.5:9000', '10.0.0.6:9000'],
    'a port of the service name stands above that of the records',
  );
});

test('SRV: no records, but addresses; the largest priority and weight; a target unknown', () => {
  const service = nameSpec('s.x', { kind: 'service', port: 443, portIsSet: false });
  assert.deepEqual(expand([], [[service, addressesAnswer('s.x', ['10.0.0.1'])]]), ['10.0.0.1:443*1@s.x']);
  assert.deepEqual(expand([], [[{ ...service, name: 's.x.' }, addressesAnswer('s.x', ['10.0.0.1'])]]), [
    '10.0.0.1:443*1@s.x',
  ]);
  assert.deepEqual(
    expand([], [[service, serviceAnswer('s.x', ['65535 65535 1 a.x', '0 1 2 gone.x'], { 'a.x': ['10.0.0.1'] })]]),
    ['10.0.0.1:1*65535^-65535@a.x'],
  );
  assert.deepEqual(
    expand(
      [],
      [[{ ...service, priority: -0x8000_0000 }, serviceAnswer('s.x', ['5 1 1 a.x'], { 'a.x': ['10.0.0.1'] })]],
    ),
    ['10.0.0.1:1*1^-2147483648@a.x'],
  );
});

test('APISIX row 63: a name of weight 0 is not looked up while anything else has weight', () => {
  const zero = nameSpec('zero.x', { weight: 0 });
  const some = nameSpec('some.x');
  const live = portWithNames('a', [zero], { endpoints: [endpointAt(80)] });
  assert.deepEqual(activeNames(live), []);
  assert.deepEqual(activeNames(portWithNames('b', [zero, some])), [some]);
  const allZero = portWithNames('c', [zero], { endpoints: [endpointAt(80, { weight: 0 })] });
  assert.deepEqual(activeNames(allZero), [zero], 'all are 0: all take part, as in APISIX');
  assert.deepEqual([...activeNamesOf(snapshotOf([live, allZero, portWithNames('d', [zero, some])]))], [zero, some]);
});
