import { status, type ServerWritableStream } from '@grpc/grpc-js';

/** The server streams that stay open until somebody leaves; bounded, and ended together when the server stops. */
export class OpenStreams {
  private readonly calls = new Set<ServerWritableStream<unknown, unknown>>();
  private readonly max: number;
  private stopped = false;

  constructor(max: number) {
    this.max = max;
  }

  /** Open now. */
  get size(): number {
    return this.calls.size;
  }

  /** Takes `call` in, or fails it and returns false. `onGone` is called once, when the stream is over for any reason. */
  open<Request, Response>(call: ServerWritableStream<Request, Response>, onGone?: () => void): boolean {
    const stream = call as ServerWritableStream<unknown, unknown>;
    if (this.stopped || this.calls.size >= this.max) {
      stream.emit(
        'error',
        this.stopped ? STOPPING : { code: status.RESOURCE_EXHAUSTED, details: `${this.max} such streams are open` },
      );
      return false;
    }
    this.calls.add(stream);
    const gone = (): void => {
      if (this.calls.delete(stream)) onGone?.();
    };
    stream.on('cancelled', gone);
    stream.on('close', gone);
    stream.on('error', gone);
    return true;
  }

  /** Ends all streams with UNAVAILABLE, and those that come later. */
  stop(): void {
    this.stopped = true;
    for (const call of this.calls) call.emit('error', STOPPING);
  }
}

const STOPPING = { code: status.UNAVAILABLE, details: 'the sidecar is stopping' };
