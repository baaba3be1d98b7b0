import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededRng } from '../../../src/base/rng.ts';
import { createChash } from '../../../src/balance/chash.ts';
import { createBalancer } from '../../../src/balance/create-balancer.ts';
import { createApisixEwma } from '../../../src/balance/ewma-apisix.ts';
import { createEwma } from '../../../src/balance/ewma.ts';
import { createLeastConn } from '../../../src/balance/least-conn.ts';
import { createRoundRobin } from '../../../src/balance/round-robin.ts';
import { EndpointCell, PortCell } from '../../../src/model/cells.ts';
import type { BalancerPolicy } from '../../../src/model/policy.ts';
import { BalancedPort } from '../../support/balanced-port.ts';

const POLICY: BalancerPolicy = {
  type: 'roundrobin',
  hashOn: 'vars',
  key: 'remote_addr',
  hashBalanceFactor: 0,
  ewmaFormula: 'peak',
};
const NODES = { '127.0.0.1:1980': 1, '127.0.0.1:1981': 1, '127.0.0.1:1982': 1 };

test('each type makes its algorithm', () => {
  const rng = seededRng(1);
  for (const [policy, expected] of [
    [{}, createRoundRobin()],
    [{ type: 'chash' }, createChash(0)],
    [{ type: 'ewma' }, createEwma(rng)],
    [{ type: 'ewma', ewmaFormula: 'apisix' }, createApisixEwma(rng)],
    [{ type: 'least_conn' }, createLeastConn(rng)],
  ] as const) {
    const balancer = createBalancer({ ...POLICY, ...policy }, rng);
    assert.equal(balancer.constructor, expected.constructor);
    assert.ok(Object.keys(NODES).includes(new BalancedPort(balancer, NODES).pick('jack')!));
  }
});

test('chash gets its bound on load', () => {
  for (const [factor, picked] of [
    [0, '127.0.0.1:1981'],
    [100, '127.0.0.1:1982'],
  ] as const) {
    const policy: BalancerPolicy = { ...POLICY, type: 'chash', hashBalanceFactor: factor };
    const port = new BalancedPort(createBalancer(policy, seededRng(1)), NODES);
    port.set('127.0.0.1:1981', EndpointCell.InFlight, 2);
    port.live.ports.set(port.live.portSlot, PortCell.InFlight, 2);
    assert.equal(port.pick('cuscookie'), picked);
  }
});
