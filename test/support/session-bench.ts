// A downstream session by itself, over a transport that a test feeds and blocks as it likes.
import { silentLogger } from '../../src/base/log.ts';
import { TimerWheel } from '../../src/base/timer-wheel.ts';
import type { RequestHead, ResponseHead, ResponseSender } from '../../src/codec/exchange.ts';
import { errorCodeName } from '../../src/codec/h2/error-code.ts';
import { DEFAULT_LIMITS, type WireLimits } from '../../src/codec/limits.ts';
import { createH1Session } from '../../src/downstream/h1-session.ts';
import { createH2Session } from '../../src/downstream/h2-session.ts';
import { FakeClock } from './fake-clock.ts';
import { H2Peer, type SeenFrame } from './h2-peer.ts';
import { MemoryTransport } from './memory-transport.ts';

/** A request that the session handed over. */
export interface HeldRequest {
  readonly head: RequestHead;
  readonly sender: ResponseSender;
}

export interface SessionBench {
  readonly clock: FakeClock;
  readonly transport: MemoryTransport;
  readonly peer: H2Peer;
  readonly requests: HeldRequest[];
  /** The kinds counted so far, in parentheses; empty without any. */
  counted(): string;
  /** Over HTTP/1: status of what was written since the last call, and whether the connection ends; empty: nothing. */
  told(): string;
  /** Over HTTP/2: every frame written so far. */
  frames(): readonly SeenFrame[];
  /** Over HTTP/2: what ended the connection or stream `id`; `open` while both go on. */
  state(id: number): string;
}

/** Opens one; requests wait for the test to answer them. */
export function sessionBench(
  version: 'http1' | 'http2',
  limits: Partial<WireLimits> = {},
  onRequest: (request: HeldRequest) => void = () => undefined,
): SessionBench {
  const clock = new FakeClock();
  const transport = new MemoryTransport(clock);
  const requests: HeldRequest[] = [];
  const kinds = new Set<string>();
  const seen: SeenFrame[] = [];
  const create = version === 'http1' ? createH1Session : createH2Session;
  create(transport, {
    clock,
    wheel: new TimerWheel(clock),
    logger: silentLogger,
    limits: { ...DEFAULT_LIMITS, ...limits },
    scheme: 'http',
    onRefused: (kind) => kinds.add(kind),
    handle(head, _endStream, sender) {
      const request = { head, sender };
      requests.push(request);
      onRequest(request);
      return {
        onData: () => undefined,
        onTrailers: () => undefined,
        onAbort: (kind) => {
          if (kind !== 'downstream_reset') kinds.add(kind);
        },
        onDrain: () => undefined,
      };
    },
  });
  const peer = new H2Peer(transport);
  const counted = (): string => (kinds.size === 0 ? '' : ` (${[...kinds].join(', ')})`);
  const frames = (): readonly SeenFrame[] => {
    seen.push(...peer.take());
    return seen;
  };
  return {
    clock,
    transport,
    peer,
    requests,
    counted,
    told() {
      const status = /^HTTP\/1\.1 (\d{3}) /.exec(transport.take().toString('latin1'))?.[1];
      const words = [status, transport.closedBy === undefined ? undefined : 'closed'].filter(
        (word) => word !== undefined,
      );
      return words.length === 0 ? '' : `${words.join(', ')}${counted()}`;
    },
    frames,
    state(id) {
      for (const frame of frames()) {
        if (frame.type === 'GOAWAY') return `GOAWAY ${errorCodeName(frame.payload.readUInt32BE(4))}${counted()}`;
        if (frame.type === 'RST_STREAM' && frame.id === id) {
          return `RST_STREAM ${errorCodeName(frame.payload.readUInt32BE(0))}${counted()}`;
        }
      }
      return `open${counted()}`;
    },
  };
}

/** An answer's head. */
export function answerHead(fields: string[] = [], status = 200): ResponseHead {
  return { status, fields, neverIndexed: undefined, contentLength: -1 };
}
