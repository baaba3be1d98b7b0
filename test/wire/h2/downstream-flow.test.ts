import assert from 'node:assert/strict';
import { test } from 'node:test';
import { data, frame, headers, request, reset, settings, TYPE, windowUpdate } from '../../support/h2-peer.ts';
import { open, reply } from './downstream-harness.ts';

const INITIAL_WINDOW_SIZE = 4;
const MAX_FRAME_SIZE = 5;

test('DATA keeps to the frame size and to both windows; the rest waits and drains', () => {
  const { peer, requests, clock } = open();
  peer.send(headers(1, request()));
  const seen = requests[0];
  assert.ok(seen);
  seen.sender.sendHead(reply(200), false);
  seen.sender.sendData(Buffer.alloc(200_000, 1), true);
  assert.deepEqual(peer.takeWords(), ['HEADERS 1', 'DATA 1 16384', 'DATA 1 16384', 'DATA 1 16384', 'DATA 1 16383']);
  assert.equal(seen.sender.bufferedBytes, 200_000 - 65_535);
  assert.equal(seen.sender.stalledSinceMs, clock.nowMs);
  clock.advance(500);
  peer.send(windowUpdate(1, 100_000));
  assert.deepEqual(peer.takeWords(), []);
  assert.equal(seen.sender.stalledSinceMs, clock.nowMs - 500);
  peer.send(windowUpdate(0, 1024));
  assert.deepEqual(peer.takeWords(), ['DATA 1 1024']);
  assert.equal(seen.sender.stalledSinceMs, clock.nowMs);
  peer.send(windowUpdate(0, 1_000_000));
  const sizes = peer.takeWords();
  assert.equal(sizes.length, Math.floor(98_976 / 16_384));
  peer.send(windowUpdate(1, 100_000));
  assert.match(peer.takeWords().at(-1) ?? '', /^DATA 1 \d+ END$/);
  assert.equal(seen.sender.bufferedBytes, 0);
  assert.equal(seen.sender.stalledSinceMs, -1);
});

test('onDrain comes once the queue fell to the low-water mark', () => {
  const { peer, requests } = open();
  peer.send(settings(INITIAL_WINDOW_SIZE, 0), headers(1, request()), windowUpdate(0, 1_000_000));
  const seen = requests[0];
  assert.ok(seen);
  seen.sender.sendHead(reply(200), false);
  seen.sender.sendData(Buffer.alloc(65_536), false);
  assert.equal(seen.sender.bufferedBytes, 65_536);
  peer.send(windowUpdate(1, 32_767));
  assert.deepEqual(seen.events, ['head end']);
  peer.send(windowUpdate(1, 1));
  assert.deepEqual(seen.events, ['head end', 'drain']);
  peer.send(windowUpdate(1, 1));
  assert.deepEqual(seen.events, ['head end', 'drain']);
});

test('a window may become negative', () => {
  const { peer, requests } = open();
  peer.send(headers(1, request()));
  requests[0]?.sender.sendHead(reply(200), false);
  requests[0]?.sender.sendData(Buffer.alloc(1000), false);
  peer.send(settings(INITIAL_WINDOW_SIZE, 5));
  requests[0]?.sender.sendData(Buffer.alloc(10), true);
  peer.take();
  peer.send(windowUpdate(1, 995));
  assert.deepEqual(peer.takeWords(), []);
  peer.send(windowUpdate(1, 4));
  assert.deepEqual(peer.takeWords(), ['DATA 1 4']);
  peer.send(settings(INITIAL_WINDOW_SIZE, 600));
  assert.deepEqual(peer.takeWords(), ['SETTINGS ACK', 'DATA 1 6 END']);
});

test('trailers wait behind the bytes', () => {
  const { peer, requests } = open();
  peer.send(settings(INITIAL_WINDOW_SIZE, 3), headers(1, request()));
  requests[0]?.sender.sendHead(reply(200), false);
  requests[0]?.sender.sendData(Buffer.from('hello'), false);
  requests[0]?.sender.sendTrailers(['grpc-status', '0']);
  assert.deepEqual(peer.takeWords(), ['SETTINGS ACK', 'HEADERS 1', 'DATA 1 3']);
  peer.send(windowUpdate(1, 10));
  assert.deepEqual(peer.takeWords(), ['DATA 1 2', 'HEADERS 1 END']);
});

test('a chunk that waits is a copy', () => {
  const { peer, requests } = open();
  peer.send(settings(INITIAL_WINDOW_SIZE, 0), headers(1, request()));
  const chunk = Buffer.from('precious');
  requests[0]?.sender.sendHead(reply(200), false);
  requests[0]?.sender.sendData(chunk, false);
  requests[0]?.sender.sendData(chunk.subarray(0, 3), true);
  chunk.fill(0);
  peer.take();
  peer.send(windowUpdate(1, 100));
  assert.equal(peer.take()[0]?.payload.toString(), 'preciouspre');
});

test('when the kernel takes nothing bytes wait, and streams then take turns', () => {
  const { peer, requests, transport } = open();
  peer.send(
    settings(INITIAL_WINDOW_SIZE, 1 << 20),
    windowUpdate(0, 1 << 22),
    headers(1, request()),
    headers(3, request()),
  );
  peer.take();
  transport.blocked = true;
  requests[0]?.sender.sendHead(reply(200), false);
  requests[1]?.sender.sendHead(reply(200), false);
  requests[0]?.sender.sendData(Buffer.alloc(150_000), true);
  requests[1]?.sender.sendData(Buffer.alloc(40_000), true);
  assert.ok(transport.length < 64 * 1024 + 32 * 1024);
  assert.equal(requests[1]?.sender.bufferedBytes, 40_000);
  transport.blocked = false;
  transport.handler.onDrain();
  const order = peer.takeWords().filter((word) => word.startsWith('DATA'));
  // After the first four frames of the large answer the small one gets every other turn.
  const turns = order.map((word) => word[5]).join('');
  assert.match(turns, /^11111?(13|31){3}1+$/);
  assert.equal(requests[1]?.sender.bufferedBytes, 0);
});

/** Four whole frames. */
const WINDOW = { streamWindowBytes: 65_536 };

test('credit comes back in halves, and only while the receiver takes more', () => {
  const { peer, requests } = open(WINDOW);
  peer.send(headers(1, request('/', [], 'POST'), false));
  const block = Buffer.alloc(16_384);
  peer.send(data(1, block));
  assert.deepEqual(peer.takeWords(), []);
  peer.send(data(1, block));
  assert.deepEqual(peer.takeWords(), ['WINDOW_UPDATE 1 32768']);
  requests[0]?.sender.pauseRequest();
  peer.send(data(1, block), data(1, block), data(1, block), data(1, block));
  assert.deepEqual(peer.takeWords(), []);
  requests[0]?.sender.resumeRequest();
  assert.deepEqual(peer.takeWords(), ['WINDOW_UPDATE 1 65536']);
  peer.send(data(1, 'x', true));
  assert.deepEqual(requests[0]?.events.at(-1), 'data 1 end');
});

test('more than the windows allow', () => {
  const stream = open(WINDOW);
  stream.peer.send(headers(1, request('/', [], 'POST'), false));
  stream.requests[0]?.sender.pauseRequest();
  for (let i = 0; i < 4; i++) stream.peer.send(data(1, Buffer.alloc(16_384)));
  stream.peer.send(data(1, 'x'));
  assert.deepEqual(stream.peer.takeWords(), ['RST_STREAM 1 3']);
  assert.equal(stream.requests[0]?.events.at(-1), 'abort bad_request');

  const connection = open({ ...WINDOW, connectionHeldBytes: 0 });
  for (let id = 1; id < 200; id += 2) {
    connection.peer.send(headers(id, request('/', [], 'POST'), false));
    connection.requests.at(-1)?.sender.pauseRequest();
    for (let i = 0; i < 4; i++) connection.peer.send(data(id, Buffer.alloc(16_384)));
    if (connection.transport.closedBy !== undefined) break;
  }
  assert.match(connection.peer.takeWords().at(-1) ?? '', /^GOAWAY \d+ 3$/);
});

test("the connection's credit is held back while too much is held, and comes back on resume", () => {
  const { peer, requests } = open({ ...WINDOW, connectionHeldBytes: 500_000 });
  const held: number[] = [];
  for (let id = 1; id <= 31; id += 2) {
    peer.send(headers(id, request('/', [], 'POST'), false));
    requests.at(-1)?.sender.pauseRequest();
    if (id < 31) for (let i = 0; i < 4; i++) peer.send(data(id, Buffer.alloc(16_384)));
    held.push(
      ...peer
        .take()
        .filter((seen) => seen.type === 'WINDOW_UPDATE' && seen.id === 0)
        .map((seen) => seen.id),
    );
  }
  assert.deepEqual(held, []); // 15 × 64 KiB are above the bound before half the window is used up
  for (const seen of requests) seen.sender.resumeRequest();
  const connectionUpdates = peer.takeWords().filter((word) => word.startsWith('WINDOW_UPDATE 0'));
  assert.deepEqual(connectionUpdates, [`WINDOW_UPDATE 0 ${15 * 65_536}`]);
});

test('no credit leaks: padding, resets, refused and dropped bodies', () => {
  const { peer, requests } = open({ resetBurst: 100_000 });
  let granted = 1024 * 1024;
  let used = 0;
  const padded = (id: number): Buffer =>
    frame(TYPE.DATA, 0x8, id, Buffer.concat([Buffer.from([200]), Buffer.alloc(800)]));
  for (let id = 1; id < 6000; id += 2) {
    peer.send(headers(id, request('/', [], 'POST'), false), padded(id));
    const seen = requests.at(-1);
    if (id % 3 === 0) seen?.sender.abort('internal');
    else if (id % 3 === 1) seen?.sender.sendHead(reply(200), true);
    else peer.send(reset(id, 8));
    used += 801;
    if (id % 3 !== 2) {
      peer.send(padded(id));
      used += 801;
    }
    for (const sent of peer.take()) {
      assert.notEqual(sent.type, 'GOAWAY');
      if (sent.type === 'WINDOW_UPDATE' && sent.id === 0) granted += sent.payload.readUInt32BE(0);
    }
  }
  assert.ok(granted - used >= 512 * 1024, `${granted - used} bytes of window are left`);
});

test('a larger frame size of the peer does not make frames larger than a turn', () => {
  const { peer, requests } = open();
  peer.send(settings(MAX_FRAME_SIZE, 1 << 20), headers(1, request()));
  requests[0]?.sender.sendHead(reply(200, ['x', 'y'.repeat(20_000)]), false);
  requests[0]?.sender.sendData(Buffer.alloc(20_000), true);
  assert.deepEqual(peer.takeWords(), ['SETTINGS ACK', 'HEADERS 1', 'DATA 1 16384', 'DATA 1 3616 END']);
});

/** Halves of its window that a stream must take before it is widened. */
const STEADY = 8;

test('the window of a stream whose receiver keeps up doubles up to eight times, and halves with each pause', () => {
  const { peer, requests } = open(WINDOW);
  const block = Buffer.alloc(16_384);
  let granted = 65_536;
  let sent = 0;
  const send = (bytes: number): void => {
    peer.send(data(1, block.subarray(0, bytes)));
    sent += bytes;
  };
  /** What the window is with the credit that came, if any did. */
  const credit = (): number | undefined => {
    const word = peer.takeWords().find((each) => each.startsWith('WINDOW_UPDATE 1'));
    if (word === undefined) return undefined;
    granted += Number(word.split(' ')[2]);
    return granted - sent;
  };
  /** The windows that follow on eight halves. */
  const keepUp = (): number[] => {
    const windows: number[] = [];
    while (windows.length < STEADY) {
      assert.ok(granted > sent, 'a peer that waits for credit would wait for ever');
      send(Math.min(block.length, granted - sent));
      const window = credit();
      if (window !== undefined) windows.push(window);
    }
    return windows;
  };
  /** The window after a pause in which the peer uses it up. */
  const pause = (): number | undefined => {
    requests[0]?.sender.pauseRequest();
    while (granted > sent) send(Math.min(block.length, granted - sent));
    assert.equal(credit(), undefined);
    requests[0]?.sender.resumeRequest();
    return credit();
  };
  peer.send(headers(1, request('/', [], 'POST'), false));
  for (let window = 65_536; window < 8 * 65_536; window = 2 * window + 1) {
    assert.deepEqual(keepUp(), [...Array<number>(STEADY - 1).fill(window), 2 * window + 1]);
  }
  const widest = 8 * 65_536 + 7;
  assert.deepEqual(keepUp(), Array(STEADY).fill(widest));
  assert.deepEqual([pause(), pause(), pause()], [294_915, 180_225, 122_880]);
  // The count begins anew with each pause.
  send(block.length);
  assert.equal(pause(), 94_208);
  assert.deepEqual(keepUp().at(-1), 188_417);
});

test('all the streams of a connection share what windows are widened by, and give it back when they end', () => {
  // Two windows more for all: a quarter of what may be held.
  const { peer, requests } = open({ ...WINDOW, connectionHeldBytes: 4 * 2 * 65_537 });
  const block = Buffer.alloc(16_384);
  const keepUp = (id: number): string | undefined => {
    for (let i = 0; i < 2 * STEADY; i++) peer.send(data(id, block));
    return peer
      .takeWords()
      .filter((word) => word.startsWith(`WINDOW_UPDATE ${id}`))
      .at(-1);
  };
  for (const id of [1, 3, 5]) peer.send(headers(id, request('/', [], 'POST'), false));
  assert.equal(keepUp(1), `WINDOW_UPDATE 1 ${32_768 + 65_537}`);
  assert.equal(keepUp(3), `WINDOW_UPDATE 3 ${32_768 + 65_537}`);
  assert.equal(keepUp(5), 'WINDOW_UPDATE 5 32768');
  requests[0]?.sender.abort('upstream_reset');
  peer.take();
  assert.equal(keepUp(5), `WINDOW_UPDATE 5 ${32_768 + 65_537}`);
});
