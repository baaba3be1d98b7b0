// Faults of HTTP/2 framing that cost the connection whatever its state, looked for without any: what RFC 9113 says of a
// frame by its header, its payload and the frame before it.

const HEADER_BYTES = 9;
const MAX_FRAME_BYTES = 16_384;
const MAX_31_BITS = 0x7fffffff;

/** The first such fault among the frames of `bytes`, which begin behind a client's preface; undefined if there is none. */
export function fatalFault(bytes: Buffer): string | undefined {
  let open = 0;
  for (let at = 0, first = true; at + HEADER_BYTES <= bytes.length; first = false) {
    const length = bytes.readUIntBE(at, 3);
    const type = bytes[at + 3] ?? 0;
    const flags = bytes[at + 4] ?? 0;
    const id = bytes.readUInt32BE(at + 5) & MAX_31_BITS;
    if (length > MAX_FRAME_BYTES) return 'a frame that is too large';
    const end = at + HEADER_BYTES + length;
    if (end > bytes.length) return undefined;
    if (first && (type !== 4 || (flags & 1) === 1)) return 'no SETTINGS at the beginning';
    if (open !== 0 && (type !== 9 || id !== open)) return 'a frame within a header block';
    const fault = faultOf(type, flags, id, bytes.subarray(at + HEADER_BYTES, end));
    if (fault !== undefined) return `${fault} (type ${type})`;
    if (type === 9 && open === 0) return 'CONTINUATION without HEADERS';
    if (type === 1 || type === 9) open = (flags & 4) === 0 ? id : 0;
    at = end;
  }
  return undefined;
}

function faultOf(type: number, flags: number, id: number, payload: Buffer): string | undefined {
  const { length } = payload;
  switch (type) {
    case 0:
    case 1: {
      if (id === 0) return 'no stream';
      const isPadded = (flags & 8) !== 0;
      const besides = (isPadded ? 1 : 0) + (type === 1 && (flags & 0x20) !== 0 ? 5 : 0);
      if (besides + (isPadded ? (payload[0] ?? 0) : 0) > length) return 'more padding than frame';
      return undefined;
    }
    case 2:
      return id === 0 ? 'no stream' : undefined;
    case 3:
      return id === 0 ? 'no stream' : length !== 4 ? 'another length' : undefined;
    case 4:
      if (id !== 0) return 'a stream';
      if ((flags & 1) === 1) return length === 0 ? undefined : 'another length';
      return length % 6 === 0 ? settingsFault(payload) : 'another length';
    case 5:
      return 'PUSH_PROMISE';
    case 6:
      return id !== 0 ? 'a stream' : length !== 8 ? 'another length' : undefined;
    case 7:
      return id !== 0 ? 'a stream' : length < 8 ? 'another length' : undefined;
    case 8:
      if (length !== 4) return 'another length';
      return id === 0 && (payload.readUInt32BE(0) & MAX_31_BITS) === 0 ? 'an increment of 0' : undefined;
    case 9:
      return id === 0 ? 'no stream' : undefined;
    default:
      return undefined;
  }
}

function settingsFault(payload: Buffer): string | undefined {
  for (let at = 0; at < payload.length; at += 6) {
    const value = payload.readUInt32BE(at + 2);
    const isFlag = [2, 8].includes(payload.readUInt16BE(at));
    if (isFlag && value > 1) return 'a flag above 1';
    if (payload.readUInt16BE(at) === 4 && value > MAX_31_BITS) return 'too large a window';
    if (payload.readUInt16BE(at) === 5 && (value < 16_384 || value > 0xffffff)) return 'a frame size out of its range';
  }
  return undefined;
}
