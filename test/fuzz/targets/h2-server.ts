// An HTTP/2 connection of a caller: frames in, requests out, answers back. The handler echoes, answers early, is slow or
// gives up, as the path says.
import { MemorySink } from '../../../src/base/byte-sink.ts';
import { silentLogger } from '../../../src/base/log.ts';
import type { Rng } from '../../../src/base/rng.ts';
import { TimerWheel } from '../../../src/base/timer-wheel.ts';
import type { RequestHandler, RequestHead, ResponseSender } from '../../../src/codec/exchange.ts';
import { isWritable, requestFraming, writeRequestHead } from '../../../src/codec/h1/head-writer.ts';
import { RequestParser } from '../../../src/codec/h1/request-parser.ts';
import { DEFAULT_LIMITS, type WireLimits } from '../../../src/codec/limits.ts';
import { normalizePath } from '../../../src/codec/path.ts';
import { createH2Session } from '../../../src/downstream/h2-session.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { checkCaps, checkFields, checkLength, H1Log } from '../../support/fuzz-h1-log.ts';
import { headerBlocks, plainFields, pseudoField } from '../../support/fuzz-h2-blocks.ts';
import { fatalFault } from '../../support/fuzz-h2-faults.ts';
import { checkH2Output } from '../../support/fuzz-h2-output.ts';
import { type Cuts, forEachPiece, randomCuts, WHOLE } from '../../support/fuzz-pieces.ts';
import { broken, type FuzzTarget } from '../../support/fuzz-run.ts';
import { PREFACE, settings, SETTINGS_ACK } from '../../support/h2-peer.ts';
import { MemoryTransport } from '../../support/memory-transport.ts';
import { CLIENT_FRAMES, CLIENT_REPEATS, frameMutate } from './h2-frames.ts';

const SMALL: WireLimits = {
  ...DEFAULT_LIMITS,
  requestHeadBytes: 300,
  headFields: 4,
  requestLineBytes: 20,
  trailerBytes: 60,
  trailerFields: 1,
  concurrentStreams: 2,
  streamWindowBytes: 1000,
  connectionWindowBytes: 65_535,
  connectionHeldBytes: 2000,
  hpackTableBytes: 100,
  continuationFrames: 1,
  resetBurst: 3,
  controlBurst: 4,
  emptyDataFrames: 2,
};
const BIG = Buffer.alloc(100_000, 'big');
const EARLY = Buffer.from('early');

/** How the caller behaves besides what it sends. */
type Peer = 'reads' | 'reads nothing at first' | 'waits';
const NOTHING = Buffer.alloc(0);

/** What became of one request. */
interface Call {
  readonly name: string;
  ended: boolean;
  /** It was answered before it had come; the rest isn't wanted once the answer has left. */
  early: boolean;
  /** Nothing may be called back any more. */
  over: boolean;
}

/** One for all inputs: a wheel costs more than most of them. */
let clock = new FakeClock();
let wheel = new TimerWheel(clock);

/** After a broken rule something may be left in them. */
function renewClock(): void {
  if (wheel.size === 0 && clock.waiting < 10) return;
  clock = new FakeClock();
  wheel = new TimerWheel(clock);
}

/** Serves the bytes and tells everything that was handed over. */
class Server {
  text = '';
  /** An answer had to wait for a window: when it goes on, and what it meets then, is decided once a read. */
  waited = false;
  /** Our side ended the connection, before the test did. */
  ended = false;
  readonly transport = new MemoryTransport(clock);
  private readonly calls: Call[] = [];
  private readonly limits: WireLimits;
  private readonly blocks: Map<number, string[][]>;

  constructor(limits: WireLimits, blocks: Map<number, string[][]>) {
    this.limits = limits;
    this.blocks = blocks;
  }

  /** Everything that is written. */
  run(input: Buffer, cuts: Cuts, peer: Peer): Buffer {
    const { limits, transport } = this;
    transport.blocked = peer === 'reads nothing at first';
    const session = createH2Session(transport, {
      clock,
      wheel,
      logger: silentLogger,
      limits,
      scheme: 'http',
      onRefused: (kind, detail) => this.say(`refused ${kind} ${detail}`),
      handle: this.handle,
    });
    forEachPiece(input, cuts, (bytes, start, end) => {
      // The transport hands on buffers that begin with what was read.
      transport.handler.onRead(bytes.subarray(start, end), end - start);
      if (session.active > limits.concurrentStreams)
        broken('no more streams are open than allowed', String(session.active));
      return true;
    });
    if (peer === 'waits') clock.advance(11_000);
    const early = transport.blocked ? transport.drain() : NOTHING;
    const output = Buffer.concat([early, transport.take()]);
    this.say(`active ${session.active}, closed by ${transport.closedBy}`);
    this.ended = transport.closedBy !== undefined;
    session.destroy();
    clock.advance(0);
    for (const call of this.calls) {
      if (!call.over && !call.ended && !call.early) broken('each request hears its end', call.name);
    }
    if (wheel.size > 0) broken('a session that is gone leaves no timer', String(wheel.size));
    if (transport.take().length > 0) broken('nothing is written behind the end');
    return output;
  }

  private say(line: string): void {
    this.text += `${line}\n`;
  }

  private readonly handle: RequestHandler = (head, endStream, sender) => {
    const name = `${this.calls.length} ${head.method} ${head.path}`;
    const call: Call = { name, ended: endStream, early: false, over: false };
    this.calls.push(call);
    this.say(
      `${name} ${head.authority} ${head.contentLength} ${endStream} ${head.fields.join('|')} ${head.neverIndexed?.join()}`,
    );
    checkSame(head, this.blocks.get((sender as unknown as { id: number }).id)?.[0]);
    checkFields(head.fields);
    checkCaps(head.fields, this.limits.headFields, this.limits.requestHeadBytes);
    if (head.path.length > this.limits.requestLineBytes) broken('no longer path comes through than the limit');
    checkLength(head);
    checkHead(head);
    let left = head.contentLength;
    this.begin(head, endStream, sender, call);
    const hear = (what: string, ends: boolean): void => {
      if (call.over || call.ended) broken('nothing comes behind an end', `${name}: ${what}\n${this.text}`);
      this.say(`${name} ${what}`);
      if (ends) call.ended = true;
    };
    return {
      onData: (chunk, end) => {
        hear(`data ${Buffer.from(chunk).toString('latin1')} ${end}`, end);
        if (left >= 0 && (left -= chunk.length) < 0) broken('a body is as long as content-length says', name);
        if (end && left > 0) broken('a body is as long as content-length says', name);
        if (head.path === '/echo') this.send(sender, chunk, end);
        else if (end) finish(sender);
      },
      onTrailers: (fields) => {
        checkFields(fields);
        checkCaps(fields, this.limits.trailerFields, this.limits.trailerBytes);
        hear(`trailers ${fields.join('|')}`, true);
        if (left > 0) broken('a body is as long as content-length says', name);
        finish(sender);
      },
      onAbort: (kind) => {
        if (call.over) broken('a request is aborted once', name);
        call.over = true;
        this.say(`${name} abort ${kind}`);
      },
      onDrain: () => {
        if (call.over) broken('nothing comes behind an end', `${name}: drain`);
        this.say(`${name} drain`);
      },
    };
  };

  /** What is done before the body comes. */
  private begin(head: RequestHead, endStream: boolean, sender: ResponseSender, call: Call): void {
    const { neverIndexed } = head;
    // Any field that comes in may go out again.
    const answer = { status: 200, fields: ['x-path', head.path, ...head.fields], neverIndexed, contentLength: -1 };
    switch (head.path) {
      case '/abort':
        sender.abort('internal');
        call.over = true;
        return;
      case '/slow':
        sender.pauseRequest();
        return;
      case '/hints':
        sender.sendInformational({ ...answer, status: 103 });
        break;
      case '/early':
        sender.sendHead(answer, false);
        this.send(sender, EARLY, true);
        call.early = true;
        return;
      default:
        break;
    }
    sender.sendHead(answer, false);
    if (head.path === '/big') this.send(sender, BIG, false);
    if (endStream) finish(sender);
  }

  private send(sender: ResponseSender, chunk: Uint8Array, endStream: boolean): void {
    sender.sendData(chunk, endStream);
    if (sender.bufferedBytes > 0) this.waited = true;
  }
}

function finish(sender: ResponseSender): void {
  sender.sendTrailers(['grpc-status', '0']);
}

/** A request is what its own block says. */
function checkSame(head: RequestHead, sent: readonly string[] | undefined): void {
  if (!sent) return; // the other decoder has given up
  const path = normalizePath(pseudoField(sent, ':path') ?? '');
  if (head.method !== pseudoField(sent, ':method') || head.path !== path)
    broken('a request is what was sent', sent.join('|'));
  if (plainFields(head.fields) !== plainFields(sent)) broken('fields are what was sent', sent.join('|'));
}

const sink = new MemorySink();

/** A request that can be written for an HTTP/1 upstream means the same to an HTTP/1 parser. */
function checkHead(head: RequestHead): void {
  if (!isWritable(head) || head.protocol !== '') return;
  // An expectation that we'd answer ourselves on HTTP/1 is left to the upstream on HTTP/2.
  if (head.fields.some((name, i) => i % 2 === 0 && name.toLowerCase() === 'expect')) return;
  writeRequestHead(sink, head, requestFraming(head, head.contentLength <= 0));
  const wire = sink.take();
  if (wire.length > DEFAULT_LIMITS.requestHeadBytes || wire.length > 6000) return;
  const log = new H1Log(false);
  const parser = new RequestParser(DEFAULT_LIMITS, 'http', log);
  parser.execute(wire, 0, wire.length);
  const again = log.heads[0] as RequestHead | undefined;
  if (!again)
    broken(`what is bridged to HTTP/1 is well-formed there: ${parser.fault?.detail}`, wire.toString('latin1'));
  if (again.method !== head.method || again.path !== head.path || again.authority !== head.authority) {
    broken('what is bridged to HTTP/1 means the same there', wire.toString('latin1'));
  }
}

function check(input: Buffer, rng: Rng): void {
  renewClock();
  const limits = rng.below(4) === 0 ? SMALL : DEFAULT_LIMITS;
  const hasPreface = input.length >= PREFACE.length && input.subarray(0, PREFACE.length).equals(PREFACE);
  const frames = hasPreface ? input.subarray(PREFACE.length) : input;
  const blocks = headerBlocks(frames);
  const whole = new Server(limits, blocks);
  const peer: Peer = rng.below(10) === 0 ? 'reads nothing at first' : rng.below(100) === 0 ? 'waits' : 'reads';
  const output = whole.run(input, WHOLE, peer);
  checkH2Output(output, frames);
  const fault = hasPreface ? fatalFault(frames) : 'no preface';
  if (fault !== undefined && !whole.ended) broken('faults of framing end the connection', fault);
  const cut = new Server(limits, blocks);
  const cuts = randomCuts(rng, input.length);
  const cutOutput = cut.run(input, cuts, peer);
  checkH2Output(cutOutput, frames);
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

const START = Buffer.concat([PREFACE, settings(), SETTINGS_ACK]);
const mutateFrames = frameMutate(CLIENT_FRAMES, 30_000);

const SEEDS = [
  ...CLIENT_FRAMES.map((one) => [one]),
  ...CLIENT_FRAMES.map((one, i) => [CLIENT_FRAMES[2] ?? one, CLIENT_FRAMES[i % 30] ?? one, one]),
  CLIENT_FRAMES.slice(0, 14),
].map((frames) => Buffer.concat(frames)); // prettier-ignore

export const H2_SERVER: FuzzTarget = {
  name: 'h2-server',
  seeds: [...SEEDS, CLIENT_REPEATS],
  // Frames are changed; the beginning of a connection nearly always stays, or nothing else would be reached.
  mutate(rng, corpus) {
    const frames = mutateFrames(rng, corpus);
    if (rng.below(50) === 0) return mutateFrames(rng, [Buffer.concat([PREFACE, frames])]);
    return frames;
  },
  check(input, rng) {
    check(input.subarray(0, PREFACE.length).equals(PREFACE) ? input : Buffer.concat([START, input]), rng);
  },
};
