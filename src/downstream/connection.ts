// An accepted connection: its first bytes decide the HTTP version (RFC 9113 section 3.4), then everything goes to the
// session of that version.
import { Timer, type TimerOwner } from '../base/timer-wheel.ts';
import { ERROR_TABLE } from '../model/error-table.ts';
import type { AcceptHandler } from '../net/listen.ts';
import { HANDSHAKE_RECORD, type TlsRefusal } from '../net/tls.ts';
import type { TlsFacts, Transport } from '../net/transport.ts';
import { judgeFirstLine } from './first-line.ts';
import { createH1Session } from './h1-session.ts';
import { createH2Session } from './h2-session.ts';
import { writePlainReply } from './plain-reply.ts';
import { DRAIN_IDLE_MS, type Session, type SessionContext } from './session.ts';

/** The client connection preface of HTTP/2. */
const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1');

/** Hears what becomes of a connection. */
export interface ConnectionOwner {
  /** The version is known; `connection.session` is there. */
  onSession(connection: SniffingConnection): void;
  onClosed(connection: SniffingConnection): void;
  /** The TLS handshake is done. */
  onSecured(tls: TlsFacts): void;
  /** There was no connection: a handshake that failed, or a caller that may not pass. */
  onHandshakeRefused(refusal: TlsRefusal, remoteAddress: string): void;
}

/** An accepted connection. */
export class SniffingConnection implements AcceptHandler, TimerOwner {
  /** Undefined until the version is known. */
  session: Session | undefined = undefined;
  /** Of the session. */
  isHttp2 = false;
  /** Where its owner keeps it. */
  place: number;
  /** It was told why it isn't served, or its handshake failed. */
  isRefused = false;

  private readonly protocols: 'auto' | 'http1' | 'http2';
  private readonly context: SessionContext;
  private readonly owner: ConnectionOwner;
  private transport: Transport | undefined = undefined;
  private abortHandshake: (() => void) | undefined = undefined;
  private early: Buffer | undefined = undefined;
  private readonly timer: Timer;

  constructor(protocols: 'auto' | 'http1' | 'http2', context: SessionContext, owner: ConnectionOwner, place = 0) {
    this.protocols = protocols;
    this.context = context;
    this.owner = owner;
    this.place = place;
    this.timer = new Timer(this, 0);
  }

  onHandshake(abort: () => void): void {
    this.abortHandshake = abort;
  }

  attach(transport: Transport): void {
    this.transport = transport;
    const { tls } = transport;
    if (tls) this.owner.onSecured(tls);
    // What ALPN settled stands; without it the first bytes decide. Without TLS they may also be those of a handshake.
    if (tls && this.protocols !== 'auto') this.begin(this.protocols === 'http2', transport);
    else if (tls && tls.alpn !== '') this.begin(tls.alpn === 'h2', transport);
    else if (this.timer.running) return; // draining since the handshake
    else this.context.wheel.start(this.timer, this.context.limits.firstRequestMs);
  }

  /** Plaintext on a port that speaks TLS: an HTTP/1 caller can read why it isn't served. */
  attachPlaintext(transport: Transport): void {
    this.transport = transport;
    this.refuse(transport, 'plaintext_to_tls');
  }

  onHandshakeRefused(refusal: TlsRefusal, remoteAddress: string): void {
    this.isRefused = true;
    this.owner.onHandshakeRefused(refusal, remoteAddress);
  }

  onRead(bytes: Buffer, length: number): void {
    if (this.session) this.session.onRead(bytes, length);
    else this.sniff(bytes, length);
  }

  private sniff(bytes: Buffer, length: number): void {
    const transport = this.transport!;
    const early = this.early;
    if (!early && bytes[0] === HANDSHAKE_RECORD) return this.refuse(transport, 'tls_to_plaintext');
    if (this.protocols !== 'auto') return this.begin(this.protocols === 'http2', transport).onRead(bytes, length);
    const all = early ? Buffer.concat([early, bytes.subarray(0, length)]) : bytes;
    const count = early ? all.length : length;
    const known = Math.min(count, PREFACE.length);
    const isPreface = all.compare(PREFACE, 0, known, 0, known) === 0;
    const isWhole = isPreface && known === PREFACE.length;
    const line = isPreface ? 'unknown' : judgeFirstLine(all, count);
    if (!isWhole && line === 'unknown') {
      this.early = Buffer.from(all.subarray(0, count)); // still both
      return;
    }
    this.early = undefined;
    this.begin(isPreface || line === 'other', transport).onRead(all, count);
  }

  /** Says why in HTTP/1. A caller that speaks TLS reads none, but its library prints what came ("wrong version"). */
  private refuse(transport: Transport, kind: 'plaintext_to_tls' | 'tls_to_plaintext' | 'request_timeout'): void {
    this.isRefused = true;
    this.context.onRefused(kind, ERROR_TABLE[kind].text, transport.remoteAddress);
    writePlainReply(transport, kind);
    transport.endLingering();
  }

  onEnd(): void {
    const { early, transport } = this;
    if (early && transport && !isPrefaceStart(early)) this.begin(false, transport).onRead(early, early.length);
    if (this.session) this.session.onEnd();
    else transport?.destroy();
  }

  onDrain(): void {
    this.session?.onDrain();
  }

  onClose(error: string | undefined): void {
    this.context.wheel.stop(this.timer);
    this.session?.onClose(error);
    this.owner.onClosed(this);
  }

  onTimer(): void {
    if (this.early && this.transport && !isPrefaceStart(this.early)) this.refuse(this.transport, 'request_timeout');
    else this.destroy();
  }

  /** Drains the session. One that hasn't spoken gets a moment: its first request may be on its way. */
  drain(): void {
    if (this.session) this.session.drain();
    else if (this.isRefused) return;
    else this.context.wheel.start(this.timer, DRAIN_IDLE_MS);
  }

  destroy(): void {
    if (this.session) this.session.destroy();
    else if (this.transport) this.transport.destroy();
    else this.abortHandshake?.();
  }

  private begin(http2: boolean, transport: Transport): Session {
    this.context.wheel.stop(this.timer);
    const session = http2 ? createH2Session(transport, this.context) : createH1Session(transport, this.context);
    this.session = session;
    this.isHttp2 = http2;
    transport.handler = this; // to hear of the end; everything is handed on
    this.owner.onSession(this);
    return session;
  }
}

function isPrefaceStart(bytes: Buffer): boolean {
  return PREFACE.compare(bytes, 0, bytes.length, 0, bytes.length) === 0;
}
