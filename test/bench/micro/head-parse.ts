import type { ResponseHead, RequestHead } from '../../../src/codec/exchange.ts';
import { RequestParser, type RequestEvents } from '../../../src/codec/h1/request-parser.ts';
import { ResponseParser, type ResponseEvents } from '../../../src/codec/h1/response-parser.ts';
import { DEFAULT_LIMITS } from '../../../src/codec/limits.ts';
import { browserRequest, digits, longResponse, shortRequest, shortResponse, VARIANTS, variants } from './heads.ts';
import type { MicroCase, MicroGroup } from './measure.ts';

/** As large as the tokens of a login often are. */
const COOKIE = `; token=${'eyJhbGciOiJSUzI1NiIs'.repeat(150)}`;

/** HTTP/1 heads in: bytes to fields, by the parser of a connection. */
export const headParse: MicroGroup = {
  name: 'head-parse',
  operation: 'head',
  cases: () => [
    requests('request, 2 fields', (index) => shortRequest(index)),
    // What is remembered of the last Host is of no use here.
    requests('request, 2 fields, four hosts in turn', (index) => shortRequest(index, `shop-${index & 3}.example:9080`)),
    requests('request, 2 fields, path with escapes', escapedRequest),
    requests('request, 12 fields', (index) => browserRequest(index)),
    requests('request, 12 fields, cookie of 3 KiB', (index) => browserRequest(index, COOKIE)),
    requests('request, 12 fields, in two reads', (index) => browserRequest(index), 2),
    answers('answer, 5 fields, body of 64 bytes', shortResponse),
    answers('answer, 12 fields, body of 64 bytes', longResponse),
  ],
};

function escapedRequest(index: number): string {
  return shortRequest(index).replace('/items/', `/items/%7Eshop/./caf%c3%a9/${digits(index)}/`);
}

/** Takes what the parsers find. */
class Listener implements RequestEvents, ResponseEvents {
  readonly stopped = false;
  taken = 0;

  onRequestHead(head: RequestHead): void {
    this.taken += head.fields.length + head.path.length;
  }

  onInformationalHead(): void {}

  onResponseHead(head: ResponseHead): void {
    this.taken += head.fields.length + head.status;
  }

  onData(chunk: Buffer): void {
    this.taken += chunk.length;
  }

  onTrailers(): void {}
}

function requests(name: string, text: (index: number) => string, reads = 1): MicroCase {
  const listener = new Listener();
  const parser = new RequestParser(DEFAULT_LIMITS, 'http', listener);
  const heads = variants((index) => Buffer.from(text(index), 'latin1'));
  return {
    name,
    operations: VARIANTS,
    run() {
      const before = listener.taken;
      for (const head of heads) {
        const cut = reads === 1 ? 0 : head.length >> 1;
        if (cut > 0) parser.execute(head, 0, cut);
        parser.execute(head, cut, head.length);
      }
      if (parser.fault || parser.isInHead) throw new Error(`${name}: ${parser.fault?.detail ?? 'a head has no end'}`);
      return listener.taken - before;
    },
  };
}

function answers(name: string, text: (index: number) => string): MicroCase {
  const listener = new Listener();
  const parser = new ResponseParser(DEFAULT_LIMITS, listener);
  const heads = variants((index) => Buffer.from(text(index), 'latin1'));
  return {
    name,
    operations: VARIANTS,
    run() {
      const before = listener.taken;
      for (const head of heads) {
        parser.begin(false);
        parser.execute(head, 0, head.length);
      }
      if (parser.fault || !parser.done) throw new Error(`${name}: ${parser.fault?.detail ?? 'an answer has no end'}`);
      return listener.taken - before;
    },
  };
}
