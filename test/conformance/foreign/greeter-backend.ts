// The greeter of `outrigger demo`, in this process, for clients that bring the calls.
import { startGrpcBackend } from '../../../src/demo/backends.ts';

/** Flags with which grpcurl and ghz find its messages. */
export const GREETER_PROTO = 'outrigger/demo/v1/demo.proto';
export const GREETER = 'outrigger.demo.v1.GreeterService';

/** Starts it; `close` ends it once its calls are over. */
export async function startGreeterBackend(): Promise<{ port: number; close(): Promise<void> }> {
  const backend = await startGrpcBackend('greeter');
  return { port: backend.port, close: () => backend.leave() };
}
