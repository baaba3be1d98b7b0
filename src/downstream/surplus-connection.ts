// A connection beyond the quota: it is told so in the version that it speaks, and closed.
import { Timer, type TimerOwner, type TimerWheel } from '../base/timer-wheel.ts';
import type { SurplusHandler } from '../net/listen.ts';
import type { Transport } from '../net/transport.ts';
import { writeGoodbye, writePlainReply } from './plain-reply.ts';

/** A caller that says nothing for so long is answered in HTTP/1, ms. */
const FIRST_BYTE_MS = 200;
/** How long it gets to read the answer, ms. */
const LINGER_MS = 200;
/** No method of HTTP/1 starts like the preface of HTTP/2 (RFC 9113 section 3.4). */
const PREFACE_START = Buffer.from('PRI ', 'latin1');

/** Waits for the first bytes of a plaintext connection that isn't served, answers and ends it. */
export class SurplusConnection implements SurplusHandler, TimerOwner {
  private readonly protocols: 'auto' | 'http1' | 'http2';
  private readonly wheel: TimerWheel;
  private readonly onGone: (connection: SurplusConnection) => void;
  private readonly timer = new Timer(this, 0);
  private transport: Transport | undefined = undefined;
  private answered = false;

  constructor(
    protocols: 'auto' | 'http1' | 'http2',
    wheel: TimerWheel,
    onGone: (connection: SurplusConnection) => void,
  ) {
    this.protocols = protocols;
    this.wheel = wheel;
    this.onGone = onGone;
  }

  attach(transport: Transport): void {
    this.transport = transport;
    this.wheel.start(this.timer, FIRST_BYTE_MS);
  }

  onRead(bytes: Buffer, length: number): void {
    const known = Math.min(length, PREFACE_START.length);
    this.answer(this.protocols === 'auto' && bytes.compare(PREFACE_START, 0, known, 0, known) === 0);
  }

  onTimer(): void {
    this.answer(false);
  }

  onEnd(): void {
    this.answer(false);
  }

  onDrain(): void {}

  onClose(): void {
    this.wheel.stop(this.timer);
    this.onGone(this);
  }

  /** Closes at once. */
  destroy(): void {
    this.transport?.destroy();
  }

  private answer(http2: boolean): void {
    const { transport } = this;
    if (!transport || this.answered) return;
    this.answered = true;
    this.wheel.stop(this.timer);
    if (http2 || this.protocols === 'http2') writeGoodbye(transport, 'too_many_connections');
    else writePlainReply(transport, 'too_many_connections');
    transport.endLingering(LINGER_MS);
  }
}
