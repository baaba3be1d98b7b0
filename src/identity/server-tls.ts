// TLS towards callers for one listener: the contexts in force, made anew when a certificate or an authority changes,
// and who may pass. Connections that are open keep the context that they began with.
//
// Sessions are resumed by tickets under a key of this listener alone. The key is replaced every hour, and at once when the
// authorities or the names of callers change, so that no ticket outlives what it was given for.
import { createSecureContext, type SecureContext } from 'node:tls';
import { isDeepStrictEqual } from 'node:util';
import type { Cancel, Clock } from '../base/clock.ts';
import type { Logger } from '../base/log.ts';
import { secretBytes } from '../base/rng.ts';
import type { CertificateMaterial, ListenerTlsSpec } from '../model/tls.ts';
import type { TlsAcceptor, TlsRefusal } from '../net/tls.ts';
import type { TlsFacts } from '../net/transport.ts';
import type { Credentials } from './credentials.ts';
import { certificateInfo } from './certificate.ts';
import { hasAllowedName } from './names.ts';
import { TLS_PARAMETERS } from './tls-parameters.ts';
import { verdictOf } from './verify-code.ts';

/** Tickets are accepted for so long, seconds. */
const SESSION_TIMEOUT_S = 3600;
const TICKET_KEY_MS = 3_600_000;
const TICKET_KEY_BYTES = 48;

/** What it is made with. */
export interface ServerTlsOptions {
  readonly credentials: Credentials;
  readonly clock: Clock;
  readonly logger: Logger;
  /** For display: `Listener outbound/7000`. */
  readonly usedBy: string;
  /** Protocols offered by ALPN, the preferred first. */
  readonly alpn: readonly string[];
}

/** A certificate with its context, for the choice by server name. */
interface Served {
  readonly context: SecureContext;
  readonly dns: readonly string[];
}

/** The accepting side of one listener. */
export class ServerTls implements TlsAcceptor {
  readonly alpn: readonly string[];
  context: SecureContext | undefined = undefined;
  error = '';
  contextFor: ((serverName: string) => SecureContext) | undefined = undefined;

  private readonly spec: ListenerTlsSpec;
  private readonly options: ServerTlsOptions;
  private readonly cancelUse: Cancel;
  private cancelTicketTimer: Cancel = () => undefined;
  private ticketKeys = secretBytes(TICKET_KEY_BYTES);
  private sessionIdContext = secretBytes(16).toString('hex');
  /** What is served of each certificate; a context is dear to make. */
  private served: ReadonlyMap<CertificateMaterial, Served> = new Map();
  /** Of the authorities that tickets were given under. */
  private authorities = '';

  constructor(spec: ListenerTlsSpec, options: ServerTlsOptions) {
    this.spec = spec;
    this.options = options;
    this.alpn = options.alpn;
    this.cancelUse = options.credentials.use({
      certificates: spec.certificates,
      authorities: spec.clientCa === undefined ? [] : [spec.clientCa],
      usedBy: options.usedBy,
      onChange: () => this.renew(),
    });
    this.renew();
    this.rotateTicketKeys();
  }

  /**
   * An edit names a certificate that isn't here: until it comes, that of the spec before stays in force, as long as the
   * same callers may pass. `error` says so.
   */
  takeOver(before: ServerTls): void {
    if (this.context !== undefined || !isDeepStrictEqual(callersOf(this.spec), callersOf(before.spec))) return;
    this.context = before.context;
    this.contextFor = before.contextFor;
  }

  get requestsCertificate(): boolean {
    return this.spec.clientCertificate !== 'none';
  }

  get requiresCertificate(): boolean {
    return this.spec.clientCertificate === 'required';
  }

  refusal({ certificate }: TlsFacts, verifyCode: string | undefined): TlsRefusal | undefined {
    if (!this.requestsCertificate) return undefined;
    if (certificate === undefined) {
      return this.requiresCertificate ? refused('it shows no certificate, and this listener requires one') : undefined;
    }
    const { subject, notAfterMs, names } = certificateInfo(certificate);
    if (verifyCode !== undefined) {
      return refused(`${verdictOf(verifyCode).text} (${subject === '' ? 'it has no subject' : subject})`);
    }
    // A resumed session was verified when it began, and its certificate may have expired since.
    if (this.options.clock.wallMs() > notAfterMs) return refused('it has expired: renew it');
    if (this.spec.clientNames.length === 0) return undefined;
    if (hasAllowedName(names, this.spec.clientNames)) return undefined;
    const shown = [...names.uris, ...names.dns].slice(0, 5).map((name) => JSON.stringify(name));
    return refused(`none of its names is allowed here (it has ${shown.length === 0 ? 'none' : shown.join(', ')})`);
  }

  /** Nothing is made anew from here on; what is in force stays. */
  stop(): void {
    this.cancelUse();
    this.cancelTicketTimer();
  }

  private rotateTicketKeys(): void {
    this.cancelTicketTimer = this.options.clock.after(TICKET_KEY_MS, () => {
      this.replaceTicketKeys();
      this.renew();
      this.rotateTicketKeys();
    });
  }

  /**
   * Makes the contexts anew that changed. What can't be had leaves the ones in force; of several certificates those that
   * are there are served.
   */
  private renew(): void {
    const { credentials, logger, usedBy } = this.options;
    const { certificates, clientCa } = this.spec;
    const found = certificates.map((source) => credentials.certificate(source));
    const authorities = clientCa && clientCa.kind !== 'system' ? credentials.authorities(clientCa) : undefined;
    const [missing] = found.filter(({ material }) => material === undefined);
    if (authorities && authorities.material === undefined) {
      if (this.context === undefined) this.error = authorities.error;
      return;
    }
    const ca = authorities?.material?.pem;
    if ((ca ?? '') !== this.authorities) {
      this.authorities = ca ?? '';
      this.sessionIdContext = secretBytes(16).toString('hex');
      this.replaceTicketKeys();
      // What was taken over trusts the authorities of before.
      if (missing !== undefined && this.served.size === 0) this.context = undefined;
    }
    try {
      const next = new Map<CertificateMaterial, Served>();
      for (const { material } of found) {
        if (material) next.set(material, this.served.get(material) ?? this.serve(material, ca));
      }
      this.served = next;
      const served = [...next.values()];
      const [first] = served;
      this.error = missing?.error ?? '';
      if (first === undefined) return;
      this.context = first.context;
      this.contextFor = served.length > 1 ? (name) => pick(served, name) ?? first.context : undefined;
    } catch (cause) {
      // The material was checked, so this is about the set of them.
      const error = `a TLS context can't be made: ${cause instanceof Error ? cause.message : String(cause)}`;
      if (this.context === undefined) this.error = error;
      logger.log('error', { for: usedBy }, error);
    }
  }

  /** No ticket given before is taken, and every context is made anew. */
  private replaceTicketKeys(): void {
    this.ticketKeys = secretBytes(TICKET_KEY_BYTES);
    this.served = new Map();
  }

  private serve(material: CertificateMaterial, ca: string | undefined): Served {
    const context = createSecureContext({
      ...TLS_PARAMETERS,
      cert: material.certificatePem,
      key: material.key.reveal(),
      ...(ca === undefined ? {} : { ca }),
      ticketKeys: this.ticketKeys,
      sessionIdContext: this.sessionIdContext,
      sessionTimeout: SESSION_TIMEOUT_S,
    });
    return { context, dns: material.info.names.dns.map((name) => name.toLowerCase()) };
  }
}

/** The first certificate that has the name, exactly or by a wildcard for its first label (RFC 6125 section 6.4.3). */
function pick(served: readonly Served[], serverName: string): SecureContext | undefined {
  const name = serverName.toLowerCase();
  const dot = name.indexOf('.');
  const wildcard = dot > 0 ? `*${name.slice(dot)}` : undefined;
  return (
    served.find(({ dns }) => dns.includes(name)) ??
    (wildcard === undefined ? undefined : served.find(({ dns }) => dns.includes(wildcard)))
  )?.context;
}

function callersOf({ clientCertificate, clientCa, clientNames }: ListenerTlsSpec): unknown[] {
  return [clientCertificate, clientCa, clientNames];
}

function refused(detail: string): TlsRefusal {
  return { kind: 'client_certificate_refused', detail: `the caller's certificate may not pass: ${detail}` };
}
