// Who of a port did worse in an interval than the others, or than it may: success rates (far below the mean), failure
// percentages (above a bound) and latencies (far above the median). Pure figures: who is really ejected is decided in
// outlier.ts. The first two are Envoy's, in its order and with its roundings; latency isn't in Envoy.
import { EndpointCell, type Cells } from '../model/cells.ts';
import type { OutlierPolicy } from '../model/policy.ts';
import { isEjected } from './outlier-ejection.ts';

/** What an endpoint is ejected for. Envoy's names, and `latency`. */
export type OutlierKind =
  | 'consecutive_5xx'
  | 'consecutive_gateway_failure'
  | 'consecutive_local_origin_failure'
  | 'success_rate'
  | 'success_rate_local_origin'
  | 'failure_percentage'
  | 'failure_percentage_local_origin'
  | 'latency';

/** An endpoint that the figures of an interval speak against. */
export interface Outlier {
  readonly slot: number;
  readonly kind: OutlierKind;
  /** Percent of such detections that eject, 1 to 100. */
  readonly enforcing: number;
  /** The kind with its figures, for people: `success_rate: 41 % below 52 %`. */
  readonly cause: string;
}

/** An endpoint's part of an interval. */
interface Sample {
  readonly slot: number;
  readonly total: number;
  readonly ok: number;
}

/** Which counters are judged, under which names, and how far that is enforced. */
interface RateKind {
  readonly totalWord: number;
  readonly okWord: number;
  readonly successRate: 'success_rate' | 'success_rate_local_origin';
  readonly failurePercentage: 'failure_percentage' | 'failure_percentage_local_origin';
  readonly enforcingSuccessRate: number;
  readonly enforcingFailurePercentage: number;
}

/** Rounding of the mean alone must not tell equal rates apart. Percent. */
const ROUNDING = 1e-9;

/**
 * The outliers of the interval that stands in the cells, those already ejected left out. An endpoint can come more than
 * once, for different kinds. Within a kind the worst come first, since the cap may stop the rest.
 */
export function findOutliers(cells: Cells, slots: readonly number[], policy: OutlierPolicy): Outlier[] {
  const { enforcing } = policy;
  const found: Outlier[] = [];
  judgeRates(cells, slots, policy, found, {
    totalWord: EndpointCell.IntervalTotal,
    okWord: EndpointCell.IntervalOk,
    successRate: 'success_rate',
    failurePercentage: 'failure_percentage',
    enforcingSuccessRate: enforcing.successRate,
    enforcingFailurePercentage: enforcing.failurePercentage,
  });
  if (policy.splitLocalOrigin) {
    judgeRates(cells, slots, policy, found, {
      totalWord: EndpointCell.IntervalLocalTotal,
      okWord: EndpointCell.IntervalLocalOk,
      successRate: 'success_rate_local_origin',
      failurePercentage: 'failure_percentage_local_origin',
      enforcingSuccessRate: enforcing.localOriginSuccessRate,
      enforcingFailurePercentage: enforcing.failurePercentageLocalOrigin,
    });
  }
  judgeLatencies(cells, slots, policy, found);
  return found;
}

function judgeRates(
  cells: Cells,
  slots: readonly number[],
  policy: OutlierPolicy,
  found: Outlier[],
  kind: RateKind,
): void {
  if (kind.enforcingSuccessRate > 0) {
    const samples = sample(cells, slots, kind.totalWord, kind.okWord, policy.successRateRequestVolume);
    if (samples.length > 0 && samples.length >= policy.successRateMinimumHosts) {
      const { threshold } = successRateThreshold(samples.map(rate), policy.successRateStdevFactor);
      for (const one of samples) {
        if (rate(one) >= threshold - ROUNDING) continue;
        const cause = `${kind.successRate}: ${figure(rate(one))} % below ${figure(threshold)} %`;
        found.push({ slot: one.slot, kind: kind.successRate, enforcing: kind.enforcingSuccessRate, cause });
      }
    }
  }
  if (kind.enforcingFailurePercentage > 0) {
    const samples = sample(cells, slots, kind.totalWord, kind.okWord, policy.failurePercentageRequestVolume);
    if (samples.length > 0 && samples.length >= policy.failurePercentageMinimumHosts) {
      const bound = policy.failurePercentageThreshold;
      for (const one of samples) {
        if (!failsAtLeast(one.total, one.ok, bound)) continue;
        const cause = `${kind.failurePercentage}: ${figure(100 - rate(one))} % at or above ${bound} %`;
        found.push({ slot: one.slot, kind: kind.failurePercentage, enforcing: kind.enforcingFailurePercentage, cause });
      }
    }
  }
}

/**
 * What success rates, in percent, make of each other: their mean, their standard deviation (of the population, so over n)
 * and the rate below which an endpoint is an outlier, mean − stdev × factor / 1000. For {50, 100, 100, 100, 100} and 1900:
 * 90, 20 and 52.
 */
export function successRateThreshold(
  rates: readonly number[],
  stdevFactor: number,
): { readonly mean: number; readonly stdev: number; readonly threshold: number } {
  const mean = rates.reduce((sum, one) => sum + one, 0) / rates.length;
  const variance = rates.reduce((sum, one) => sum + (one - mean) ** 2, 0) / rates.length;
  const stdev = Math.sqrt(variance);
  return { mean, stdev, threshold: mean - (stdev * stdevFactor) / 1000 };
}

/** Whether at least `percent` of `total` failed: 100 − rate ≥ percent, without rounding. */
export function failsAtLeast(total: number, ok: number, percent: number): boolean {
  return 100 * (total - ok) >= percent * total;
}

/** The middle of the values; of an even number the lower one of the two in the middle, so that of two the better stands. */
export function lowerMedian(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.ceil(values.length / 2) - 1] ?? 0;
}

/** An endpoint's mean counts good answers only: failing fast is no merit, and failing slowly is judged as failing. */
function judgeLatencies(cells: Cells, slots: readonly number[], policy: OutlierPolicy, found: Outlier[]): void {
  if (policy.latencyFactor === 0) return;
  const samples = sample(cells, slots, EndpointCell.IntervalOk, EndpointCell.IntervalOk, policy.latencyRequestVolume);
  if (samples.length < Math.max(2, policy.latencyMinimumHosts)) return;
  const means = samples.map(({ slot, ok }) => ({ slot, us: cells.total(slot, EndpointCell.IntervalLatencyUs) / ok }));
  const median = lowerMedian(means.map(({ us }) => us));
  for (const { slot, us } of means.toSorted((a, b) => b.us - a.us)) {
    if (us <= policy.latencyFactor * median) break;
    const cause = `latency: ${figure(us / 1000)} ms above ${policy.latencyFactor} × ${figure(median / 1000)} ms`;
    found.push({ slot, kind: 'latency', enforcing: 100, cause });
  }
}

/** Endpoints in use that had enough of what `totalWord` counts; the lowest rates first. */
function sample(
  cells: Cells,
  slots: readonly number[],
  totalWord: number,
  okWord: number,
  volume: number,
): readonly Sample[] {
  const samples: Sample[] = [];
  for (const slot of slots) {
    if (isEjected(cells, slot)) continue;
    const total = cells.get(slot, totalWord);
    if (total > 0 && total >= volume) samples.push({ slot, total, ok: cells.get(slot, okWord) });
  }
  return samples.sort((a, b) => rate(a) - rate(b));
}

function rate({ total, ok }: Sample): number {
  return (ok * 100) / total;
}

/** At most two decimals, and none that aren't needed. */
function figure(value: number): string {
  return String(Number(value.toFixed(2)));
}
