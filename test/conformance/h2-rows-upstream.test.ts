// Bad and extreme HTTP/2 upstreams, by the numbers of the project's catalogue of faults. Sequences run over the whole data
// plane on real sockets, single frames over a scripted connection. A caller sees a bad answer of its own call at most.
import assert from 'node:assert/strict';
import { after, describe as suite, it } from 'node:test';
import { systemClock } from '../../src/base/clock.ts';
import type { ErrorKind } from '../../src/base/error.ts';
import { silentLogger } from '../../src/base/log.ts';
import { TimerWheel } from '../../src/base/timer-wheel.ts';
import { DEFAULT_LIMITS } from '../../src/codec/limits.ts';
import { TRANSPORT_ONLY_PASSIVE } from '../../src/model/defaults.ts';
import { Counters } from '../../src/telemetry/counters.ts';
import { createH2Channel } from '../../src/upstream/h2-channel.ts';
import { EndpointPool } from '../../src/upstream/pool.ts';
import {
  describe,
  goaway,
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
  type SeenFrame,
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
  unknownFrame,
  type Expected,
} from '../support/h2-script-cases.ts';
import { openBareChannel, openChannel, type ScriptChannel } from '../support/h2-script-channel.ts';
import {
  connectClient,
  startScriptUpstream,
  type H2ScriptPeer,
  type ScriptAnswer,
  type ScriptUpstream,
} from '../support/h2-script-peer.ts';
import { canary, closeAll, closesLater, planeTo, startHonest } from '../support/h2-script-plane.ts';

after(closeAll);

const OK = [':status', '200'];
const MOST = 0x7fffffff;

function hex(text: string): Buffer {
  return Buffer.from(text.replaceAll(' ', ''), 'hex');
}

function words({ peer }: ScriptChannel): string[] {
  return peer.take().map((seen) => describe(seen));
}

function answerOf(id: number): Buffer {
  return Buffer.concat([headers(id, OK, false), data(id, 'ok', true)]);
}

const endsRequest = ({ type, flags }: SeenFrame): boolean =>
  (type === 'HEADERS' || type === 'DATA') && (flags & 1) !== 0;

/** What comes of `frames` on a connection where the call on stream 1 waits. */
function outcome(expected: Expected, heard: readonly string[], ...frames: Uint8Array[]): void {
  const upstream = openChannel();
  const call = upstream.call();
  upstream.peer.take();
  upstream.peer.send(...frames);
  checkWords(expected, words(upstream));
  assert.deepEqual(call.events, heard);
}

/** An upstream that answers `/case/i` with `frames[i]` for the stream it came on, and anything else honestly. */
async function startCases(cases: readonly ((id: number) => Buffer[])[]): Promise<ScriptUpstream> {
  return closesLater(
    await startScriptUpstream((peer) => {
      peer.send(settings());
      const paths = new Map<number, string>();
      peer.onFrame = (seen) => {
        if (seen.type === 'HEADERS') paths.set(seen.id, valueOf(seen.fields, ':path') ?? '');
        if (!endsRequest(seen)) return;
        const [, kind, number] = (paths.get(seen.id) ?? '').split('/');
        if (kind === 'case') peer.send(...(cases[Number(number)]?.(seen.id) ?? []));
        else peer.send(answerOf(seen.id));
      };
    }),
  );
}

const BROKEN = ['abort upstream_protocol_error'];
const CUT = ['head 200', 'abort upstream_protocol_error'];

suite('HTTP/2 upstreams: streams and connections', () => {
  it('H2-029 no identifiers left: the next call takes a new connection, and none fails', async () => {
    const honest = await startHonest();
    const clock = systemClock();
    const wheel = new TimerWheel(clock);
    const net = { clock, logger: silentLogger };
    const context = { ...net, wheel, limits: DEFAULT_LIMITS, maxRequests: 1_000_000, firstStreamId: 2 ** 31 - 19 };
    const pool = new EndpointPool(
      {
        address: '127.0.0.1',
        port: honest.port,
        connectTimeoutMs: 5000,
        keepalive: { size: 10, idleTimeoutMs: 60_000, requests: 1000 },
        expectedCapacity: 100,
        createChannel: (transport, owner) => createH2Channel(transport, owner, context),
      },
      net,
      new Counters(),
    );
    closesLater({ close: () => pool.destroy() });
    const call = (): Promise<string> =>
      new Promise((resolve) => {
        pool.lease({
          onLeaseFailed: (kind, detail) => resolve(`${kind} ${detail}`),
          onLease(channel) {
            const head = {
              method: 'GET',
              scheme: 'http',
              authority: 'svc',
              path: '/',
              protocol: '',
              version: 11,
              fields: [],
              neverIndexed: undefined,
              contentLength: -1,
            } as const;
            channel.start({ ...head, fields: [] }, true, {
              onInformational: () => undefined,
              onHead: () => undefined,
              onData: (chunk, end) => end && resolve(Buffer.from(chunk).toString()),
              onTrailers: () => undefined,
              onAbort: (kind, _progress, detail) => resolve(`${kind} ${detail}`),
              onDrain: () => undefined,
            });
          },
        });
      });
    for (let round = 0; round < 5; round++) {
      const answers = await Promise.all(Array.from({ length: 10 }, call));
      assert.deepEqual(new Set(answers), new Set(['ok']));
    }
    assert.equal(honest.ids.flat().length, 50);
    for (const ids of honest.ids) assert.ok(ids.length <= 10 && ids.every((id) => id <= MOST));
    assert.ok(honest.ids.length >= 5);
  });

  it(
    'H2-031 MAX_CONCURRENT_STREAMS lowered to 1 and to 0 while calls run: none fails',
    { timeout: 20_000 },
    async () => {
      const waiting: { peer: H2ScriptPeer; id: number }[] = [];
      const outstanding = new Map<H2ScriptPeer, number>();
      const wanted: number[] = [100];
      let heard: () => void = () => undefined;
      let violations = 0;
      let received = 0;
      const upstream = closesLater(
        await startScriptUpstream((peer) => {
          const sent = [wanted.at(-1) ?? 0];
          let acknowledged = Infinity;
          outstanding.set(peer, 0);
          peer.send(settings(3, sent[0] ?? 0));
          Object.assign(peer, { lower: (limit: number) => (sent.push(limit), peer.send(settings(3, limit))) });
          peer.onFrame = (seen) => {
            if (seen.type === 'SETTINGS' && (seen.flags & 1) !== 0) acknowledged = sent.shift() ?? acknowledged;
            if (seen.type !== 'HEADERS') return;
            const active = (outstanding.get(peer) ?? 0) + 1;
            if (active > acknowledged) violations++;
            // What crosses our SETTINGS is refused, as Go's server does.
            if (active > (wanted.at(-1) ?? 0)) return peer.send(reset(seen.id, CODE.REFUSED_STREAM));
            outstanding.set(peer, active);
            received++;
            waiting.push({ peer, id: seen.id });
            heard();
          };
        }),
      );
      let fail: (answer: ScriptAnswer) => void = () => undefined;
      const failed = new Promise<never>((_, reject) => {
        fail = ({ status, fields, reset: code }) =>
          reject(new Error(`a call ended: ${status} ${code} ${fields.join(' ')}`));
      });
      failed.catch(() => undefined);
      const serve = async (count: number): Promise<void> => {
        for (let i = 0; i < count; i++) {
          if (waiting.length === 0) await Promise.race([new Promise<void>((resolve) => (heard = resolve)), failed]);
          const { peer, id } = waiting.shift()!;
          outstanding.set(peer, (outstanding.get(peer) ?? 0) - 1);
          peer.send(answerOf(id));
        }
      };
      const change = async (limit: number): Promise<void> => {
        wanted.push(limit);
        for (const peer of upstream.peers) (peer as unknown as { lower(limit: number): void }).lower(limit);
        await Promise.all(upstream.peers.filter(({ ended }) => !ended).map((peer) => peer.roundTrip()));
      };
      const plane = await planeTo([upstream.port], { scheme: 'grpc' });
      const client = closesLater(await connectClient(plane.port));
      let id = -1;
      const answers: Promise<ScriptAnswer>[] = [];
      const wave = async (count: number): Promise<void> => {
        const ids = Array.from({ length: count }, () => (id += 2));
        client.send(...ids.map((one) => headers(one, request('/', [], 'POST'))));
        for (const one of ids) {
          const answer = client.answer(one);
          answers.push(answer);
          answer.then((came) => came.status !== '200' && fail(came)).catch(() => undefined);
        }
        await client.roundTrip();
      };
      await wave(40);
      await serve(20);
      await change(1);
      await wave(40);
      await serve(30);
      const came = async (count: number): Promise<void> => {
        while (received < count) await Promise.race([new Promise<void>((resolve) => (heard = resolve)), failed]);
      };
      await came(80); // no connection is on its way
      await change(0);
      await wave(20);
      while (waiting.length > 0) {
        await serve(1);
        await Promise.all(upstream.peers.map((peer) => peer.roundTrip()));
      }
      assert.deepEqual(new Set(plane.records.map(({ error }) => error)), new Set([undefined]), 'none fails');
      const served = plane.records.length;
      assert.ok(served >= 50 && served < 100, `${served} are answered while 0 are allowed; the others wait`);
      await change(5);
      await serve(100 - served);
      for (const answer of await Promise.all(answers)) assert.equal(answer.status, '200');
      assert.equal(violations, 0, 'never more than the upstream stands');
      assert.ok(upstream.peers.length <= 60, `${upstream.peers.length} connections`);
      await client.roundTrip();
      assert.equal(plane.cluster.inFlight, 0);
    },
  );

  it('H2-031 an upstream that stands no stream for good: callers hear of it, none waits for ever', async () => {
    const upstream = closesLater(
      await startScriptUpstream((peer) => {
        peer.send(settings(3, 0));
        peer.onFrame = ({ type, id }) => type === 'HEADERS' && peer.send(reset(id, CODE.REFUSED_STREAM));
      }),
    );
    const timeout = { connectMs: 300, sendMs: 300, readMs: 300, readIsSet: true };
    const plane = await planeTo([upstream.port], { scheme: 'grpc', timeout });
    const client = closesLater(await connectClient(plane.port));
    for (let id = 1; id < 7; id += 2) {
      client.send(headers(id, request('/', [], 'POST')));
      const { status } = await client.answer(id);
      assert.ok(['502', '503', '504'].includes(status), status);
    }
    assert.equal(plane.cluster.inFlight, 0);
  });

  for (const nodes of [2, 1]) {
    it(`H2-032 GOAWAY with 100 streams in flight, ${nodes} endpoint(s): finished or done elsewhere, none twice`, async () => {
      const done: string[] = [];
      const honestly = (peer: H2ScriptPeer): void => {
        const paths = new Map<number, string>();
        peer.onFrame = (seen) => {
          if (seen.type === 'HEADERS') paths.set(seen.id, valueOf(seen.fields, ':path') ?? '');
          if (!endsRequest(seen)) return;
          done.push(paths.get(seen.id) ?? '');
          peer.send(answerOf(seen.id));
        };
      };
      const share = 100 / nodes;
      let leaving: Promise<void> | undefined;
      const leaver = closesLater(
        await startScriptUpstream((peer, index) => {
          peer.send(settings());
          if (index > 0) return honestly(peer);
          const paths = new Map<number, string>();
          const ended: number[] = [];
          peer.onFrame = (seen) => {
            if (seen.type === 'HEADERS') paths.set(seen.id, valueOf(seen.fields, ':path') ?? '');
            if (endsRequest(seen)) ended.push(seen.id);
            if (ended.length < share || leaving) return;
            leaving = (async () => {
              peer.send(goaway(MOST, 0));
              await peer.roundTrip();
              const last = ended[share - 26] ?? 0; // the last 25 are not taken
              peer.send(goaway(last, 0));
              await peer.roundTrip();
              for (const id of ended) {
                if (id > last) continue;
                done.push(paths.get(id) ?? '');
                peer.send(answerOf(id));
              }
              assert.deepEqual(await peer.closed(), [0], 'it closes once the last stream is done');
            })();
          };
        }),
      );
      const other = closesLater(
        await startScriptUpstream((peer) => {
          peer.send(settings());
          honestly(peer);
        }),
      );
      const ports = nodes === 2 ? [leaver.port, other.port] : [leaver.port];
      const plane = await planeTo(ports, { scheme: 'grpc', attempts: { maxAttempts: 2 } });
      const client = closesLater(await connectClient(plane.port));
      const ids = Array.from({ length: 100 }, (_, i) => 2 * i + 1);
      for (const id of ids) client.send(headers(id, request(`/${id}`, [], 'POST'), false), data(id, 'x', true));
      for (const id of ids) assert.equal((await client.answer(id)).status, '200', `call ${id}`);
      assert.deepEqual(done.toSorted(), ids.map((id) => `/${id}`).toSorted(), 'each once');
      assert.ok(leaving, 'there was a GOAWAY');
      await leaving;
      for (let i = 0; i < 4; i++) await canary(plane);
      assert.equal(leaver.peers.length, 2, 'new calls on a new connection');
    });
  }

  it('H2-033 GOAWAY with an error and an immediate close: done elsewhere, and the endpoint is used again', async () => {
    const leaver = closesLater(
      await startScriptUpstream((peer, index) => {
        peer.send(settings());
        let count = 0;
        peer.onFrame = (seen) => {
          if (!endsRequest(seen)) return;
          if (index > 0) return peer.send(answerOf(seen.id));
          if (++count < 5) return;
          peer.send(goaway(0, CODE.ENHANCE_YOUR_CALM, 'too_many_pings'));
          peer.socket.end();
        };
      }),
    );
    const honest = await startHonest();
    const plane = await planeTo([leaver.port, honest.port], { scheme: 'grpc' });
    const client = closesLater(await connectClient(plane.port));
    const ids = Array.from({ length: 10 }, (_, i) => 2 * i + 1);
    client.send(...ids.map((id) => headers(id, request('/', [], 'POST'))));
    for (const id of ids) assert.equal((await client.answer(id)).status, '200', `call ${id}`);
    for (let i = 0; i < 4; i++) await canary(plane);
    assert.equal(leaver.peers.length, 2);
  });

  it('H2-033 keepalive: one PING in a silence, the next only after five minutes, but sooner once the peer has spoken', () => {
    const upstream = openChannel();
    const { clock, peer, call } = upstream;
    const { pingAfterMs, pingAgainMs } = DEFAULT_LIMITS;
    call();
    peer.take();
    const pingsIn = (ms: number): number => {
      let pings = 0;
      for (let passed = 0; passed < ms; passed += 1000) {
        clock.advance(1000);
        for (const { type, flags, payload } of peer.take()) {
          if (type !== 'PING' || (flags & 1) !== 0) continue;
          pings++;
          peer.send(frame(TYPE.PING, 1, 0, payload));
        }
      }
      return pings;
    };
    assert.equal(pingsIn(pingAfterMs - 1000), 0, 'not before');
    assert.equal(pingsIn(pingAfterMs), 1);
    assert.equal(pingsIn(pingAgainMs - 2 * pingAfterMs), 0, 'a gRPC server would count more as strikes');
    assert.equal(pingsIn(2 * pingAfterMs), 1);
    peer.send(headers(1, OK, false)); // the stream speaks: its next silence may be asked about at once
    assert.equal(pingsIn(pingAfterMs + 2000), 1);
    assert.equal(upstream.channel.active, 1);
  });

  it('H2-033 GOAWAY "too_many_pings": new connections to that endpoint ask half as often', async () => {
    const clock = systemClock();
    const gapsMs: number[] = [];
    const upstream = closesLater(
      await startScriptUpstream((peer, index) => {
        peer.send(settings());
        let stream = 0;
        let lastMs = -1;
        peer.onFrame = ({ type, flags, id }) => {
          if (type === 'HEADERS') stream = id;
          if (type !== 'PING' || (flags & 1) !== 0) return;
          const nowMs = clock.refresh();
          if (lastMs >= 0) gapsMs.push(nowMs - lastMs);
          if (lastMs >= 0 && index === 0) peer.send(goaway(MOST, CODE.ENHANCE_YOUR_CALM, 'too_many_pings'));
          if (lastMs >= 0) peer.send(answerOf(stream));
          lastMs = nowMs;
        };
      }),
    );
    const limits = { pingAfterMs: 50, pingAgainMs: 150 };
    const plane = await planeTo([upstream.port], { scheme: 'grpc' }, { limits });
    const client = closesLater(await connectClient(plane.port));
    for (const id of [1, 3]) {
      client.send(headers(id, request()));
      assert.equal((await client.answer(id)).status, '200');
    }
    assert.equal(upstream.peers.length, 2);
    assert.equal(gapsMs.length, 2);
    assert.ok((gapsMs[0] ?? 0) >= 140, `${gapsMs[0]} ms between the first two`);
    assert.ok((gapsMs[1] ?? 0) >= 290, `${gapsMs[1]} ms on the next connection`);
  });

  it('H2-034 REFUSED_STREAM: another endpoint does it unseen, also for POST; each is asked once', async () => {
    const refusing = async (): Promise<ScriptUpstream & { seen: number }> => {
      const upstream = await startScriptUpstream((peer) => {
        peer.send(settings());
        peer.onFrame = (seen) => {
          if (seen.type === 'HEADERS') {
            counted.seen++;
            peer.send(reset(seen.id, CODE.REFUSED_STREAM));
          }
        };
      });
      const counted = closesLater(Object.assign(upstream, { seen: 0 }));
      return counted;
    };
    const first = await refusing();
    const honest = await startHonest();
    const plane = await planeTo([first.port, honest.port], { scheme: 'grpc' });
    const client = closesLater(await connectClient(plane.port));
    for (let i = 0; i < 10; i++) {
      const id = 2 * i + 1;
      client.send(headers(id, request('/', [], 'POST'), false), data(id, 'body', true));
      const answer = await client.answer(id);
      assert.deepEqual([answer.status, answer.body.toString()], ['200', 'ok']);
    }
    assert.equal(honest.ids.flat().length, 10, 'each done once');
    assert.equal(first.seen, 5, 'asked whenever it was its turn');

    const second = await refusing();
    const third = await refusing();
    const refusals = await planeTo([second.port, third.port], { scheme: 'grpc' });
    const other = closesLater(await connectClient(refusals.port));
    other.send(headers(1, request('/', [], 'POST')));
    const { status, fields } = await other.answer(1);
    assert.deepEqual([status, valueOf(fields, 'x-outrigger-reason')], ['502', 'upstream_refused']);
    assert.deepEqual([second.seen, third.seen], [1, 1], 'one try a host');
  });

  it('H2-035 an answer that ends before the request does, with RST_STREAM NO_ERROR: it is whole', async () => {
    const upstream = closesLater(
      await startScriptUpstream((peer) => {
        peer.send(settings());
        peer.onFrame = ({ type, id, fields }) => {
          if (type !== 'HEADERS') return;
          if (valueOf(fields, ':path') === '/early') peer.send(answerOf(id), reset(id, CODE.NO_ERROR));
          else peer.send(answerOf(id));
        };
      }),
    );
    const plane = await planeTo([upstream.port], { scheme: 'grpc' });
    const client = closesLater(await connectClient(plane.port));
    client.send(headers(1, request('/early', [], 'POST'), false), data(1, 'part'));
    const { status, body, reset: code } = await client.answer(1);
    assert.deepEqual([status, body.toString(), code], ['200', 'ok', -1]);
    await client.next('RST_STREAM 1 0'); // the rest of the upload isn't wanted
    await canary(plane);
    assert.equal(upstream.peers.length, 1, 'on the same connection');
  });

  it('H2-036 RST_STREAM right behind END_STREAM: the answer is complete and kept', async () => {
    const codes = [CODE.NO_ERROR, CODE.CANCEL, CODE.INTERNAL_ERROR, CODE.REFUSED_STREAM, CODE.STREAM_CLOSED];
    const upstream = await startCases([
      ...codes.map((code) => (id: number) => [answerOf(id), reset(id, code)]),
      ...codes.map((code) => (id: number) => [
        headers(id, OK, false),
        data(id, 'ok'),
        headers(id, ['x-trailer', '1']),
        reset(id, code),
      ]),
      ...codes.map((code) => (id: number) => [headers(id, [...OK, 'content-length', '0']), reset(id, code)]),
    ]);
    const plane = await planeTo([upstream.port], { scheme: 'grpc' });
    const client = closesLater(await connectClient(plane.port));
    for (let i = 0; i < 3 * codes.length; i++) {
      const id = 2 * i + 1;
      client.send(headers(id, request(`/case/${i}`)));
      const { status, body, reset: code, trailers } = await client.answer(id);
      assert.deepEqual([status, body.toString(), code], ['200', i < 2 * codes.length ? 'ok' : '', -1], `case ${i}`);
      assert.deepEqual(trailers, i >= codes.length && i < 2 * codes.length ? ['x-trailer', '1'] : []);
    }
    assert.equal(plane.records.filter(({ error }) => error !== undefined).length, 0);
    await canary(plane);
    assert.equal(upstream.peers.length, 1, 'on the same connection');
  });

  it("H2-047 an upstream that doesn't speak HTTP/2, or never acknowledges", async () => {
    const firsts: ((peer: H2ScriptPeer) => void)[] = [
      (peer) => peer.socket.write('HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n'),
      (peer) => peer.send(ping()),
      (peer) => peer.send(SETTINGS_ACK),
      (peer) => peer.send(answerOf(1)),
      (peer) => peer.send(goaway(0, 0)),
      (peer) => peer.send(unknownFrame()),
      (peer) => peer.send(Buffer.alloc(100, 0xff)),
      (peer) => peer.socket.end(),
    ];
    const upstream = closesLater(
      await startScriptUpstream((peer, index) => {
        const bad = firsts[index];
        if (bad) return bad(peer);
        peer.send(settings());
        peer.onFrame = (seen) => endsRequest(seen) && peer.send(answerOf(seen.id));
      }),
    );
    const plane = await planeTo([upstream.port], { scheme: 'grpc' });
    const client = closesLater(await connectClient(plane.port));
    for (let i = 0; i < firsts.length; i++) {
      const id = 2 * i + 1;
      client.send(headers(id, request('/', [], 'POST')));
      assert.equal((await client.answer(id)).status, '502', `first bytes ${i}`);
    }
    await canary(plane);

    const mute = closesLater(
      await startScriptUpstream(
        (peer) => {
          peer.send(settings());
          peer.onFrame = (seen) => endsRequest(seen) && peer.send(answerOf(seen.id));
        },
        { acks: false },
      ),
    );
    const limited = await planeTo([mute.port], { scheme: 'grpc' }, { limits: { settingsAckMs: 150 } });
    await canary(limited);
    assert.deepEqual(await mute.peers[0]?.closed(), [CODE.SETTINGS_TIMEOUT]);
    await canary(limited);
    assert.equal(mute.peers.length, 2);
  });

  it('H2-048 an acknowledgement of a PING that nobody sent is ignored', () => {
    outcome(['PING ACK'], [], ping(1, 2, true), ping(3, 4, true), ping(5, 6));
  });

  it('H2-049 PUSH_PROMISE, where push is off, costs the connection and its calls, nothing else', async () => {
    const upstream = await startCases([
      (id) => [pushPromise(id, 2, request('/pushed')), headers(2, OK), answerOf(id)],
      (id) => [headers(id, OK, false), pushPromise(id, 2, request('/pushed')), data(id, 'ok', true)],
    ]);
    const plane = await planeTo([upstream.port], { scheme: 'grpc' });
    const client = closesLater(await connectClient(plane.port));
    client.send(headers(1, request('/case/0')));
    assert.equal((await client.answer(1)).status, '502');
    assert.deepEqual(await upstream.peers[0]?.closed(), [CODE.PROTOCOL_ERROR]);
    client.send(headers(3, request('/case/1')));
    assert.equal((await client.answer(3)).reset, CODE.INTERNAL_ERROR, 'never a clean end');
    await canary(plane);
    assert.equal(upstream.peers.length, 3);
  });

  it('H2-051 an endpoint that breaks the protocol is taken out; callers notice nothing', async () => {
    const bad = closesLater(
      await startScriptUpstream((peer) => {
        peer.send(settings());
        peer.onFrame = (seen) => endsRequest(seen) && peer.send(data(0, 'x'));
      }),
    );
    const honest = await startHonest();
    const passive = { ...TRANSPORT_ONLY_PASSIVE, tcpFailures: 3, returnAfterMs: 60_000 };
    const plane = await planeTo([bad.port, honest.port], {
      scheme: 'grpc',
      checks: { active: undefined, passive },
    });
    const client = closesLater(await connectClient(plane.port));
    for (let i = 0; i < 12; i++) {
      client.send(headers(2 * i + 1, request()));
      assert.equal((await client.answer(2 * i + 1)).status, '200');
    }
    const usable = [...plane.cluster.list()].filter((endpoint) => endpoint.usable).map(({ spec }) => spec.port);
    assert.deepEqual(usable, [honest.port]);
    assert.equal(bad.peers.length, 3, 'asked no more once it was out');
    for (const peer of bad.peers) assert.deepEqual(await peer.closed(), [CODE.PROTOCOL_ERROR]);
    const kinds = new Set<ErrorKind | undefined>(plane.records.flatMap(({ attempts }) => attempts.map((a) => a.error)));
    assert.deepEqual(kinds, new Set([undefined, 'upstream_protocol_error']));
  });
});

suite('HTTP/2 upstreams: frames and windows', () => {
  it('H2-020 a window of a stream beyond 2^31-1 costs the stream, of the connection the connection', () => {
    outcome('RST_STREAM 1 FLOW_CONTROL_ERROR', BROKEN, windowUpdate(1, MOST));
    outcome('GOAWAY FLOW_CONTROL_ERROR', BROKEN, windowUpdate(0, MOST));
    outcome('GOAWAY FLOW_CONTROL_ERROR', BROKEN, windowUpdate(1, MOST - 65_535), settings(4, 65_536));
  });

  it('H2-021 a window that became negative: no upload goes on until it is positive again', () => {
    const upstream = openChannel();
    const { peer, call } = upstream;
    peer.send(settings(4, 10));
    call({ method: 'POST' }, false).sender.sendData(Buffer.alloc(50), true);
    assert.deepEqual(words(upstream), ['SETTINGS ACK', 'HEADERS 1', 'DATA 1 10']);
    peer.send(settings(4, 4));
    peer.send(windowUpdate(1, 6)); // 0
    assert.deepEqual(words(upstream), ['SETTINGS ACK']);
    peer.send(windowUpdate(1, 40));
    assert.deepEqual(words(upstream), ['DATA 1 40 END']);
  });

  it('H2-022 DATA beyond a window: of the stream costs the stream, of the connection the connection', () => {
    const piece = Buffer.alloc(16_384);
    const one = openChannel();
    const call = one.call();
    one.peer.send(headers(1, OK, false));
    call.sender.pauseResponse();
    one.peer.take();
    one.peer.send(data(1, piece), data(1, piece), data(1, piece), data(1, piece.subarray(1)));
    checkWords('IGNORED', words(one));
    one.peer.send(data(1, 'x'));
    checkWords('RST_STREAM 1 FLOW_CONTROL_ERROR', words(one));
    assert.equal(call.events.at(-1), 'abort upstream_protocol_error');

    const all = openChannel({ limits: { connectionWindowBytes: 65_535, connectionHeldBytes: 0 } });
    const calls = [all.call(), all.call()];
    all.peer.send(headers(1, OK, false), headers(3, OK, false));
    for (const { sender } of calls) sender.pauseResponse();
    all.peer.take();
    all.peer.send(data(1, piece), data(1, piece), data(3, piece), data(3, piece.subarray(1)));
    checkWords('IGNORED', words(all));
    all.peer.send(data(3, 'x'));
    checkWords('GOAWAY FLOW_CONTROL_ERROR', words(all));
    for (const { events } of calls) assert.equal(events.at(-1), 'abort upstream_protocol_error');
  });

  it('H2-023 no window of the connection is lost: padding, answers that nobody wants any more, malformed ones', () => {
    const upstream = openChannel({ limits: { connectionWindowBytes: 65_535 } });
    const { peer, call } = upstream;
    let sent = 0;
    let credited = 0;
    let atCredit = 0;
    const piece = Buffer.alloc(900);
    const give = (...frames: Buffer[]): void => {
      for (const bytes of frames) {
        if (bytes[3] === TYPE.DATA) sent += bytes.readUIntBE(0, 3);
        peer.send(bytes);
        for (const seen of peer.take()) {
          if (seen.type === 'GOAWAY') assert.fail(describe(seen));
          if (seen.type !== 'WINDOW_UPDATE' || seen.id !== 0) continue;
          credited += seen.payload.readUInt32BE(0);
          atCredit = sent;
        }
      }
    };
    for (let id = 1; id < 4000; id += 2) {
      const { sender } = call();
      peer.take();
      switch ((id >> 1) % 4) {
        case 0:
          give(headers(id, OK, false), paddedData(id, piece, 200), paddedData(id, '', 255, 255, true));
          break;
        case 1: // given up by the caller
          give(headers(id, OK, false), data(id, piece));
          sender.abort();
          give(data(id, piece), paddedData(id, piece, 100, 100, true));
          break;
        case 2: // longer than content-length
          give(headers(id, [...OK, 'content-length', '1'], false), data(id, piece), data(id, piece, true));
          break;
        default: // malformed
          give(headers(id, [':status', '99'], false), data(id, piece), data(id, '', true));
      }
      assert.ok(sent - credited < 32_768, `stream ${id}: ${sent - credited} bytes of window are out`);
    }
    assert.equal(upstream.channel.active, 0);
    assert.ok(credited > 3_000_000);
    assert.equal(credited, atCredit, 'whenever credit is given, all of it is');
  });

  it('H2-024 padding: all of a payload may be padding, no more', () => {
    const head = headers(1, OK, false);
    outcome('IGNORED', ['head 200'], head, paddedData(1, '', 4), paddedData(1, '', 255));
    outcome('IGNORED', ['head 200', 'data 1 end'], head, paddedData(1, 'x', 255, 255, true));
    for (const bad of [paddedData(1, '', 3, 4), paddedData(1, '', 0, 1), paddedData(1, 'x'.repeat(254), 0, 255)]) {
      outcome('GOAWAY PROTOCOL_ERROR', CUT, head, bad);
    }
    outcome('GOAWAY FRAME_SIZE_ERROR', CUT, head, frame(TYPE.DATA, 0x8, 1));
    outcome('GOAWAY PROTOCOL_ERROR', BROKEN, paddedHeaders(1, [], 0, 255));
    outcome('GOAWAY FRAME_SIZE_ERROR', BROKEN, frame(TYPE.HEADERS, 0x2c, 1, Buffer.alloc(4)));
    outcome('IGNORED', ['head 200 end'], paddedHeaders(1, OK, 255));
  });

  it('H2-026 a frame announced with 16 MB is refused on its header; the caller gets a 502', async () => {
    const types = [TYPE.DATA, TYPE.HEADERS, TYPE.SETTINGS, 0xbb];
    const upstream = await startCases(
      types.map((type) => (id) => [frameHeader(type, 0, type === TYPE.SETTINGS ? 0 : id, 16_000_000)]),
    );
    const plane = await planeTo([upstream.port], { scheme: 'grpc' });
    const client = closesLater(await connectClient(plane.port));
    for (let i = 0; i < types.length; i++) {
      client.send(headers(2 * i + 1, request(`/case/${i}`)));
      const { status, fields } = await client.answer(2 * i + 1);
      assert.deepEqual([status, valueOf(fields, 'x-outrigger-reason')], ['502', 'upstream_protocol_error']);
      assert.deepEqual(await upstream.peers[i]?.closed(), [CODE.FRAME_SIZE_ERROR]);
    }
    await canary(plane);
  });

  it('H2-027 identifiers: even, and of no request of ours', () => {
    for (const id of [2, 3, 101]) {
      for (const bytes of [headers(id, OK), data(id, 'x'), reset(id, 8), windowUpdate(id, 1)]) {
        outcome('GOAWAY PROTOCOL_ERROR', BROKEN, bytes);
      }
    }
  });

  it('H2-028 frames on closed streams; behind our reset they are ignored, and the tables stay in step', () => {
    for (const late of [data(1, 'x'), headers(1, OK)]) {
      outcome('GOAWAY STREAM_CLOSED', ['head 200 end'], headers(1, OK), late);
      outcome('GOAWAY STREAM_CLOSED', ['abort upstream_reset'], reset(1, 8), late);
    }
    for (const late of [windowUpdate(1, 1), priority(1), reset(1, 8)]) {
      outcome('IGNORED', ['head 200 end'], headers(1, OK), late);
    }
    const upstream = openChannel();
    const { peer, call } = upstream;
    call().sender.abort();
    peer.take();
    const insert = Buffer.concat([literals(OK), Buffer.from([0x40]), literals(['x-late', 'a']).subarray(1)]);
    peer.send(rawHeaders(1, insert, false), data(1, 'x'), headers(1, ['x-trailer', '1']));
    assert.deepEqual(words(upstream), []);
    const next = call();
    peer.send(rawHeaders(3, Buffer.concat([literals(OK), Buffer.from([0x80 | 62])])));
    assert.deepEqual(next.events, ['head 200 end'], 'entry 62 is there');
  });

  it('H2-042 trailers without END_STREAM', () => {
    outcome('RST_STREAM 1 PROTOCOL_ERROR', CUT, headers(1, OK, false), headers(1, ['x-trailer', '1'], false));
    outcome('RST_STREAM 1 PROTOCOL_ERROR', CUT, headers(1, OK, false), headers(1, OK, false));
    outcome('RST_STREAM 1 PROTOCOL_ERROR', CUT, headers(1, OK, false), headers(1, [], false));
  });

  it('H2-043 errors of HPACK cost the connection', () => {
    const bad = ['80', 'be', '7f 00 01 61', '40 05 61', 'ff', '7f ff ff ff ff ff ff ff ff ff 7f', '3f e2 1f', '88 20'];
    bad.push('00 01 61 85 aec3771a4a', '00 01 61 87 a8eb10649cbfff', '00 01 61 85 4fffffffe9');
    for (const block of bad) outcome('GOAWAY COMPRESSION_ERROR', BROKEN, rawHeaders(1, hex(block)));
    outcome(
      'GOAWAY COMPRESSION_ERROR',
      ['abort upstream_protocol_error'],
      windowUpdate(1, 0),
      rawHeaders(1, hex('80')),
    );
  });

  it('H2-044 games with the table size: our encoder keeps to 4 KiB and announces each change', async () => {
    const upstream = await startHonest();
    const plane = await planeTo([upstream.port], { scheme: 'grpc' });
    const client = closesLater(await connectClient(plane.port));
    let id = -1;
    const calls = async (): Promise<H2ScriptPeer> => {
      for (let i = 0; i < 4; i++) {
        id += 2;
        client.send(headers(id, request('/', ['x-repeated', 'always the same'])));
        assert.equal((await client.answer(id)).status, '200');
      }
      return upstream.peers[0]!;
    };
    const peer = await calls();
    const isAck = ({ type, flags }: SeenFrame): boolean => type === 'SETTINGS' && (flags & 1) !== 0;
    const change = async (...sizes: number[]): Promise<void> => {
      const acks = peer.frames.filter(isAck).length;
      peer.send(settings(...sizes.flatMap((size) => [1, size])));
      await peer.until('the acknowledgement', () => peer.frames.filter(isAck).length > acks);
      for (const size of sizes) peer.decoder.allow(size);
    };
    await change(0);
    await calls();
    await change(0xffffffff);
    await calls();
    await change(0, 4096);
    await calls();
    assert.deepEqual(peer.decoder.updates, [0, 4096, 0, 4096]);
    await change(100);
    await change(50);
    await change(2000);
    await calls();
    assert.deepEqual(peer.decoder.updates.slice(4), [50, 2000]);
    assert.equal(upstream.peers.length, 1);
  });

  it('H2-046 no frame may stand within a header block', () => {
    const within: Buffer[] = [
      data(1, 'x'),
      headers(1, OK),
      headers(3, OK),
      priority(1),
      reset(1, 8),
      settings(),
      SETTINGS_ACK,
      pushPromise(1, 2, request()),
      ping(),
      goaway(0, 0),
      windowUpdate(0, 1),
      windowUpdate(1, 1),
      continuation(3, literals([])),
      unknownFrame(),
    ];
    for (const bytes of within) {
      outcome('GOAWAY PROTOCOL_ERROR', BROKEN, openHeaders(1, OK), bytes, continuation(1, literals([])));
    }
  });

  it('H2-054 until our SETTINGS are acknowledged the old values stand', () => {
    const upstream = openBareChannel({ limits: { streamWindowBytes: 1000 } });
    const { peer, call } = upstream;
    const first = call();
    peer.take(PREFACE.length);
    peer.send(settings(), headers(1, OK, false));
    first.sender.pauseResponse();
    for (let i = 0; i < 3; i++) peer.send(data(1, Buffer.alloc(16_384)));
    checkWords('IGNORED', words(upstream));
    peer.send(SETTINGS_ACK);
    const second = call();
    peer.take();
    peer.send(headers(3, OK, false));
    second.sender.pauseResponse();
    peer.send(data(3, Buffer.alloc(1000)));
    checkWords('IGNORED', words(upstream));
    peer.send(data(3, 'x'));
    checkWords('RST_STREAM 3 FLOW_CONTROL_ERROR', words(upstream));
  });
});

suite('HTTP/2 upstreams: answers', () => {
  const head = (fields: readonly string[]) => (id: number) => [headers(id, fields, false), data(id, 'body', true)];
  /** Answers of which no head can be passed on. */
  const MALFORMED: Readonly<Record<string, readonly ((id: number) => Buffer[])[]>> = {
    'H2-037 :status: missing, repeated, late, not of three digits; pseudo-fields of requests': [
      head(['x', 'y']),
      head([':status', '200', ':status', '200']),
      head(['x', 'y', ':status', '200']),
      ...['', '99', '099', '1000', '20', '2xx', '+20', ' 200', '-20', '200 OK', '101', '000'].map((status) =>
        head([':status', status]),
      ),
      ...[':path', ':method', ':scheme', ':authority', ':protocol', ':test', ':'].map((name) =>
        head([...OK, name, '/']),
      ),
      (id) => [headers(id, [':status', '100'])], // an informational head can't end the stream
      (id) => [data(id, 'body', true)],
      (id) => [headers(id, [':status', '100'], false), data(id, 'body', true)],
    ],
    'H2-041 upper case, bytes that no name or value holds, connection-specific fields': [
      ['X-Y', '1'],
      ['x y', '1'],
      ['x:y', '1'],
      ['x\0', '1'],
      ['x\r\ny', '1'],
      ['', '1'],
      ['x', 'a\rb'],
      ['x', 'a\nb'],
      ['x', 'a\r\n\r\nHTTP/1.1 200 OK'],
      ['x', 'a\0b'],
      ['x', ' a'],
      ['x', 'a '],
      ['connection', 'close'],
      ['keep-alive', '1'],
      ['proxy-connection', 'close'],
      ['transfer-encoding', 'chunked'],
      ['upgrade', 'websocket'],
      ['content-length', 'x'],
      ['content-length', '4', 'content-length', '4'],
    ].map((fields) => head([...OK, ...fields])),
  };

  for (const [row, cases] of Object.entries(MALFORMED)) {
    it(row, async () => {
      const upstream = await startCases(cases);
      const plane = await planeTo([upstream.port], { scheme: 'grpc' });
      const client = closesLater(await connectClient(plane.port));
      for (let i = 0; i < cases.length; i++) {
        const id = 4 * i + 1;
        client.send(headers(id, request(`/case/${i}`)));
        const { status, fields } = await client.answer(id);
        const what = JSON.stringify(cases[i]?.(1).map((bytes) => bytes.toString('latin1', 9)));
        assert.deepEqual([status, valueOf(fields, 'x-outrigger-reason')], ['502', 'upstream_protocol_error'], what);
        client.send(headers(id + 2, request('/after')));
        assert.equal((await client.answer(id + 2)).body.toString(), 'ok', `behind ${what}`);
      }
      assert.equal(upstream.peers.length, 1, 'it cost each call its stream, not the connection');
      const resets = upstream.peers[0]?.frames.filter(({ type }) => type === 'RST_STREAM') ?? [];
      assert.deepEqual(
        resets.map(({ payload }) => payload.readUInt32BE(0)),
        cases.map(() => CODE.PROTOCOL_ERROR),
      );
      await canary(plane);
    });
  }

  it("H2-037 what is wrong behind the head: the caller's stream is cut, never ended", async () => {
    const cases: ((id: number) => Buffer[])[] = [
      [':status', '200'],
      [':path', '/'],
      ['X-Y', '1'],
      ['x', 'a\r\nb'],
      ['content-length', '4'],
      ['connection', 'close'],
    ].map((trailers) => (id: number) => [headers(id, OK, false), data(id, 'body'), headers(id, trailers)]);
    cases.push(
      (id) => [headers(id, OK, false), data(id, 'body'), headers(id, ['x', '1'], false)],
      (id) => [headers(id, [...OK, 'content-length', '9'], false), data(id, 'body', true)],
      (id) => [headers(id, [...OK, 'content-length', '3'], false), data(id, 'body', true)],
      (id) => [headers(id, [...OK, 'content-length', '9'], false), data(id, 'body'), headers(id, ['x', '1'])],
    );
    const upstream = await startCases(cases);
    const plane = await planeTo([upstream.port], { scheme: 'grpc' });
    const client = closesLater(await connectClient(plane.port));
    for (let i = 0; i < cases.length; i++) {
      const id = 2 * i + 1;
      client.send(headers(id, request(`/case/${i}`)));
      const { status, reset: code } = await client.answer(id);
      assert.deepEqual(
        [status === '200' || status === '502', code >= 0 || status === '502'],
        [true, true],
        `case ${i}: ${status} ${code}`,
      );
    }
    assert.equal(upstream.peers.length, 1);
    await canary(plane);
  });
});
