// Outlier detection of one upstream port (Envoy `OutlierDetection`): endpoints that fail several times in a row, or that do
// worse in an interval than the others, are ejected for a growing time. What an endpoint did stands in its row of cells;
// how an ejection goes is drawn in outlier-ejection.ts; who stands out in an interval is found by outlier-rates.ts.
//
//     attempt ends ─▶ report ─▶ counters in a row ── reach their limit ──┐
//                         └───▶ counters of the interval                 ▼
//                                     │                       drawn by chance? ─ no ─▶ not_enforced
//     interval over ─▶ sweep ─────────┴─ stands out ───────────▶         │ yes
//                         ├───▶ ejections that are over end         below the cap? ─ no ─▶ overflow
//                         └───▶ counters of the interval start anew      │ yes
//                                                                        ▼
//                                                                     ejected
import type { Rng } from '../base/rng.ts';
import { EndpointCell, type Cells } from '../model/cells.ts';
import type { OutlierPolicy } from '../model/policy.ts';
import {
  byEjection,
  countEjected,
  eject,
  ejectionLimit,
  ejectionMs,
  endIfOver,
  forgive,
  isEjected,
  uneject,
} from './outlier-ejection.ts';
import { findOutliers, type Outlier, type OutlierKind } from './outlier-rates.ts';

/**
 * How an attempt ended, for detection. An attempt that says nothing about the endpoint (the caller cancelled it, or its own
 * deadline passed) isn't reported.
 */
export interface OutlierOutcome {
  /**
   * The HTTP status; for a gRPC answer the one that stands for its grpc-status, which may have come in the trailers
   * (codec/grpc/status.ts, `answerStatus`). 0: no answer came.
   */
  readonly status: number;
  /** `failed`: the connection couldn't be had or broke, the stream was reset, or it took too long. */
  readonly local: 'none' | 'failed';
  /** Time to the head of the answer, µs. */
  readonly latencyUs: number;
}

/** An endpoint that stood out, and what came of it. */
export interface Detection {
  readonly slot: number;
  readonly kind: OutlierKind;
  /** The kind with its figures, for people: `consecutive_5xx: 5 in a row`. */
  readonly cause: string;
  /** `overflow`: too many are ejected already. `not_enforced`: chance (`enforcing_…`) let it stay. */
  readonly verdict: 'ejected' | 'overflow' | 'not_enforced';
  /** Where ejected: how long at least, ms. Else 0. */
  readonly forMs: number;
}

/** What a sweep changed. */
export interface SweepChanges {
  /** Slots whose ejection ended. One of them may be ejected again by the same sweep. */
  readonly unejected: readonly number[];
  readonly detections: readonly Detection[];
}

const NO_CHANGES: SweepChanges = { unejected: [], detections: [] };
/** What a local failure counts as where the two origins aren't told apart: a 5xx and a gateway failure. */
const LOCAL_FAILURE_STATUS = 503;
/** Counters of an interval stop here, and latencies are cut here, so that a word never overflows. */
const MAX_COUNT = 0x3fff_ffff;

/** A count of failures in a row. */
interface Run {
  readonly kind: OutlierKind;
  readonly word: number;
  /** 0: off. */
  readonly limit: number;
  /** Percent. */
  readonly enforcing: number;
}

/** A policy, and the counts in a row that it asks for. */
interface Rules {
  readonly policy: OutlierPolicy;
  readonly any5xx: Run;
  readonly gateway: Run;
  readonly local: Run;
}

/** Detection on one upstream port. Holds no timer: its owner calls `sweep` when `nextSweepMs` has come. */
export class OutlierDetector {
  /** When the next sweep is due, monotonic ms; Infinity while detection is off. */
  nextSweepMs = Infinity;

  /** Undefined: off. */
  private rules: Rules | undefined;
  /** When the running interval began. */
  private sweptMs: number;

  /** `policy` undefined: off. */
  constructor(policy: OutlierPolicy | undefined, nowMs: number) {
    this.rules = policy && rulesOf(policy);
    this.sweptMs = nowMs;
    if (policy) this.nextSweepMs = nowMs + policy.intervalMs;
  }

  /**
   * Takes a new policy. Who is ejected stays so, for as long as the new one says, and the running interval began when it
   * began. Undefined switches detection off: all come back, and nothing is remembered but how often each was ejected.
   * Returns whose ejection ended.
   */
  setPolicy(
    cells: Cells,
    slots: readonly number[],
    policy: OutlierPolicy | undefined,
    nowMs: number,
  ): readonly number[] {
    const wasOn = this.rules !== undefined;
    this.rules = policy && rulesOf(policy);
    if (policy === undefined) {
      this.nextSweepMs = Infinity;
      return wasOn ? clear(cells, slots, nowMs) : [];
    }
    if (!wasOn) this.sweptMs = nowMs;
    this.nextSweepMs = Math.max(nowMs, this.sweptMs + policy.intervalMs);
    return this.keepWithinCap(cells, slots, nowMs);
  }

  /**
   * Takes the outcome of an attempt, once, when it ends. `slots`: all endpoints of the port, which the cap is a part of.
   * Undefined: nobody stood out. Allocates nothing then.
   */
  report(
    cells: Cells,
    slot: number,
    outcome: OutlierOutcome,
    slots: readonly number[],
    nowMs: number,
    rng: Rng,
  ): Detection | undefined {
    const { rules } = this;
    if (rules === undefined) return undefined;
    const split = rules.policy.splitLocalOrigin;
    const failed = outcome.local === 'failed';
    let detection: Detection | undefined;
    if (split) {
      tally(cells, slot, EndpointCell.IntervalLocalTotal, EndpointCell.IntervalLocalOk, !failed);
      if (failed) detection = oneMore(rules.policy, rules.local, cells, slot, slots, nowMs, rng);
      else cells.set(slot, EndpointCell.ConsecutiveLocal, 0);
    }

    const status = failed && !split ? LOCAL_FAILURE_STATUS : outcome.status;
    if (status === 0) return detection;
    const ok = status < 500 || status > 599;
    tally(cells, slot, EndpointCell.IntervalTotal, EndpointCell.IntervalOk, ok);
    if (ok) {
      addLatency(cells, slot, outcome.latencyUs);
      cells.set(slot, EndpointCell.Consecutive5xx, 0);
      cells.set(slot, EndpointCell.ConsecutiveGateway, 0);
      return detection;
    }
    if (status < 502 || status > 504) cells.set(slot, EndpointCell.ConsecutiveGateway, 0);
    else detection = oneMore(rules.policy, rules.gateway, cells, slot, slots, nowMs, rng) ?? detection;
    return oneMore(rules.policy, rules.any5xx, cells, slot, slots, nowMs, rng) ?? detection;
  }

  /**
   * Ends the interval: lets back in whose time is over, judges what the interval brought, and starts the next. Does nothing
   * before `nextSweepMs`. `slots`: all endpoints of the port.
   */
  sweep(cells: Cells, slots: readonly number[], nowMs: number, rng: Rng): SweepChanges {
    const policy = this.rules?.policy;
    if (policy === undefined || nowMs < this.nextSweepMs) return NO_CHANGES;
    // The phase stays, unless the sweep came so late that an interval was lost.
    const dueMs = this.nextSweepMs;
    this.sweptMs = dueMs + policy.intervalMs > nowMs ? dueMs : nowMs;
    this.nextSweepMs = this.sweptMs + policy.intervalMs;

    const unejected = slots.filter((slot) => endIfOver(cells, slot, policy, nowMs));
    unejected.push(...this.keepWithinCap(cells, slots, nowMs));
    const detections: Detection[] = [];
    const settled = new Set<number>(); // for whom a further kind would change nothing
    for (const outlier of findOutliers(cells, slots, policy)) {
      if (settled.has(outlier.slot)) continue;
      const detection = decide(policy, outlier, cells, slots, nowMs, rng);
      detections.push(detection);
      if (detection.verdict !== 'not_enforced') settled.add(outlier.slot);
    }
    for (const slot of slots) {
      // After judging, as gRPC A50 has it: before, who stands out in each interval would be forgiven in between, and its
      // ejections wouldn't grow.
      forgive(cells, slot, policy, nowMs);
      startInterval(cells, slot);
    }
    return { unejected, detections };
  }

  /**
   * Lets the longest ejected back in, as far as more are out than may be: to be called when endpoints were removed. Returns
   * them.
   */
  keepWithinCap(cells: Cells, slots: readonly number[], nowMs: number): readonly number[] {
    const policy = this.rules?.policy;
    if (policy === undefined) return [];
    const limit = ejectionLimit(slots.length, policy.maxEjectionPercent);
    if (countEjected(cells, slots) <= limit) return [];
    const ejected = slots.filter((slot) => isEjected(cells, slot)).toSorted(byEjection(cells, nowMs));
    const back = ejected.slice(0, ejected.length - limit);
    for (const slot of back) uneject(cells, slot, nowMs);
    return back;
  }

  /**
   * An active check of the endpoint passed, and the endpoint is up. True: that ended its ejection
   * (`successful_active_health_check_uneject_host`).
   */
  onActiveSuccess(cells: Cells, slot: number, nowMs: number): boolean {
    if (!this.rules?.policy.activeSuccessUnejects || !isEjected(cells, slot)) return false;
    uneject(cells, slot, nowMs);
    return true;
  }
}

function rulesOf(policy: OutlierPolicy): Rules {
  const { enforcing } = policy;
  return {
    policy,
    any5xx: {
      kind: 'consecutive_5xx',
      word: EndpointCell.Consecutive5xx,
      limit: policy.consecutive5xx,
      enforcing: enforcing.consecutive5xx,
    },
    gateway: {
      kind: 'consecutive_gateway_failure',
      word: EndpointCell.ConsecutiveGateway,
      limit: policy.consecutiveGatewayFailure,
      enforcing: enforcing.consecutiveGatewayFailure,
    },
    local: {
      kind: 'consecutive_local_origin_failure',
      word: EndpointCell.ConsecutiveLocal,
      limit: policy.consecutiveLocalOriginFailure,
      enforcing: enforcing.consecutiveLocalOriginFailure,
    },
  };
}

/** Counts one more failure in a row. At the limit the count starts anew, whatever comes of it. */
function oneMore(
  policy: OutlierPolicy,
  run: Run,
  cells: Cells,
  slot: number,
  slots: readonly number[],
  nowMs: number,
  rng: Rng,
): Detection | undefined {
  // What ends while its endpoint is ejected doesn't count: the counts start anew when it comes back.
  if (run.limit === 0 || run.enforcing === 0 || isEjected(cells, slot)) return undefined;
  if (cells.add(slot, run.word, 1) < run.limit) return undefined;
  cells.set(slot, run.word, 0);
  const { kind, enforcing } = run;
  return decide(policy, { slot, kind, enforcing, cause: `${kind}: ${run.limit} in a row` }, cells, slots, nowMs, rng);
}

/** What comes of an outlier. Chance comes before the cap, so an overflow is always an ejection that the cap alone stopped. */
function decide(
  policy: OutlierPolicy,
  outlier: Outlier,
  cells: Cells,
  slots: readonly number[],
  nowMs: number,
  rng: Rng,
): Detection {
  const { slot, kind, enforcing, cause } = outlier;
  if (enforcing < 100 && rng.below(100) >= enforcing) return { slot, kind, cause, verdict: 'not_enforced', forMs: 0 };
  if (countEjected(cells, slots) >= ejectionLimit(slots.length, policy.maxEjectionPercent)) {
    return { slot, kind, cause, verdict: 'overflow', forMs: 0 };
  }
  eject(cells, slot, policy, nowMs, rng);
  return { slot, kind, cause, verdict: 'ejected', forMs: ejectionMs(cells, slot, policy) };
}

/** All come back, and what detection knew of them is gone. Returns whose ejection ended. */
function clear(cells: Cells, slots: readonly number[], nowMs: number): readonly number[] {
  const back = slots.filter((slot) => isEjected(cells, slot));
  for (const slot of slots) {
    uneject(cells, slot, nowMs);
    cells.set(slot, EndpointCell.EjectionMultiplier, 0);
    startInterval(cells, slot);
  }
  return back;
}

function tally(cells: Cells, slot: number, totalWord: number, okWord: number, ok: boolean): void {
  if (cells.get(slot, totalWord) >= MAX_COUNT) return;
  cells.add(slot, totalWord, 1);
  if (ok) cells.add(slot, okWord, 1);
}

/** Adds to the two words of the sum. */
function addLatency(cells: Cells, slot: number, latencyUs: number): void {
  const low = cells.get(slot, EndpointCell.IntervalLatencyUs) >>> 0;
  const sum = low + Math.min(Math.max(0, Math.round(latencyUs)), MAX_COUNT);
  cells.set(slot, EndpointCell.IntervalLatencyUs, sum | 0);
  if (sum >= 4_294_967_296) cells.add(slot, EndpointCell.IntervalLatencyUs + 1, 1);
}

/** Empties the six words from IntervalTotal to IntervalLatencyUs. */
function startInterval(cells: Cells, slot: number): void {
  cells.words.fill(0, cells.at(slot, EndpointCell.IntervalTotal), cells.at(slot, EndpointCell.IntervalLatencyUs + 2));
}
