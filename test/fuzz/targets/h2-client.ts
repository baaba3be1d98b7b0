// An HTTP/2 connection to an upstream: requests are started as it allows, and the bytes are its answers.
import { silentLogger } from '../../../src/base/log.ts';
import type { Rng } from '../../../src/base/rng.ts';
import { TimerWheel } from '../../../src/base/timer-wheel.ts';
import type { RequestHead, RequestSender } from '../../../src/codec/exchange.ts';
import { DEFAULT_LIMITS, type WireLimits } from '../../../src/codec/limits.ts';
import type { Channel, ChannelOwner } from '../../../src/upstream/channel.ts';
import { createH2Channel } from '../../../src/upstream/h2-channel.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { checkCaps, checkFields, checkLength } from '../../support/fuzz-h1-log.ts';
import { headerBlocks, plainFields, pseudoField } from '../../support/fuzz-h2-blocks.ts';
import { fatalFault } from '../../support/fuzz-h2-faults.ts';
import { checkH2Output } from '../../support/fuzz-h2-output.ts';
import { type Cuts, forEachPiece, randomCuts, WHOLE } from '../../support/fuzz-pieces.ts';
import { broken, type FuzzTarget } from '../../support/fuzz-run.ts';
import { PREFACE, settings, SETTINGS_ACK } from '../../support/h2-peer.ts';
import { MemoryTransport } from '../../support/memory-transport.ts';
import { frameMutate, SERVER_FRAMES, SERVER_REPEATS } from './h2-frames.ts';

const SMALL: WireLimits = {
  ...DEFAULT_LIMITS,
  responseHeadBytes: 300,
  headFields: 3,
  trailerBytes: 60,
  trailerFields: 1,
  informationalHeads: 1,
  concurrentStreams: 2,
  streamWindowBytes: 1000,
  connectionWindowBytes: 65_535,
  hpackTableBytes: 100,
  continuationFrames: 1,
  controlBurst: 4,
  emptyDataFrames: 2,
};
const MAX_CALLS = 4;

/** One for all inputs: a wheel costs more than most of them. */
let clock = new FakeClock();
let wheel = new TimerWheel(clock);

/** After a broken rule something may be left in them. */
function renewClock(): void {
  if (wheel.size === 0 && clock.waiting < 10) return;
  clock = new FakeClock();
  wheel = new TimerWheel(clock);
}

/** What became of one request. */
interface Call {
  readonly name: string;
  head: boolean;
  over: boolean;
}

/** More than a window at first. */
const LARGE_BODY = Buffer.alloc(70_000, 'body');
const SMALL_BODY = LARGE_BODY.subarray(0, 3);
const METHODS = ['POST', 'GET', 'HEAD', 'POST'];

/** Calls over the channel whenever it has room. */
class Client {
  text = '';
  /** A body had to wait for a window: when it goes on, and what it meets then, is decided once a read. */
  waited = false;
  /** Our side ended the connection, before the test did. */
  ended = false;
  readonly transport = new MemoryTransport(clock);
  private readonly calls: Call[] = [];
  private channel: Channel | undefined = undefined;
  private closed = 0;
  /** What each POST sends. */
  private readonly body: Buffer;
  private readonly limits: WireLimits;
  private readonly blocks: Map<number, string[][]>;

  constructor(body: Buffer, limits: WireLimits, blocks: Map<number, string[][]>) {
    this.body = body;
    this.blocks = blocks;
    this.limits = limits;
  }

  run(input: Buffer, cuts: Cuts): Buffer {
    const { limits, transport } = this;
    const owner: ChannelOwner = {
      onAvailable: () => {
        if (this.closed > 0) broken('a channel that is closed is not available');
        this.say('available');
        this.callWhileItTakes();
      },
      onDraining: () => this.say('draining'),
      onClosed: () => {
        if (++this.closed > 1) broken('a channel is closed once');
        this.say('closed');
      },
    };
    const channel = createH2Channel(transport, owner, { clock, wheel, logger: silentLogger, limits, maxRequests: 100 });
    this.channel = channel;
    this.callWhileItTakes();
    forEachPiece(input, cuts, (bytes, start, end) => {
      transport.handler.onRead(bytes.subarray(start, end), end - start);
      if (channel.active > Math.max(1, limits.concurrentStreams)) broken('no more streams are open than allowed');
      return true;
    });
    const output = transport.take();
    this.say(`active ${channel.active}, closed by ${transport.closedBy}`);
    this.ended = transport.closedBy !== undefined;
    channel.destroy();
    clock.advance(0);
    for (const call of this.calls) if (!call.over) broken('each call hears its end', `${call.name}\n${this.text}`);
    if (this.closed !== 1) broken('a channel is closed once');
    if (wheel.size > 0) broken('a channel that is gone leaves no timer', String(wheel.size));
    return output;
  }

  private say(line: string): void {
    this.text += `${line}\n`;
  }

  private callWhileItTakes(): void {
    while (this.calls.length < MAX_CALLS && this.channel && this.channel.capacity > 0) this.call(this.channel);
  }

  private call(channel: Channel): void {
    const number = this.calls.length;
    const method = METHODS[number] ?? 'GET';
    const head: RequestHead = {
      method, scheme: 'http', authority: 'a', path: `/${number}`, protocol: '', version: 11, fields: ['x', 'y'], neverIndexed: undefined, contentLength: -1,
    }; // prettier-ignore
    const call: Call = { name: `${number} ${method}`, head: false, over: false };
    this.calls.push(call);
    this.say(`start ${call.name}`);
    const sender = this.start(channel, head, call);
    if (method !== 'POST') return;
    sender.sendData(this.body, number === 3);
    if (sender.bufferedBytes > 0) this.waited = true;
  }

  private start(channel: Channel, head: RequestHead, call: Call): RequestSender {
    const { name } = call;
    let left = -1;
    let block = 0;
    /** What is heard is what the next block of the stream says. */
    const checkSame = (status: number | undefined, fields: readonly string[]): void => {
      const sent = this.blocks.get((sender as unknown as { id: number }).id)?.[block++];
      if (!sent) return; // the other decoder has given up
      const told = pseudoField(sent, ':status');
      if (told !== (status === undefined ? undefined : String(status)))
        broken('an answer is what was sent', sent.join('|'));
      if (plainFields(fields) !== plainFields(sent)) broken('fields are what was sent', sent.join('|'));
    };
    const hear = (what: string, needsHead: boolean, ends: boolean): void => {
      if (call.over) broken('nothing comes behind an end', `${name}: ${what}\n${this.text}`);
      if (call.head !== needsHead) broken('heads come first, and once', `${name}: ${what}\n${this.text}`);
      this.say(`${name} ${what}`);
      if (ends) call.over = true;
    };
    const endBody = (): void => {
      if (left > 0) broken('a body is as long as content-length says', name);
    };
    const sender = channel.start(head, head.method !== 'POST', {
      onInformational: (answer) => {
        checkSame(answer.status, answer.fields);
        if (answer.status < 100 || answer.status > 199 || answer.status === 101)
          broken('informational heads are 100 to 199');
        hear(`informational ${answer.status} ${answer.fields.join('|')}`, false, false);
      },
      onHead: (answer, end) => {
        checkSame(answer.status, answer.fields);
        checkFields(answer.fields);
        checkCaps(answer.fields, this.limits.headFields, this.limits.responseHeadBytes);
        checkLength(answer);
        if (answer.status < 200 || answer.status > 999) broken('heads are 200 to 999', String(answer.status));
        hear(`${answer.status} ${answer.contentLength} ${end} ${answer.fields.join('|')}`, false, end);
        call.head = true;
        const hasBody = head.method !== 'HEAD' && answer.status !== 204 && answer.status !== 304;
        if (hasBody) left = answer.contentLength;
        if (end) endBody();
      },
      onData: (chunk, end) => {
        hear(`data ${Buffer.from(chunk).toString('latin1')} ${end}`, true, end);
        if (left >= 0 && (left -= chunk.length) < 0) broken('a body is as long as content-length says', name);
        if (end) endBody();
        if (head.path === '/1' && !end) sender.pauseResponse();
      },
      onTrailers: (fields) => {
        checkSame(undefined, fields);
        checkFields(fields);
        checkCaps(fields, this.limits.headFields, this.limits.responseHeadBytes);
        hear(`trailers ${fields.join('|')}`, true, true);
        endBody();
      },
      onAbort: (kind, progress, detail, resetCode) => {
        if (call.over) broken('a call is aborted once, and not behind its end', `${name}: ${detail}\n${this.text}`);
        call.over = true;
        this.say(
          `${name} abort ${kind} ${progress.sent} ${progress.refusedByPeer} ${progress.answered} ${detail} ${resetCode}`,
        );
      },
      onDrain: () => this.say(`${name} drain`),
    });
    return sender;
  }
}

function check(input: Buffer, rng: Rng): void {
  renewClock();
  const limits = rng.below(4) === 0 ? SMALL : DEFAULT_LIMITS;
  const body = rng.below(8) === 0 ? LARGE_BODY : SMALL_BODY;
  const blocks = headerBlocks(input);
  const whole = new Client(body, limits, blocks);
  const output = whole.run(input, WHOLE);
  checkH2Output(output.subarray(PREFACE.length), input);
  const fault = fatalFault(input);
  if (fault !== undefined && !whole.ended) broken('faults of framing end the connection', fault);
  const cut = new Client(body, limits, blocks);
  const cuts = randomCuts(rng, input.length);
  const cutOutput = cut.run(input, cuts);
  checkH2Output(cutOutput.subarray(PREFACE.length), input);
  if (whole.waited || cut.waited) return;
  if (cut.text !== whole.text)
    broken('any split gives the same', `${whole.text}\n--- cut at ${String(cuts)}\n${cut.text}`);
  if (!cutOutput.equals(output)) {
    broken(
      'any split gives the same answer',
      `${output.toString('hex')}\n--- cut at ${String(cuts)}\n${cutOutput.toString('hex')}`,
    );
  }
}

const START = Buffer.concat([settings(), SETTINGS_ACK]);
const mutateFrames = frameMutate(SERVER_FRAMES, 30_000);
const SEEDS = [
  ...SERVER_FRAMES.map((one) => [one]),
  ...SERVER_FRAMES.map((one, i) => [SERVER_FRAMES[(i * 7) % 40] ?? one, one]),
].map((frames) => Buffer.concat(frames)); // prettier-ignore

export const H2_CLIENT: FuzzTarget = {
  name: 'h2-client',
  seeds: [...SEEDS, SERVER_REPEATS],
  mutate: mutateFrames,
  check(input, rng) {
    check(rng.below(30) === 0 ? input : Buffer.concat([START, input]), rng);
  },
};
