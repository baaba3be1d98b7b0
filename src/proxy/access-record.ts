import type { ErrorKind } from '../base/error.ts';
import { findField } from '../codec/fields.ts';
import { ERROR_TABLE } from '../model/error-table.ts';
import { maskKey } from '../plugin/key-traces.ts';
import type { AccessRecord } from '../telemetry/access-log.ts';
import type { RequestRecord } from './record.ts';

/** The access log's view of a request that has finished at `nowWallMs`. */
export function accessRecord(record: RequestRecord, nowWallMs: number): AccessRecord {
  const { head, attempts, error, cluster, route } = record;
  const last = attempts.at(-1);
  const own = error === undefined || record.grpcStatus >= 0 ? record.grpcStatus : ERROR_TABLE[error].grpcStatus;
  const grpcStatus = record.isGrpc ? own : undefined;
  return {
    startWallMs: nowWallMs - record.durationMs,
    method: head.method,
    path: route === undefined ? head.path : maskKey(route, head.path),
    version: head.version,
    authority: head.authority === '' ? undefined : head.authority,
    status: record.status === 0 ? undefined : record.status,
    grpcStatus,
    flags: error === undefined ? undefined : responseFlags(error, attempts.length),
    bytesReceived: record.bytesReceived,
    bytesSent: record.bytesSent,
    durationMs: record.durationMs,
    upstreamServiceMs: last === undefined || last.headMs < 0 ? undefined : last.headMs,
    remoteAddress: record.remoteAddress,
    forwardedFor: forwardedFor(findField(head.fields, 'x-forwarded-for'), record.remoteAddress),
    userAgent: findField(head.fields, 'user-agent'),
    requestId: record.requestId === '' ? undefined : record.requestId,
    route: route?.id,
    consumer: record.consumer,
    upstream: cluster?.port.upstream,
    servicePort: cluster?.port.servicePort,
    endpoint: last?.endpoint.id,
    attempts: attempts.map((attempt) => ({
      endpoint: attempt.endpoint.id,
      outcome: attempt.error ?? String(attempt.status),
      durationMs: attempt.durationMs,
    })),
    reason: error,
  };
}

/** Envoy's flags: that of the reason, and URX where further attempts were made in vain. */
function responseFlags(error: ErrorKind, attempts: number): string {
  const { flag } = ERROR_TABLE[error];
  const inVain = attempts > 1 && error !== 'downstream_reset' && error !== 'deadline_exceeded';
  return inVain ? `${flag},URX` : flag;
}

/** X-Forwarded-For as it came: without the caller's own address, which addForwardingFields has put at its end. */
function forwardedFor(value: string | undefined, remoteAddress: string): string | undefined {
  if (value === undefined || value === remoteAddress) return undefined;
  const own = `, ${remoteAddress}`;
  return value.endsWith(own) ? value.slice(0, -own.length) : value;
}
