// Why a stream ended, in words that say what to change. grpc-js wraps the cause of a connection that failed in text of
// its own, with the time in it and OpenSSL's places in its source; what remains of that here is the cause.

/** What the stream was to be. */
export interface StreamFacts {
  readonly isTls: boolean;
  /** Authorities were given; else those that Node brings are trusted. */
  readonly hasAuthorities: boolean;
  /** A client certificate is shown where one is asked for. */
  readonly hasCertificate: boolean;
}

/** grpc-js, where there is no connection. */
const UNCONNECTED = /^No connection established\. Last error: ([^]*)\. Resolution note: [^]*$/;

/** `CODE: cause: what to change`. `code` is the name of a gRPC status, `details` its text. */
export function describeStreamEnd(code: string, details: string, facts: StreamFacts): string {
  const unconnected = UNCONNECTED.exec(details);
  const cause = bareCause(unconnected?.[1] ?? details);
  let hint = facts.isTls ? tlsHint(cause, facts) : undefined;
  if (hint === undefined && unconnected !== null && ENDED_EARLY.test(cause)) hint = endedHint(facts);
  return `${code}: ${cause}${hint === undefined ? '' : `: ${hint}`}`;
}

/** A connection that ended while it was being made. */
const ENDED_EARLY = /^Failed to connect$|^Protocol error$|^(read|write) E|^Socket closed|^Connection closed before/;

function bareCause(text: string): string {
  return text
    .replace(/^(\w*Error)(?: \[\w+\])?: /, '')
    .replace(/ \(\d{4}-\d\d-\d\dT[\d:.]+Z\)$/, '')
    .replace(/^[0-9A-F]*:error:[0-9A-F]*:[^:]*:[^:]*:([^:]+):[^]*$/, '$1')
    .replace(/; if the root CA is installed locally.*$/, '')
    .replace(/\s+/g, ' ')
    .trim();
}

function endedHint({ isTls, hasCertificate }: StreamFacts): string {
  if (!isTls)
    return 'the connection ended before HTTP/2 began: if the control plane speaks TLS there, use --control-ca';
  // Some servers close without a word: the client's handshake is over before its certificate is looked at (TLS 1.3).
  return hasCertificate
    ? 'the connection ended after the TLS handshake: the control plane may refuse our client certificate, check --control-cert'
    : 'the connection ended after the TLS handshake: if the control plane asks for a client certificate, use --control-cert and --control-key';
}

function tlsHint(cause: string, { hasAuthorities, hasCertificate }: StreamFacts): string | undefined {
  const trust = hasAuthorities
    ? 'check --control-ca'
    : 'use --control-ca, since without it only the authorities that Node brings are trusted';
  const identity = hasCertificate
    ? 'the control plane refuses our client certificate: check --control-cert'
    : 'the control plane asks for a client certificate: use --control-cert and --control-key';
  if (/does not match certificate's altnames/.test(cause)) {
    return "call the control plane by a name of its certificate, or add this one to the certificate's names";
  }
  if (/ alert (certificate|bad certificate|unsupported certificate|unknown ca|access denied)/.test(cause)) {
    return identity;
  }
  if (/ alert handshake failure/.test(cause)) return `no agreement on TLS, or ${identity}`;
  if (/ alert no application protocol/.test(cause)) return 'no HTTP/2 there: is this the port of ADS?';
  if (/ alert protocol version|unsupported protocol/.test(cause)) return 'the control plane must speak TLS 1.2 or 1.3';
  if (/wrong version number|packet length too long|http request/.test(cause)) {
    return 'the control plane does not speak TLS there: use its port for TLS, or leave out --control-ca and --control-cert';
  }
  if (/^certificate has expired/.test(cause)) return "renew the control plane's certificate, or check the clocks";
  if (/^certificate is not yet valid/.test(cause)) return "check the clocks and the control plane's certificate";
  if (/^unsuitable certificate purpose/.test(cause)) return "the control plane's certificate is not one for servers";
  if (/^self.signed certificate|^unable to (verify|get)|^certificate signature failure|^invalid CA/i.test(cause)) {
    return `the control plane's certificate is not signed by a trusted authority: ${trust}`;
  }
  if (/disconnected before secure TLS connection/.test(cause)) {
    return `the connection ended in the TLS handshake: is there TLS on that port?`;
  }
  return undefined;
}
