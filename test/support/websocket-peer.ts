// The two ends of a WebSocket (RFC 6455), over Node's own HTTP/1: an endpoint that echoes messages, and a caller. Frames
// are short and whole, which is all that a tunnel has to be shown.
import { createHash } from 'node:crypto';
import { createServer, request, type IncomingMessage } from 'node:http';
import { createServer as createSecureServer, type ServerOptions } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { until } from './tls-peer.ts';

const KEY = 'dGhlIHNhbXBsZSBub25jZQ==';
const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
const TEXT = 0x1;
const CLOSE = 0x8;
const MASK = Buffer.from([0x37, 0xfa, 0x21, 0x3d]);

/** What the server has to answer to a key (RFC 6455 section 4.2.2). */
function acceptOf(key: string): string {
  return createHash('sha1').update(`${key}${GUID}`).digest('base64');
}

/** One final frame of up to 125 bytes; those of callers are masked. */
function frameOf(opcode: number, payload: Buffer, masked: boolean): Buffer {
  const head = Buffer.from([0x80 | opcode, (masked ? 0x80 : 0) | payload.length]);
  return masked ? Buffer.concat([head, MASK, unmask(payload, MASK)]) : Buffer.concat([head, payload]);
}

function unmask(payload: Buffer, mask: Buffer): Buffer {
  return Buffer.from(payload.map((byte, at) => byte ^ (mask[at % 4] ?? 0)));
}

/** Calls `onFrame` for each whole frame that comes. `masked`: how they must be. */
function readFrames(
  socket: Socket,
  first: Buffer,
  masked: boolean,
  onFrame: (opcode: number, payload: Buffer) => void,
): void {
  let input = Buffer.alloc(0);
  const read = (chunk: Buffer): void => {
    input = Buffer.concat([input, chunk]);
    for (;;) {
      const length = (input[1] ?? 0) & 0x7f;
      const start = masked ? 6 : 2;
      if (input.length < start + length) return;
      if (((input[1] ?? 0) & 0x80) !== (masked ? 0x80 : 0)) throw new Error('a frame masked by the wrong side');
      const frame = input.subarray(0, start + length);
      input = input.subarray(start + length);
      const payload = frame.subarray(start);
      onFrame((frame[0] ?? 0) & 0x0f, masked ? unmask(payload, frame.subarray(2, 6)) : payload);
    }
  };
  socket.on('data', read);
  read(first);
}

export interface WebSocketEndpoint {
  readonly port: number;
  /** Of every request, upgrade or not, in order. */
  readonly requests: readonly IncomingMessage[];
  /** Messages of all its WebSockets. */
  readonly messages: readonly string[];
  /** WebSockets that are open. */
  readonly open: ReadonlySet<Socket>;
  close(): void;
}

/**
 * Echoes messages and answers the closing handshake. Requests without an upgrade get 400 at `/chat` and 200 elsewhere.
 * With `tls` over TLS.
 */
export async function startWebSocketEndpoint(tls?: ServerOptions): Promise<WebSocketEndpoint> {
  const requests: IncomingMessage[] = [];
  const messages: string[] = [];
  const open = new Set<Socket>();
  const sockets = new Set<Socket>();
  const server = tls ? createSecureServer(tls) : createServer();
  server.on('connection', (socket: Socket) => sockets.add(socket.on('error', () => undefined)));
  server.on('request', (heard: IncomingMessage, response) => {
    requests.push(heard);
    response.writeHead(heard.url === '/chat' ? 400 : 200).end();
  });
  server.on('upgrade', (asked: IncomingMessage, stream, early: Buffer) => {
    const socket = stream as Socket;
    requests.push(asked);
    open.add(socket);
    socket.on('error', () => undefined).on('close', () => open.delete(socket));
    socket.on('end', () => socket.end());
    const accept = acceptOf(String(asked.headers['sec-websocket-key']));
    socket.write(
      'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n' +
        `Sec-WebSocket-Accept: ${accept}\r\n\r\n`,
    );
    readFrames(socket, early, true, (opcode, payload) => {
      if (opcode === TEXT) messages.push(payload.toString());
      socket.write(frameOf(opcode, payload, false));
      if (opcode === CLOSE) socket.end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    requests,
    messages,
    open,
    close() {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}

/** A caller's end. */
export interface WebSocketCall {
  /** Status of the answer: 101 where the tunnel stands. */
  readonly status: number;
  /** What the echo has brought back so far. */
  readonly echoed: readonly string[];
  /** Sends a message and waits for its echo. */
  say(text: string): Promise<void>;
  /** The closing handshake, and the end of the connection. */
  end(): Promise<void>;
  /** Cuts the connection. */
  cut(): void;
}

/** Asks for a WebSocket; resolves whatever the answer is. */
export function openWebSocket(port: number, path = '/chat', host = 'a.example'): Promise<WebSocketCall> {
  return new Promise((resolve, reject) => {
    const headers = {
      host,
      connection: 'Upgrade',
      upgrade: 'websocket',
      'sec-websocket-version': '13',
      'sec-websocket-key': KEY,
    };
    const asked = request({ host: '127.0.0.1', port, path, headers, agent: false });
    asked.on('error', reject);
    asked.on('response', (answer) => {
      answer.resume();
      resolve({
        status: answer.statusCode ?? 0,
        echoed: [],
        say: () => Promise.reject(new Error('there is no WebSocket')),
        end: () => Promise.resolve(),
        cut: () => void asked.destroy(),
      });
    });
    asked.on('upgrade', (answer, stream, early: Buffer) => {
      const socket = stream;
      if (answer.headers['sec-websocket-accept'] !== acceptOf(KEY)) {
        socket.destroy();
        reject(new Error('the wrong sec-websocket-accept'));
        return;
      }
      const echoed: string[] = [];
      let closing = false;
      let closed = false;
      socket.on('error', () => undefined).on('close', () => (closed = true));
      readFrames(socket, early, false, (opcode, payload) => {
        if (opcode === TEXT) echoed.push(payload.toString());
        if (opcode === CLOSE) socket.end();
      });
      resolve({
        status: answer.statusCode ?? 0,
        echoed,
        async say(text) {
          const wanted = echoed.length + 1;
          socket.write(frameOf(TEXT, Buffer.from(text), true));
          await until(() => echoed.length >= wanted || closed, `the echo of ${text}`);
          if (closed) throw new Error(`cut before the echo of ${text}`);
        },
        async end() {
          if (!closing) socket.write(frameOf(CLOSE, Buffer.from([0x03, 0xe8]), true));
          closing = true;
          await until(() => closed, 'the end of the WebSocket');
        },
        cut: () => void socket.destroy(),
      });
    });
    asked.end();
  });
}
