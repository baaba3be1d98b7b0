// A request as hash keys see it, of which a test changes what it is about.
import type { RequestHead } from '../../src/codec/exchange.ts';
import type { HashedRequest } from '../../src/policy/hash-key.ts';

/** GET http://web.example:8080/cart?device_id=7 from 10.0.0.9 to 10.0.0.1. */
export function hashedRequest(
  head: Partial<RequestHead> = {},
  others: Partial<Omit<HashedRequest, 'head'>> = {},
): HashedRequest {
  return {
    head: {
      method: 'GET',
      scheme: 'http',
      authority: 'web.example:8080',
      path: '/cart?device_id=7',
      protocol: '',
      version: 11,
      fields: [],
      neverIndexed: undefined,
      contentLength: -1,
      ...head,
    },
    remoteAddress: '10.0.0.9',
    remotePort: 51_000,
    localAddress: '10.0.0.1',
    localPort: 8080,
    hostname: 'node-1',
    consumer: undefined,
    routeId: '',
    serviceId: '',
    ...others,
  };
}
