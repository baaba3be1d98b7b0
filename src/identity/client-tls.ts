// TLS towards the endpoints of one upstream port: the identity in force and the verdict on an endpoint's certificate.
import { isIP } from 'node:net';
import { createSecureContext, type SecureContext } from 'node:tls';
import type { Cancel, Clock } from '../base/clock.ts';
import type { UpstreamTlsPolicy } from '../model/tls.ts';
import type { TlsConnector, TlsRefusal } from '../net/tls.ts';
import type { TlsFacts } from '../net/transport.ts';
import { certificateInfo } from './certificate.ts';
import type { Credentials } from './credentials.ts';
import { hasAllowedName, readSubjectAltNames } from './names.ts';
import { TLS_PARAMETERS } from './tls-parameters.ts';
import { verdictOf } from './verify-code.ts';

/** Keeps the latest session of connections that share a name. */
export interface SessionSlot {
  session: Buffer | undefined;
  /** The identity that the session was made under: with another one it isn't resumed. */
  context?: SecureContext | undefined;
  /** When the certificate of the session expires, ms since 1970. Resuming doesn't look at the certificate again. */
  notAfterMs?: number | undefined;
  /** Whether one was ever resumed. */
  hasResumed?: boolean;
  /**
   * The endpoint ends the handshake where a session is to be resumed, as servers over OpenSSL do that ask for a
   * certificate and have no session id context: none is kept any more.
   */
  isRefusing?: boolean;
}

/** What it is made with. */
export interface ClientTlsOptions {
  readonly credentials: Credentials;
  readonly clock: Clock;
  /** For display: `Upstream default/web`. */
  readonly usedBy: string;
  /** Protocols offered by ALPN, the preferred first. */
  readonly alpn: readonly string[];
  /** The identity changed: connections made from now on are of another kind than those before. */
  readonly onChange: () => void;
}

/** The connecting side of one upstream port. */
export class ClientTls {
  readonly policy: UpstreamTlsPolicy;
  /** Why nothing can be sent; empty if all is well. */
  error = '';

  private readonly options: ClientTlsOptions;
  private readonly cancelUse: Cancel;
  private context: SecureContext | undefined = undefined;
  /** What the context was made of. */
  private material: readonly unknown[] = [];

  constructor(policy: UpstreamTlsPolicy, options: ClientTlsOptions) {
    this.policy = policy;
    this.options = options;
    this.cancelUse = options.credentials.use({
      certificates: policy.clientCertificate === undefined ? [] : [policy.clientCertificate],
      authorities: policy.ca.kind !== 'system' ? [policy.ca] : [],
      usedBy: options.usedBy,
      onChange: () => {
        if (this.renew()) options.onChange();
      },
    });
    this.renew();
  }

  /** When the certificate expires that is shown to endpoints, ms since 1970; undefined where none is shown. */
  get notAfterMs(): number | undefined {
    const { clientCertificate } = this.policy;
    if (clientCertificate === undefined) return undefined;
    return this.options.credentials.certificate(clientCertificate).material?.info.notAfterMs;
  }

  /**
   * The name that connections for `host` are made under: they share nothing with those of another name. `host` is what
   * is sent as `Host` or `:authority`.
   */
  nameOf(host: string): string {
    return this.policy.serverName ?? withoutPort(host);
  }

  /**
   * For a connection under `name`, or why there can be none. Undefined, for a probe that knows none: no name is asked for,
   * and only `server_names` are looked for. `verify` stands above the policy's.
   */
  connector(name: string | undefined, slot: SessionSlot, verify = this.policy.verify): TlsConnector | TlsRefusal {
    const { context, policy } = this;
    if (context === undefined) return { kind: 'secret_missing', detail: this.error };
    const isIp = name !== undefined && isIP(name) !== 0;
    const isAskable = name !== undefined && isServerName(name);
    if (name !== undefined && !isIp && !isAskable) {
      const detail = `${JSON.stringify(name.slice(0, 100))} is no server name: set tls.server_name, or another pass_host`;
      if (verify) return { kind: 'upstream_certificate_name_mismatch', detail };
    }
    const isUsable = slot.context === context && this.options.clock.wallMs() < (slot.notAfterMs ?? 0);
    const offered = isUsable ? slot.session : undefined;
    let state: 'open' | 'accepted' | 'refused' = 'open';
    /** A session that came before the verdict. */
    let early: Buffer | undefined;
    let { notAfterMs } = slot;
    const keepSession = (session: Buffer): void => {
      if (state === 'open') early = session;
      // Resumed, one that was refused would be refused again, also when the endpoint has a better certificate.
      if (state !== 'accepted' || slot.isRefusing === true) return;
      slot.session = session;
      slot.context = context;
      slot.notAfterMs = notAfterMs;
    };
    return {
      context,
      serverName: isAskable && !isIp ? name : '',
      alpn: this.options.alpn,
      session: offered,
      keepSession,
      forgetSession: () => {
        if (offered === undefined) return;
        if (slot.session === offered) slot.session = undefined;
        if (slot.hasResumed !== true) slot.isRefusing = true;
      },
      refusal: (facts, verifyCode) => {
        // A session is kept only of an endpoint that was accepted, and is resumed under the same name and identity.
        if (facts.resumed) slot.hasResumed = true;
        else {
          notAfterMs = facts.certificate && certificateInfo(facts.certificate).notAfterMs;
          const refusal = verify ? judge(facts, verifyCode, name, isIp, policy) : undefined;
          if (refusal) {
            state = 'refused';
            slot.session = undefined;
            return refusal;
          }
        }
        state = 'accepted';
        if (early) keepSession(early);
        return undefined;
      },
    };
  }

  /** The identity is not used any more. */
  stop(): void {
    this.cancelUse();
  }

  /** True where the identity is another one now. */
  private renew(): boolean {
    const { credentials } = this.options;
    const { clientCertificate, verify, ca } = this.policy;
    const own = clientCertificate && credentials.certificate(clientCertificate);
    const trusted = ca.kind !== 'system' ? credentials.authorities(ca) : undefined;
    // Where calls don't verify, probes may all the same; the calls need no authorities for that.
    const missing = [own, verify ? trusted : undefined].find((one) => one !== undefined && one.material === undefined);
    if (missing !== undefined) {
      if (this.context === undefined) this.error = missing.error;
      return false;
    }
    const material = [own?.material, trusted?.material];
    // That the newest can't be used is news too, but changes nothing.
    if (this.context && material.every((one, i) => one === this.material[i])) return false;
    try {
      this.context = createSecureContext({
        ...TLS_PARAMETERS,
        ...(own?.material ? { cert: own.material.certificatePem, key: own.material.key.reveal() } : {}),
        ...(trusted?.material ? { ca: trusted.material.pem } : {}),
      });
      this.material = material;
      this.error = '';
      return true;
    } catch (cause) {
      if (this.context === undefined)
        this.error = `a TLS context can't be made: ${cause instanceof Error ? cause.message : String(cause)}`;
      return false;
    }
  }
}

function judge(
  { certificate }: TlsFacts,
  verifyCode: string | undefined,
  name: string | undefined,
  isIp: boolean,
  policy: UpstreamTlsPolicy,
): TlsRefusal | undefined {
  if (certificate === undefined) {
    return { kind: 'upstream_certificate_untrusted', detail: 'the endpoint showed no certificate' };
  }
  if (verifyCode !== undefined) {
    const { kind, text } = verdictOf(verifyCode);
    const detail = `the endpoint's certificate (${oneLine(certificate.subject)}) is not accepted: ${text}`;
    if (kind === 'expired') return { kind: 'upstream_certificate_expired', detail };
    const trusted = policy.ca.kind === 'system' ? 'those that Node brings: set tls.ca' : 'those of the upstream tls';
    return { kind: 'upstream_certificate_untrusted', detail: `${detail} (trusted are ${trusted})` };
  }
  const names = readSubjectAltNames(certificate.raw);
  if (policy.serverNames.length > 0) {
    if (hasAllowedName(names, policy.serverNames)) return undefined;
    return mismatch(`it has none of tls.server_names; it is for ${list([...names.uris, ...names.dns])}`);
  }
  if (name === undefined) return undefined;
  // Only names count, no common name (RFC 9110 section 4.3.4); OpenSSL compares them.
  const fits = isIp
    ? certificate.checkIP(name) !== undefined
    : certificate.checkHost(name, { subject: 'never', partialWildcards: false }) !== undefined;
  if (fits) return undefined;
  const owned = list([...names.dns, ...names.ips, ...names.uris]);
  return mismatch(`it is for ${owned}, not for ${name}: set tls.server_name, or another pass_host`);
}

function mismatch(detail: string): TlsRefusal {
  return { kind: 'upstream_certificate_name_mismatch', detail };
}

function list(names: readonly string[]): string {
  if (names.length === 0) return 'no name at all';
  return (
    names
      .slice(0, 5)
      .map((name) => JSON.stringify(name))
      .join(', ') + (names.length > 5 ? ', …' : '')
  );
}

/** Node's types have no undefined here, but an empty subject is one. */
function oneLine(subject: string | undefined): string {
  return subject?.replaceAll('\n', ', ') ?? 'it has no subject';
}

/** `host:8080` → `host`, `[::1]:80` → `::1`, in lower case and without a final dot. */
function withoutPort(host: string): string {
  const bracket = host.startsWith('[') ? host.indexOf(']') : -1;
  if (bracket > 0) return host.slice(1, bracket).toLowerCase();
  const colon = host.lastIndexOf(':');
  const plain = colon >= 0 && host.indexOf(':') === colon ? host.slice(0, colon) : host;
  return (plain.endsWith('.') ? plain.slice(0, -1) : plain).toLowerCase();
}

function isServerName(name: string): boolean {
  return name.length <= 253 && /^[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*$/i.test(name);
}
