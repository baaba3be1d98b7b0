import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LookupQueue, MAX_LOOKUPS } from '../../../src/discovery/lookup-queue.ts';

function jobs(queue: LookupQueue, count: number, isDoubtful: boolean, running: (() => void)[]): void {
  for (let i = 0; i < count; i++) queue.add((done) => running.push(done), isDoubtful);
}

test('no more than its places run, and each end lets the next one in', () => {
  const running: (() => void)[] = [];
  jobs(new LookupQueue(), MAX_LOOKUPS + 10, false, running);
  assert.equal(running.length, MAX_LOOKUPS);
  for (let i = 0; i < 10; i++) running[i]?.();
  assert.equal(running.length, MAX_LOOKUPS + 10);
});

test('names that failed take half of the places, and none from the others', () => {
  const queue = new LookupQueue();
  const doubtful: (() => void)[] = [];
  const usual: (() => void)[] = [];
  jobs(queue, 1000, true, doubtful);
  assert.equal(doubtful.length, MAX_LOOKUPS / 2);
  jobs(queue, MAX_LOOKUPS, false, usual);
  assert.equal(usual.length, MAX_LOOKUPS / 2);
  usual[0]?.();
  assert.equal(usual.length, MAX_LOOKUPS / 2 + 1, 'the usual ones come first');
  for (let i = 0; i < doubtful.length; i++) doubtful[i]?.();
  for (let i = 1; i < usual.length; i++) usual[i]?.();
  assert.equal(doubtful.length, 1000);
  assert.equal(usual.length, MAX_LOOKUPS);
});

test('a job that ends at once does not hold the others up', () => {
  const queue = new LookupQueue();
  let ended = 0;
  for (let i = 0; i < 500; i++) {
    queue.add(
      (done) => {
        ended++;
        done();
      },
      i % 2 === 0,
    );
  }
  assert.equal(ended, 500);
});
