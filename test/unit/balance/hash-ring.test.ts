import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededRng } from '../../../src/base/rng.ts';
import { keyHash } from '../../../src/balance/crc32.ts';
import { MAX_RING_POINTS, buildRing, distanceToPoint, firstPoint } from '../../../src/balance/hash-ring.ts';

/** Two ids with the same CRC-32, found by search: each point of one is a point of the other. */
const TWINS = ['10.37.34.197:8035', '10.74.233.7:8038'];

test('the first points of 127.0.0.1:1980', () => {
  const { hashes } = buildRing(['127.0.0.1:1980'], [1]);
  assert.equal(hashes.length, 160);
  for (const point of [0xe71dcbbf, 0xfef4f715, 0x1a84f2e5, 0x1271793e]) assert.ok(hashes.includes(point));
});

test('sizes: 160 points for each unit of weight', () => {
  const ids = ['127.0.0.1:1980', '127.0.0.1:1981', '127.0.0.1:1982'];
  assert.equal(buildRing(ids.slice(0, 2), [1, 1]).hashes.length, 320);
  assert.equal(buildRing(ids, [3, 6, 10]).hashes.length, 3_040);
  assert.deepEqual(buildRing(ids, [0, 4, 6]).points, [0, 320, 480]);
  assert.equal(buildRing(ids, [0, 0, 0]).hashes.length, 0);
  assert.equal(buildRing([], []).hashes.length, 0);
  assert.equal(buildRing(ids, [1e9, 2e9, 1e9]).hashes.length, 640);
  assert.equal(buildRing(ids, [1e9, 0, 4e9]).hashes.length, 800);
});

test('points ascend, and a lookup finds the first at or after the key', () => {
  const rng = seededRng(3);
  for (const count of [1, 2, 7, 400]) {
    const ids = Array.from({ length: count }, (_, index) => `10.1.${index >> 8}.${index & 255}:80`);
    const ring = buildRing(
      ids,
      ids.map(() => 1 + rng.below(3)),
    );
    const { hashes } = ring;
    for (let i = 1; i < hashes.length; i++) assert.ok(hashes[i - 1]! <= hashes[i]!);
    const wanted = (hash: number): number =>
      Math.max(
        0,
        hashes.findIndex((point) => point >= hash),
      );
    const keys = Array.from({ length: 200 }, () => rng.below(0x1_0000_0000));
    for (const hash of [0, 0xffff_ffff, hashes[0]!, hashes[9]!, hashes[9]! + 1, hashes.at(-1)!, ...keys]) {
      assert.equal(firstPoint(ring, hash), wanted(hash));
    }
  }
});

test('the order of the endpoints makes no difference, for equal hashes neither', () => {
  // 1,500 endpoints have 240,000 points, of which some share a hash by chance; the twins share all.
  const ids = [...Array.from({ length: 1_500 }, (_, index) => `10.2.${index >> 8}.${index & 255}:8080`), ...TWINS];
  const owners = (list: readonly string[]): string[] => {
    const ring = buildRing(
      list,
      list.map(() => 1),
    );
    return Array.from(ring.owners, (owner) => list[owner]!);
  };
  const { hashes } = buildRing(
    ids.slice(0, 1_500),
    ids.slice(0, 1_500).map(() => 1),
  );
  assert.ok(hashes.some((hash, index) => index > 0 && hash === hashes[index - 1]));
  const rng = seededRng(9);
  const shuffled = ids.map((id) => ({ id, at: rng.unit() })).toSorted((a, b) => a.at - b.at);
  const sorted = owners(ids);
  assert.deepEqual(owners(shuffled.map(({ id }) => id)), sorted);
  assert.deepEqual(owners(ids.toReversed()), sorted);
});

test('two ids with the same CRC-32 share the keys', () => {
  assert.equal(keyHash(TWINS[0]!.replaceAll(':', '\0')), keyHash(TWINS[1]!.replaceAll(':', '\0')));
  const ring = buildRing(TWINS, [1, 1]);
  const counts = [0, 0];
  for (let i = 0; i < 10_000; i++) counts[ring.owners[firstPoint(ring, keyHash(`key ${i}`))]!]!++;
  assert.ok(Math.min(...counts) > 3_500, counts.join());
});

test('beyond 1,000,000 points weights are scaled, and who has a weight keeps a point', () => {
  const one = buildRing(['a:1', 'b:1', 'c:1'], [0xffff_ffff, 1, 0]);
  assert.deepEqual(one.points, [MAX_RING_POINTS - 1, 1, 0]);
  assert.equal(one.asked, 160 * 0x1_0000_0000);
  const exact = buildRing(['a:1', 'b:1'], [6_249, 1]);
  assert.deepEqual([exact.hashes.length, exact.asked, exact.points], [1_000_000, 1_000_000, [999_840, 160]]);
  const ids = Array.from({ length: 10_000 }, (_, index) => `10.3.${index >> 8}.${index & 255}:80`);
  const equal = buildRing(
    ids,
    ids.map(() => 1),
  );
  assert.equal(equal.hashes.length, MAX_RING_POINTS);
  assert.ok(equal.points.every((points) => points === 100));
});

test('the distance to the next point of an endpoint is that of a walk along the ring', () => {
  const rng = seededRng(9);
  const ids = Array.from({ length: 6 }, (_, index) => `10.0.0.${index}:80`);
  const ring = buildRing(ids, [1, 2, 0, 5, 1, 3]);
  for (let i = 0; i < 300; i++) {
    const hash = i < 20 ? ring.hashes[i * 90]! : rng.below(0x1_0000_0000);
    for (let owner = 0; owner < ids.length; owner++) {
      let at = firstPoint(ring, hash);
      for (let left = ring.hashes.length; left > 0 && ring.owners[at] !== owner; left--) {
        at = (at + 1) % ring.hashes.length;
      }
      const expected = owner === 2 ? 0x1_0000_0000 : (ring.hashes[at]! - hash) >>> 0;
      assert.equal(distanceToPoint(ring, owner, hash), expected);
    }
  }
});
