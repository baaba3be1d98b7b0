// The deadline of a call: read strictly, passed on less the time spent, and kept here to within 50 ms.
import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import * as fc from 'fast-check';
import { parseGrpcTimeout } from '../../src/codec/grpc/timeout.ts';
import { DEFAULT_TIMEOUT } from '../../src/model/defaults.ts';
import { data, headers } from '../support/h2-peer.ts';
import { ANSWER_HEAD, callFields, message, type GrpcStream } from '../support/grpc-peer.ts';
import { assertCanary, GrpcScene } from '../support/grpc-scene.ts';
import { until } from '../support/tls-peer.ts';

const scene = new GrpcScene();
afterEach(() => scene.close());

const CANCEL = 8;
/** The wheel turns every 10 ms; the rest is for a machine that is busy. */
const LATE_MS = 50;
const TRIES = 4;

const withTimeout = (value: string): string[] => callFields('/test.Service/Call', ['grpc-timeout', value]);

/** How late something is, at best: a busy machine is late once, a wrong timer is late always. */
async function bestOf(measure: () => Promise<number>): Promise<number> {
  let best = Infinity;
  for (let i = 0; i < TRIES && best > LATE_MS; i++) best = Math.min(best, await measure());
  return best;
}

describe('G-007 deadline', () => {
  it('is passed on in the same meaning, never longer', async () => {
    const { caller, endpoint } = await scene.all((call) => {
      call.onEnd = () => call.answer();
    });
    const values = [
      '1H',
      '99999999H',
      '2M',
      '5S',
      '00000005S',
      '1500m',
      '99999999m',
      '2500000u',
      '99999999u',
      '99999999n',
    ];
    for (const value of values) {
      const call = caller.call(withTimeout(value), message('x'));
      await call.over();
      assert.equal(call.grpcStatus, '0', value);
      const passedOn = endpoint.calls.at(-1)?.field('grpc-timeout') ?? '';
      assert.match(passedOn, /^[0-9]{1,8}[HMSmun]$/);
      const given = parseGrpcTimeout(value) ?? 0;
      const left = parseGrpcTimeout(passedOn) ?? NaN;
      assert.ok(left > 0 && left <= given, `${value} became ${passedOn}`);
      assert.ok(left >= given * 0.999 - 50, `${value} became ${passedOn}`);
    }
    await assertCanary(caller);
    assert.equal(endpoint.calls.length, values.length);
  });

  for (const value of ['1m', '20m', '25000u', '30000000n', '99999999n']) {
    it(`${value} runs out: DEADLINE_EXCEEDED to the caller and CANCEL to the endpoint, both in time`, async () => {
      const { caller, endpoint, plane } = await scene.all(() => undefined);
      const late = await bestOf(async () => {
        const startMs = performance.now();
        const call = caller.call(withTimeout(value), message('x'));
        await call.over();
        assert.equal(call.grpcStatus, '4', call.words.join());
        assert.equal(call.field('x-outrigger-reason'), 'deadline_exceeded');
        const asked = endpoint.calls.at(-1);
        if (asked) await until(() => asked.resetCode === CANCEL, 'CANCEL');
        const dueMs = startMs + (parseGrpcTimeout(value) ?? 0);
        assert.ok(call.lastMs >= dueMs - 1, `${dueMs - call.lastMs} ms early`);
        return Math.max(call.lastMs, asked?.lastMs ?? 0) - dueMs;
      });
      assert.ok(late <= LATE_MS, `${late} ms late`);
      assert.equal(plane.records.at(-1)?.error, 'deadline_exceeded');
      await assertCanary(caller);
    });
  }

  it('that has passed already: DEADLINE_EXCEEDED', async () => {
    const { caller, endpoint } = await scene.all(() => undefined);
    for (const value of ['0S', '0n', '00000000H']) {
      const call = caller.call(withTimeout(value), message('x'));
      await call.over();
      assert.equal(call.grpcStatus, '4', value);
    }
    await assertCanary(caller);
    await until(() => endpoint.calls.every(({ resetCode }) => resetCode === CANCEL), 'CANCEL for what was sent');
  });

  it('that is malformed: INTERNAL, and no endpoint hears of the call', async () => {
    const { caller, endpoint } = await scene.all(() => undefined);
    for (const value of [
      '',
      '1X',
      '1s',
      '-1m',
      '+1m',
      '1.5S',
      '123456789m',
      'S',
      '5',
      'm5',
      '1 S',
      '1S,2S',
      'NaNS',
      '1e3m',
      '0x1S',
    ]) {
      const call = caller.call(withTimeout(value), message('x'));
      await call.over();
      assert.equal(call.grpcStatus, '13', value);
      assert.equal(call.field('x-outrigger-reason'), 'bad_request');
    }
    await assertCanary(caller);
    assert.equal(endpoint.calls.length, 0);
  });

  it('that is given twice is ambiguous: INTERNAL, or both the same', async () => {
    const { caller, endpoint } = await scene.all((call) => {
      call.onEnd = () => call.answer();
    });
    const call = caller.call(callFields('/a/b', ['grpc-timeout', '5S', 'grpc-timeout', '1H']), message('x'));
    await call.over();
    const passedOn = (endpoint.calls[0]?.heads[0] ?? []).filter(
      (_, i, all) => all[i - 1] === 'grpc-timeout' && i % 2 === 1,
    );
    assert.ok(call.grpcStatus === '13' || passedOn.length === 1, `passed on: ${passedOn.join(' and ')}`);
  });

  it('in the middle of an answer: CANCEL both ways, in time', async () => {
    const { caller, endpoint } = await scene.all((call) => {
      call.peer.send(headers(call.id, ANSWER_HEAD, false), data(call.id, message('a')));
    });
    const late = await bestOf(async () => {
      const startMs = performance.now();
      const call = caller.call(withTimeout('60m'), message('x'), false);
      await call.over();
      assert.deepEqual(call.words, ['HEADERS', 'DATA 6', `RST_STREAM ${CANCEL}`]);
      const asked = endpoint.calls.at(-1)!;
      await until(() => asked.resetCode === CANCEL, 'CANCEL');
      return Math.max(call.lastMs, asked.lastMs) - startMs - 60;
    });
    assert.ok(late <= LATE_MS, `${late} ms late`);
    await assertCanary(caller);
  });

  it('while there is no connection yet: in time, too', async () => {
    const deaf = await scene.raw(() => undefined); // never says SETTINGS, so a second call waits
    const caller = await scene.caller(await scene.plane([deaf]));
    const late = await bestOf(async () => {
      const startMs = performance.now();
      const calls = [1, 2, 3].map(() => caller.call(withTimeout('60m'), message('x')));
      for (const call of calls) {
        await call.over();
        assert.equal(call.grpcStatus, '4');
      }
      return Math.max(...calls.map(({ lastMs }) => lastMs)) - startMs - 60;
    });
    assert.ok(late <= LATE_MS, `${late} ms late`);
  });

  it('whatever stands in grpc-timeout, a call ends and nothing malformed is passed on', async () => {
    const { caller, endpoint } = await scene.all((call) => {
      call.onEnd = () => call.answer();
    });
    const text = fc.oneof(
      fc.string({ maxLength: 12 }).filter((value) => /^([!-~]([ -~]*[!-~])?)?$/.test(value)),
      fc
        .tuple(fc.nat(999_999_999), fc.constantFrom('H', 'M', 'S', 'm', 'u', 'n', 'x'))
        .map(([value, unit]) => `${value}${unit}`),
    );
    await fc.assert(
      fc.asyncProperty(text, async (value) => {
        const before = endpoint.calls.length;
        const call = caller.call(withTimeout(value), message('x'));
        await call.over();
        assert.ok(['0', '4', '13'].includes(call.grpcStatus ?? ''), `${value}: ${call.words.join()}`);
        if (endpoint.calls.length === before) return;
        assert.ok(parseGrpcTimeout(value) !== undefined, value);
        assert.ok(parseGrpcTimeout(endpoint.calls.at(-1)?.field('grpc-timeout') ?? '') !== undefined, value);
      }),
      { seed: 7, numRuns: 150 },
    );
  });
});

describe('G-008 deadline across attempts', () => {
  it('is one for all of them: the second gets what the first has left, and the total stays', async () => {
    const wait = 160;
    const budget = 200;
    const asked: { call: GrpcStream; atMs: number }[] = [];
    const play = (call: GrpcStream): void => {
      asked.push({ call, atMs: performance.now() });
      if (asked.length % 2 === 1) setTimeout(() => call.reset(7), wait);
    };
    const endpoints = [await scene.endpoint(play), await scene.endpoint(play)];
    const caller = await scene.caller(await scene.plane(endpoints));
    const late = await bestOf(async () => {
      const startMs = performance.now();
      const call = caller.call(withTimeout(`${budget}m`), message('x'));
      await call.over();
      assert.equal(call.grpcStatus, '4');
      const [first, second] = asked.splice(0);
      if (!first || !second) return Infinity; // so late that there was no second attempt
      const givenMs = parseGrpcTimeout(first.call.field('grpc-timeout') ?? '') ?? NaN;
      const leftMs = parseGrpcTimeout(second.call.field('grpc-timeout') ?? '') ?? NaN;
      assert.ok(givenMs <= budget && givenMs > budget - 50, `${givenMs} ms at first`);
      assert.ok(leftMs <= budget - wait + 1, `${leftMs} ms left`);
      assert.ok(second.atMs + leftMs <= startMs + budget + LATE_MS, 'not later than the first deadline');
      await until(() => second.call.resetCode === CANCEL, 'CANCEL');
      return Math.max(call.lastMs, second.call.lastMs) - startMs - budget;
    });
    assert.ok(late <= LATE_MS, `${late} ms late`);
  });

  it('also where the time went into connections that never came about', async () => {
    const deaf = await scene.raw(() => undefined);
    const answers = await scene.endpoint((call) => {
      call.onEnd = () => call.answer();
    });
    const timeout = { ...DEFAULT_TIMEOUT, connectMs: 80 };
    const plane = await scene.plane([deaf, answers], { timeout });
    const caller = await scene.caller(plane);
    // The deaf endpoint takes one stream without SETTINGS; the next call waits for them in vain.
    const calls = Array.from({ length: 4 }, () => caller.call(withTimeout('400m'), message('x')));
    for (const call of calls) await call.over();
    const lefts = answers.calls.map((call) => parseGrpcTimeout(call.field('grpc-timeout') ?? '') ?? NaN);
    assert.ok(
      lefts.some((leftMs) => leftMs <= 321),
      `${lefts.join(', ')} ms left of 400 after 80`,
    );
    assert.ok(lefts.every((leftMs) => leftMs > 0 && leftMs <= 400));
    assert.deepEqual(
      calls.map(({ grpcStatus }) => grpcStatus ?? 'none').sort(),
      ['0', '0', '0', '4'],
      'only the one that was sent to the deaf endpoint ran out',
    );
  });
});
