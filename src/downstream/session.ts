// The contract of a downstream connection, the same for HTTP/1 and HTTP/2.
import type { Clock } from '../base/clock.ts';
import type { ErrorKind } from '../base/error.ts';
import type { Logger } from '../base/log.ts';
import type { TimerWheel } from '../base/timer-wheel.ts';
import type { RequestHandler } from '../codec/exchange.ts';
import type { WireLimits } from '../codec/limits.ts';
import type { Transport, TransportHandler } from '../net/transport.ts';

/**
 * A drained HTTP/1 connection is closed once it has been idle for so long, ms: on one that was used just now the next
 * request may be on its way, and gets its answer with `Connection: close` rather than a reset.
 */
export const DRAIN_IDLE_MS = 500;

/** What a session needs from outside. */
export interface SessionContext {
  readonly clock: Clock;
  readonly wheel: TimerWheel;
  readonly logger: Logger;
  readonly limits: WireLimits;
  /** `https` where the connection came over TLS. */
  readonly scheme: 'http' | 'https';
  /** Called for each request. */
  readonly handle: RequestHandler;
  /** A request, or a whole connection, that the session refused before `handle` could see it: counted and logged. */
  readonly onRefused: (kind: ErrorKind, detail: string, remoteAddress: string) => void;
}

/** A downstream connection that speaks HTTP. It sets itself as the transport's handler. */
export interface Session extends TransportHandler {
  /** Requests in flight. */
  readonly active: number;
  /**
   * Takes no new work: HTTP/1 answers what is in flight with `Connection: close` and closes once idle for DRAIN_IDLE_MS;
   * HTTP/2 sends GOAWAY twice (2^31-1, then the last stream id after a grace of a round trip or 1 s). Closes itself
   * when `active` is 0.
   */
  drain(): void;
  /** Closes at once. Requests in flight hear onAbort('downstream_reset'). */
  destroy(): void;
}

/**
 * When a connection that begins now has reached its age, monotonic ms: `connectionAgeMs` give or take a tenth, spread by
 * the peer's port, so that connections that came together don't leave together.
 */
export function retireAtMs(context: SessionContext, transport: Transport): number {
  const spread = 0.9 + 0.2 * ((transport.remotePort % 97) / 96);
  return context.clock.nowMs + context.limits.connectionAgeMs * spread;
}
