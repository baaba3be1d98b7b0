import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { LogSampler } from '../../../src/base/log-sampler.ts';
import { FakeClock } from '../../support/fake-clock.ts';

describe('LogSampler', () => {
  it('tells a few of a kind, then one after the period with the number left out', () => {
    const clock = new FakeClock();
    const sampler = new LogSampler(clock, { count: 2, periodMs: 1000 });
    assert.deepEqual([sampler.take('a'), sampler.take('a')], [0, 0]);
    for (let i = 0; i < 7; i++) assert.equal(sampler.take('a'), undefined);
    clock.advance(999);
    assert.equal(sampler.take('a'), undefined);
    clock.advance(1);
    assert.equal(sampler.take('a'), 8);
    assert.equal(sampler.take('a'), 0);
    assert.equal(sampler.take('a'), undefined);
    clock.advance(5000);
    assert.equal(sampler.take('a'), 1);
    clock.advance(5000);
    assert.equal(sampler.take('a'), 0, 'nothing was left out meanwhile');
  });

  it('tells kinds apart', () => {
    const sampler = new LogSampler(new FakeClock(), { count: 1, periodMs: 1000 });
    assert.equal(sampler.take('a'), 0);
    assert.equal(sampler.take('b'), 0);
    assert.equal(sampler.take('a'), undefined);
    assert.equal(sampler.take(''), 0);
  });

  it('bounds what is told of a steady flow', () => {
    const clock = new FakeClock();
    const sampler = new LogSampler(clock, { count: 3, periodMs: 1000 });
    let told = 0;
    for (let i = 0; i < 100; i++) {
      if (sampler.take('a') !== undefined) told++;
      clock.advance(100);
    }
    assert.equal(told, 30);
  });

  it('remembers a thousand kinds, then begins anew', () => {
    const sampler = new LogSampler(new FakeClock(), { count: 1, periodMs: 1000 });
    for (let i = 0; i < 1000; i++) assert.equal(sampler.take(`kind ${i}`), 0);
    assert.equal(sampler.take('kind 0'), undefined);
    assert.equal(sampler.take('one more'), 0);
    assert.equal(sampler.take('kind 0'), 0, 'forgotten');
    assert.equal(sampler.take('one more'), undefined);
  });
});
