// Probes that Node's own clients ask, not the codecs that carry calls: over TLS, where the endpoint chooses the version,
// and CONNECT over HTTP/2, which no call uses. Only the status of the answer counts.
import type { ClientHttp2Session } from 'node:http2';
import type { Cancel } from '../base/clock.ts';
import { nodeHttp, nodeHttp2 } from '../base/node-builtins.ts';
import type { ProbeOutcome } from '../health/evidence.ts';
import type { ActivePolicy } from '../model/policy.ts';
import { handshakeProblem } from '../net/handshake-problem.ts';
import type { openTlsSocket } from '../net/tls-socket.ts';
import type { NetContext } from '../net/transport.ts';
import { endpointId } from './endpoint.ts';
import { probedPort, probeRequest, type ProbedEndpoint, type ProbeRequest } from './probe-request.ts';

/** A TLS connection of Node's. */
export type TlsSocket = ReturnType<typeof openTlsSocket>;

/** Takes the outcome of a probe; only the first counts. */
export type Finish = (outcome: ProbeOutcome) => void;

/** What was opened for a probe, and goes when it ends. */
export interface Closable {
  destroy(): unknown;
}

/** What runs a probe that is made of Node's objects. */
export interface ProbeRun {
  /** Adds what goes when the probe ends. */
  readonly opened: Closable[];
  readonly finish: Finish;
  isOver(): boolean;
}

/** Starts a probe's time; `done` is called once, unless the probe is cancelled first. */
export function runProbe(
  timeoutMs: number,
  { clock }: NetContext,
  done: (outcome: ProbeOutcome) => void,
): { run: ProbeRun; cancel: Cancel } {
  let over = false;
  const opened: Closable[] = [];
  const stop = (): void => {
    over = true;
    stopTimer();
    for (const one of opened.toReversed()) one.destroy();
  };
  const finish = (outcome: ProbeOutcome): void => {
    if (over) return;
    stop();
    clock.refresh();
    done(outcome);
  };
  const stopTimer = clock.after(timeoutMs, () => finish({ kind: 'timeout' }));
  const cancel = (): void => {
    if (!over) stop();
  };
  return { run: { opened, finish, isOver: () => over }, cancel };
}

/** Asks over HTTP/2 on an open TLS connection. */
export function askHttp2OverTls(socket: TlsSocket, request: ProbeRequest, run: ProbeRun): void {
  const session = nodeHttp2().connect(`https://${request.authority}`, {
    createConnection: () => socket,
    settings: { enablePush: false },
  });
  askHttp2(session, 'https', request, run);
}

/** Asks over HTTP/2 and plaintext, on a connection of its own. */
export function probeHttp2(
  endpoint: ProbedEndpoint,
  policy: ActivePolicy,
  net: NetContext,
  done: (outcome: ProbeOutcome) => void,
): Cancel {
  const { run, cancel } = runProbe(policy.timeoutMs, net, done);
  const where = endpointId(endpoint.address, probedPort(endpoint, policy));
  askHttp2(
    nodeHttp2().connect(`http://${where}`, { settings: { enablePush: false } }),
    'http',
    probeRequest(endpoint, policy),
    run,
  );
  return cancel;
}

function askHttp2(
  session: ClientHttp2Session,
  scheme: 'http' | 'https',
  { method, target, authority, fields, body }: ProbeRequest,
  { opened, finish }: ProbeRun,
): void {
  opened.push(session);
  session.on('error', (error) => finish(outcomeOfError(error)));
  const isConnect = method === 'CONNECT';
  const stream = session.request(
    {
      ':method': method,
      ':authority': authority,
      ...(isConnect ? {} : { ':scheme': scheme, ':path': target }), // RFC 9113 section 8.5
      ...combined(fields),
    },
    { endStream: body === undefined && !isConnect },
  );
  opened.push(stream);
  stream.on('response', ({ ':status': status }) => finish(outcomeOfStatus(status)));
  stream.on('error', (error) => finish(outcomeOfError(error)));
  stream.on('close', () => finish({ kind: 'failed' }));
  if (body) stream.end(body);
}

/** Asks over HTTP/1.1 on an open TLS connection. */
export function askHttp1OverTls(
  socket: TlsSocket,
  { method, target, authority, fields, body }: ProbeRequest,
  { opened, finish }: ProbeRun,
): void {
  // A connection of the caller's own, not of an agent, is closed after the answer, and the request says so.
  const asked = nodeHttp().request({
    createConnection: () => socket,
    setHost: false,
    method,
    path: target,
    headers: { host: authority, ...combined(fields) },
  });
  opened.push(asked);
  asked.on('response', ({ statusCode }) => finish(outcomeOfStatus(statusCode)));
  asked.on('connect', ({ statusCode }) => finish(outcomeOfStatus(statusCode))); // any answer to CONNECT
  asked.on('upgrade', () => finish(outcomeOfStatus(101)));
  asked.on('error', (error) => finish(outcomeOfError(error)));
  asked.on('close', () => finish({ kind: 'failed' }));
  asked.end(body);
}

/** Lines of one name become one (RFC 9110 section 5.3); names in lower case. */
function combined(fields: readonly string[]): Record<string, string> {
  const all: Record<string, string> = {};
  for (let i = 0; i + 1 < fields.length; i += 2) {
    const name = fields[i]?.toLowerCase() ?? '';
    const value = fields[i + 1] ?? '';
    const before = all[name];
    all[name] = before === undefined ? value : `${before}${name === 'cookie' ? '; ' : ', '}${value}`;
  }
  return all;
}

/** 101 answers a question that wasn't asked (RFC 9110 section 7.8). */
function outcomeOfStatus(status: number | undefined): ProbeOutcome {
  return status === undefined || status === 101 ? { kind: 'malformed' } : { kind: 'answered', status };
}

/** What Node's clients say of bytes that are no answer. `HPE_` is its HTTP/1 parser. */
const MALFORMED = /^(HPE_.*|ERR_HTTP2_ERROR)$/;
/** Of those: too long for the parser, and cut off. */
const NOT_MALFORMED = /^HPE_(HEADER_OVERFLOW|INVALID_EOF_STATE)$/;

/** What an error of Node's clients or of the connection says of the endpoint. */
export function outcomeOfError(error: NodeJS.ErrnoException): ProbeOutcome {
  const { code = '', message } = error;
  if (code.startsWith('ERR_SSL_')) return { kind: 'failed', detail: handshakeProblem(error, 'client') };
  if (code === 'ETIMEDOUT') return { kind: 'timeout' };
  // A stream that Node reset because of what came on it has the reason in its text only.
  const isBadStream = code === 'ERR_HTTP2_STREAM_ERROR' && message.endsWith('NGHTTP2_PROTOCOL_ERROR');
  return { kind: isBadStream || (MALFORMED.test(code) && !NOT_MALFORMED.test(code)) ? 'malformed' : 'failed' };
}
