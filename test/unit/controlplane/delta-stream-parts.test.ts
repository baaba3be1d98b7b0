// How a large response is cut: what a sidecar takes for the end of the answer to `*` must be its end.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { typeUrl } from '../../../src/config/resource.ts';
import { WholeAnswer } from '../../../src/control/whole-answer.ts';
import { DeltaStream } from '../../../src/controlplane/delta-stream.ts';
import type { VersionedResource } from '../../../src/controlplane/versioned-resource.ts';
import {
  DeltaDiscoveryRequest,
  DeltaDiscoveryResponse,
} from '../../../src/gen/envoy/service/discovery/v3/discovery.ts';
import { responseOf } from '../../support/fake-ads.ts';

const MIB = 1024 * 1024;
const CONTENT = new Uint8Array(6 * MIB);

function route(name: string, size: number): VersionedResource {
  const origin = { file: '', line: 1, column: 1 };
  const bytes = CONTENT.subarray(0, size);
  const references = { upstreams: [], secrets: [] };
  return { kind: 'Route', name, version: '0123456789abcdef', bytes, origin, service: undefined, references };
}

/** The parts in which Routes of these sizes come. */
function partsOf(sizes: readonly number[]): DeltaDiscoveryResponse[] {
  const routes = new Map(sizes.map((size, i) => [`r${i}`, route(`r${i}`, size)]));
  const parts: DeltaDiscoveryResponse[] = [];
  const stream = new DeltaStream({
    viewOf: () => ({
      get: (_kind, name) => routes.get(name),
      all: () => [...routes.values()],
      moment: { snapshot: {}, key: '' },
      changedSince: () => undefined,
    }),
    send: (response) => void parts.push(response),
    onNack: () => assert.fail('nothing is refused'),
    wallMs: () => 0,
  });
  const request = (more: Partial<DeltaDiscoveryRequest>): void =>
    stream.onRequest(DeltaDiscoveryRequest.fromPartial({ typeUrl: typeUrl('Route'), ...more }));
  request({ resourceNamesSubscribe: ['*'] });
  for (let answered = 0; answered < parts.length; answered++) request({ responseNonce: parts[answered]?.nonce ?? '' });
  return parts;
}

const namesOf = (part: DeltaDiscoveryResponse): string[] => part.resources.map(({ name }) => name);

/** Whether a sidecar takes it for the last one. */
function endsAnswer(part: DeltaDiscoveryResponse): boolean {
  const resources = part.resources.map(({ name, version, resource }) => {
    return { name, typeUrl: part.typeUrl, version, ttlMs: undefined, bytes: resource?.value, aliases: [] };
  });
  return new WholeAnswer(new Set(), false).add(responseOf('Route', resources), 0);
}

const wireBytes = (part: DeltaDiscoveryResponse): number => DeltaDiscoveryResponse.encode(part).finish().length;

test('a part is cut after the resource that takes it beyond 1 MiB, not before a large one', () => {
  const parts = partsOf([100, 1_900_000, 100, 900_000, 900_000, 100]);
  assert.deepEqual(parts.map(namesOf), [['r0', 'r1'], ['r2', 'r3', 'r4'], ['r5']]);
  assert.deepEqual(parts.map(endsAnswer), [false, false, true]);
});

test('one that would take a part beyond 3 MiB comes alone, before the small ones', () => {
  const parts = partsOf([900_000, 3 * MIB, 100]);
  assert.deepEqual(parts.map(namesOf), [['r1'], ['r0', 'r2']]);
  assert.deepEqual(parts.map(endsAnswer), [false, true]);
  assert.ok(parts.every((part) => wireBytes(part) < 4 * MIB));
});

test('very many small ones stay within what a gRPC client takes', () => {
  const parts = partsOf(Array.from({ length: 40_000 }, () => 1));
  assert.ok(parts.length > 2);
  assert.ok(parts.every((part) => wireBytes(part) < 4 * MIB));
  assert.equal(parts.findIndex(endsAnswer), parts.length - 1);
});

test('whatever the sizes: only the last part ends the answer, all comes once, none is beyond 4 MiB without need', () => {
  const size = fc.oneof(fc.nat(2_000), fc.nat(1_100_000), fc.nat(5 * MIB));
  fc.assert(
    fc.property(fc.array(size, { maxLength: 14 }), (sizes) => {
      const parts = partsOf(sizes);
      for (const part of parts.slice(0, -1)) assert.equal(endsAnswer(part), false);
      assert.deepEqual(parts.flatMap(namesOf).sort(), sizes.map((_, i) => `r${i}`).sort());
      for (const part of parts) if (part.resources.length > 1) assert.ok(wireBytes(part) < 4 * MIB);
    }),
    { seed: 11, numRuns: 60 },
  );
});
