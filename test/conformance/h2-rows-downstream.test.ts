// Bad and extreme callers over HTTP/2, by the numbers of the project's catalogue of faults. Sequences run over the whole
// data plane on real sockets, single frames over a scripted connection. After each a canary must get its own answer.
import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { after, describe as suite, it } from 'node:test';
import type { ErrorKind } from '../../src/base/error.ts';
import {
  describe,
  headers,
  literals,
  ping,
  PREFACE,
  request,
  reset,
  settings,
  SETTINGS_ACK,
  valueOf,
  windowUpdate,
} from '../support/h2-peer.ts';
import {
  checkWords,
  CODE,
  continuation,
  data,
  frame,
  frameHeader,
  openHeaders,
  paddedData,
  paddedHeaders,
  priority,
  pushPromise,
  rawHeaders,
  TYPE,
  u32,
  unknownFrame,
  type Expected,
} from '../support/h2-script-cases.ts';
import { connectBare, connectClient } from '../support/h2-script-peer.ts';
import {
  canary,
  closeAll,
  closesLater,
  pattern,
  planeTo,
  startHonest,
  startOrigin,
  startRecorder,
} from '../support/h2-script-plane.ts';
import { open, openBare, reply, type Downstream } from '../wire/h2/downstream-harness.ts';

after(closeAll);

const GET = request();
const POST = request('/', [], 'POST');
const GRPC = request('/pkg.Svc/M', ['content-type', 'application/grpc', 'te', 'trailers'], 'POST');
const MOST = 0x7fffffff;
const OPEN_WINDOWS = [4, MOST];

function hex(text: string): Buffer {
  return Buffer.from(text.replaceAll(' ', ''), 'hex');
}

function words({ peer }: Downstream): string[] {
  return peer.take().map((seen) => describe(seen));
}

/** Answers everything at once. */
function answering(limits = {}): Downstream {
  return open(limits, ({ sender }) => sender.sendHead(reply(200), true));
}

/** What comes of `frames` on a connection whose requests are held. */
function outcome(expected: Expected, ...frames: Uint8Array[]): void {
  const downstream = open();
  downstream.peer.send(...frames);
  checkWords(expected, words(downstream));
}

suite('HTTP/2 callers: buffers and windows', () => {
  it('H2-016 a caller that stops reading its socket costs no more than the write buffer, and holds up only itself', async () => {
    // Over a scripted connection: what is kept is bounded however much the streams have to say.
    const downstream = open();
    const { transport, requests, peer } = downstream;
    peer.send(settings(...OPEN_WINDOWS), windowUpdate(0, MOST - 65_535));
    for (let i = 0; i < 100; i++) peer.send(headers(2 * i + 1, GET));
    peer.take();
    transport.blocked = true;
    const chunk = Buffer.alloc(16_384);
    for (const { sender } of requests) {
      sender.sendHead(reply(200), false);
      for (let i = 0; i < 64 && sender.bufferedBytes < 65_536; i++) sender.sendData(chunk, false);
      assert.ok(sender.bufferedBytes >= 65_536, 'its source would stop');
      assert.ok(sender.bufferedBytes <= 65_536 + 16_384);
    }
    assert.ok(transport.pendingBytes <= 1024 * 1024, `${transport.pendingBytes} bytes in the write buffer`);

    // Over sockets: the answers wait at their origin, others are served, and nothing is lost once it reads again.
    const origin = await startOrigin();
    const plane = await planeTo([origin.port]);
    const client = closesLater(await connectClient(plane.port, OPEN_WINDOWS));
    client.send(windowUpdate(0, MOST - 65_535));
    for (const id of [1, 3, 5, 7]) client.send(headers(id, request(`/bytes/${4 << 20}`)));
    await client.next('DATA');
    client.socket.pause();
    await canary(plane);
    await canary(plane);
    client.socket.resume();
    const expected = pattern(4 << 20);
    for (const id of [1, 3, 5, 7]) {
      const { body, reset } = await client.answer(id);
      assert.equal(reset, -1);
      assert.ok(body.equals(expected), `the body of stream ${id}`);
    }
  });

  it('H2-017 a caller that opens no window loses its answers after the flush timeout, and their upstreams are let go', async () => {
    const origin = await startOrigin();
    const plane = await planeTo([origin.port], {}, { limits: { flushMs: 300 } });
    const client = closesLater(await connectClient(plane.port, [4, 0]));
    const ids = Array.from({ length: 100 }, (_, i) => 2 * i + 1);
    client.send(...ids.map((id) => headers(id, request('/bytes/20000000'))));
    for (const id of ids) {
      const { status, body, reset: ended } = await client.answer(id);
      assert.deepEqual([status, body.length, ended], ['200', 0, CODE.CANCEL], `stream ${id}`);
    }
    assert.equal(plane.records.filter(({ error }) => error === 'flush_timeout').length, 100);
    assert.equal(plane.cluster.inFlight, 0);
    await client.roundTrip();
    client.send(settings(4, 65_535), headers(201, request('/canary')));
    assert.equal((await client.answer(201)).body.toString(), 'ok', 'the connection lives');
    await canary(plane);
    for (let i = 0; i < 50 && origin.aborted.length < 100; i++) await canary(plane);
    assert.equal(origin.aborted.length, 100, 'no answer was read to its end');
  });

  it('H2-018 a window opened a byte at a time is not served for ever', async () => {
    const origin = await startOrigin();
    const plane = await planeTo([origin.port]);
    const client = closesLater(await connectClient(plane.port, [4, 0]));
    client.send(headers(1, request('/bytes/100000')));
    await client.next('HEADERS 1');
    const one = windowUpdate(1, 1);
    for (let i = 0; i < 40 && !client.ended; i++) {
      client.send(...Array.from({ length: 100 }, () => one));
      await Promise.race([client.roundTrip(), client.closed()]).catch(() => undefined);
    }
    assert.deepEqual(await client.closed(), [CODE.ENHANCE_YOUR_CALM]);
    assert.ok(client.bodyBytes < 2000, `${client.bodyBytes} frames of a byte`);
    await canary(plane);
  });

  it("H2-018 a caller that gives each frame's bytes back at once is an honest one, and gets frames of some size", async () => {
    const origin = await startOrigin();
    const plane = await planeTo([origin.port]);
    const client = closesLater(await connectClient(plane.port, [], { creditBytes: 0 }));
    const length = 16 << 20;
    client.send(headers(1, request(`/bytes/${length}`)));
    const { body, reset: code } = await client.answer(1);
    assert.equal(code, -1);
    assert.ok(body.equals(pattern(length)));
    const frames = client.frames.filter(({ type }) => type === 'DATA').length;
    assert.ok(frames < length / 1024, `${frames} frames`);
  });

  it('H2-019 a window of the connection beyond 2^31-1: GOAWAY, and of 1,000 such connections nothing is left', async () => {
    const origin = await startOrigin();
    const plane = await planeTo([origin.port]);
    const script = Buffer.concat([PREFACE, settings(4, 0), headers(1, request('/bytes/70000')), windowUpdate(0, MOST)]);
    for (let round = 0; round < 20; round++) {
      await Promise.all(
        Array.from({ length: 50 }, async () => {
          const client = await connectBare(plane.port);
          client.send(script);
          assert.deepEqual(await client.closed(), [CODE.FLOW_CONTROL_ERROR]);
          client.socket.end();
        }),
      );
    }
    const listener = plane.config.listeners.get('outbound/80');
    assert.equal(listener?.bound?.active, 0);
    assert.equal(plane.cluster.inFlight, 0);
    await canary(plane);
    assert.ok((listener?.bound?.connectionCount ?? 0) <= 50, 'only the last may still be closing');
    assert.equal(plane.refusals.length, 1000, 'each is counted once');
  });

  it('H2-020 a window of a stream beyond 2^31-1 costs the stream', () => {
    outcome('RST_STREAM 1 FLOW_CONTROL_ERROR', headers(1, GET), windowUpdate(1, MOST));
    outcome('GOAWAY FLOW_CONTROL_ERROR', headers(1, GET), windowUpdate(1, MOST - 65_535), settings(4, 65_536));
  });

  it('H2-021 a window that became negative: nothing is sent until it is positive again', () => {
    const downstream = open({}, ({ sender }) => {
      sender.sendHead(reply(200), false);
      sender.sendData(Buffer.alloc(50), true);
    });
    const { peer } = downstream;
    peer.send(settings(4, 10), headers(1, GET));
    assert.deepEqual(words(downstream), ['SETTINGS ACK', 'HEADERS 1', 'DATA 1 10']);
    peer.send(settings(4, 4)); // -6
    assert.deepEqual(words(downstream), ['SETTINGS ACK']);
    peer.send(windowUpdate(1, 5)); // -1
    peer.send(windowUpdate(1, 1)); // 0
    assert.deepEqual(words(downstream), []);
    peer.send(windowUpdate(1, 3));
    assert.deepEqual(words(downstream), ['DATA 1 3']);
    peer.send(settings(4, 0)); // -4
    peer.send(windowUpdate(1, 4 + 37));
    assert.deepEqual(words(downstream), ['SETTINGS ACK', 'DATA 1 37 END']);
  });

  it('H2-022 DATA beyond a window: of the stream costs the stream, of the connection the connection', () => {
    const piece = Buffer.alloc(16_384);
    const one = open({}, ({ sender }) => sender.pauseRequest());
    one.peer.send(headers(1, POST, false), data(1, piece), data(1, piece), data(1, piece), data(1, piece.subarray(1)));
    checkWords('IGNORED', words(one)); // 65,535 bytes to the last
    one.peer.send(data(1, 'x'));
    checkWords('RST_STREAM 1 FLOW_CONTROL_ERROR', words(one));
    assert.equal(one.requests[0]?.events.at(-1), 'abort bad_request');

    const limits = { connectionWindowBytes: 65_535, connectionHeldBytes: 0 };
    const all = open(limits, ({ sender }) => sender.pauseRequest());
    all.peer.send(headers(1, POST, false), headers(3, POST, false));
    all.peer.send(data(1, piece), data(1, piece), data(3, piece), data(3, piece.subarray(1)));
    checkWords('IGNORED', words(all));
    all.peer.send(data(3, 'x'));
    checkWords('GOAWAY FLOW_CONTROL_ERROR', words(all));
  });

  it('H2-023 no window of the connection is lost: padding, DATA behind our reset, dropped bodies, DATA behind GOAWAY', async () => {
    const origin = await startOrigin();
    const plane = await planeTo([origin.port], {}, { limits: { connectionWindowBytes: 65_535 } });
    const client = closesLater(await connectClient(plane.port));
    let id = -1;
    const piece = Buffer.alloc(900, 'b');
    const kilobyte = (last: boolean): Buffer => paddedData(id, piece, 123, 123, last);
    const games: Record<string, () => Buffer[]> = {
      'padded DATA': () => [headers(id, POST, false), kilobyte(false), kilobyte(true)],
      'DATA that is only padding': () => [headers(id, POST, false), paddedData(id, '', 255), data(id, 'x', true)],
      'DATA behind a malformed request': () => [
        headers(id, [...POST, 'connection', 'close'], false),
        kilobyte(false),
        kilobyte(true),
      ],
      'DATA beyond content-length': () => [
        headers(id, [...POST, 'content-length', '1'], false),
        kilobyte(false),
        kilobyte(true),
      ],
      "DATA behind an answer that didn't wait": () => [
        headers(id, request('/early', [], 'POST'), false),
        kilobyte(false),
        kilobyte(false),
        kilobyte(true),
      ],
      'DATA behind an answer of our own': () => [
        headers(id, request('/', [], 'CONNECT').toSpliced(6, 2).toSpliced(2, 2), false),
        kilobyte(false),
        kilobyte(true),
      ],
      "DATA, then the peer's reset": () => [headers(id, POST, false), kilobyte(false), reset(id, CODE.CANCEL)],
    };
    for (const [game, script] of Object.entries(games)) {
      for (let round = 0; round < 60; round++) {
        id += 2;
        const frames = script();
        await client.credit(4096);
        for (const one of frames) client.sendData(one);
        if (round % 5 === 4) await client.roundTrip();
      }
      await client.roundTrip();
      // Credit comes in halves of the window, so what is out at most is a little less than that.
      const out = client.sentDataBytes - client.creditedBytes;
      assert.ok(out < 32_768, `${game}: ${out} bytes of window are out`);
    }
    // Exactly: at the moment when credit is given, all of it is.
    id += 2;
    client.sendData(headers(id, POST, false));
    const before = client.creditedBytes;
    let credited = -1;
    client.onFrame = (seen) => {
      if (seen.type === 'WINDOW_UPDATE' && seen.id === 0) credited = client.creditedBytes;
    };
    while (credited < 0) {
      client.sendData(data(id, piece));
      await client.roundTrip();
      assert.ok(client.sentDataBytes - before < 200_000, 'credit comes');
    }
    assert.equal(credited, client.sentDataBytes, 'not a byte of the window is lost');
    client.onFrame = undefined;
    client.sendData(data(id, '', true));
    await client.answer(id);

    id += 2;
    client.send(headers(id, POST, false));
    await client.upload(id, 1 << 20);
    assert.equal((await client.answer(id)).body.toString(), 'ok');
    assert.equal(origin.bodies.at(-1), 1 << 20, 'a megabyte passes afterwards');
    assert.deepEqual(client.goaways(), []);
    await canary(plane);
  });

  it('H2-023 the window of the connection is given back for DATA behind our GOAWAY', () => {
    const downstream = open({ connectionWindowBytes: 65_535 });
    const { peer, session } = downstream;
    peer.send(headers(1, POST, false));
    session.drain();
    const drainPing = peer.take().find(({ type }) => type === 'PING');
    assert.ok(drainPing);
    peer.send(frame(TYPE.PING, 1, 0, drainPing.payload)); // the final GOAWAY names stream 1
    assert.deepEqual(words(downstream), ['GOAWAY 1 0']);
    let sent = 0;
    let credited = 0;
    for (let id = 3; id < 203; id += 2) {
      peer.send(headers(id, POST, false), data(id, Buffer.alloc(1000)));
      sent += 1000;
      for (const seen of peer.take()) {
        assert.equal(`${seen.type} ${seen.id}`, 'WINDOW_UPDATE 0', 'nothing is said of streams behind the GOAWAY');
        credited += seen.payload.readUInt32BE(0);
        assert.equal(credited, sent);
      }
    }
    assert.ok(sent - credited < 32_768);
    assert.equal(downstream.requests.length, 1);
  });

  it('H2-024 padding: all of a payload may be padding, no more', () => {
    const good = [paddedData(1, '', 4), paddedData(1, 'x', 255), paddedData(1, '', 0), paddedData(1, '', 255)];
    for (const bytes of good) outcome('IGNORED', headers(1, POST, false), bytes);
    const bad = [
      paddedData(1, '', 3, 4), // as long as the payload
      paddedData(1, '', 0, 1),
      paddedData(1, '', 0, 255),
      paddedData(1, 'x'.repeat(254), 0, 255),
    ];
    for (const bytes of bad) outcome('GOAWAY PROTOCOL_ERROR', headers(1, POST, false), bytes);
    outcome('GOAWAY FRAME_SIZE_ERROR', headers(1, POST, false), frame(TYPE.DATA, 0x8, 1));
    outcome('GOAWAY FRAME_SIZE_ERROR', frame(TYPE.HEADERS, 0xc, 1));
    outcome('GOAWAY PROTOCOL_ERROR', paddedHeaders(1, [], 0, 255));
    outcome('GOAWAY FRAME_SIZE_ERROR', frame(TYPE.HEADERS, 0x2c, 1, Buffer.alloc(4)));
    const downstream = answering();
    downstream.peer.send(paddedHeaders(1, GET, 255));
    assert.deepEqual(words(downstream), ['HEADERS 1 END']);
  });

  it('H2-025 DATA without a byte: END_STREAM counts, others are limited', () => {
    const downstream = open();
    downstream.peer.send(headers(1, POST, false), data(1, ''), data(1, 'x'), data(1, '', true));
    assert.deepEqual(downstream.requests[0]?.events, ['head', 'data 1', 'data 0 end']);
    checkWords('IGNORED', words(downstream));
    outcome('GOAWAY ENHANCE_YOUR_CALM', headers(1, POST, false), ...Array.from({ length: 50 }, () => data(1, '')));
  });

  it('H2-026 a frame announced with 16 MB is refused on its header', async () => {
    const origin = await startOrigin();
    const plane = await planeTo([origin.port]);
    for (const type of [TYPE.DATA, TYPE.HEADERS, TYPE.SETTINGS, 0xbb]) {
      const client = closesLater(await connectClient(plane.port));
      client.send(headers(1, POST, false), frameHeader(type, 0, type === TYPE.SETTINGS ? 0 : 1, 16_000_000));
      assert.deepEqual(await client.closed(), [CODE.FRAME_SIZE_ERROR]);
    }
    await canary(plane);
    assert.equal(origin.bodies.length, 1, 'only the canary was served');
  });
});

suite('HTTP/2 callers: streams', () => {
  it('H2-027 identifiers: even, lower, used again, idle', () => {
    outcome('GOAWAY PROTOCOL_ERROR', headers(2, GET));
    outcome('GOAWAY PROTOCOL_ERROR', headers(7, GET), headers(3, GET));
    const again = answering();
    again.peer.send(headers(1, GET), headers(1, GET));
    checkWords('GOAWAY STREAM_CLOSED', words(again));
    for (const late of [data(9, 'x'), reset(9, 8), windowUpdate(9, 1), continuation(9, literals(GET))]) {
      outcome('GOAWAY PROTOCOL_ERROR', headers(1, GET), late);
    }
    for (const even of [data(2, 'x'), reset(2, 8), windowUpdate(2, 1)]) outcome('GOAWAY PROTOCOL_ERROR', even);
  });

  it('H2-028 frames on closed streams; behind our reset they are ignored, and the tables stay in step', () => {
    for (const late of [data(1, 'x'), headers(1, ['x-late', '1'])]) {
      const ended = answering();
      ended.peer.send(headers(1, GET), late);
      checkWords('GOAWAY STREAM_CLOSED', words(ended));
      outcome('GOAWAY STREAM_CLOSED', headers(1, POST, false), reset(1, 8), late);
    }
    for (const late of [windowUpdate(1, 1), priority(1), reset(1, 8)]) {
      const ended = answering();
      ended.peer.send(headers(1, GET), late);
      checkWords('ANSWER 1', words(ended));
    }

    const downstream = answering();
    const { peer, requests } = downstream;
    peer.send(headers(1, [...POST, 'connection', 'close'], false));
    checkWords('RST_STREAM 1 PROTOCOL_ERROR', words(downstream));
    // Trailers that were on their way put `x-late: a` into the table; the next request refers to it as entry 62.
    const insert = Buffer.concat([Buffer.from([0x40]), literals(['x-late', 'a']).subarray(1)]);
    peer.send(data(1, 'x'), windowUpdate(1, 1), rawHeaders(1, insert), reset(1, 8));
    assert.deepEqual(words(downstream), []);
    peer.send(rawHeaders(3, Buffer.concat([literals(GET), Buffer.from([0x80 | 62])])));
    assert.deepEqual(words(downstream), ['HEADERS 3 END']);
    assert.deepEqual(requests[0]?.head.fields, ['x-late', 'a']);
  });

  it('H2-029 the last identifiers: answered, and then the caller is told to connect again', async () => {
    const origin = await startOrigin();
    const plane = await planeTo([origin.port]);
    const client = closesLater(await connectClient(plane.port));
    for (const id of [MOST - 4, MOST - 2, MOST]) {
      client.send(headers(id, GET));
      assert.equal((await client.answer(id)).status, '200', `stream ${id}`);
    }
    assert.deepEqual(new Set(await client.closed()), new Set([CODE.NO_ERROR]));
    await canary(plane);
  });

  it('H2-030 more streams than allowed are refused, each without a trace upstream', async () => {
    const origin = await startOrigin();
    const plane = await planeTo([origin.port], {}, { limits: { concurrentStreams: 10 } });
    const client = closesLater(await connectClient(plane.port));
    for (let i = 0; i < 15; i++) client.send(headers(2 * i + 1, POST, false));
    for (let i = 10; i < 15; i++) assert.equal((await client.answer(2 * i + 1)).reset, CODE.REFUSED_STREAM);
    for (let i = 0; i < 10; i++) client.send(data(2 * i + 1, 'x', true));
    for (let i = 0; i < 10; i++) assert.equal((await client.answer(2 * i + 1)).status, '200');
    assert.equal(origin.paths.length, 10);
    await canary(plane);
  });

  it('H2-047 preface faults: other bytes, no SETTINGS, SETTINGS never acknowledged', async () => {
    const origin = await startOrigin();
    const plane = await planeTo([origin.port], {}, { protocols: 'http2', limits: { settingsAckMs: 150 } });
    const noise = closesLater(await connectBare(plane.port));
    noise.send(Buffer.from('GET / HTTP/1.1\r\nhost: a\r\n\r\n'));
    assert.deepEqual(await noise.closed(), [CODE.PROTOCOL_ERROR]);

    const almost = closesLater(await connectBare(plane.port));
    almost.send(Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r'), Buffer.from('X'));
    assert.deepEqual(await almost.closed(), [CODE.PROTOCOL_ERROR]);

    for (const first of [headers(1, GET), ping(), SETTINGS_ACK, windowUpdate(0, 1), unknownFrame()]) {
      const client = closesLater(await connectBare(plane.port));
      client.send(PREFACE, first);
      assert.deepEqual(await client.closed(), [CODE.PROTOCOL_ERROR]);
    }

    const silent = closesLater(await connectClient(plane.port, [], { acks: false }));
    silent.send(headers(1, GET));
    assert.equal((await silent.answer(1)).status, '200', 'it is served meanwhile');
    assert.deepEqual(await silent.closed(), [CODE.SETTINGS_TIMEOUT]);

    const slow = closesLater(await connectBare(plane.port));
    for (const byte of Buffer.concat([PREFACE, settings(), headers(1, GET)])) slow.send(Buffer.from([byte]));
    assert.equal((await slow.answer(1)).status, '200', 'a byte at a time is no fault');
    await canary(plane);
    const kinds = new Set<ErrorKind>(plane.refusals.map(([kind]) => kind));
    assert.deepEqual([...kinds], ['bad_request']);
    assert.equal(plane.refusals.length, 8, 'each fault is counted once');
  });

  it('H2-048 an acknowledgement of a PING that nobody sent is ignored', () => {
    outcome(['PING ACK'], ping(1, 2, true), ping(3, 4, true), ping(5, 6));
  });

  it("H2-049 a caller can't push", () => {
    outcome('GOAWAY PROTOCOL_ERROR', pushPromise(1, 2, GET));
    outcome('GOAWAY PROTOCOL_ERROR', headers(1, GET), pushPromise(1, 2, GET));
  });

  it("H2-050 the caller's GOAWAY: what is in flight finishes, then the connection closes", async () => {
    const origin = await startOrigin();
    const plane = await planeTo([origin.port]);
    const client = closesLater(await connectClient(plane.port));
    client.send(headers(1, POST, false), frame(TYPE.GOAWAY, 0, 0, u32(0, 0)), data(1, 'x'));
    await client.roundTrip();
    client.send(data(1, 'y', true));
    assert.equal((await client.answer(1)).status, '200');
    assert.deepEqual(await client.closed(), [CODE.NO_ERROR]);
    outcome('GOAWAY PROTOCOL_ERROR', frame(TYPE.GOAWAY, 0, 1, u32(0, 0)));
    outcome('GOAWAY FRAME_SIZE_ERROR', frame(TYPE.GOAWAY, 0, 0, u32(0)));
  });

  it('H2-054 until our SETTINGS are acknowledged the old values stand', () => {
    const limits = { streamWindowBytes: 1000, hpackTableBytes: 0 };
    const downstream = openBare(limits, ({ sender }) => sender.pauseRequest());
    const { peer } = downstream;
    const insert = Buffer.concat([Buffer.from([0x40]), literals(['x-a', '1']).subarray(1)]);
    peer.send(PREFACE, settings(), rawHeaders(1, Buffer.concat([literals(POST), insert]), false));
    for (let i = 0; i < 3; i++) peer.send(data(1, Buffer.alloc(16_384)));
    peer.send(rawHeaders(3, Buffer.concat([literals(POST), Buffer.from([0x80 | 62])]), false));
    checkWords('IGNORED', words(downstream).slice(1));
    assert.deepEqual(downstream.requests[1]?.head.fields, ['x-a', '1'], 'the table of 4,096 bytes');
    peer.send(SETTINGS_ACK);
    checkWords('IGNORED', words(downstream));
    // Now a stream takes 1,000 bytes, and a block that doesn't take the table back is an error.
    peer.send(rawHeaders(5, Buffer.concat([Buffer.from([0x20]), literals(POST)]), false), data(5, Buffer.alloc(1000)));
    checkWords('IGNORED', words(downstream));
    peer.send(data(5, 'x'));
    checkWords('RST_STREAM 5 FLOW_CONTROL_ERROR', words(downstream));

    const stale = openBare(limits);
    stale.peer.send(PREFACE, settings(), SETTINGS_ACK, rawHeaders(1, literals(GET)));
    checkWords('GOAWAY COMPRESSION_ERROR', words(stale).slice(1));
  });
});

suite('HTTP/2 callers: messages', () => {
  /** Each as fields of a request that must be refused as malformed. */
  const MALFORMED: Readonly<Record<string, readonly (readonly string[])[]>> = {
    'H2-037 pseudo-fields: unknown, of answers, repeated, missing, late, empty': [
      [...GET, ':test', 'ok'],
      [...GET, ':status', '200'],
      [...GET, ':method', 'GET'],
      [...GET, ':scheme', 'http'],
      [...GET, ':path', '/'],
      [...GET, ':authority', 'svc:80'],
      GET.slice(2),
      GET.toSpliced(2, 2),
      GET.slice(0, 6),
      GET.toSpliced(4, 2),
      ['x-first', '1', ...GET],
      [...GET.slice(0, 6), 'x-early', '1', ...GET.slice(6)],
      [':method', '', ...GET.slice(2)],
      [':method', 'GE T', ...GET.slice(2)],
      request(''),
      [':method', 'GET', ':scheme', '', ...GET.slice(4)],
      [':method', 'GET', ':scheme', 'ftp', ...GET.slice(4)],
      ['', 'x', ...GET],
      [':', 'x', ...GET],
      [...GET, ':protocol', 'websocket'],
    ],
    "H2-038 paths that don't begin with a slash, or hold what no path holds": [
      request('pkg.Svc/M'),
      request('*'),
      request('http://svc/'),
      request('/a#b'),
      request('/a b'),
      request('/a\tb'),
      request('/a\rb'),
      request('/a\0b'),
      request('/a\x7fb'),
      request('?a'),
    ],
    'H2-040 an authority that is none, or another than host': [
      [...GET, 'host', 'other:80'],
      [...GET, 'host', 'svc:80', 'host', 'svc:80'],
      GET.with(5, ''),
      GET.with(5, 'user@svc'),
      GET.with(5, 'svc/x'),
      GET.with(5, 'a b'),
      GET.with(5, 'svc\r\nx: y'),
    ],
    'H2-041 upper case, bytes that no name or value holds, connection-specific fields': [
      [...GET, 'X-Y', '1'],
      [...GET, 'x y', '1'],
      [...GET, 'x:y', '1'],
      [...GET, 'x\ty', '1'],
      [...GET, 'x\0y', '1'],
      [...GET, 'x\r\ny', '1'],
      [...GET, 'x(y', '1'],
      [...GET, 'x\x80', '1'],
      [...GET, '', '1'],
      [...GET, 'x-v', 'a\rb'],
      [...GET, 'x-v', 'a\nb'],
      [...GET, 'x-v', 'a\r\nb: c'],
      [...GET, 'x-v', 'a\0b'],
      [...GET, 'x-v', 'a\x01b'],
      [...GET, 'x-v', 'a\x7fb'],
      [...GET, 'x-v', ' a'],
      [...GET, 'x-v', 'a '],
      [...GET, 'x-v', '\ta'],
      [...GET, 'x-v', 'a\t'],
      [...GET, 'connection', 'close'],
      [...GET, 'keep-alive', 'timeout=5'],
      [...GET, 'proxy-connection', 'close'],
      [...GET, 'transfer-encoding', 'chunked'],
      [...GET, 'upgrade', 'websocket'],
      [...GET, 'te', 'gzip'],
      [...GET, 'content-length', '-1'],
      [...GET, 'content-length', '1, 1'],
      [...GET, 'content-length', '0', 'content-length', '0'],
    ],
  };

  for (const [row, requests] of Object.entries(MALFORMED)) {
    it(row, async () => {
      const recorder = await startRecorder();
      const plane = await planeTo([recorder.port]);
      const client = closesLater(await connectClient(plane.port));
      for (const [i, fields] of requests.entries()) {
        const id = 4 * i + 1;
        client.send(headers(id, fields));
        const answer = await client.answer(id);
        assert.equal(answer.reset, CODE.PROTOCOL_ERROR, `${JSON.stringify(fields)}: ${JSON.stringify(answer)}`);
        client.send(headers(id + 2, request('/after')));
        assert.equal((await client.answer(id + 2)).body.toString(), 'ok', 'the connection lives');
      }
      assert.equal(recorder.requests.length, requests.length, 'nothing but the good requests went on');
      for (const seen of recorder.requests) assert.ok(seen.startsWith('GET /after HTTP/1.1\r\n'), seen);
      assert.deepEqual(
        plane.refusals.map(([kind]) => kind),
        requests.map(() => 'bad_request'),
        'each is counted once',
      );
      await canary(plane);
    });
  }

  it('H2-037 pseudo-fields in trailers; what is wrong with trailers costs the stream', async () => {
    const upstream = await startHonest();
    const plane = await planeTo([upstream.port], { scheme: 'grpc' });
    const client = closesLater(await connectClient(plane.port));
    const bad = [
      [':method', 'POST'],
      [':path', '/'],
      [':status', '200'],
      ['X-Y', '1'],
      ['x', 'a\r\nb'],
      ['content-length', '1'],
    ];
    for (const [i, trailers] of bad.entries()) {
      const id = 2 * i + 1;
      client.send(headers(id, GRPC, false), data(id, 'test'));
      await client.roundTrip();
      client.send(headers(id, trailers));
      assert.equal((await client.answer(id)).reset, CODE.PROTOCOL_ERROR, JSON.stringify(trailers));
    }
    await canary(plane, ['content-type', 'application/grpc']);
  });

  it('H2-038 a gRPC method without its slash is unimplemented, before any routing', async () => {
    const upstream = await startHonest();
    const plane = await planeTo([upstream.port], { scheme: 'grpc' });
    const client = closesLater(await connectClient(plane.port));
    client.send(headers(1, GRPC.with(7, 'pkg.Svc/M')));
    const { status, fields, reset: code } = await client.answer(1);
    assert.deepEqual([status, valueOf(fields, 'grpc-status'), code], ['200', '12', -1]);
    assert.deepEqual(upstream.ids, [], 'no upstream heard of it');
    assert.equal(plane.refusals.length, 1);
    await canary(plane, ['content-type', 'application/grpc']);
  });

  it('H2-039 CONNECT, with and without :protocol, and requests without a path are refused', async () => {
    const recorder = await startRecorder();
    const plane = await planeTo([recorder.port]);
    const client = closesLater(await connectClient(plane.port));
    const plain = [':method', 'CONNECT', ':authority', 'svc:80'];
    const extended = [
      ':method',
      'CONNECT',
      ':protocol',
      'websocket',
      ':scheme',
      'http',
      ':authority',
      'svc:80',
      ':path',
      '/',
    ];
    const refused = [plain, extended, [...plain, ':path', '/'], [...plain, ':scheme', 'http'], [':method', 'CONNECT']];
    for (const [i, fields] of refused.entries()) {
      const id = 2 * i + 1;
      client.send(headers(id, fields, false));
      const { status, reset: code } = await client.answer(id);
      if (i < 2) assert.ok(['405', '501'].includes(status) || code === CODE.PROTOCOL_ERROR, `${status} ${code}`);
      else assert.equal(code, CODE.PROTOCOL_ERROR, `${JSON.stringify(fields)}: ${status} ${code}`);
    }
    await client.roundTrip();
    assert.equal(plane.refusals.length + plane.records.length, refused.length, 'each is counted once');
    assert.deepEqual(recorder.requests, []);
    assert.deepEqual(client.goaways(), []);
    await canary(plane);
  });

  it('H2-042 trailers without END_STREAM', async () => {
    const recorder = await startRecorder();
    const plane = await planeTo([recorder.port]);
    const client = closesLater(await connectClient(plane.port));
    client.send(headers(1, POST, false), data(1, 'test'), headers(1, ['x-trailer', '1'], false));
    assert.equal((await client.answer(1)).reset, CODE.PROTOCOL_ERROR);
    client.send(headers(3, POST, false), headers(3, POST, false));
    assert.equal((await client.answer(3)).reset, CODE.PROTOCOL_ERROR);
    await canary(plane);
    assert.equal(recorder.requests.length, 1, 'neither looked complete to the upstream');
  });

  it('H2-043 errors of HPACK cost the connection', () => {
    const bad: Record<string, Buffer> = {
      'index 0': hex('80'),
      'an index beyond the tables': hex('be'),
      'a name beyond the tables': hex('7f 00 01 61'),
      'a literal that is cut': hex('40 05 61'),
      'an index that is cut': hex('ff'),
      'an integer without end': hex('7f ff ff ff ff ff ff ff ff ff 7f'),
      'a length beyond the block': hex('00 01 61 7f ff ff ff 7f'),
      'Huffman padding of zeros': hex('00 01 61 85 aec3771a4a'),
      'Huffman padding of a byte': hex('00 01 61 87 a8eb10649cbfff'),
      EOS: hex('00 01 61 85 4fffffffe9'),
      'a table that is too large': hex('3f e2 1f'),
      'a table update behind a field': hex('82 20'),
    };
    for (const [what, block] of Object.entries(bad)) {
      const downstream = open();
      downstream.peer.send(rawHeaders(1, block));
      const seen = words(downstream);
      assert.deepEqual(seen, ['GOAWAY 1 9'], what);
      assert.equal(downstream.requests.length, 0);
    }
    // Also where nobody wants the block: behind a reset.
    outcome('GOAWAY COMPRESSION_ERROR', headers(1, POST, false), windowUpdate(1, 0), rawHeaders(1, hex('80')));
  });

  it('H2-044 games with the table size: our encoder keeps to 4 KiB and announces each change', async () => {
    const upstream = await startHonest();
    const plane = await planeTo([upstream.port], { scheme: 'grpc' });
    const client = closesLater(await connectClient(plane.port));
    let id = -1;
    const calls = async (): Promise<void> => {
      for (let i = 0; i < 4; i++) {
        id += 2;
        client.send(headers(id, GRPC));
        const { status, fields } = await client.answer(id);
        assert.equal(status, '200');
        assert.ok(fields.length % 2 === 0);
      }
    };
    const change = async (...sizes: number[]): Promise<void> => {
      client.send(settings(...sizes.flatMap((size) => [1, size])));
      const acks = client.frames.filter(({ type, flags }) => type === 'SETTINGS' && (flags & 1) !== 0).length;
      await client.until(
        'the acknowledgement',
        () => client.frames.filter(({ type, flags }) => type === 'SETTINGS' && (flags & 1) !== 0).length > acks,
      );
      for (const size of sizes) client.decoder.allow(size);
    };
    await client.roundTrip();
    await calls();
    assert.deepEqual(client.decoder.updates, []);
    await change(0);
    await calls();
    assert.deepEqual(client.decoder.updates, [0]);
    await change(0xffffffff);
    await calls();
    assert.deepEqual(client.decoder.updates, [0, 4096], 'never more than 4 KiB');
    await change(0, 4096);
    await calls();
    assert.deepEqual(client.decoder.updates, [0, 4096, 0, 4096], 'a table that was emptied in between');
    await change(100);
    await change(50);
    await change(2000);
    await calls();
    assert.deepEqual(client.decoder.updates.slice(4), [50, 2000], 'the smallest, then the last');
    for (let i = 0; i < 20; i++) await change(i % 2 === 0 ? 0 : 4096);
    await calls();
    await canary(plane, ['content-type', 'application/grpc']);
  });

  it("H2-045 the caller's table: shrunk, emptied and grown by size updates", () => {
    const downstream = answering();
    const { peer, requests } = downstream;
    const insert = Buffer.concat([Buffer.from([0x40]), literals(['x-a', '1']).subarray(1)]);
    peer.send(rawHeaders(1, Buffer.concat([literals(GET), insert])));
    peer.send(rawHeaders(3, Buffer.concat([hex('20 3f e1 1f'), literals(GET), insert, Buffer.from([0x80 | 62])])));
    checkWords('ANSWER 3', words(downstream));
    assert.deepEqual(requests[1]?.head.fields, ['x-a', '1', 'x-a', '1']);
    peer.send(rawHeaders(5, Buffer.concat([hex('20 3f e1 1f'), literals(GET), Buffer.from([0x80 | 62])])));
    checkWords('GOAWAY COMPRESSION_ERROR', words(downstream));
  });

  it('H2-046 no frame may stand within a header block', () => {
    const within: Buffer[] = [
      data(1, 'x'),
      headers(1, GET),
      headers(3, GET),
      priority(1),
      reset(1, 8),
      settings(),
      SETTINGS_ACK,
      pushPromise(1, 2, GET),
      ping(),
      frame(TYPE.GOAWAY, 0, 0, u32(0, 0)),
      windowUpdate(0, 1),
      windowUpdate(1, 1),
      continuation(3, literals([])),
      continuation(0, literals([])),
      unknownFrame(),
      unknownFrame(1),
    ];
    for (const bytes of within) {
      outcome('GOAWAY PROTOCOL_ERROR', openHeaders(1, GET), bytes, continuation(1, literals([])));
      outcome('GOAWAY PROTOCOL_ERROR', openHeaders(1, GET), continuation(1, literals(['x-a', '1']), false), bytes);
    }
    const downstream = answering();
    downstream.peer.send(openHeaders(1, GET), continuation(1, literals(['x-a', '1'])));
    assert.deepEqual(words(downstream), ['HEADERS 1 END']);
  });
});

suite('HTTP/2 callers: sharing a connection', () => {
  it("H2-052 one large answer doesn't hold up 99 small ones", async () => {
    const origin = await startOrigin();
    const plane = await planeTo([origin.port]);
    const large = 64 << 20;
    // With windows that are always open, and with those of the RFC, which the large answer uses up at once.
    for (const pairs of [OPEN_WINDOWS, []]) {
      const isOpen = pairs.length > 0;
      const credit = isOpen ? {} : { creditBytes: 16_384 };
      const client = closesLater(await connectClient(plane.port, pairs, { dropsBodies: true, ...credit }));
      if (isOpen) client.send(windowUpdate(0, MOST - 65_535));
      let id = 1;
      const small = async (): Promise<void> => {
        const ids = Array.from({ length: 99 }, () => (id += 2));
        client.send(...ids.map((one) => headers(one, request('/small'))));
        for (const one of ids) assert.equal((await client.answer(one)).status, '200');
      };
      await small(); // the connections upstream are there now
      const first = (id += 2);
      client.send(headers(first, request(`/bytes/${large}`)));
      const start = client.bodyBytes;
      await client.until('the large answer to run', () => client.bodyBytes - start > 1 << 20);
      const before = client.bodyBytes;
      await small();
      const meanwhile = client.bodyBytes - before;
      assert.ok(meanwhile < large / 2, `${meanwhile} bytes of the large answer went before the last small one`);
      assert.equal((await client.answer(first)).reset, -1);
      assert.equal(client.bodyBytes, large + 2 * 99 * 2, 'the large one is whole');
      client.close();
    }
  });

  it(
    'H2-053 a slow socket with small reads, requests written a byte at a time: nothing lost',
    { timeout: 20_000 },
    async () => {
      const origin = await startOrigin();
      const plane = await planeTo([origin.port]);
      const expected = pattern(1 << 20);
      const chunks: Buffer[] = [];
      const streams = new Map<number, Buffer[]>([1, 3, 5, 7].map((id) => [id, []]));
      await new Promise<void>((resolve, reject) => {
        let bytes = 0;
        const socket = connect({
          port: plane.port,
          host: '127.0.0.1',
          onread: {
            buffer: Buffer.alloc(4099),
            callback(count, buffer) {
              chunks.push(Buffer.from(buffer.subarray(0, count)));
              bytes += count;
              if (bytes >= 4 << 20) resolve();
              setImmediate(() => socket.resume());
              return false;
            },
          },
        });
        closesLater({ close: () => socket.destroy() });
        socket.on('error', reject);
        socket.on('close', () => resolve());
        socket.setNoDelay(true);
        const asks = [...streams.keys()].map((id) => headers(id, request(`/bytes/${expected.length}`)));
        const script = [PREFACE, settings(...OPEN_WINDOWS), SETTINGS_ACK, windowUpdate(0, MOST - 65_535), ...asks];
        for (const byte of Buffer.concat(script)) socket.write(Buffer.from([byte]));
      });
      let all = Buffer.concat(chunks);
      while (all.length >= 9) {
        const length = all.readUIntBE(0, 3);
        if (all.length < 9 + length) break;
        const id = all.readUInt32BE(5);
        if (all[3] === TYPE.DATA) streams.get(id)?.push(all.subarray(9, 9 + length));
        assert.ok((all[3] ?? 0) <= TYPE.CONTINUATION, 'frames follow one another');
        all = all.subarray(9 + length);
      }
      for (const [id, parts] of streams) {
        const body = Buffer.concat(parts);
        assert.ok(body.length > expected.length / 2, `stream ${id} got ${body.length} bytes: all advance together`);
        assert.ok(body.equals(expected.subarray(0, body.length)), `the body of stream ${id}`);
      }
      await canary(plane);
    },
  );
});

suite('HTTP/2 to HTTP/1', () => {
  it('H1-137 nothing of a request can become a second one', async () => {
    const recorder = await startRecorder();
    const plane = await planeTo([recorder.port]);
    const client = closesLater(await connectClient(plane.port));
    const smuggled = 'GET /smuggled HTTP/1.1\r\nHost: evil\r\n\r\n';
    const attacks: (readonly string[])[] = [
      [...POST, 'x', `a\r\n\r\n${smuggled}`],
      [...POST, 'x', 'a\nb: c'],
      [...POST, 'x', 'a\rb: c'],
      [...POST, 'x', 'a\0b'],
      [...POST, `x: a\r\n\r\n${smuggled}`, 'b'],
      [...POST, 'x: y', 'z'],
      [...POST, 'x y', 'z'],
      [...POST, 'transfer-encoding', 'chunked'],
      [...POST, 'transfer-encoding', 'identity'],
      [...POST, 'transfer-encoding ', 'chunked'],
      [...POST, 'transfer-encoding\t', 'chunked'],
      [...POST, 'transfer_encoding\r\ntransfer-encoding', 'chunked'],
      [...POST, 'content-length', '0', 'content-length', '40'],
      [...POST, 'content-length', '+40'],
      [...POST, 'content-length', '0x28'],
      [...POST, 'content-length', '4\r\ntransfer-encoding: chunked'],
      [':method', `GET / HTTP/1.1\r\nHost: a\r\n\r\n${smuggled}`, ...POST.slice(2)],
      [':method', 'POST /x HTTP/1.1\r\nx:', ...POST.slice(2)],
      request(`/ HTTP/1.1\r\n\r\n${smuggled}`, [], 'POST'),
      request('/ HTTP/1.1\r\nx: y', [], 'POST'),
      POST.with(5, 'svc\r\nx: y'),
      POST.with(3, 'http://evil/?'),
      POST.with(3, 'http\r\nx: y'),
    ];
    for (const [i, fields] of attacks.entries()) {
      const id = 2 * i + 1;
      client.send(headers(id, fields, false), data(id, `0\r\n\r\n${smuggled}`, true));
      assert.equal((await client.answer(id)).reset, CODE.PROTOCOL_ERROR, JSON.stringify(fields));
    }
    assert.deepEqual(recorder.requests, []);
    assert.equal(plane.refusals.length, attacks.length);
    // A body that looks like a request is a body.
    const id = 2 * attacks.length + 1;
    client.send(headers(id, POST, false), data(id, `0\r\n\r\n${smuggled}`, true));
    assert.equal((await client.answer(id)).status, '200');
    assert.equal(recorder.requests.length, 1);
    assert.match(recorder.requests[0] ?? '', /^POST \/ HTTP\/1\.1\r\n[^]*\r\ntransfer-encoding: chunked\r\n/i);
    assert.match(recorder.requests[0] ?? '', /\r\n\r\n2b\r\n0\r\n\r\nGET \/smuggled/, 'in a chunk of its own length');
    await canary(plane);
  });

  it('H1-138 a body not as long as content-length: no whole message goes upstream', { timeout: 20_000 }, async () => {
    const recorder = await startRecorder();
    const plane = await planeTo([recorder.port]);
    const stated = (length: number): string[] => request('/', ['content-length', String(length)], 'POST');
    // By what the caller sends: [declared, frames].
    const cases: [number, (id: number) => Buffer[]][] = [
      [10, (id) => [data(id, 'four', true)]],
      [10, (id) => [data(id, 'four'), data(id, '', true)]],
      [10, (id) => [data(id, 'four'), headers(id, ['x-trailer', '1'])]],
      [4, (id) => [data(id, 'fives', true)]],
      [4, (id) => [data(id, 'fives')]],
      [0, (id) => [data(id, 'x', true)]],
      [10, (id) => [data(id, 'four'), reset(id, CODE.CANCEL)]],
    ];
    for (const [length, frames] of cases) {
      const client = closesLater(await connectClient(plane.port));
      const before = recorder.connections.length;
      client.send(headers(1, stated(length), false));
      await client.roundTrip();
      client.send(...frames(1));
      if (frames(1).at(-1)?.[3] === TYPE.RST_STREAM) await client.roundTrip();
      else assert.equal((await client.answer(1)).reset, CODE.PROTOCOL_ERROR, `declared ${length}`);
      for (let i = before; i < recorder.connections.length; i++) await recorder.gone(i);
      client.close();
    }
    assert.deepEqual(
      recorder.requests.filter((seen) => !seen.includes('content-length: 0')),
      [],
    );
    const client = closesLater(await connectClient(plane.port));
    client.send(headers(1, stated(5)));
    assert.equal((await client.answer(1)).reset, CODE.PROTOCOL_ERROR, 'END_STREAM where a body is promised');
    client.send(headers(3, stated(4), false), data(3, 'fo'), data(3, 'ur'), data(3, '', true));
    assert.equal((await client.answer(3)).status, '200');
    assert.ok(recorder.requests.at(-1)?.endsWith('\r\n\r\nfour'));
    await canary(plane);
  });

  it('H1-139 :authority and host: they agree, or the request is refused; one Host goes on', async () => {
    const recorder = await startRecorder();
    const plane = await planeTo([recorder.port]);
    const client = closesLater(await connectClient(plane.port));
    client.send(headers(1, [...GET, 'host', 'other']));
    assert.equal((await client.answer(1)).reset, CODE.PROTOCOL_ERROR);
    client.send(headers(3, [...GET, 'host', 'svc:80'])); // the same
    assert.equal((await client.answer(3)).status, '200');
    client.send(headers(5, [...GET.toSpliced(4, 2), 'host', 'only'])); // no :authority
    assert.equal((await client.answer(5)).status, '200');
    client.send(headers(7, [...GET, 'x-host', 'other', 'x-forwarded-host', 'other'])); // neither names the target
    assert.equal((await client.answer(7)).status, '200');
    const hosts = recorder.requests.map((seen) => seen.match(/\r\nhost: [^\r]*/gi)?.map((line) => line.slice(8)));
    assert.deepEqual(hosts, [['svc:80'], ['only'], ['svc:80']]);
    await canary(plane);
  });
});
