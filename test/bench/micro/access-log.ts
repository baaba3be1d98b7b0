import { formatAccess, type AccessLogFormat, type AccessRecord } from '../../../src/telemetry/access-log.ts';
import { digits, VARIANTS, variants } from './heads.ts';
import type { MicroCase, MicroGroup } from './measure.ts';

/** The line of a request in the access log, which is off unless it is asked for. */
export const accessLog: MicroGroup = {
  name: 'access-log',
  operation: 'line',
  cases: () => [lines('json'), lines('text')],
};

function lines(format: AccessLogFormat): MicroCase {
  const records = variants(record);
  return {
    name: format,
    operations: VARIANTS,
    run() {
      let length = 0;
      for (const each of records) {
        const line = formatAccess(format, each) ?? '';
        length += line.length + line.charCodeAt(line.length >> 1);
      }
      return length;
    },
  };
}

function record(index: number): AccessRecord {
  const endpoint = `10.0.1.${index & 255}:8080`;
  return {
    startWallMs: 1_793_700_000_000 + 37 * index,
    method: 'GET',
    path: `/api/v1/items/${digits(index)}`,
    version: 11,
    authority: 'shop.example:9080',
    status: 200,
    grpcStatus: undefined,
    flags: undefined,
    bytesReceived: 0,
    bytesSent: 64 + index,
    durationMs: 1.25 + index / 97,
    upstreamServiceMs: 1.125 + index / 97,
    remoteAddress: '10.0.0.9',
    forwardedFor: undefined,
    userAgent: 'Mozilla/5.0 (X11; Linux x86_64)',
    requestId: `8f14e45fceea167a5a36dedd4be${digits(index)}`,
    upstream: 'shop/catalogue',
    servicePort: 8080,
    endpoint,
    attempts: [{ endpoint, outcome: '200', durationMs: 1.2 + index / 97 }],
    reason: undefined,
  };
}
