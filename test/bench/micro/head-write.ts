import { MemorySink } from '../../../src/base/byte-sink.ts';
import type { RequestHead, ResponseHead } from '../../../src/codec/exchange.ts';
import {
  isWritable,
  requestFraming,
  responseFraming,
  writeRequestHead,
  writeResponseHead,
} from '../../../src/codec/h1/head-writer.ts';
import { forwarded } from './forwarded.ts';
import {
  browserRequest,
  grpcRequest,
  longResponse,
  requestHead,
  responseHead,
  shortRequest,
  shortResponse,
  VARIANTS,
  variants,
} from './heads.ts';
import type { MicroCase, MicroGroup } from './measure.ts';

/** HTTP/1 heads out: fields to bytes in the gathered write. Requests have the forwarding fields too. */
export const headWrite: MicroGroup = {
  name: 'head-write',
  operation: 'head',
  cases: () => [
    requests('request, 1 field and forwarding', (index) => requestHead(shortRequest(index))),
    requests('request, 10 fields and forwarding', (index) => requestHead(browserRequest(index))),
    requests('request from HTTP/2, 4 fields and forwarding', grpcRequest),
    answers('answer, 4 fields', (index) => responseHead(shortResponse(index))),
    answers('answer, 10 fields', (index) => responseHead(longResponse(index))),
  ],
};

function requests(name: string, make: (index: number) => RequestHead): MicroCase {
  const sink = new MemorySink();
  const heads = variants((index) => forwarded(make(index)));
  return {
    name,
    operations: VARIANTS,
    run() {
      let written = 0;
      for (const head of heads) {
        sink.length = 0;
        if (!isWritable(head)) throw new Error(`${name}: it can't be written`);
        writeRequestHead(sink, head, requestFraming(head, true));
        written += sink.length + sink.buffer[sink.length - 5]!;
      }
      return written;
    },
  };
}

function answers(name: string, make: (index: number) => ResponseHead): MicroCase {
  const sink = new MemorySink();
  const heads = variants(make);
  return {
    name,
    operations: VARIANTS,
    run() {
      let written = 0;
      for (const head of heads) {
        sink.length = 0;
        writeResponseHead(sink, head, responseFraming(head, false, false, 11), '');
        written += sink.length + sink.buffer[sink.length - 5]!;
      }
      return written;
    },
  };
}
