// The fuzzer itself: it finds a fault that was put there, cuts its input down, and finds the same again.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ByteMutator } from '../support/fuzz-mutator.ts';
import { broken, type FuzzTarget, runFuzz } from '../support/fuzz-run.ts';

const words = ['GET', '\r\n', ';', '=', 'abc'].map((text) => Buffer.from(text));

function target(check: FuzzTarget['check']): FuzzTarget {
  return { name: 'planted', seeds: words, mutate: new ByteMutator(words, 500).mutate, check, inputs: 20_000 };
}

async function failureOf(faulty: FuzzTarget): Promise<string> {
  let message = '';
  await assert.rejects(
    () => runFuzz(faulty, () => undefined),
    (error: Error) => (message = error.message) !== '',
  );
  return message;
}

const isAsIs = process.env['OUTRIGGER_FUZZ_HEX'] === undefined && process.env['OUTRIGGER_FUZZ_GROW'] === undefined;
const skip = isAsIs ? false : 'the fuzzer does something else';

test('a broken rule is found, cut down and found again', { skip }, async () => {
  const faulty = target((input) => {
    const text = input.toString('latin1');
    if (/=\n/.test(text)) broken('no line ends in =', text);
    if (text.includes('abcabc')) throw new TypeError('thrown by the parser');
  });
  const message = await failureOf(faulty);
  assert.match(message, /no line ends in =/);
  assert.match(message, /OUTRIGGER_FUZZ_HEX=3d0a\n/);
  assert.match(message, /TypeError|thrown by the parser/);
  assert.match(message, /OUTRIGGER_FUZZ_HEX=616263616263\n/);
  const inputsOf = (text: string): string[] => text.match(/input -?\d+ of seed \d+/g) ?? [];
  assert.deepEqual(inputsOf(await failureOf(faulty)), inputsOf(message));
});

test('an input that takes long is found', { skip }, async () => {
  let slowness = 4; // the first time, and when it is tried again
  const slow = target((input) => {
    if (!input.includes('GET;') || slowness-- <= 0) return;
    for (const endMs = performance.now() + 100; performance.now() < endMs;);
  });
  assert.match(await failureOf(slow), /no input takes long/);
});

test('a target without faults passes, and its inputs differ', { skip }, async () => {
  const seen = new Set<string>();
  let lines = 0;
  await runFuzz(
    target((input) => seen.add(input.toString('hex'))),
    () => lines++,
  );
  assert.equal(lines, 1);
  assert.ok(seen.size > 30, String(seen.size));
});
