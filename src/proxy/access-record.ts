import { findField } from '../codec/fields.ts';
import { ERROR_TABLE } from '../model/error-table.ts';
import type { AccessRecord } from '../telemetry/access-log.ts';
import type { RequestRecord } from './record.ts';

/** The access log's view of a finished request. */
export function accessRecord(record: RequestRecord): AccessRecord {
  const { head, attempts, error, cluster } = record;
  const last = attempts.at(-1);
  const grpcStatus = record.isGrpc ? (error === undefined ? record.grpcStatus : ERROR_TABLE[error].grpcStatus) : undefined;
  return {
    startWallMs: record.startWallMs,
    method: head.method,
    path: head.path,
    version: head.version,
    authority: head.authority === '' ? undefined : head.authority,
    status: record.status === 0 ? undefined : record.status,
    grpcStatus,
    flags: error === undefined ? undefined : responseFlags(record),
    bytesReceived: record.bytesReceived,
    bytesSent: record.bytesSent,
    durationMs: record.durationMs,
    upstreamServiceMs: last === undefined || last.headMs < 0 ? undefined : last.headMs,
    remoteAddress: record.remoteAddress,
    forwardedFor: findField(head.fields, 'x-forwarded-for'),
    userAgent: findField(head.fields, 'user-agent'),
    requestId: record.requestId === '' ? undefined : record.requestId,
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
function responseFlags(record: RequestRecord): string {
  const flag = record.error === undefined ? '-' : ERROR_TABLE[record.error].flag;
  return record.attempts.length > 1 ? `${flag},URX` : flag;
}
