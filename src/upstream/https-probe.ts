// One active HTTP probe over TLS of an endpoint that may speak HTTP/2 or HTTP/1.1: ALPN says which. The request is asked
// by Node's own clients, not by the codecs that carry calls, and only the status line of the answer counts.
import { request as requestHttp1 } from 'node:http';
import { connect as connectHttp2 } from 'node:http2';
import type { Cancel } from '../base/clock.ts';
import type { ProbeOutcome } from '../health/evidence.ts';
import type { ActivePolicy } from '../model/policy.ts';
import { handshakeProblem } from '../net/handshake-problem.ts';
import { connectVerifyCode, tlsFacts } from '../net/tls-facts.ts';
import type { TlsConnector } from '../net/tls.ts';
import { openTlsSocket } from '../net/tls-socket.ts';
import type { NetContext } from '../net/transport.ts';
import { endpointId } from './endpoint.ts';

type TlsSocket = ReturnType<typeof openTlsSocket>;
type Finish = (outcome: ProbeOutcome) => void;

/** What was opened for a probe, and goes when it ends. */
interface Closable {
  destroy(): unknown;
}

/** A request, as both versions take it. */
interface ProbeRequest {
  readonly method: string;
  readonly path: string;
  readonly authority: string;
  /** Names in lower case. */
  readonly fields: Readonly<Record<string, string>>;
}

/**
 * Probes once, on a connection of its own; `done` is called once, unless the probe is cancelled first. An endpoint that
 * `connector` refuses is asked nothing.
 */
export function probeHttps(
  target: { readonly address: string; readonly port: number },
  policy: ActivePolicy,
  connector: TlsConnector,
  net: NetContext,
  done: (outcome: ProbeOutcome) => void,
): Cancel {
  const port = policy.port ?? target.port;
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
    net.clock.refresh();
    done(outcome);
  };
  const stopTimer = net.clock.after(policy.timeoutMs, () => finish({ kind: 'timeout' }));
  const open = (): TlsSocket => {
    const socket = openTlsSocket(target.address, port, connector);
    opened.push(socket);
    socket.on('error', (error) => finish(outcomeOfError(error)));
    return socket;
  };
  const ask = async (): Promise<void> => {
    const resolved = await resolveProtocol(target.address, port, connector.alpn, () => over, open);
    if (over || resolved === undefined) return;
    const { socket, protocol } = resolved;
    // An endpoint without ALPN can't have chosen HTTP/2 (RFC 9113 section 3.2); HTTP/1.1 only where it was offered.
    const isHttp1 = protocol === 'http/1.1' || (protocol === '' && connector.alpn.includes('http/1.1'));
    const refusal = connector.refusal(tlsFacts(socket), connectVerifyCode(socket));
    if (refusal !== undefined) return finish({ kind: 'failed', detail: refusal.detail });
    if (protocol !== 'h2' && !isHttp1) {
      return finish({
        kind: 'failed',
        detail: `the endpoint chose ${protocol === '' ? 'nothing' : JSON.stringify(protocol)} by ALPN`,
      });
    }
    const request = requestOf(policy, endpointId(target.address, port));
    if (protocol === 'h2') askHttp2(socket, request, opened, finish);
    else askHttp1(socket, request, opened, finish);
  };
  ask().catch((error: Error) => {
    if (over) return; // the connection failed, which the socket told first
    net.logger.log(
      'error',
      { endpoint: endpointId(target.address, port), error: error.message },
      'no probe can be made',
    );
    finish({ kind: 'failed' });
  });
  return () => {
    if (!over) stop();
  };
}

/**
 * Connects and says what ALPN chose, '' for nothing. The maps that remember answers are made for this one question:
 * another endpoint at this address and port later may choose otherwise. Undefined: `isOver` before there was anything to
 * connect.
 */
async function resolveProtocol(
  address: string,
  port: number,
  alpn: readonly string[],
  isOver: () => boolean,
  open: () => TlsSocket,
): Promise<{ socket: TlsSocket; protocol: string } | undefined> {
  const { default: http2Wrapper } = await import('http2-wrapper');
  if (isOver()) return undefined;
  const resolve = http2Wrapper.auto.createResolveProtocol(new Map(), new Map(), (_options, onSecure) => {
    const socket = open();
    socket.once('secureConnect', onSecure);
    return socket;
  });
  // `resolveSocket` keeps the connection open for the request; the types don't know it.
  const options = { host: address, port, ALPNProtocols: [...alpn], resolveSocket: true };
  const { socket, alpnProtocol } = await resolve(options);
  if (socket === undefined) throw new TypeError('the resolver gave no socket');
  return { socket, protocol: alpnProtocol || '' };
}

function askHttp2(socket: TlsSocket, request: ProbeRequest, opened: Closable[], finish: Finish): void {
  const session = connectHttp2(`https://${request.authority}`, {
    createConnection: () => socket,
    settings: { enablePush: false },
  });
  opened.push(session);
  session.on('error', (error) => finish(outcomeOfError(error)));
  const stream = session.request(
    {
      ':method': request.method,
      ':scheme': 'https',
      ':authority': request.authority,
      ':path': request.path,
      ...request.fields,
    },
    { endStream: true },
  );
  opened.push(stream);
  stream.on('response', ({ ':status': status }) => finish(outcomeOfStatus(status)));
  stream.on('error', (error) => finish(outcomeOfError(error)));
  stream.on('close', () => finish({ kind: 'failed' }));
}

function askHttp1(socket: TlsSocket, request: ProbeRequest, opened: Closable[], finish: Finish): void {
  // A connection of the caller's own, not of an agent, is closed after the answer, and the request says so.
  const asked = requestHttp1({
    createConnection: () => socket,
    setHost: false,
    method: request.method,
    path: request.path,
    headers: { host: request.authority, ...request.fields },
  });
  opened.push(asked);
  asked.on('response', ({ statusCode }) => finish(outcomeOfStatus(statusCode)));
  asked.on('upgrade', () => finish(outcomeOfStatus(101)));
  asked.on('error', (error) => finish(outcomeOfError(error)));
  asked.on('close', () => finish({ kind: 'failed' }));
  asked.end();
}

/** The fields of a policy; lines of one name become one (RFC 9110 section 5.3). */
function requestOf(policy: ActivePolicy, endpoint: string): ProbeRequest {
  const fields: Record<string, string> = {};
  for (let i = 0; i + 1 < policy.requestFields.length; i += 2) {
    const name = policy.requestFields[i]?.toLowerCase() ?? '';
    const value = policy.requestFields[i + 1] ?? '';
    const before = fields[name];
    fields[name] = before === undefined ? value : `${before}${name === 'cookie' ? '; ' : ', '}${value}`;
  }
  fields['user-agent'] ??= 'outrigger-health-check';
  return { method: policy.httpMethod, path: policy.httpPath, authority: policy.host ?? endpoint, fields };
}

/** 101 answers a question that wasn't asked (RFC 9110 section 7.8). */
function outcomeOfStatus(status: number | undefined): ProbeOutcome {
  return status === undefined || status === 101 ? { kind: 'malformed' } : { kind: 'answered', status };
}

/** What Node's clients say of bytes that are no answer. `HPE_` is its HTTP/1 parser. */
const MALFORMED = /^(HPE_.*|ERR_HTTP2_ERROR)$/;
/** Of those: too long for the parser, and cut off. */
const NOT_MALFORMED = /^HPE_(HEADER_OVERFLOW|INVALID_EOF_STATE)$/;

function outcomeOfError(error: NodeJS.ErrnoException): ProbeOutcome {
  const { code = '', message } = error;
  if (code.startsWith('ERR_SSL_')) return { kind: 'failed', detail: handshakeProblem(error, 'client') };
  if (code === 'ETIMEDOUT') return { kind: 'timeout' };
  // A stream that Node reset because of what came on it has the reason in its text only.
  const isBadStream = code === 'ERR_HTTP2_STREAM_ERROR' && message.endsWith('NGHTTP2_PROTOCOL_ERROR');
  return { kind: isBadStream || (MALFORMED.test(code) && !NOT_MALFORMED.test(code)) ? 'malformed' : 'failed' };
}
