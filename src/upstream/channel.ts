// The contract of an upstream connection, the same for HTTP/1 (one stream at a time) and HTTP/2 (many).
import type { RequestHead, RequestSender, ResponseReceiver } from '../codec/exchange.ts';
import type { Transport } from '../net/transport.ts';

/** An open upstream connection. */
export interface Channel {
  /** Streams that may be started now. 0: busy, draining (GOAWAY, `Connection: close`, request limit) or closed. */
  readonly capacity: number;
  /** Streams in flight. */
  readonly active: number;
  /**
   * Streams that the peer stands at once; -1 until it has said so, and before that few may be started. Left out where
   * the version decides.
   */
  readonly streamLimit?: number;
  /** Takes no more streams and will close by itself once `active` is 0. */
  readonly draining: boolean;
  /** Requests it has carried. */
  readonly served: number;
  /** Monotonic ms since which it has had no stream. */
  readonly idleSinceMs: number;
  /**
   * Sends a request head. Needs capacity. `head.fields` are final: the channel adds only what its version's framing
   * needs. Failures come later, through `receiver.onAbort`.
   */
  start(head: RequestHead, endStream: boolean, receiver: ResponseReceiver): RequestSender;
  /** Lets streams in flight finish, then closes. */
  drain(): void;
  /** Closes at once; streams in flight end with onAbort. */
  destroy(): void;
}

/** The pool's side. */
export interface ChannelOwner {
  /** Capacity grew (a stream ended, or the peer raised its limit), or became known. */
  onAvailable(channel: Channel): void;
  /** It takes no new streams any more. Called once at most, before onClosed. */
  onDraining(channel: Channel): void;
  /**
   * It is gone; its streams have been told. Called once. `alert`: the peer didn't accept our certificate, in the words of
   * net/handshake-problem.ts, and has taken no stream.
   */
  onClosed(channel: Channel, alert?: string): void;
  /** The peer went away because of our PINGs (gRFC A8): new connections should wait twice as long between two. */
  onTooManyPings?(): void;
}

/** Makes a channel over an open connection. `pingPatience`: how many times as seldom as usual the peer is asked by PING. */
export type ChannelFactory = (transport: Transport, owner: ChannelOwner, pingPatience?: number) => Channel;
