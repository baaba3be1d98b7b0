// Attacks that are after memory rather than time: header bombs and DATA of a byte each. What the whole process holds for
// one is measured after full collections, with the attacker's connection still open wherever it wasn't cut. Each is run
// once before, so that compiled code isn't taken for it.
import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { startDataPlane, type TestDataPlane } from '../support/data-plane.ts';
import { bomb, grpcRequest, headersOf, turns, until } from '../support/h2-floods.ts';
import { GRPC_HEAD, GrpcCaller, startHonestServer, type HonestServer } from '../support/h2-honest.ts';
import { data, headers, literals } from '../support/h2-peer.ts';
import { connectRawH2, startRawH2Server, type RawH2Connection } from '../support/h2-raw.ts';
import { heldBytes } from '../support/process-memory.ts';

const MIB = 1024 * 1024;
/** What a call in flight holds by itself, the test's own part included. */
const CALL_BYTES = 2500;
const HEADER_TABLE_SIZE = 1;
const INITIAL_WINDOW_SIZE = 4;

function id(n: number): number {
  return 1 + 2 * n;
}

/** Sends `frames` in order, in slices of about 16 KiB, while the sidecar takes them. */
async function sendSlices(attacker: RawH2Connection, count: number, act: (n: number) => Uint8Array): Promise<number> {
  let slice: Uint8Array[] = [];
  let bytes = 0;
  for (let n = 0; n < count; n++) {
    const next = act(n);
    slice.push(next);
    bytes += next.length;
    if (bytes < 16_384 && n + 1 < count) continue;
    attacker.send(...slice);
    slice = [];
    bytes = 0;
    await turns(3);
    for (let waited = 0; attacker.unsentBytes > 0 && !attacker.ended && waited < 300; waited++) await turns(1);
    if (attacker.ended || attacker.unsentBytes > 0) return n + 1;
  }
  await turns(20);
  return count;
}

interface Measured {
  readonly bytes: number;
  readonly cpuMs: number;
  readonly said: string;
}

/** Bytes held and CPU time spent (the attacker's own included) for an attack, the second time. */
async function measure(attack: () => Promise<{ said: string; end: () => Promise<void> }>): Promise<Measured> {
  await (await attack()).end();
  await turns(20);
  const before = heldBytes();
  const cpu = process.cpuUsage();
  const { said, end } = await attack();
  const { user, system } = process.cpuUsage(cpu);
  const bytes = heldBytes() - before;
  await end();
  return { bytes, said, cpuMs: (user + system) / 1000 };
}

function tell(t: TestContext, { bytes, cpuMs, said }: Measured): void {
  t.diagnostic(`${(bytes / 1024).toFixed(0)} KiB held, ${cpuMs.toFixed(0)} ms of CPU, ${said}`);
}

function assertHeld({ bytes, said }: Measured, most: number): void {
  assert.ok(bytes <= most, `${bytes} bytes held, ${most} allowed; ${said}`);
}

// ---------------------------------------------------------------- a caller

async function withListener(
  run: (plane: TestDataPlane, upstream: HonestServer, canary: GrpcCaller) => Promise<void>,
): Promise<void> {
  // The upstream's own table would hold what the sidecar indexes.
  const upstream = await startHonestServer([HEADER_TABLE_SIZE, 0]);
  const plane = await startDataPlane([upstream.port], { scheme: 'grpc' });
  const canary = new GrpcCaller(plane.port);
  try {
    assert.equal((await canary.call('/before')).grpcStatus, 0);
    await run(plane, upstream, canary);
    assert.equal((await canary.call('/after')).grpcStatus, 0);
    await until(() => upstream.open.size === 0 && plane.cluster.inFlight === 0, 'nothing is left');
  } finally {
    canary.close();
    plane.close();
    upstream.close();
  }
}

/** An attack of a caller: `count` acts on a new connection. */
function fromCaller(
  plane: TestDataPlane,
  upstream: HonestServer,
  count: number,
  act: (n: number) => Uint8Array,
  windowBytes = 0,
): () => Promise<{ said: string; end: () => Promise<void> }> {
  return async () => {
    const calls = upstream.calls();
    const attacker = await connectRawH2(plane.port, [INITIAL_WINDOW_SIZE, windowBytes]);
    await until(() => attacker.seen('SETTINGS') > 0, 'SETTINGS');
    const sent = await sendSlices(attacker, count, act);
    plane.records.length = 0;
    const end = attacker.ended ? `cut: ${attacker.goodbye?.detail ?? 'no GOAWAY'}` : 'not cut';
    return {
      said: `${sent} of ${count} sent, ${upstream.calls() - calls} calls upstream, ${attacker.resets.size} reset, ${end}`,
      end: async () => {
        attacker.destroy();
        await until(() => plane.cluster.inFlight === 0, 'the calls are gone');
        plane.records.length = 0;
      },
    };
  };
}

function bombs(name: string, value: string, references: number): (n: number) => Uint8Array {
  const first = Buffer.concat([literals(grpcRequest()), bomb(name, value, references)]);
  const more = Buffer.concat([literals(grpcRequest()), Buffer.alloc(references, 0xbe)]);
  return (n) => headersOf(id(n), n === 0 ? first : more, true);
}

const BOMBS: readonly [string, number, string, string, number][] = [
  ['one large entry, 16,000 references', 100, 'x', 'v'.repeat(3900), 16_000],
  ['a tiny entry, 16,000 references', 100, 'a', '', 16_000],
  ['empty cookie crumbs, 16,000 references', 100, 'cookie', '', 16_000],
  ['cookie crumbs, 4,000 references', 100, 'cookie', 'a=b', 4_000],
];

for (const [name, count, field, value, references] of BOMBS) {
  test(`header bomb of a caller: ${name}`, async (t) => {
    await withListener(async (plane, upstream) => {
      const measured = await measure(fromCaller(plane, upstream, count, bombs(field, value, references)));
      tell(t, measured);
      assertHeld(measured, MIB);
      assert.equal(upstream.calls(), 1, 'no bomb goes off upstream');
    });
  });
}

/** A head just within its own bounds. */
const SPELT_OUT = Array.from({ length: 90 }, (_, i) => [`x-${i}`, 'v'.repeat(130)]).flat();

test('1,024 calls with heads just within the bounds hold little more than 1,024 others', async (t) => {
  await withListener(async (plane, upstream) => {
    const attacks: [string, (n: number) => Uint8Array][] = [
      ['ordinary', (n) => headers(id(n), grpcRequest(), false)],
      ['spelt out', (n) => headers(id(n), grpcRequest('/hold', SPELT_OUT), false)],
      ['entries of the table', (n) => entries(n, 'x', 'v'.repeat(120), 80)],
      ['tiny entries', (n) => entries(n, 'a', '', 90)],
      ['cookie crumbs', (n) => entries(n, 'cookie', 'a=b', 90)],
      ['all of the table', tableOf],
    ];
    let ordinary = 0;
    for (const [name, act] of attacks) {
      const measured = await measure(fromCaller(plane, upstream, 1024, act));
      tell(t, { ...measured, said: `${name}: ${measured.said}` });
      if (name === 'ordinary') ordinary = measured.bytes;
      assert.ok(measured.bytes <= ordinary + MIB, `${name}: ${measured.bytes} bytes, ordinary ones ${ordinary}`);
    }
  });
});

function entries(n: number, name: string, value: string, references: number): Uint8Array {
  const block = n === 0 ? bomb(name, value, references) : Buffer.alloc(references, 0xbe);
  return headersOf(id(n), Buffer.concat([literals(grpcRequest()), block]), false);
}

/** 30 entries fill the table; each call has all of them, which it didn't spell out. */
function tableOf(n: number): Uint8Array {
  const fill = Array.from({ length: 30 }, (_, i) => literals([`x-${i}`, 'v'.repeat(90)], 0x40));
  const refer = Buffer.from(Array.from({ length: 30 }, (_, i) => 0x80 + 62 + i));
  const block = n === 0 ? Buffer.concat(fill) : refer;
  return headersOf(id(n), Buffer.concat([literals(grpcRequest()), block]), false);
}

for (const path of ['/hold', '/deaf']) {
  for (const streams of [1, 100]) {
    const reads = path === '/hold' ? 'reads' : "doesn't read";
    test(`60,000 DATA of a byte over ${streams} streams, an upstream that ${reads}`, async (t) => {
      await withListener(async (plane, upstream) => {
        const act = (n: number): Uint8Array =>
          n < streams ? headers(id(n), grpcRequest(path), false) : data(id(n % streams), 'x');
        const measured = await measure(fromCaller(plane, upstream, 60_000 + streams, act, 65_535));
        tell(t, measured);
        assertHeld(measured, MIB + streams * CALL_BYTES);
      });
    });
  }
}

// ---------------------------------------------------------------- an endpoint

/** An attack of an endpoint on one call for each of `answers`, whose caller takes no byte of a body. */
async function fromEndpoint(
  t: TestContext,
  calls: number,
  acts: number,
  act: (stream: number, n: number) => Uint8Array,
  ordinaryBytes = 0,
): Promise<void> {
  const streams: number[] = [];
  const bad = await startRawH2Server((connection) => {
    connection.onFrame = ({ type, id }) => void (type === 'HEADERS' && streams.push(id));
  });
  const good = await startHonestServer([HEADER_TABLE_SIZE, 0]);
  const plane = await startDataPlane([bad.port], { scheme: 'grpc', attempts: { maxAttempts: 1 } });
  const neighbour = await startDataPlane([good.port], { scheme: 'grpc' });
  const canary = new GrpcCaller(neighbour.port);
  try {
    const measured = await measure(async () => {
      streams.length = 0;
      const caller = await connectRawH2(plane.port, [INITIAL_WINDOW_SIZE, 0]);
      await until(() => caller.seen('SETTINGS') > 0, 'SETTINGS');
      // The first opens the connection that the others share.
      caller.send(headers(id(0), grpcRequest('/answer'), true));
      await until(() => streams.length === 1, 'the first call');
      await turns(5);
      for (let n = 1; n < calls; n++) caller.send(headers(id(n), grpcRequest('/answer'), true));
      await until(() => streams.length === calls, 'the calls');
      const attacker = bad.connections.at(-1);
      assert.ok(attacker);
      const sent = await sendSlices(attacker, acts, (n) => act(streams[n % calls] ?? 0, n));
      plane.records.length = 0;
      const cut = attacker.ended ? `cut: ${attacker.goodbye?.detail ?? 'no GOAWAY'}` : 'not cut';
      return {
        said: `${sent} of ${acts} sent, ${caller.seen('HEADERS')} heads passed on, ${attacker.resets.size} reset, ${cut}`,
        end: async () => {
          caller.destroy();
          attacker.destroy();
          await until(() => plane.cluster.inFlight === 0 && plane.config.active === 0, 'the calls are gone');
          plane.records.length = 0;
        },
      };
    });
    tell(t, measured);
    assertHeld(measured, MIB + ordinaryBytes);
    assert.equal((await canary.call('/other')).grpcStatus, 0);
  } finally {
    canary.close();
    plane.close();
    neighbour.close();
    bad.close();
    good.close();
  }
}

for (const [name, count, field, value, references] of BOMBS) {
  test(`header bomb of an endpoint: ${name}`, async (t) => {
    const first = Buffer.concat([literals(GRPC_HEAD), bomb(field, value, references)]);
    const more = Buffer.concat([literals(GRPC_HEAD), Buffer.alloc(references, 0xbe)]);
    await fromEndpoint(t, count, count, (stream, n) => headersOf(stream, n === 0 ? first : more, true));
  });
}

for (const streams of [1, 100]) {
  test(`60,000 DATA of a byte from an endpoint over ${streams} streams, a caller that doesn't read`, async (t) => {
    await fromEndpoint(t, streams, 60_000 + streams, (stream, n) =>
      n < streams ? headers(stream, GRPC_HEAD, false) : data(stream, 'x'),
    );
  });
}

test('trailers of an endpoint that are a bomb', async (t) => {
  const first = bomb('a', '', 16_000);
  const more = Buffer.alloc(16_000, 0xbe);
  await fromEndpoint(t, 100, 200, (stream, n) =>
    n < 100 ? headers(stream, GRPC_HEAD, false) : headersOf(stream, n === 100 ? first : more, true),
  );
});

/** Blocks that change the table all the time: nothing in them is a field of the head. */
const CHURN: readonly [string, Buffer][] = [
  [
    '5,000 entries that push each other out',
    Buffer.concat(Array.from({ length: 5000 }, () => literals(['a', ''], 0x40))),
  ],
  ['5,000 names never to be indexed', Buffer.concat(Array.from({ length: 5000 }, () => literals(['a', ''], 0x10)))],
];

for (const [name, block] of CHURN) {
  test(`header bomb of a caller: ${name}`, async (t) => {
    await withListener(async (plane, upstream) => {
      const act = (n: number): Uint8Array => headersOf(id(n), Buffer.concat([literals(grpcRequest()), block]), true);
      const measured = await measure(fromCaller(plane, upstream, 100, act));
      tell(t, measured);
      assertHeld(measured, MIB);
      assert.equal(upstream.calls(), 1);
    });
  });
}

test('1,000 bodies of a byte that wait hold little more than calls without', async (t) => {
  const bytes: number[] = [];
  for (const body of ['', 'x']) {
    // The endpoint opens no window at all.
    const upstream = await startHonestServer([HEADER_TABLE_SIZE, 0, INITIAL_WINDOW_SIZE, 0]);
    const plane = await startDataPlane([upstream.port], { scheme: 'grpc' });
    try {
      const warm = new GrpcCaller(plane.port);
      assert.equal((await warm.call('/before')).grpcStatus, 0);
      const act = (n: number): Uint8Array =>
        Buffer.concat([headers(id(n), grpcRequest('/deaf'), false), body === '' ? Buffer.alloc(0) : data(id(n), body)]);
      const measured = await measure(fromCaller(plane, upstream, 1000, act));
      tell(t, measured);
      bytes.push(measured.bytes);
      warm.close();
    } finally {
      plane.close();
      upstream.close();
    }
  }
  const [without = 0, withOne = 0] = bytes;
  assert.ok(withOne <= without + 1.5 * MIB, `${withOne} with a byte, ${without} without`);
});

test('1,000 answers of a byte that wait hold little', async (t) => {
  await fromEndpoint(
    t,
    1000,
    2000,
    (stream, n) => (n < 1000 ? headers(stream, GRPC_HEAD, false) : data(stream, 'x')),
    1000 * CALL_BYTES,
  );
});
