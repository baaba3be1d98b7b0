// The same bytes on their way in several ways, and a plain caller that sends them and reads answers.
import { connect } from 'node:net';
import { seededRng } from '../../src/base/rng.ts';

/** A way to cut bytes into writes. */
export interface Delivery {
  readonly name: string;
  cut(text: string): string[];
}

function cutAt(text: string, offsets: readonly number[]): string[] {
  const parts: string[] = [];
  let from = 0;
  for (const offset of [...offsets, text.length]) {
    if (offset > from) parts.push(text.slice(from, offset));
    from = Math.max(from, offset);
  }
  return parts;
}

/** Bytes at either end of long inputs that are sent one by one; what is between them goes in pieces. */
const SINGLE_BYTES = 160;
const PIECE_BYTES = 997;

function everyByte(text: string): string[] {
  const offsets: number[] = [];
  for (let i = 1; i < text.length; i += i >= SINGLE_BYTES && i < text.length - SINGLE_BYTES ? PIECE_BYTES : 1)
    offsets.push(i);
  return cutAt(text, offsets);
}

function everyLineEnd(text: string): string[] {
  const offsets: number[] = [];
  for (let at = text.indexOf('\r\n'); at >= 0 && offsets.length < 80; at = text.indexOf('\r\n', at + 2)) {
    offsets.push(at + 1, at + 2); // between CR and LF, and behind
  }
  return cutAt(text, offsets);
}

/** Whole, one byte per write, cut inside and after each CRLF, and at six places chosen by `seed`. */
export function deliveries(seed: number): readonly Delivery[] {
  return [
    { name: 'whole', cut: (text) => [text] },
    { name: 'one byte per write', cut: everyByte },
    { name: 'cut at each CRLF', cut: everyLineEnd },
    {
      name: `cut at random, seed ${seed}`,
      cut: (text) => {
        const rng = seededRng(seed + text.length);
        return cutAt(
          text,
          Array.from({ length: 6 }, () => rng.below(text.length)).sort((a, b) => a - b),
        );
      },
    },
  ];
}

/** What came back to a caller. */
export interface CallerView {
  /** All answers, latin1. */
  readonly text: string;
  /** Status lines of answers and informational answers. */
  readonly statuses: readonly number[];
  /** Bodies of the final answers. */
  readonly bodies: readonly string[];
  /** The other side ended the connection before this one did. */
  readonly closedByPeer: boolean;
  /** The last answer stopped before its end. */
  readonly truncated: boolean;
  /** The connection broke, as Node names it. */
  readonly error: string | undefined;
}

interface Answers {
  statuses: number[];
  bodies: string[];
  finals: number;
  truncated: boolean;
}

/** Reads answers, each framed by a length, by chunks or by the end; `heads`: none has a body. */
function readAnswers(text: string, ended: boolean, heads: boolean): Answers {
  const answers: Answers = { statuses: [], bodies: [], finals: 0, truncated: false };
  let at = 0;
  while (at < text.length) {
    const headEnd = text.indexOf('\r\n\r\n', at);
    if (headEnd < 0) {
      answers.truncated = true;
      return answers;
    }
    const head = text.slice(at, headEnd + 2);
    const status = Number(/^HTTP\/1\.[01] (\d{3}) /.exec(head)?.[1] ?? Number.NaN);
    if (Number.isNaN(status)) throw new Error(`not an answer: ${JSON.stringify(text.slice(at, at + 80))}`);
    at = headEnd + 4;
    answers.statuses.push(status);
    if (status < 200) continue;
    let body = '';
    const length = /^content-length: (\d+)\r$/im.exec(head);
    if (!heads && status !== 204 && status !== 304) {
      if (length) {
        body = text.slice(at, at + Number(length[1]));
        answers.truncated = body.length < Number(length[1]);
        at += body.length;
      } else if (/^transfer-encoding: chunked\r$/im.test(head)) {
        for (;;) {
          const size = /^([0-9a-f]+)\r\n/.exec(text.slice(at, at + 20));
          const bytes = size ? Number.parseInt(size[1]!, 16) : -1;
          if (!size || text.length < at + size[0].length + bytes + 2) {
            answers.truncated = true;
            at = text.length;
            break;
          }
          at += size[0].length;
          body += text.slice(at, at + bytes);
          if (bytes === 0) {
            const end = text.startsWith('\r\n', at) ? at : text.indexOf('\r\n\r\n', at) + 2;
            answers.truncated = end < at;
            at = end < at ? text.length : end + 2;
            break;
          }
          at += bytes + 2;
        }
      } else {
        body = text.slice(at);
        at = text.length;
        answers.truncated = !ended;
      }
    }
    answers.bodies.push(body);
    if (!answers.truncated) answers.finals++;
  }
  return answers;
}

/** How a caller behaves. */
export interface CallOptions {
  /** Final answers after which it ends the connection. */
  readonly answers: number;
  /** It doesn't: the other side has to. */
  readonly untilClosed: boolean;
  /** The requests are HEAD. */
  readonly heads?: boolean;
  /** Hears all that has come so far, each time that something comes. */
  readonly onText?: (text: string) => void;
}

/** Sends `parts`, one per turn, and reads until the connection is closed. */
export function callRaw(
  port: number,
  parts: readonly string[],
  { answers, untilClosed, heads = false, onText }: CallOptions,
): Promise<CallerView> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true });
    let text = '';
    let sent = 0;
    let closedByPeer = false;
    let endedByUs = false;
    let error: string | undefined;
    const settle = (): void => {
      if (endedByUs || untilClosed || sent < parts.length) return;
      if (readAnswers(text, false, heads).finals < answers) return;
      endedByUs = true;
      socket.end();
    };
    const sendNext = (): void => {
      if (closedByPeer || socket.destroyed) return;
      if (sent < parts.length) {
        socket.write(parts[sent++]!, 'latin1');
        if (sent < parts.length) setImmediate(sendNext);
      }
      settle();
    };
    socket.on('connect', sendNext);
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1');
      onText?.(text);
      try {
        settle();
      } catch (reason) {
        socket.destroy();
        reject(reason);
      }
    });
    socket.on('end', () => {
      if (!endedByUs) closedByPeer = true;
      socket.destroy();
    });
    socket.on('error', (reason: NodeJS.ErrnoException) => (error = reason.code ?? reason.message));
    socket.on('close', () => {
      try {
        const { statuses, bodies, truncated } = readAnswers(text, error === undefined, heads);
        resolve({ text, statuses, bodies, closedByPeer, truncated, error });
      } catch (reason) {
        reject(reason);
      }
    });
  });
}
