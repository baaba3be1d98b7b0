// One active HTTP probe over TLS of an endpoint that may speak HTTP/2 or HTTP/1.1: ALPN says which.
import type { Cancel } from '../base/clock.ts';
import type { ProbeOutcome } from '../health/evidence.ts';
import type { ActivePolicy } from '../model/policy.ts';
import { connectVerifyCode, tlsFacts } from '../net/tls-facts.ts';
import type { TlsConnector } from '../net/tls.ts';
import { openTlsSocket } from '../net/tls-socket.ts';
import type { NetContext } from '../net/transport.ts';
import { endpointId } from './endpoint.ts';
import { askHttp1OverTls, askHttp2OverTls, outcomeOfError, runProbe, type TlsSocket } from './probe-clients.ts';
import { probedPort, probeRequest, type ProbedEndpoint } from './probe-request.ts';

/**
 * Probes once, on a connection of its own; `done` is called once, unless the probe is cancelled first. An endpoint that
 * `connector` refuses is asked nothing.
 */
export function probeHttps(
  target: ProbedEndpoint,
  policy: ActivePolicy,
  connector: TlsConnector,
  net: NetContext,
  done: (outcome: ProbeOutcome) => void,
): Cancel {
  const { address } = target;
  const port = probedPort(target, policy);
  const { run, cancel } = runProbe(policy.timeoutMs, net, done);
  const open = (): TlsSocket => {
    const socket = openTlsSocket(address, port, connector);
    run.opened.push(socket);
    socket.on('error', (error) => run.finish(outcomeOfError(error)));
    return socket;
  };
  const ask = async (): Promise<void> => {
    const resolved = await resolveProtocol(address, port, connector.alpn, () => run.isOver(), open);
    if (run.isOver() || resolved === undefined) return;
    const { socket, protocol } = resolved;
    // An endpoint without ALPN can't have chosen HTTP/2 (RFC 9113 section 3.2); HTTP/1.1 only where it was offered.
    const isHttp1 = protocol === 'http/1.1' || (protocol === '' && connector.alpn.includes('http/1.1'));
    const refusal = connector.refusal(tlsFacts(socket), connectVerifyCode(socket));
    if (refusal !== undefined) return run.finish({ kind: 'failed', detail: refusal.detail });
    if (protocol !== 'h2' && !isHttp1) {
      return run.finish({
        kind: 'failed',
        detail: `the endpoint chose ${protocol === '' ? 'nothing' : JSON.stringify(protocol)} by ALPN`,
      });
    }
    const request = probeRequest(target, policy);
    if (protocol === 'h2') askHttp2OverTls(socket, request, run);
    else askHttp1OverTls(socket, request, run);
  };
  ask().catch((error: Error) => {
    if (run.isOver()) return; // the connection failed, which the socket told first
    net.logger.log('error', { endpoint: endpointId(address, port), error: error.message }, 'no probe can be made');
    run.finish({ kind: 'failed' });
  });
  return cancel;
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
