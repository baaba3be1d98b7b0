// A stream with its session, and what becomes of them.
import type { Clock } from '../base/clock.ts';
import type { AdsSession } from './ads-session.ts';
import type { ControlCredentials } from './channel-security.ts';
import type { AdsStream, AdsStreamEvents, OpenAdsStream, ServerAddress } from './ads-stream.ts';
import { formatServer } from './ads-stream.ts';
import type { AdsRequest } from './subscription.ts';

/** A transport that isn't connected by then has failed, ms. */
const CONNECT_TIMEOUT_MS = 10_000;
/** A server that leaves us without an answer this long is passed over for another one, ms. */
const SILENCE_MS = 20_000;

/** TLS towards the control plane as it is now: with what, why it can't be (what to change), or undefined: plaintext. */
export type CredentialsNow = ControlCredentials | string | undefined;

/** A stream to one server. */
export class Link {
  /** Of the server in the list. */
  readonly index: number;
  readonly server: ServerAddress;
  /** `host:port`. */
  readonly address: string;
  readonly openedMs: number;
  readonly session: AdsSession;
  connected = false;
  /** The stream has ended or was given up. */
  over = false;
  /** When the link has failed unless it gets further before; Infinity: never. */
  deadlineMs: number;
  private readonly clock: Clock;
  private stream: AdsStream | undefined = undefined;
  /** Why there is no stream at all. */
  private failure = '';

  /** `makeSession` is given what brings requests to the stream. */
  constructor(
    { index, server, clock }: { readonly index: number; readonly server: ServerAddress; readonly clock: Clock },
    makeSession: (send: (request: AdsRequest) => void) => AdsSession,
  ) {
    this.index = index;
    this.server = server;
    this.address = formatServer(server);
    this.clock = clock;
    this.openedMs = clock.nowMs;
    this.deadlineMs = clock.nowMs + CONNECT_TIMEOUT_MS;
    this.session = makeSession((request) => this.stream?.send(request));
  }

  /** Opens the stream. Where that can't be, the deadline is now. */
  open(openStream: OpenAdsStream, credentials: CredentialsNow, events: AdsStreamEvents): void {
    if (typeof credentials === 'string') {
      this.fail(credentials);
      return;
    }
    try {
      this.stream = openStream(this.server, events, credentials);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      this.fail(`${reason}: check --control-ca, --control-cert and --control-key`);
    }
  }

  /** The transport is connected; `mustAnswer`: something must come, or another server is better. */
  onConnected(mustAnswer: boolean): void {
    this.connected = true;
    this.deadlineMs = mustAnswer ? this.clock.nowMs + SILENCE_MS : Infinity;
  }

  /** Why the deadline passed. */
  get overdue(): string {
    if (this.failure !== '') return this.failure;
    if (this.connected) return `no answer for ${SILENCE_MS / 1000} s`;
    return `not connected after ${Math.round((this.clock.nowMs - this.openedMs) / 1000)} s`;
  }

  giveUp(): void {
    this.over = true;
    this.stream?.close();
  }

  private fail(reason: string): void {
    this.failure = reason;
    this.deadlineMs = this.clock.nowMs;
  }
}
