// One look-up as it is on the request path. `npm run bench -- routes` shows more kinds, and what a changed route costs.
import { seededRng } from '../../../src/base/rng.ts';
import type { RouteSpec } from '../../../src/model/gateway.ts';
import type { HashedRequest } from '../../../src/policy/request-variables.ts';
import { createAuthorityTable } from '../../../src/route/authority.ts';
import { createOutboundTable } from '../../../src/route/outbound.ts';
import { RouteTable } from '../../../src/route/route-table.ts';
import { routeSpec } from '../../support/route-spec.ts';
import { fresh, routeRequest } from '../route-request.ts';
import { digits } from './heads.ts';
import type { MicroCase, MicroGroup } from './measure.ts';

const REQUESTS = 1024;
const MANY = 1000;
const HOST = 'shop.example';

/** From a request to its route or service port. */
export const routeMatch: MicroGroup = {
  name: 'route-match',
  operation: 'request',
  cases: () => [
    routes(
      'one route for all',
      1,
      () => ({}),
      (index) => [HOST, `/api/v1/items/${digits(index)}`],
    ),
    routes(
      'exact path of 1,000',
      MANY,
      (index) => ({ uris: [`/api/v1/items/${digits(index)}`] }),
      (index) => [HOST, `/api/v1/items/${digits(index)}`],
    ),
    routes(
      'prefix of 1,000',
      MANY,
      (index) => ({ uris: [`/api/${digits(index)}/*`] }),
      (index) => [HOST, `/api/${digits(index)}/orders`],
    ),
    routes(
      'host of 1,000',
      MANY,
      (index) => ({ uris: ['/*'], hosts: [`shop-${digits(index)}.example`] }),
      (index) => [`shop-${digits(index)}.example:9080`, '/api/v1/orders'],
    ),
    authorities('outbound authority, as configured', (index) => `catalogue-${digits(index)}.shop:8080`),
    authorities('outbound authority, capitals and final dot', (index) => `Catalogue-${digits(index)}.shop.:8080`),
    targets(),
  ],
};

function routes(
  name: string,
  count: number,
  route: (index: number) => Partial<RouteSpec>,
  target: (index: number) => readonly [authority: string, path: string],
): MicroCase {
  const table = new RouteTable();
  table.apply(
    new Map(Array.from({ length: count }, (_, index) => [String(index), routeSpec(String(index), route(index))])),
  );
  const rng = seededRng(count);
  let asked: readonly HashedRequest[] = [];
  return {
    name,
    operations: REQUESTS,
    prepare() {
      asked = Array.from({ length: REQUESTS }, () => routeRequest(...target(rng.below(count))));
    },
    run() {
      let found = 0;
      for (const each of asked) if (table.match(each) !== undefined) found++;
      if (found < REQUESTS) throw new Error(`${name}: a request has found no route`);
      return found;
    },
  };
}

function authorities(name: string, authority: (index: number) => string): MicroCase {
  const table = createOutboundTable(
    Array.from({ length: MANY }, (_, index) => ({
      name: `outbound/${index}`,
      address: undefined,
      port: 8080,
      protocols: 'auto',
      tls: undefined,
      targets: [{ port: `shop/catalogue-${digits(index)}/8080`, authorities: [`catalogue-${digits(index)}.shop`] }],
    })),
  );
  return lookup(name, authority, (text) => table.pick(text) !== undefined);
}

/** Two services on one port number. */
function targets(): MicroCase {
  const table = createAuthorityTable(
    Array.from({ length: 2 }, (_, index) => ({
      port: `shop/catalogue-${index}/80`,
      authorities: [`catalogue-${index}`, `catalogue-${index}.shop`],
    })),
  );
  return lookup(
    'authority of two services',
    (index) => `catalogue-${index & 1}.shop:8080`,
    (text) => table.pick(text) >= 0,
  );
}

function lookup(name: string, authority: (index: number) => string, isThere: (text: string) => boolean): MicroCase {
  const rng = seededRng(MANY);
  let asked: readonly string[] = [];
  return {
    name,
    operations: REQUESTS,
    prepare() {
      asked = Array.from({ length: REQUESTS }, () => fresh(authority(rng.below(MANY))));
    },
    run() {
      let found = 0;
      for (const text of asked) if (isThere(text)) found++;
      if (found < REQUESTS) throw new Error(`${name}: a request has found no service`);
      return found;
    },
  };
}
