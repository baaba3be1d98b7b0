// Latency of an endpoint as the `ewma` balancers know it: one decayed value and the time of its last sample, two cells.
// There are two ways to keep it, one for each formula; a port uses one of them.
//
// Peak (Linkerd's rules): a sample above the decayed value replaces it at once, so that trouble is seen with the first
// slow answer; a lower one is averaged in with weight 1 - e^(-Δt / 10 s), so that trust returns over time. What counts is
// the time to the head of the answer: a long download or stream says nothing of the endpoint's health.
//
// A failed attempt counts as 5 s at least, not as the time it took, so that an endpoint that fails in a millisecond
// doesn't look fast. Beside endpoints that answer in 10 ms it gets no calls for about a minute, then one to prove itself.
// Where answers take longer than that, 5 s would attract: while failures go on the value grows, at most threefold a
// second, up to 1,000 s. What fails in one moment, as all calls of a connection do, counts once.
//
// APISIX: each sample is averaged in with that weight, whatever it is, failures too. A sample is the time of connecting
// plus the time to the last byte, which has the connecting in it a second time.
import { EndpointCell, type Cells } from '../model/cells.ts';

/** Time constant of both formulas. */
export const LATENCY_DECAY_MS = 10_000;

/** What a failure counts as at least, and what growth ends at. */
const FAILURE_MS = 5_000;
const MAX_FAILURE_MS = 1_000_000;
/** A failure doubles the value of one that is so much older, and adds less to that of a younger one. */
const DOUBLING_MS = 1_000;

/** APISIX forgets a value that nothing was added to for so long. */
const APISIX_FORGET_MS = 60_000;

/**
 * Clocks that are read once per turn may differ a little between a sample and a read. A larger step back means that the
 * 32 bits went half way round: no sample for 25 days.
 */
const CLOCK_SLACK_MS = 60_000;

const MAX_INT32 = 0x7fff_ffff;

/** After so long nothing is left of a value. */
const FORGOTTEN_MS = 0x4_0000;

/**
 * e^(-ms / 10 s) as a product: for multiples of 256 ms, and for the ms between. Math.exp would be half the cost of a pick
 * (`npm run bench -- pick`).
 */
const COARSE = Float64Array.from({ length: (FORGOTTEN_MS >> 8) + 1 }, (_, i) =>
  i === FORGOTTEN_MS >> 8 ? 0 : Math.exp((-i * 256) / LATENCY_DECAY_MS),
);
const FINE = Float64Array.from({ length: 256 }, (_, i) => Math.exp(-i / LATENCY_DECAY_MS));

/** What one attempt showed. All times in ms from its start. */
export interface LatencySample {
  /** Time of opening its connection; 0 where there was one. */
  connectMs: number;
  /** Time to the head of its answer; where none came, its age at the end. */
  headMs: number;
  /** Time to its end. */
  totalMs: number;
  /** Whether it failed by the endpoint's fault. */
  failed: boolean;
}

/** Writes the latency cells of the endpoint at `slot`. */
export type LatencyRecorder = (cells: Cells, slot: number, sample: LatencySample, nowMs: number) => void;

/** Peak EWMA (`ewma_formula: peak`). */
export const recordLatency: LatencyRecorder = (cells, slot, sample, nowMs) => {
  const beforeUs = cells.get(slot, EndpointCell.LatencyUs);
  const ageMs = latencyAgeMs(cells, slot, nowMs);
  const kept = keptAfter(ageMs);
  const decayedUs = beforeUs * kept;
  const sampleUs = sample.headMs * 1_000;
  if (sample.failed) {
    const grownUs = Math.min(decayedUs * (1 + Math.min(ageMs / DOUBLING_MS, 1)), MAX_FAILURE_MS * 1_000);
    write(cells, slot, Math.max(FAILURE_MS * 1_000, grownUs, decayedUs, sampleUs), nowMs);
    return;
  }
  const above = beforeUs === 0 || sampleUs > decayedUs;
  write(cells, slot, above ? sampleUs : decayedUs + sampleUs * (1 - kept), nowMs);
};

/** APISIX's formula (`ewma_formula: apisix`; `apisix/balancer/ewma.lua`). */
export const recordApisixLatency: LatencyRecorder = (cells, slot, sample, nowMs) => {
  const sampleUs = (sample.connectMs + sample.totalMs) * 1_000;
  const beforeUs = cells.get(slot, EndpointCell.LatencyUs);
  const ageMs = latencyAgeMs(cells, slot, nowMs);
  const kept = keptAfter(ageMs);
  const known = beforeUs !== 0 && ageMs < APISIX_FORGET_MS;
  write(cells, slot, known ? beforeUs * kept + sampleUs * (1 - kept) : sampleUs, nowMs);
};

/** The value of {@link recordLatency}, decayed up to now, µs; 0 if there never was a sample. */
export function readLatencyUs(cells: Cells, slot: number, nowMs: number): number {
  const value = cells.get(slot, EndpointCell.LatencyUs);
  return value === 0 ? 0 : value * keptAfter(latencyAgeMs(cells, slot, nowMs));
}

/** The value of {@link recordApisixLatency}, decayed up to now, µs; 0 if there was no sample within 60 s. */
export function readApisixLatencyUs(cells: Cells, slot: number, nowMs: number): number {
  const ageMs = latencyAgeMs(cells, slot, nowMs);
  return ageMs < APISIX_FORGET_MS ? cells.get(slot, EndpointCell.LatencyUs) * keptAfter(ageMs) : 0;
}

/** Whether {@link readApisixLatencyUs} of one endpoint is below that of another, without allocating. Takes whole ms. */
export function isApisixLatencyLower(cells: Cells, slot: number, than: number, nowMs: number): boolean {
  const ageMs = latencyAgeMs(cells, slot, nowMs);
  const thanAgeMs = latencyAgeMs(cells, than, nowMs);
  const valueUs = ageMs < APISIX_FORGET_MS ? cells.get(slot, EndpointCell.LatencyUs) : 0;
  const thanUs = thanAgeMs < APISIX_FORGET_MS ? cells.get(than, EndpointCell.LatencyUs) : 0;
  return valueUs * keptAfter(ageMs) < thanUs * keptAfter(thanAgeMs);
}

/**
 * The value of {@link recordLatency}, which decays not to 0 but to `restUs`; that is it too if there never was a sample.
 * Takes and gives whole µs, and takes whole ms, 32 bits of them: numbers with fractions are allocated when they are
 * handed from one function to another.
 */
export function fadingLatencyUs(cells: Cells, slot: number, nowMs: number, restUs: number): number {
  const value = cells.get(slot, EndpointCell.LatencyUs);
  if (value === 0) return restUs;
  const ageMs = latencyAgeMs(cells, slot, nowMs);
  return (restUs + (value - restUs) * keptAfter(ageMs) + 0.5) | 0;
}

/** Time since the last sample, whole ms, 0 to FORGOTTEN_MS. Means nothing where there was no sample. */
export function latencyAgeMs(cells: Cells, slot: number, nowMs: number): number {
  const ageMs = ((nowMs | 0) - cells.get(slot, EndpointCell.LatencyAtMs)) | 0;
  if (ageMs >= 0) return Math.min(ageMs, FORGOTTEN_MS);
  return ageMs >= -CLOCK_SLACK_MS ? 0 : FORGOTTEN_MS;
}

/** What is left of a value after so many whole ms, at most FORGOTTEN_MS: 1, falling to 0. */
function keptAfter(ageMs: number): number {
  return COARSE[ageMs >> 8]! * FINE[ageMs & 255]!;
}

/**
 * Stores whole microseconds, 1 or more. At a thousand samples a second each moves the value by a fraction of one, which
 * plain rounding would lose each time, and the value would never fall. So it is rounded up as often as the fraction says,
 * by a sequence that fills [0, 1) evenly.
 */
function write(cells: Cells, slot: number, valueUs: number, nowMs: number): void {
  const atMs = nowMs | 0;
  const dither = (Math.imul(atMs, 0x9e37_79b1) >>> 0) / 0x1_0000_0000;
  cells.set(slot, EndpointCell.LatencyUs, Math.max(1, Math.min(Math.floor(valueUs + dither), MAX_INT32)));
  cells.set(slot, EndpointCell.LatencyAtMs, atMs);
}
