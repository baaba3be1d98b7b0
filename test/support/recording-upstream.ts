// An upstream that writes down every byte per connection and answers each complete request with 200 and its own request
// line. It reads with a reader of its own, as plain as can be: it shares no line with the codecs under test.
import type { Socket } from 'node:net';
import { startRawServer } from './raw-server.ts';

/** A request that came whole. */
export interface RecordedRequest {
  /** Request line and field lines, latin1, without the blank line. */
  readonly head: string;
  readonly line: string;
  /** Method and target. */
  readonly target: string;
  readonly body: string;
  /** Trailer lines of a chunked body. */
  readonly trailers: string;
  /** Every byte of it. */
  readonly bytes: string;
}

export interface RecordedConnection {
  readonly requests: RecordedRequest[];
  /** What came after the last whole request. */
  rest: string;
  /** Done once the connection is closed, by whichever side. */
  readonly closed: Promise<void>;
  isClosed: boolean;
}

export interface RecordingUpstream {
  readonly port: number;
  readonly connections: readonly RecordedConnection[];
  /** Whole requests of all connections, in the order in which they came. */
  readonly requests: readonly RecordedRequest[];
  close(): void;
}

/** The value of a field of a recorded head; the last one. */
export function recordedField(request: RecordedRequest, name: string): string | undefined {
  const wanted = `${name.toLowerCase()}:`;
  const line = request.head.split('\r\n').findLast((text) => text.toLowerCase().startsWith(wanted));
  return line?.slice(wanted.length).trim();
}

/** The answer that a recorded request got. */
export function recordedAnswer(target: string): string {
  return `HTTP/1.1 200 OK\r\nContent-Length: ${target.length}\r\n\r\n${target}`;
}

/** Takes one whole request off the front of `text`; undefined: not whole yet. */
function takeRequest(text: string): RecordedRequest | undefined {
  const headEnd = text.indexOf('\r\n\r\n');
  if (headEnd < 0) return undefined;
  const head = text.slice(0, headEnd);
  const [line = ''] = head.split('\r\n', 1);
  const target = line.split(' ').slice(0, 2).join(' ');
  let at = headEnd + 4;
  let body = '';
  let trailers = '';
  if (/^transfer-encoding: chunked$/im.test(head)) {
    for (;;) {
      const sizeEnd = text.indexOf('\r\n', at);
      if (sizeEnd < 0) return undefined;
      const size = Number.parseInt(text.slice(at, sizeEnd), 16);
      at = sizeEnd + 2;
      if (size === 0) break;
      if (text.length < at + size + 2) return undefined;
      body += text.slice(at, at + size);
      at += size + 2;
    }
    const end = text.startsWith('\r\n', at) ? at : text.indexOf('\r\n\r\n', at) + 2;
    if (end < at || text.length < end + 2) return undefined;
    trailers = text.slice(at, end);
    at = end + 2;
  } else {
    const length = Number(/^content-length: (\d+)$/im.exec(head)?.[1] ?? 0);
    if (text.length < at + length) return undefined;
    body = text.slice(at, at + length);
    at += length;
  }
  return { head, line, target, body, trailers, bytes: text.slice(0, at) };
}

/** Starts one on a free port of loopback. */
export async function startRecordingUpstream(): Promise<RecordingUpstream> {
  const connections: RecordedConnection[] = [];
  const requests: RecordedRequest[] = [];
  const server = await startRawServer((socket: Socket) => {
    const connection: RecordedConnection = {
      requests: [],
      rest: '',
      isClosed: false,
      closed: new Promise((resolve) =>
        socket.on('close', () => {
          connection.isClosed = true;
          resolve();
        }),
      ),
    };
    connections.push(connection);
    socket.on('end', () => socket.end());
    socket.on('data', (chunk: Buffer) => {
      connection.rest += chunk.toString('latin1');
      for (let request = takeRequest(connection.rest); request; request = takeRequest(connection.rest)) {
        connection.rest = connection.rest.slice(request.bytes.length);
        connection.requests.push(request);
        requests.push(request);
        socket.write(recordedAnswer(request.target), 'latin1');
      }
    });
  });
  return { port: server.port, connections, requests, close: () => server.close() };
}
