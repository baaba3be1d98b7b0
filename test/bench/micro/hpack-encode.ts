import { MemorySink } from '../../../src/base/byte-sink.ts';
import type { RequestHead, ResponseHead } from '../../../src/codec/exchange.ts';
import { DEFAULT_FRAME_BYTES } from '../../../src/codec/h2/frame.ts';
import { HeaderWriter } from '../../../src/codec/h2/header-writer.ts';
import { HpackEncoder } from '../../../src/codec/h2/hpack/encoder.ts';
import { httpIndexing } from '../../../src/codec/h2/indexing-policy.ts';
import { DEFAULT_LIMITS } from '../../../src/codec/limits.ts';
import { forwarded } from './forwarded.ts';
import {
  browserRequest,
  digits,
  grpcRequest,
  longResponse,
  requestHead,
  responseHead,
  VARIANTS,
  variants,
} from './heads.ts';
import type { MicroCase, MicroGroup } from './measure.ts';

/** Heads and trailers of HTTP/2 out: fields to a HEADERS frame, by a connection's writer. */
export const hpackEncode: MicroGroup = {
  name: 'hpack-encode',
  operation: 'block',
  cases: () => [
    requests('gRPC request, four paths', (index) => grpcRequest(index & 3)),
    requests('gRPC request, any path', grpcRequest),
    requests('gRPC request, four paths, and forwarding', (index) => forwarded(grpcRequest(index & 3))),
    // Strings are new with each head, as a parser of HTTP/1 cuts them.
    requests('browser request from HTTP/1, and forwarding', (index) => forwarded(requestHead(browserRequest(index)))),
    answers('gRPC answer', (index) =>
      grpcAnswer(['content-type', 'application/grpc', 'x-served-by', `c-${index & 3}`]),
    ),
    answers('gRPC answer, date is new', (index) =>
      grpcAnswer(['content-type', 'application/grpc', 'date', `Tue, 03 Nov 2026 10:11:${digits(index).slice(3)} GMT`]),
    ),
    answers('answer from HTTP/1, 10 fields', (index) => responseHead(longResponse(index))),
    trailers('gRPC trailers'),
  ],
};

function grpcAnswer(fields: string[]): ResponseHead {
  return { status: 200, fields, neverIndexed: undefined, contentLength: -1 };
}

function writing<T>(
  name: string,
  make: (index: number) => T,
  write: (writer: HeaderWriter, message: T) => void,
): MicroCase {
  const sink = new MemorySink();
  const writer = new HeaderWriter(sink, new HpackEncoder(DEFAULT_LIMITS.hpackTableBytes, httpIndexing));
  let messages: readonly T[] = [];
  return {
    name,
    operations: VARIANTS,
    prepare() {
      messages = variants(make);
    },
    run() {
      let written = 0;
      for (const message of messages) {
        sink.length = 0;
        write(writer, message);
        written += sink.length + sink.buffer[sink.length - 1]!;
      }
      return written;
    },
  };
}

function requests(name: string, make: (index: number) => RequestHead): MicroCase {
  return writing(name, make, (writer, head) => writer.writeRequest(1, head, false, DEFAULT_FRAME_BYTES));
}

function answers(name: string, make: (index: number) => ResponseHead): MicroCase {
  return writing(name, make, (writer, head) => writer.writeResponse(1, head, false, DEFAULT_FRAME_BYTES));
}

function trailers(name: string): MicroCase {
  const fields = [
    ['grpc-status', '0'],
    ['grpc-status', '0', 'grpc-message', ''],
  ];
  return writing(
    name,
    (index) => fields[index & 1]!,
    (writer, list) => writer.writeTrailers(1, list, undefined, DEFAULT_FRAME_BYTES),
  );
}
