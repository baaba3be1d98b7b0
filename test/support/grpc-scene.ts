// The whole data plane between hand-written gRPC peers, and what must be true after every case: the sidecar lives, and
// the next call gets its own answer.
import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { issueAuthority, issueCertificate } from './certificates.ts';
import { startDataPlane, type TestDataPlane, type TestDataPlaneOptions, type TestPolicy } from './data-plane.ts';
import {
  callFields,
  connectGrpc,
  message,
  startEndpoint,
  type GrpcEndpoint,
  type GrpcEndpointOptions,
  type GrpcPeer,
  type GrpcStream,
} from './grpc-peer.ts';
import { startRawServer, type RawServer } from './raw-server.ts';
import { listenerTls, upstreamTls } from './tls-peer.ts';

const CANARY = '/test.Canary/Sing';

/** What a test has started; `close` ends it all. */
export class GrpcScene {
  private readonly closers: (() => void)[] = [];

  close(): void {
    for (const close of this.closers.splice(0).reverse()) close();
  }

  /** A TCP server that `play` plays: for endpoints that aren't HTTP/2. */
  async raw(play: (socket: Socket) => void): Promise<RawServer> {
    const server = await startRawServer(play);
    this.closers.push(() => server.close());
    return server;
  }

  /** An endpoint that `onCall` plays; it answers the canary itself, which isn't among its calls. */
  async endpoint(onCall: (call: GrpcStream) => void, options?: GrpcEndpointOptions): Promise<GrpcEndpoint> {
    const calls: GrpcStream[] = [];
    const endpoint = await startEndpoint((call) => {
      if (call.path === CANARY) {
        call.onEnd = () => call.answer(message('tweet'));
        return;
      }
      calls.push(call);
      onCall(call);
    }, options);
    this.closers.push(() => endpoint.close());
    return { ...endpoint, calls };
  }

  /** The data plane in front of `endpoints`. */
  async plane(
    endpoints: readonly { readonly port: number }[],
    policy: TestPolicy = {},
    options: TestDataPlaneOptions = {},
  ): Promise<TestDataPlane> {
    const ports = endpoints.map(({ port }) => port);
    const plane = await startDataPlane(ports, { scheme: 'grpc', ...policy }, undefined, options);
    this.closers.push(() => plane.close());
    return plane;
  }

  async caller(plane: TestDataPlane, pairs: readonly number[] = []): Promise<GrpcPeer> {
    const caller = await connectGrpc(plane.port, pairs);
    this.closers.push(() => caller.socket.destroy());
    return caller;
  }

  /** An endpoint, the data plane and a caller, over plaintext or over TLS on both sides. */
  async all(
    onCall: (call: GrpcStream) => void,
    scheme: 'grpc' | 'grpcs' = 'grpc',
  ): Promise<{ endpoint: GrpcEndpoint; plane: TestDataPlane; caller: GrpcPeer }> {
    if (scheme === 'grpc') {
      const endpoint = await this.endpoint(onCall);
      const plane = await this.plane([endpoint]);
      return { endpoint, plane, caller: await this.caller(plane) };
    }
    const authority = await issueAuthority();
    const certificate = await issueCertificate(authority, { dns: ['localhost', 'svc'] });
    const tls = { cert: certificate.chain, key: certificate.keyPem };
    const endpoint = await this.endpoint(onCall, { tls });
    const policy = { scheme, tls: upstreamTls(authority, { serverName: 'localhost' }) };
    const plane = await startDataPlane([endpoint.port], policy, listenerTls([certificate]));
    this.closers.push(() => plane.close());
    const caller = await connectGrpc(plane.port, [], { ca: authority.certificatePem });
    this.closers.push(() => caller.socket.destroy());
    return { endpoint, plane, caller };
  }
}

/** One call on a connection of `caller` gets its own answer. */
export async function assertCanary(caller: GrpcPeer): Promise<void> {
  const call = caller.call(callFields(CANARY), message('?'));
  await call.over();
  assert.equal(call.grpcStatus, '0', `the canary got ${call.words.join(', ')} ${call.heads.join(' ')}`);
  assert.deepEqual(call.body, message('tweet'));
}

/** One HEADERS frame with END_STREAM: status 200, gRPC's content-type, a status, a printable message. */
export function assertTrailersOnly(call: GrpcStream, status: number, what = ''): void {
  assert.equal(call.words[0], 'HEADERS END', `${what}: ${call.words.join(', ')}`);
  assert.ok(call.words.length === 1 || call.words[1] === 'RST_STREAM 0', call.words.join(', '));
  assert.equal(call.field(':status'), '200', what);
  assert.equal(call.field('content-type'), 'application/grpc', what);
  assert.equal(call.field('grpc-status'), String(status), what);
  assert.match(call.field('grpc-message') ?? '', /^([ -$&-~]|%[0-9A-F]{2})+$/, what);
}
