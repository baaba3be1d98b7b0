import type { ByteSink } from '../base/byte-sink.ts';
import type { ErrorKind } from '../base/error.ts';
import { statusLine } from '../codec/h1/reason-phrase.ts';
import { ERROR_TABLE } from '../model/error-table.ts';

/** Writes an HTTP/1.1 answer to a caller whose connection speaks the wrong thing, so that it can be read why. */
export function writePlainReply(sink: ByteSink, kind: ErrorKind): void {
  const { httpStatus, text } = ERROR_TABLE[kind];
  const body = `${text}\n`;
  sink.writeLatin1(
    `${statusLine(httpStatus)}content-type: text/plain; charset=utf-8\r\ncontent-length: ${body.length}\r\n` +
      `connection: close\r\nx-outrigger-reason: ${kind}\r\n\r\n${body}`,
  );
}
