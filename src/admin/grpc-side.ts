// The gRPC side of the admin port: grpc-js and the services. server.ts imports it with the first HTTP/2 connection.
import { Server, ServerCredentials, type UntypedServiceImplementation } from '@grpc/grpc-js';
import type { Socket } from 'node:net';
import { HealthService } from '../gen/grpc/health/v1/health.ts';
import { ServerReflectionService } from '../gen/grpc/reflection/v1/reflection.ts';
import { ServerReflectionService as ServerReflectionAlphaService } from '../gen/grpc/reflection/v1alpha/reflection.ts';
import { AdminServiceService } from '../gen/outrigger/admin/v1/admin.ts';
import { createReflection } from '../rpc/reflection.ts';
import { createAdminService } from './admin-service.ts';
import { createHealthService } from './health-service.ts';
import type { SidecarView } from './views.ts';

/** Full names of the gRPC services of the admin port. */
export const ADMIN_SERVICES: readonly string[] = [
  'grpc.health.v1.Health',
  'grpc.reflection.v1.ServerReflection',
  'grpc.reflection.v1alpha.ServerReflection',
  'outrigger.admin.v1.AdminService',
];

/** Largest request message; none of ours comes near. */
const MAX_REQUEST_BYTES = 64 * 1024;

/** The gRPC server behind the admin port. */
export interface GrpcSide {
  /** Takes a connection that speaks HTTP/2, with its first bytes put back. */
  take(socket: Socket): void;
  /** Ends watches and sends GOAWAY; a connection ends with its last call. */
  goAway(): void;
  /** Ends what is left. */
  destroy(): void;
}

/** A gRPC server over `view`, without a port of its own. */
export function createGrpcSide(view: SidecarView): GrpcSide {
  const server = new Server({
    'grpc.max_receive_message_length': MAX_REQUEST_BYTES,
    'grpc.max_concurrent_streams': 100,
    'grpc.enable_channelz': 0,
  });
  const admin = createAdminService(view);
  const health = createHealthService(view);
  const reflection: UntypedServiceImplementation = { serverReflectionInfo: createReflection(ADMIN_SERVICES) };
  server.addService(AdminServiceService, admin.service);
  server.addService(HealthService, health.service);
  server.addService(ServerReflectionService, reflection);
  server.addService(ServerReflectionAlphaService, reflection);
  const injector = server.createConnectionInjector(ServerCredentials.createInsecure());
  return {
    take: (socket) => injector.injectConnection(socket),
    goAway() {
      admin.streams.stop();
      health.streams.stop();
      injector.destroy();
    },
    destroy: () => server.forceShutdown(),
  };
}
