// The gRPC health checking protocol (grpc.health.v1). The sidecar has one health: whether it takes work.
import { status, type ServerWritableStream } from '@grpc/grpc-js';
import type { Cancel } from '../base/clock.ts';
import {
  HealthCheckResponse_ServingStatus,
  type HealthCheckRequest,
  type HealthCheckResponse,
  type HealthServer,
} from '../gen/grpc/health/v1/health.ts';
import { OpenStreams } from './open-streams.ts';
import type { SidecarView } from './views.ts';

/** Names that share the sidecar's health: the whole process, and the service that looks into it. */
const KNOWN_SERVICES: readonly string[] = ['', 'outrigger.admin.v1.AdminService'];

/** Watch streams open at a time; one more is RESOURCE_EXHAUSTED. */
const MAX_WATCHES = 256;

/** The health service; `streams` ends its watches when the server stops. */
export function createHealthService(view: SidecarView): { service: HealthServer; streams: OpenStreams } {
  const streams = new OpenStreams(MAX_WATCHES);
  const now = (): HealthCheckResponse['status'] =>
    view.ready().ready ? HealthCheckResponse_ServingStatus.SERVING : HealthCheckResponse_ServingStatus.NOT_SERVING;
  const service: HealthServer = {
    check(call, callback) {
      if (KNOWN_SERVICES.includes(call.request.service)) return callback(null, { status: now() });
      callback({ code: status.NOT_FOUND, details: `service: ${JSON.stringify(call.request.service)} is not known` });
    },
    watch(call) {
      if (!KNOWN_SERVICES.includes(call.request.service)) {
        // The stream stays open: the service may be added one day, as far as the protocol knows.
        if (streams.open(call)) call.write({ status: HealthCheckResponse_ServingStatus.SERVICE_UNKNOWN });
        return;
      }
      let cancel: Cancel | undefined;
      if (streams.open(call, () => cancel?.())) cancel = watchStatus(call, view, now);
    },
  };
  return { service, streams };
}

function watchStatus(
  call: ServerWritableStream<HealthCheckRequest, HealthCheckResponse>,
  view: SidecarView,
  now: () => HealthCheckResponse['status'],
): Cancel {
  let told: HealthCheckResponse['status'] | undefined;
  let blocked = false;
  const tell = (): void => {
    const current = now();
    if (blocked || current === told) return;
    told = current;
    blocked = !call.write({ status: current });
  };
  call.on('drain', () => {
    blocked = false;
    tell();
  });
  tell();
  return view.watchReady(tell);
}
