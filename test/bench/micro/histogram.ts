import { seededRng } from '../../../src/base/rng.ts';
import { LatencyHistogram } from '../../../src/telemetry/histogram.ts';
import type { MicroCase, MicroGroup } from './measure.ts';

const REQUESTS = 1024;

/** A latency counted in its bucket. */
export const histogram: MicroGroup = {
  name: 'histogram',
  operation: 'latency',
  cases: () => [
    recording('0.1 to 1 ms', (unit) => 100 * 10 ** unit),
    recording('10 µs to 100 s', (unit) => 10 * 10 ** (7 * unit)),
  ],
};

function recording(name: string, latencyUs: (unit: number) => number): MicroCase {
  const rng = seededRng(1);
  const latencies = Float64Array.from({ length: REQUESTS }, () => latencyUs(rng.unit()));
  const all = new LatencyHistogram();
  return {
    name,
    operations: REQUESTS,
    run() {
      for (let i = 0; i < REQUESTS; i++) all.record(latencies[i]!);
      return all.sumUs;
    },
  };
}
