import type { HashedRequest } from '../../src/policy/request-variables.ts';

/** A copy with letters of its own: a string that is joined or cut is not what a parser gives. */
export function fresh(text: string): string {
  return Buffer.from(text, 'latin1').toString('latin1');
}

/** A GET as a route table is asked about it. */
export function routeRequest(authority: string, path: string): HashedRequest {
  return {
    head: {
      method: 'GET',
      scheme: 'http',
      authority: fresh(authority),
      path: fresh(path),
      protocol: '',
      version: 11,
      fields: [],
      neverIndexed: undefined,
      contentLength: -1,
    },
    remoteAddress: '10.0.0.9',
    remotePort: 51_000,
    localAddress: '10.0.0.1',
    localPort: 9_080,
    hostname: 'node-1',
    consumer: undefined,
    routeId: '',
    serviceId: '',
  };
}
