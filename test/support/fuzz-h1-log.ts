// What an HTTP/1 parser says, as one string that can be compared, with the rules that hold for every message checked
// on the way. Neighbouring chunks are joined, since where a read ends is no event.
import type { Fields, RequestHead, ResponseHead } from '../../src/codec/exchange.ts';
import type { Fault } from '../../src/codec/h1/fault.ts';
import { broken } from './fuzz-run.ts';

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const VALUE = /^(?:[\x21-\x7e\x80-\xff](?:[\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?)?$/;
const TARGET = /^(?:\/[\x21\x22\x24-\x7e]*|\*)$/;
const AUTHORITY = /^[\x21-\x7e]*$/;
/** What belongs to one connection, or to framing that the writer decides anew. */
const NEVER_PASSED: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'transfer-encoding',
  'upgrade',
]);

const HEAD_NEXT = 0;
const BODY_NEXT = 1;
const OVER = 2;

/** Listens to a request or a response parser. */
export class H1Log {
  /** All that was said so far. */
  text = '';
  readonly stopped = false;
  /** Final heads, in order. */
  readonly heads: (RequestHead | ResponseHead)[] = [];
  /** Their bodies, and whether they ended. */
  readonly bodies: string[] = [];
  readonly ended: boolean[] = [];
  /** Trailers of all messages. */
  readonly trailers: Fields[] = [];
  /** The parser, to see that it says nothing after a fault. */
  parser: { readonly fault: Fault | undefined } | undefined = undefined;
  private readonly once: boolean;
  private state = HEAD_NEXT;
  private inData = false;

  /** `once`: there is one message only, as from a response parser. */
  constructor(once: boolean) {
    this.once = once;
  }

  onRequestHead(head: RequestHead, endStream: boolean): void {
    if (!TOKEN.test(head.method)) broken('the method is a token', head.method);
    if (!TARGET.test(head.path)) broken('the path is a path', head.path);
    if (!AUTHORITY.test(head.authority)) broken('the authority is visible ASCII', head.authority);
    for (let i = 0; i < head.fields.length; i += 2) {
      const name = head.fields[i]?.toLowerCase();
      if (name === 'host') broken('Host stands in the authority only');
      if (name === 'te' && head.fields[i + 1] !== 'trailers') broken('te is reduced to trailers');
    }
    this.head(
      head,
      `${head.method} ${head.path} ${head.scheme}://${head.authority} ${head.version} ${head.protocol}`,
      endStream,
    );
  }

  onResponseHead(head: ResponseHead, endStream: boolean): void {
    this.head(head, String(head.status), endStream);
  }

  onInformationalHead(head: ResponseHead): void {
    this.say(`informational ${head.status}`, HEAD_NEXT);
    checkFields(head.fields);
    if (head.status < 100 || head.status > 199 || head.status === 101) broken('informational heads are 100 to 199');
    checkLength(head);
    if (head.contentLength >= 0) broken('informational heads tell no length');
    this.text += ` ${head.fields.join('|')}\n`;
  }

  onData(chunk: Buffer, endStream: boolean): void {
    if (this.state !== BODY_NEXT) broken('data stands between a head and an end', this.text);
    if (this.parser?.fault) broken('nothing comes after a fault', this.text);
    if (chunk.length > 0) {
      const data = chunk.latin1Slice(0, chunk.length);
      this.text += this.inData ? data : `data ${data}`;
      this.inData = true;
      this.bodies[this.bodies.length - 1] += data;
    }
    if (endStream) this.end('end');
  }

  onTrailers(fields: Fields): void {
    if (fields.length === 0) broken('trailers are not empty');
    checkFields(fields);
    this.trailers.push(fields);
    this.say('trailers', BODY_NEXT);
    this.end(fields.join('|'));
  }

  /** What stands at the end of the log. */
  last(note: string): void {
    this.text += this.inData ? `\n${note}` : note;
    this.inData = false;
  }

  private head(head: RequestHead | ResponseHead, line: string, endStream: boolean): void {
    this.say(line, HEAD_NEXT);
    checkFields(head.fields);
    checkLength(head);
    this.text += ` ${head.contentLength} ${head.fields.join('|')}\n`;
    this.heads.push(head);
    this.bodies.push('');
    this.ended.push(false);
    this.state = BODY_NEXT;
    if (endStream) this.end('no body');
  }

  private say(line: string, state: number): void {
    if (this.state !== state) broken('heads, bodies and ends take turns', `${this.text}\n${line}`);
    if (this.parser?.fault) broken('nothing comes after a fault', `${this.text}\n${line}`);
    this.text += this.inData ? `\n${line}` : line;
    this.inData = false;
  }

  private end(how: string): void {
    this.say(how, BODY_NEXT);
    this.text += '\n';
    this.state = this.once ? OVER : HEAD_NEXT;
    this.ended[this.ended.length - 1] = true;
    const head = this.heads.at(-1);
    const body = this.bodies.at(-1) ?? '';
    // Answers to HEAD and the like tell a length that they don't have.
    if (head && body !== '' && head.contentLength >= 0 && body.length !== head.contentLength) {
      broken('a body is as long as content-length says', `${body.length}, ${head.contentLength}`);
    }
  }
}

/** Names are tokens, values hold no line end, and nothing of the connection is passed on. */
export function checkFields(fields: Fields): void {
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i] ?? '';
    if (!TOKEN.test(name)) broken('a field name is a token', JSON.stringify(name));
    if (!VALUE.test(fields[i + 1] ?? '')) broken('a field value is clean', JSON.stringify(fields[i + 1]));
    if (NEVER_PASSED.has(name.toLowerCase())) broken('what belongs to the connection is not passed on', name);
  }
}

/** No more fields, and no more bytes of them, than a limit lets through. */
export function checkCaps(fields: Fields, maxFields: number, maxBytes: number): void {
  let bytes = 0;
  for (const text of fields) bytes += text.length;
  if (fields.length / 2 > maxFields)
    broken('no more fields come through than the limit', `${fields.length / 2} of ${maxFields}`);
  if (bytes > maxBytes) broken('no more bytes of fields come through than the limit', `${bytes} of ${maxBytes}`);
}

/** One content-length at most, in one spelling, and the head knows it. */
export function checkLength(head: RequestHead | ResponseHead): void {
  let seen = -1;
  for (let i = 0; i < head.fields.length; i += 2) {
    if (head.fields[i]?.toLowerCase() !== 'content-length') continue;
    if (seen >= 0) broken('one content-length is passed on');
    seen = Number(head.fields[i + 1]);
    if (String(seen) !== head.fields[i + 1])
      broken('content-length is passed on in one form', head.fields[i + 1] ?? '');
  }
  if (seen !== head.contentLength) broken('content-length is what the field says', `${seen}, ${head.contentLength}`);
}
