import type { ByteSink } from '../base/byte-sink.ts';
import type { ErrorKind } from '../base/error.ts';
import { statusLine } from '../codec/h1/reason-phrase.ts';
import { ENHANCE_YOUR_CALM } from '../codec/h2/error-code.ts';
import { writeGoaway } from '../codec/h2/frame-writer.ts';
import { writeSettings } from '../codec/h2/settings.ts';
import { ERROR_TABLE } from '../model/error-table.ts';

/** Writes an HTTP/1.1 answer to a caller whose connection isn't served at all, so that it can be read why. */
export function writePlainReply(sink: ByteSink, kind: ErrorKind): void {
  const { httpStatus, text } = ERROR_TABLE[kind];
  const body = `${text}\n`;
  sink.writeLatin1(
    `${statusLine(httpStatus)}content-type: text/plain; charset=utf-8\r\ncontent-length: ${body.length}\r\n` +
      `connection: close\r\nx-outrigger-reason: ${kind}\r\n\r\n${body}`,
  );
}

/** The same over HTTP/2: the server's preface (RFC 9113 section 3.4) and a GOAWAY, no stream of which was taken. */
export function writeGoodbye(sink: ByteSink, kind: ErrorKind): void {
  writeSettings(sink, []);
  writeGoaway(sink, 0, ENHANCE_YOUR_CALM, `${kind}: ${ERROR_TABLE[kind].text}`);
}
