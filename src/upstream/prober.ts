// One active probe of one endpoint, over the same wire code that carries the calls: what judges an endpoint sees what
// callers see. Each probe opens a connection of its own and closes it (APISIX: `Connection: close`).
import type { Cancel } from '../base/clock.ts';
import type { ErrorKind } from '../base/error.ts';
import type { RequestHead, ResponseReceiver } from '../codec/exchange.ts';
import { findField } from '../codec/fields.ts';
import { parseGrpcStatus } from '../codec/grpc/status.ts';
import type { ProbeOutcome } from '../health/evidence.ts';
import { isGrpcScheme, type ActivePolicy, type Scheme } from '../model/policy.ts';
import { connect } from '../net/connect.ts';
import type { TlsConnector } from '../net/tls.ts';
import type { NetContext, Transport } from '../net/transport.ts';
import type { Channel, ChannelOwner } from './channel.ts';
import { probeHttps } from './https-probe.ts';
import { probeHttp2 } from './probe-clients.ts';
import { probeAuthority, probedPort, probeRequest, type ProbedEndpoint } from './probe-request.ts';

/** What is probed. */
export interface ProbeTarget extends ProbedEndpoint {
  readonly scheme: Scheme;
  /** Undefined: plaintext. */
  readonly connector: TlsConnector | undefined;
}

/** Makes channels for probes. */
export interface ProbeChannels {
  createHttp1(transport: Transport, owner: ChannelOwner): Channel;
  createHttp2(transport: Transport, owner: ChannelOwner): Channel;
}

const NO_OWNER: ChannelOwner = { onAvailable: () => undefined, onDraining: () => undefined, onClosed: () => undefined };
/** grpc.health.v1.HealthCheckResponse.ServingStatus.SERVING in field 1. */
const SERVING = Buffer.from([0x08, 0x01]);
/** Longer answers are no HealthCheckResponse. */
const MAX_HEALTH_ANSWER_BYTES = 1024;

/** Probes once; `done` is called once, unless the probe is cancelled first. */
export function probe(
  target: ProbeTarget,
  policy: ActivePolicy,
  channels: ProbeChannels,
  net: NetContext,
  done: (outcome: ProbeOutcome) => void,
): Cancel {
  const isHttp = policy.type === 'http' || policy.type === 'https';
  const http2 = policy.type === 'grpc' || isGrpcScheme(target.scheme);
  if (target.connector && isHttp) return probeHttps(target, policy, target.connector, net, done);
  // The codec has no CONNECT over HTTP/2, since no call is one.
  if (isHttp && http2 && policy.httpMethod === 'CONNECT') return probeHttp2(target, policy, net, done);
  // gRPC is HTTP/2, whatever else the calls of this port may speak.
  const connector = target.connector && { ...target.connector, alpn: ['h2'] };
  let over = false;
  let close: () => void = () => undefined;
  const finish = (outcome: ProbeOutcome): void => {
    if (over) return;
    over = true;
    stopTimer();
    close();
    done(outcome);
  };
  const stopTimer = net.clock.after(policy.timeoutMs, () => finish({ kind: 'timeout' }));
  const opening = connect(
    target.address,
    probedPort(target, policy),
    policy.timeoutMs,
    {
      onConnect: (transport) => {
        close = () => transport.destroy();
        if (policy.type === 'tcp') return finish({ kind: 'connected' });
        const channel = http2 ? channels.createHttp2(transport, NO_OWNER) : channels.createHttp1(transport, NO_OWNER);
        close = () => channel.destroy();
        if (policy.type === 'grpc') askHealth(channel, target, policy, finish);
        else askHttp(channel, target, policy, finish);
      },
      onConnectError: (kind, detail) => {
        if (kind === 'connect_timeout') finish({ kind: 'timeout' });
        else finish(kind === 'connect_failure' ? { kind: 'failed' } : { kind: 'failed', detail });
      },
      onRead: () => undefined,
      onEnd: () => undefined,
      onDrain: () => undefined,
      onClose: () => finish({ kind: 'failed' }),
    },
    net,
    connector,
  );
  close = () => opening.cancel();
  return () => {
    if (over) return;
    over = true;
    stopTimer();
    close();
  };
}

function askHttp(
  channel: Channel,
  target: ProbeTarget,
  policy: ActivePolicy,
  finish: (outcome: ProbeOutcome) => void,
): void {
  const { method, target: path, authority, fields, body } = probeRequest(target, policy);
  const asked = { ...head(target, method, path, authority, fields), contentLength: body?.length ?? -1 };
  const sender = channel.start(asked, body === undefined, {
    ...IGNORE,
    onHead: ({ status }) => finish({ kind: 'answered', status }),
    onAbort: (kind, _progress, detail) => finish(outcomeOfAbort(kind, detail)),
  });
  if (body) sender.sendData(body, true);
}

function askHealth(
  channel: Channel,
  target: ProbeTarget,
  policy: ActivePolicy,
  finish: (outcome: ProbeOutcome) => void,
): void {
  const authority = probeAuthority(target, policy);
  const fields = ['content-type', 'application/grpc', 'te', 'trailers', 'user-agent', 'outrigger-health-check'];
  let body = Buffer.alloc(0);
  const judge = (status: string | undefined): void => {
    const ok = status !== undefined && parseGrpcStatus(status) === 0;
    finish({ kind: 'health', serving: ok && body.subarray(5).equals(SERVING) });
  };
  const sender = channel.start(head(target, 'POST', '/grpc.health.v1.Health/Check', authority, fields), false, {
    ...IGNORE,
    onHead: (answer, endStream) => {
      if (endStream) judge(findField(answer.fields, 'grpc-status'));
    },
    onData: (chunk, endStream) => {
      if (body.length + chunk.length > MAX_HEALTH_ANSWER_BYTES) return finish({ kind: 'malformed' });
      body = Buffer.concat([body, chunk]);
      if (endStream) judge(undefined);
    },
    onTrailers: (trailers) => judge(findField(trailers, 'grpc-status')),
    onAbort: (kind, _progress, detail) => finish(outcomeOfAbort(kind, detail)),
  });
  sender.sendData(healthRequest(policy.grpcService), true);
}

function outcomeOfAbort(kind: ErrorKind, detail: string): ProbeOutcome {
  if (kind === 'upstream_protocol_error') return { kind: 'malformed' };
  return kind === 'upstream_tls_failure' ? { kind: 'failed', detail } : { kind: 'failed' };
}

/** A gRPC message with a HealthCheckRequest: field 1 is the service's name. */
function healthRequest(service: string): Buffer {
  const name = Buffer.from(service, 'utf8');
  const message: number[] = [];
  if (name.length > 0) {
    message.push(0x0a);
    for (let length = name.length; ; length >>>= 7) {
      if (length < 0x80) {
        message.push(length);
        break;
      }
      message.push((length & 0x7f) | 0x80);
    }
    message.push(...name);
  }
  const bytes = Buffer.alloc(5 + message.length);
  bytes.writeUInt32BE(message.length, 1);
  bytes.set(message, 5);
  return bytes;
}

const IGNORE: ResponseReceiver = {
  onInformational: () => undefined,
  onHead: () => undefined,
  onData: () => undefined,
  onTrailers: () => undefined,
  onAbort: () => undefined,
  onDrain: () => undefined,
};

function head(
  { connector }: ProbeTarget,
  method: string,
  path: string,
  authority: string,
  fields: string[],
): RequestHead {
  return {
    method,
    scheme: connector ? 'https' : 'http',
    authority,
    path,
    protocol: '',
    version: 11,
    fields,
    neverIndexed: undefined,
    contentLength: -1,
  };
}
