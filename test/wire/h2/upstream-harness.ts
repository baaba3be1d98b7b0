import type { Progress } from '../../../src/base/error.ts';
import { silentLogger } from '../../../src/base/log.ts';
import { TimerWheel } from '../../../src/base/timer-wheel.ts';
import type { RequestHead, RequestSender } from '../../../src/codec/exchange.ts';
import { DEFAULT_LIMITS, type WireLimits } from '../../../src/codec/limits.ts';
import type { TlsFacts } from '../../../src/net/transport.ts';
import type { Channel } from '../../../src/upstream/channel.ts';
import { createH2Channel } from '../../../src/upstream/h2-channel.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { H2Peer, PREFACE, settings, SETTINGS_ACK } from '../../support/h2-peer.ts';
import { MemoryTransport } from '../../support/memory-transport.ts';

/** A call on the channel, and everything its receiver heard. */
export interface Call {
  readonly sender: RequestSender;
  readonly events: string[];
  progress: Progress | undefined;
  resetCode: number;
  detail: string;
}

export interface Upstream {
  readonly clock: FakeClock;
  readonly wheel: TimerWheel;
  readonly transport: MemoryTransport;
  readonly peer: H2Peer;
  readonly channel: Channel;
  readonly owner: string[];
  call(head?: Partial<RequestHead>, endStream?: boolean, onEvent?: (call: Call) => void): Call;
}

export interface Options {
  readonly limits?: Partial<WireLimits>;
  readonly maxRequests?: number;
  readonly firstStreamId?: number;
  readonly pingAgainMs?: number;
  /** The connection came by TLS. */
  readonly tls?: TlsFacts;
}

/** A channel over a memory transport; its preface is written. */
export function openBare(options: Options = {}): Upstream {
  const clock = new FakeClock();
  const wheel = new TimerWheel(clock);
  const transport = new MemoryTransport(clock);
  const owner: string[] = [];
  const { limits, tls, ...rest } = options;
  if (tls) Object.defineProperty(transport, 'tls', { value: tls });
  const channel = createH2Channel(
    transport,
    {
      onAvailable: () => owner.push('available'),
      onDraining: () => owner.push('draining'),
      onClosed: () => owner.push('closed'),
      onTooManyPings: () => owner.push('too many pings'),
    },
    { clock, wheel, logger: silentLogger, maxRequests: 1000, ...rest, limits: { ...DEFAULT_LIMITS, ...limits } },
  );
  const call: Upstream['call'] = (head = {}, endStream = true, onEvent) => {
    const events: string[] = [];
    const hear = (event: string): void => {
      events.push(event);
      onEvent?.(seen);
    };
    const end = (is: boolean): string => (is ? ' end' : '');
    const whole: RequestHead = {
      method: 'GET',
      scheme: 'http',
      authority: 'svc:80',
      path: '/',
      protocol: '',
      version: 11,
      fields: [],
      neverIndexed: undefined,
      contentLength: -1,
      ...head,
    };
    let seen: Call = { sender: undefined as never, events, progress: undefined, resetCode: -2, detail: '' };
    const sender = channel.start(whole, endStream, {
      onInformational: ({ status, fields }) => hear(`informational ${status} ${fields.join(' ')}`.trim()),
      onHead: ({ status, fields }, is) => hear(`head ${[status, ...fields].join(' ')}${end(is)}`),
      onData: (chunk, is) => hear(`data ${Buffer.from(chunk).toString()}${end(is)}`),
      onTrailers: (fields) => hear(`trailers ${fields.join(' ')}`),
      onAbort(kind, progress, detail, resetCode) {
        Object.assign(seen, { progress, detail, resetCode });
        hear(`abort ${kind}`);
      },
      onDrain: () => hear('drain'),
    });
    seen = Object.assign(seen, { sender });
    return seen;
  };
  return { clock, wheel, transport, peer: new H2Peer(transport), channel, owner, call };
}

/** The same, with the prefaces and acknowledgements exchanged and taken. */
export function open(options: Options = {}): Upstream {
  const upstream = openBare(options);
  upstream.peer.take(PREFACE.length);
  upstream.peer.send(settings(), SETTINGS_ACK);
  upstream.peer.take();
  upstream.owner.length = 0;
  return upstream;
}

export const OK = [':status', '200'];
