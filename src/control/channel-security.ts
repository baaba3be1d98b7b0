// How a channel to a control plane is secured: plaintext, or TLS with the server's certificate verified. Node's floor
// holds, TLS 1.2.
import { X509Certificate } from 'node:crypto';
import type { ChannelCredentials, ChannelOptions } from '@grpc/grpc-js';
import { credentials as grpcCredentials } from '@grpc/grpc-js';
import { canonicalIp } from '../base/ip-address.ts';

/** TLS towards the control plane, PEM. */
export interface ControlCredentials {
  /** Authorities trusted; undefined: those that Node brings. */
  readonly ca: Buffer | undefined;
  /** Client certificate and its key; both or none. */
  readonly certificate: Buffer | undefined;
  readonly key: Buffer | undefined;
}

/**
 * grpc-js always asks for a server name. An IP address must not be one (RFC 6066 section 3), and Node from 25 on refuses
 * it; so this is asked for where the control plane has only an address. The certificate is held against the address.
 */
const NAMELESS_SERVER = 'control-plane';

/** What a channel is made with. */
export interface ChannelSecurity {
  readonly credentials: ChannelCredentials;
  readonly options: ChannelOptions;
}

/**
 * For a channel to `host`, a name or an IP address without brackets. `tls` left out: plaintext. Throws where a
 * certificate, a key or authorities can't be read; the text has nothing of their content.
 */
export function channelSecurity(host: string, tls: ControlCredentials | undefined): ChannelSecurity {
  if (tls === undefined) return { credentials: grpcCredentials.createInsecure(), options: {} };
  // grpc-js says null for absence.
  const ca = tls.ca ?? null;
  const key = tls.key ?? null;
  const certificate = tls.certificate ?? null;
  if (canonicalIp(host) === undefined) {
    return { credentials: grpcCredentials.createSsl(ca, key, certificate), options: {} };
  }
  const checkServerIdentity = (_name: string, { raw, subjectaltname }: { raw: Buffer; subjectaltname?: string }) =>
    new X509Certificate(raw).checkIP(host) === undefined ? addressMismatch(host, subjectaltname) : undefined;
  return {
    credentials: grpcCredentials.createSsl(ca, key, certificate, { checkServerIdentity }),
    options: { 'grpc.ssl_target_name_override': NAMELESS_SERVER },
  };
}

/** In the words that Node has for names. */
function addressMismatch(host: string, names: string | undefined): Error {
  return Object.assign(
    new Error(`Hostname/IP does not match certificate's altnames: IP: ${host} is not among ${names ?? 'no names'}`),
    { code: 'ERR_TLS_CERT_ALTNAME_INVALID' },
  );
}
