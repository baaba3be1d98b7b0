// An upstream HTTP/2 channel over a scripted connection, and what became of each call on it, as words.
import type { Progress } from '../../src/base/error.ts';
import { silentLogger } from '../../src/base/log.ts';
import { TimerWheel } from '../../src/base/timer-wheel.ts';
import type { RequestHead, RequestSender } from '../../src/codec/exchange.ts';
import { DEFAULT_LIMITS, type WireLimits } from '../../src/codec/limits.ts';
import type { Channel } from '../../src/upstream/channel.ts';
import { createH2Channel, type H2ChannelContext } from '../../src/upstream/h2-channel.ts';
import { FakeClock } from './fake-clock.ts';
import { H2Peer, PREFACE, settings, SETTINGS_ACK } from './h2-peer.ts';
import { MemoryTransport } from './memory-transport.ts';

/** A call and everything its receiver heard. */
export interface ScriptCall {
  readonly sender: RequestSender;
  /** `head 200`, `data 4 end`, `trailers`, `abort kind`… */
  readonly events: string[];
  body: string;
  progress: Progress | undefined;
}

export interface ScriptChannel {
  readonly clock: FakeClock;
  readonly wheel: TimerWheel;
  readonly transport: MemoryTransport;
  readonly peer: H2Peer;
  readonly channel: Channel;
  /** What the pool was told. */
  readonly owner: string[];
  call(head?: Partial<RequestHead>, endStream?: boolean): ScriptCall;
}

export interface ScriptChannelOptions extends Partial<Pick<H2ChannelContext, 'firstStreamId'>> {
  readonly limits?: Partial<WireLimits> | undefined;
}

/** A channel that has sent its preface; nothing has come yet. */
export function openBareChannel({ limits, ...rest }: ScriptChannelOptions = {}): ScriptChannel {
  const clock = new FakeClock();
  const wheel = new TimerWheel(clock);
  const transport = new MemoryTransport(clock);
  const owner: string[] = [];
  const channel = createH2Channel(
    transport,
    {
      onAvailable: () => owner.push('available'),
      onDraining: () => owner.push('draining'),
      onClosed: () => owner.push('closed'),
    },
    { clock, wheel, logger: silentLogger, maxRequests: 1_000_000, limits: { ...DEFAULT_LIMITS, ...limits }, ...rest },
  );
  const call: ScriptChannel['call'] = (head = {}, endStream = true) => {
    const events: string[] = [];
    const state: { body: string; progress: Progress | undefined } = { body: '', progress: undefined };
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
    const seen = Object.assign(state, { events }) as unknown as ScriptCall;
    const sender = channel.start(whole, endStream, {
      onInformational: ({ status }) => events.push(`informational ${status}`),
      onHead: ({ status }, is) => events.push(`head ${status}${end(is)}`),
      onData(chunk, is) {
        state.body += Buffer.from(chunk).toString('latin1');
        events.push(`data ${chunk.length}${end(is)}`);
      },
      onTrailers: () => events.push('trailers'),
      onAbort(kind, progress) {
        state.progress = progress;
        events.push(`abort ${kind}`);
      },
      onDrain: () => events.push('drain'),
    });
    return Object.assign(seen, { sender });
  };
  return { clock, wheel, transport, peer: new H2Peer(transport), channel, owner, call };
}

/** The same, with the prefaces and acknowledgements exchanged and taken. */
export function openChannel(options: ScriptChannelOptions = {}): ScriptChannel {
  const upstream = openBareChannel(options);
  upstream.peer.take(PREFACE.length);
  upstream.peer.send(settings(), SETTINGS_ACK);
  upstream.peer.take();
  upstream.owner.length = 0;
  return upstream;
}
