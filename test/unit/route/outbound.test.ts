import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ListenerSpec, TargetSpec } from '../../../src/model/snapshot.ts';
import { createOutboundTable } from '../../../src/route/outbound.ts';

function listener(port: number, ...targets: TargetSpec[]): ListenerSpec {
  return { name: `outbound/${port}`, address: undefined, port, protocols: 'auto', tls: undefined, targets };
}

const table = createOutboundTable([
  listener(
    80,
    { port: 'shop/cart/80', authorities: ['cart', 'cart.shop'] },
    { port: 'blog/web/80', authorities: ['web'] },
  ),
  listener(7000, { port: 'shop/cart/7000', authorities: ['cart', 'cart.shop'] }),
  listener(9000, { port: 'six/port/9000', authorities: ['fd00::1'] }),
  listener(9001, { port: 'other/name/7000', authorities: ['cart'] }),
]);

test('host and port of the authority pick the service port, 80 where there is none', () => {
  for (const [authority, port] of [
    ['cart', 'shop/cart/80'],
    ['cart:80', 'shop/cart/80'],
    ['CART.Shop.:7000', 'shop/cart/7000'],
    ['cart:07000', 'shop/cart/7000'],
    ['web:', 'blog/web/80'],
    ['[fd00::1]:9000', 'six/port/9000'],
    ['[FD00:0::1]:9000', 'six/port/9000'],
  ] as const) {
    assert.equal(table.pick(authority), port, authority);
  }
});

test('of two with one name the first has it', () => assert.equal(table.pick('cart:7000'), 'shop/cart/7000'));

test('what no service has is nobody’s: the listener is no way out', () => {
  for (const authority of ['', 'example.org', 'web:7000', 'cart:7000:80', '[fd00::1]', 'cart:x', '__proto__:80']) {
    assert.equal(table.pick(authority), undefined, authority);
  }
});
