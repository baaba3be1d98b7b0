// A DNS server over UDP and TCP (RFC 1035) whose zone a test writes and changes, with the faults that real ones have.
import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { createServer, isIPv4, type Server, type Socket } from 'node:net';

const TYPES = { A: 1, CNAME: 5, SOA: 6, AAAA: 28, SRV: 33 } as const;
const RCODES = { NOERROR: 0, FORMERR: 1, SERVFAIL: 2, NXDOMAIN: 3, NOTIMP: 4, REFUSED: 5 } as const;

export type RecordType = 'A' | 'AAAA' | 'SRV' | 'CNAME';

/** What stands in the zone: an address, a canonical name, or `PRIORITY WEIGHT PORT TARGET`. */
export interface ZoneRecord {
  readonly type: RecordType;
  readonly data: string;
  /** Seconds. */
  readonly ttl: number;
}

/**
 * `silent` never answers; `truncated` sends nothing but the TC bit over UDP, and all over TCP; `malformed` promises a
 * record and ends before it.
 */
export type Fault = 'SERVFAIL' | 'REFUSED' | 'NXDOMAIN' | 'NOTIMP' | 'FORMERR' | 'silent' | 'truncated' | 'malformed';

export interface DnsServer {
  /** `127.0.0.1:PORT`, as Resolver.setServers takes it. */
  readonly address: string;
  /** Every question so far, `name TYPE`, with `/tcp` where it came over TCP. */
  readonly asked: string[];
  /**
   * Makes the records of a name, `A 127.0.0.1`, `SRV 1 2 80 a.example`, these and no others. None: it exists without
   * records.
   */
  set(name: string, records: readonly string[], ttl?: number): void;
  /** Takes the name out of the zone: NXDOMAIN from now on. */
  remove(name: string): void;
  /** Answers questions for the name, or for one type of it, with a fault; undefined: no more. */
  fail(name: string, fault: Fault | undefined, type?: RecordType): void;
  /** Holds answers back until `release`. */
  hold(): void;
  release(): void;
  /** May be called twice. */
  close(): Promise<void>;
}

/** Starts one on a free port of 127.0.0.1. */
export async function startDnsServer(): Promise<DnsServer> {
  const zone = new Map<string, readonly ZoneRecord[]>();
  const faults = new Map<string, Fault>();
  const asked: string[] = [];
  let held: (() => void)[] | undefined;

  const answer = (query: Buffer, overTcp: boolean, send: (message: Buffer) => void): void => {
    const question = readQuestion(query);
    if (!question) return;
    const { name, type, end } = question;
    const typeName = Object.entries(TYPES).find(([, code]) => code === type)?.[0] ?? `TYPE${type}`;
    asked.push(`${name} ${typeName}${overTcp ? '/tcp' : ''}`);
    const fault = faults.get(`${name} ${typeName}`) ?? faults.get(name);
    if (fault === 'silent') return;
    let reply: Buffer;
    if (fault === 'truncated' && !overTcp) reply = message(query, end, RCODES.NOERROR, true, []);
    else if (fault === 'malformed') {
      reply = message(query, end, RCODES.NOERROR, false, []);
      reply.writeUInt16BE(1, 6);
    } else if (fault !== undefined && fault !== 'truncated') reply = message(query, end, RCODES[fault], false, []);
    else {
      const found = chase(zone, name, typeName);
      reply = message(query, end, found ? RCODES.NOERROR : RCODES.NXDOMAIN, false, found ?? []);
    }
    if (held) held.push(() => send(reply));
    else send(reply);
  };

  const { udp, tcp } = await bindBoth();
  const { port } = udp.address();
  const sockets = new Set<Socket>();
  let closed: Promise<unknown> | undefined;
  udp.on('message', (query, peer) => answer(query, false, (reply) => udp.send(reply, peer.port, peer.address)));
  tcp.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined).on('close', () => sockets.delete(socket));
    let input = Buffer.alloc(0);
    socket.on('data', (chunk) => {
      input = Buffer.concat([input, chunk]);
      while (input.length >= 2 && input.length >= 2 + input.readUInt16BE(0)) {
        const length = input.readUInt16BE(0);
        answer(input.subarray(2, 2 + length), true, (reply) => {
          if (!socket.destroyed) socket.write(Buffer.concat([uint16(reply.length), reply]));
        });
        input = input.subarray(2 + length);
      }
    });
  });

  return {
    address: `127.0.0.1:${port}`,
    asked,
    set(name, records, ttl = 60) {
      zone.set(
        name,
        records.map((line) => {
          const space = line.indexOf(' ');
          return { type: line.slice(0, space) as RecordType, data: line.slice(space + 1), ttl };
        }),
      );
    },
    remove(name) {
      zone.delete(name);
    },
    fail(name, fault, type) {
      const key = type === undefined ? name : `${name} ${type}`;
      if (fault === undefined) faults.delete(key);
      else faults.set(key, fault);
    },
    hold() {
      held ??= [];
    },
    release() {
      const waiting = held ?? [];
      held = undefined;
      for (const send of waiting) send();
    },
    async close() {
      for (const socket of sockets) socket.destroy();
      closed ??= Promise.all([
        new Promise<void>((resolve) => udp.close(() => resolve())),
        new Promise<void>((resolve) => tcp.close(() => resolve())),
      ]);
      await closed;
    },
  };
}

/** UDP and TCP on one port: the system picks it for UDP, and another is tried where TCP has it taken. */
async function bindBoth(): Promise<{ readonly udp: UdpSocket; readonly tcp: Server }> {
  for (let attempt = 0; ; attempt++) {
    const udp = createSocket('udp4');
    await new Promise<void>((resolve) => udp.bind(0, '127.0.0.1', resolve));
    const tcp = createServer();
    try {
      await new Promise<void>((resolve, reject) => {
        tcp.once('error', reject);
        tcp.listen(udp.address().port, '127.0.0.1', resolve);
      });
      return { udp, tcp };
    } catch (error) {
      udp.close();
      if (attempt === 20) throw error;
    }
  }
}

/** The records that answer, CNAMEs first (RFC 1034 section 4.3.2); undefined: the name doesn't exist. */
function chase(
  zone: ReadonlyMap<string, readonly ZoneRecord[]>,
  name: string,
  type: string,
): readonly (ZoneRecord & { readonly owner: string })[] | undefined {
  const found: (ZoneRecord & { readonly owner: string })[] = [];
  let owner = name;
  for (let hops = 0; hops < 10; hops++) {
    const records = zone.get(owner);
    if (!records) return undefined;
    const alias = records.find((record) => record.type === 'CNAME');
    if (!alias || type === 'CNAME') {
      for (const record of records) if (record.type === type) found.push({ ...record, owner });
      return found;
    }
    found.push({ ...alias, owner });
    owner = alias.data;
  }
  return found;
}

function readQuestion(query: Buffer): { name: string; type: number; end: number } | undefined {
  if (query.length < 17 || query.readUInt16BE(4) !== 1) return undefined;
  const labels: string[] = [];
  let at = 12;
  for (;;) {
    const length = query[at];
    if (length === undefined || length > 63) return undefined;
    at++;
    if (length === 0) break;
    labels.push(query.toString('latin1', at, at + length));
    at += length;
  }
  if (query.length < at + 4) return undefined;
  return { name: labels.join('.').toLowerCase(), type: query.readUInt16BE(at), end: at + 4 };
}

function message(
  query: Buffer,
  questionEnd: number,
  rcode: number,
  truncated: boolean,
  records: readonly (ZoneRecord & { readonly owner: string })[],
): Buffer {
  const head = Buffer.alloc(12);
  query.copy(head, 0, 0, 2);
  head.writeUInt16BE(0x8480 | (truncated ? 0x0200 : 0) | (query.readUInt16BE(2) & 0x0100) | rcode, 2);
  head.writeUInt16BE(1, 4);
  head.writeUInt16BE(records.length, 6);
  return Buffer.concat([head, query.subarray(12, questionEnd), ...records.map(writeRecord)]);
}

function writeRecord(record: ZoneRecord & { readonly owner: string }): Buffer {
  const data = writeData(record);
  const ttl = Buffer.alloc(4);
  ttl.writeUInt32BE(record.ttl);
  return Buffer.concat([
    writeName(record.owner),
    uint16(TYPES[record.type]),
    uint16(1),
    ttl,
    uint16(data.length),
    data,
  ]);
}

function writeData({ type, data }: ZoneRecord): Buffer {
  if (type === 'CNAME') return writeName(data);
  if (type === 'SRV') {
    const [priority, weight, port, target = ''] = data.split(' ');
    return Buffer.concat([...[priority, weight, port].map((value) => uint16(Number(value))), writeName(target)]);
  }
  if (type === 'A') {
    if (!isIPv4(data)) throw new Error(`${data} is no IPv4 address`);
    return Buffer.from(data.split('.').map(Number));
  }
  return writeIpv6(data);
}

function writeIpv6(text: string): Buffer {
  const [head = '', tail] = text.split('::');
  const words = (part: string): number[] =>
    part === '' ? [] : part.split(':').map((word) => Number.parseInt(word, 16));
  const front = words(head);
  const back = words(tail ?? '');
  const gap = tail === undefined ? 0 : 8 - front.length - back.length;
  return Buffer.concat([...front, ...Array<number>(gap).fill(0), ...back].map(uint16));
}

function writeName(name: string): Buffer {
  const labels = name === '.' || name === '' ? [] : name.replace(/\.$/, '').split('.');
  const parts = labels.flatMap((label) => [Buffer.from([label.length]), Buffer.from(label, 'latin1')]);
  return Buffer.concat([...parts, Buffer.from([0])]);
}

function uint16(value: number): Buffer {
  const buffer = Buffer.alloc(2);
  buffer.writeUInt16BE(value);
  return buffer;
}
