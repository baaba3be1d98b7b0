// What an HTTP/2 endpoint of ours has written, read by a second reader: whole frames that mean something, header blocks
// that decode, and no more data than the other side has allowed.
import { ReferenceDecoder } from './fuzz-hpack-reference.ts';
import { broken } from './fuzz-run.ts';

const HEADER_BYTES = 9;
const MAX_FRAME_BYTES = 16_384;
const DEFAULT_WINDOW_BYTES = 65_535;
const MAX_WINDOW_BYTES = 0x7fffffff;
const DATA = 0;
const HEADERS = 1;
const RST_STREAM = 3;
const SETTINGS = 4;
const PING = 6;
const GOAWAY = 7;
const WINDOW_UPDATE = 8;
const CONTINUATION = 9;

/** The most that the frames of `input` can allow: windows of all streams and of the connection. */
function allowedBytes(input: Buffer): { connection: number } {
  let connection = DEFAULT_WINDOW_BYTES;
  for (let at = 0; at + HEADER_BYTES <= input.length;) {
    const length = input.readUIntBE(at, 3);
    const payload = at + HEADER_BYTES;
    const id = input.readUInt32BE(at + 5) & MAX_WINDOW_BYTES;
    if (input[at + 3] === WINDOW_UPDATE && id === 0 && payload + 4 <= input.length) {
      connection += input.readUInt32BE(payload) & MAX_WINDOW_BYTES;
    }
    at = payload + length;
  }
  return { connection };
}

/**
 * Checks `output`, which `role` wrote in answer to the frames of `input` (without a preface). `answeredPings` is the
 * number of PING and SETTINGS that may be answered at most: those that came.
 */
export function checkH2Output(output: Buffer, input: Buffer): void {
  const decoder = new ReferenceDecoder(65_536);
  const allowed = allowedBytes(input).connection;
  const ended = new Set<number>();
  const reset = new Set<number>();
  let data = 0;
  let blockOf = 0;
  let block: Buffer[] = [];
  let over = false;
  let frames = 0;
  for (let at = 0; at < output.length; frames++) {
    if (at + HEADER_BYTES > output.length) broken('whole frames are written');
    const length = output.readUIntBE(at, 3);
    const type = output[at + 3] ?? 0;
    const flags = output[at + 4] ?? 0;
    const id = output.readUInt32BE(at + 5);
    const payload = output.subarray(at + HEADER_BYTES, at + HEADER_BYTES + length);
    at += HEADER_BYTES + length;
    const what = `frame ${frames} of type ${type} on ${id}`;
    if (at > output.length) broken('whole frames are written', what);
    if (length > MAX_FRAME_BYTES) broken('no frame is larger than the smallest maximum', what);
    if (frames === 0 && type !== SETTINGS) broken('the first frame is SETTINGS', what);
    if (over) broken('nothing follows the last GOAWAY', what);
    if (blockOf !== 0 && (type !== CONTINUATION || id !== blockOf)) broken('header blocks are not torn apart', what);
    const isStream = type === DATA || type === HEADERS || type === RST_STREAM || type === CONTINUATION;
    if (isStream ? id === 0 : type !== WINDOW_UPDATE && id !== 0) broken('frames stand where they belong', what);
    if (isStream && reset.has(id)) broken('nothing follows RST_STREAM', what);
    if ((type === DATA || type === HEADERS) && ended.has(id)) broken('nothing follows END_STREAM', what);
    switch (type) {
      case DATA:
        data += length;
        if (data > allowed) broken('windows are kept', `${data} of ${allowed} bytes`);
        break;
      case HEADERS:
      case CONTINUATION:
        block.push(payload);
        blockOf = id;
        if ((flags & 0x4) === 0) break;
        blockOf = 0;
        if (!decoder.decode(Buffer.concat(block))) broken('header blocks that are written decode', what);
        block = [];
        break;
      case RST_STREAM:
        if (length !== 4) broken('frames have their length', what);
        reset.add(id);
        break;
      case SETTINGS:
        if ((flags & 1) === 0 ? length % 6 !== 0 : length !== 0) broken('frames have their length', what);
        break;
      case PING:
        if (length !== 8) broken('frames have their length', what);
        break;
      case GOAWAY:
        if (length < 8) broken('frames have their length', what);
        over = payload.readUInt32BE(4) !== 0;
        break;
      case WINDOW_UPDATE:
        if (length !== 4 || payload.readUInt32BE(0) === 0) broken('windows grow by something', what);
        break;
      default:
        broken('only frames of RFC 9113 are written', what);
    }
    if ((type === DATA || type === HEADERS) && (flags & 1) !== 0) ended.add(id);
  }
  if (blockOf !== 0) broken('header blocks are not torn apart');
}
