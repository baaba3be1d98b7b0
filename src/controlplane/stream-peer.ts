// Who is at the other end of an ADS stream, and what follows of it: whether it may be sent secrets, and which node it
// may call itself.
import type { ServerDuplexStream } from '@grpc/grpc-js';
import { canonicalIp, isLoopbackIp } from '../base/ip-address.ts';
import { allowedNameProblem, readSubjectAltNames } from '../identity/names.ts';

/** The other end of a stream. */
export interface StreamPeer {
  /** `address:port`. */
  readonly address: string;
  /** Whether the stream is encrypted. */
  readonly tls: boolean;
  /** SPIFFE id of the certificate that it showed and that was verified. */
  readonly spiffeId: string | undefined;
  /** Why there is no SPIFFE id; empty if there is one. */
  readonly noSpiffeId: string;
}

/** Reads the peer of a call. `tls`: the port takes nothing else. */
export function readPeer(
  call: Pick<ServerDuplexStream<unknown, unknown>, 'getPeer' | 'getAuthContext'>,
  tls: boolean,
): StreamPeer {
  // Where no certificate was asked for there is none here; where one was, an unverified caller doesn't get here.
  const der: unknown = tls ? call.getAuthContext().sslPeerCertificate?.raw : undefined;
  const found =
    der instanceof Uint8Array ? spiffeIdOf(der) : { id: undefined, problem: 'no client certificate was shown' };
  return { address: call.getPeer(), tls, spiffeId: found.id, noSpiffeId: found.problem };
}

/** An X.509-SVID has exactly one URI name, and that is the SPIFFE id (X.509-SVID section 2). */
function spiffeIdOf(der: Uint8Array): { readonly id: string | undefined; readonly problem: string } {
  const none = (problem: string): { id: undefined; problem: string } => ({ id: undefined, problem });
  const { uris } = readSubjectAltNames(der);
  const [id] = uris;
  if (id === undefined) return none('the client certificate has no SPIFFE id');
  if (uris.length > 1) return none('the client certificate has several URI names, so none of them is a SPIFFE id');
  if (!id.startsWith('spiffe://')) return none('the URI name of the client certificate is no SPIFFE id');
  const problem = allowedNameProblem({ type: 'uri', value: id });
  return problem === undefined
    ? { id, problem: '' }
    : none(`the SPIFFE id of the client certificate is none: ${problem}`);
}

/** Whether private keys may be sent to the peer: what is on the wire is encrypted, or leaves no machine. */
export function maySendSecrets({ tls, address }: StreamPeer): boolean {
  return tls || isLoopbackPeer(address);
}

/** Of `address:port`, an IPv6 address without brackets as grpc-js writes it. What isn't known is no loopback address. */
export function isLoopbackPeer(peer: string): boolean {
  const ip = canonicalIp(peer.slice(0, Math.max(0, peer.lastIndexOf(':'))));
  return ip !== undefined && isLoopbackIp(ip);
}

/**
 * Why a sidecar may not call itself `nodeId`, with the fix; undefined: it may. Both are compared byte by byte, with no
 * folding of case and nothing decoded.
 */
export function nodeIdProblem(nodeId: string, { spiffeId, noSpiffeId }: StreamPeer): string | undefined {
  if (spiffeId === undefined) {
    return `${noSpiffeId}, and this control plane binds node ids to it: give the sidecar a certificate whose one URI name is its SPIFFE id`;
  }
  if (nodeId === spiffeId) return undefined;
  const id = shown(nodeId);
  return `the node id ${id} is not the SPIFFE id ${shown(spiffeId)} of the client certificate: start the sidecar with that id as --node-id`;
}

/** Cut first: half of a surrogate pair is then escaped, and a gRPC status message can hold it. */
function shown(text: string): string {
  return JSON.stringify(text.length > 256 ? `${text.slice(0, 256)}…` : text);
}
