// The honest ends of a flood test: an upstream that does as it is asked and keeps count, and a caller beside the attacker.
import { connect, constants, type ClientHttp2Session } from 'node:http2';
import { data, headers, valueOf, windowUpdate } from './h2-peer.ts';
import { startRawH2Server, type RawH2Connection } from './h2-raw.ts';

/** What a caller saw of one call. */
export interface CallOutcome {
  /** -1: the call ended without one. */
  readonly grpcStatus: number;
  readonly message: string;
  readonly reason: string;
}

/** Calls over one connection of Node's own http2. */
export class GrpcCaller {
  private readonly session: ClientHttp2Session;

  constructor(port: number) {
    this.session = connect(`http://127.0.0.1:${port}`);
    this.session.on('error', () => undefined);
  }

  /** A call with an empty request. Never rejects. */
  call(path: string): Promise<CallOutcome> {
    return new Promise((resolve) => {
      const seen = new Map<string, string>();
      const note = (fields: object): void => {
        for (const [name, value] of Object.entries(fields)) seen.set(name, String(value));
      };
      const stream = this.session.request({
        [constants.HTTP2_HEADER_METHOD]: 'POST',
        [constants.HTTP2_HEADER_PATH]: path,
        'content-type': 'application/grpc',
        te: 'trailers',
      });
      stream
        .on('response', note)
        .on('trailers', note)
        .on('error', ({ message }) => seen.set('grpc-message', encodeURIComponent(message)))
        .on('close', () =>
          resolve({
            grpcStatus: Number(seen.get('grpc-status') ?? -1),
            message: decodeURIComponent(seen.get('grpc-message') ?? ''),
            reason: seen.get('x-outrigger-reason') ?? '',
          }),
        );
      stream.resume();
      stream.end();
    });
  }

  close(): void {
    this.session.destroy();
  }
}

/** Answer's head. */
export const GRPC_HEAD = [':status', '200', 'content-type', 'application/grpc'];
/** Answer of one frame. */
export const GRPC_OK = [...GRPC_HEAD, 'grpc-status', '0'];

/** Bytes of the answer to `/large`, of which no end comes. */
const LARGE_BYTES = 60_000;

/**
 * An upstream that answers a call when its request has ended, except: `/hold` never; `/large` at once, with a body that
 * doesn't end; `/deaf` is held, and its request's body gets no window back.
 */
export interface HonestServer {
  readonly port: number;
  readonly connections: readonly RawH2Connection[];
  /** Streams that are neither answered nor reset, with their paths. A later connection's follow the first one's. */
  readonly open: ReadonlyMap<string, string>;
  /** Requests so far. */
  readonly calls: () => number;
  /** Body bytes so far. */
  readonly received: () => number;
  close(): void;
}

export async function startHonestServer(pairs: readonly number[] = []): Promise<HonestServer> {
  const open = new Map<string, string>();
  let calls = 0;
  let received = 0;
  let number = 0;
  const server = await startRawH2Server((connection) => {
    const mine = ++number;
    const keyOf = (id: number): string => `${mine}/${id}`;
    const answer = (id: number): void => {
      open.delete(keyOf(id));
      connection.send(headers(id, GRPC_OK));
    };
    connection.onFrame = ({ type, id, flags, fields, payload }) => {
      const ended = (flags & 1) !== 0;
      if (type === 'HEADERS' && !open.has(keyOf(id))) {
        calls++;
        open.set(keyOf(id), valueOf(fields, ':path') ?? '');
      }
      const path = open.get(keyOf(id)) ?? '';
      if (type === 'RST_STREAM') open.delete(keyOf(id));
      else if (type === 'DATA') {
        received += payload.length;
        if (path !== '/deaf' && payload.length > 0) {
          connection.send(windowUpdate(0, payload.length), ...(ended ? [] : [windowUpdate(id, payload.length)]));
        }
      }
      if (type !== 'DATA' && type !== 'HEADERS') return;
      if (path === '/large' && type === 'HEADERS') {
        connection.send(headers(id, GRPC_HEAD, false));
        for (let at = 0; at < LARGE_BYTES; at += 15_000) connection.send(data(id, Buffer.alloc(15_000)));
      } else if (ended && path !== '/large' && path !== '/hold' && path !== '/deaf') answer(id);
    };
    void connection.whenEnded.then(() => {
      for (const key of open.keys()) if (key.startsWith(`${mine}/`)) open.delete(key);
    });
  }, pairs);
  return {
    port: server.port,
    connections: server.connections,
    open,
    calls: () => calls,
    received: () => received,
    close: () => server.close(),
  };
}
