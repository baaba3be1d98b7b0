import { seededRng, type Rng } from '../../src/base/rng.ts';
import { OutlierDetector, type Detection, type OutlierOutcome } from '../../src/health/outlier.ts';
import { Cells, EndpointCell } from '../../src/model/cells.ts';
import { DEFAULT_OUTLIER } from '../../src/model/defaults.ts';
import type { OutlierPolicy } from '../../src/model/policy.ts';

/** A policy that ejects for what a test asks for and for nothing else. */
export const QUIET: OutlierPolicy = {
  ...DEFAULT_OUTLIER,
  consecutive5xx: 0,
  consecutiveGatewayFailure: 0,
  consecutiveLocalOriginFailure: 0,
  maxEjectionPercent: 100,
  enforcing: {
    consecutive5xx: 100,
    consecutiveGatewayFailure: 100,
    consecutiveLocalOriginFailure: 100,
    successRate: 0,
    localOriginSuccessRate: 0,
    failurePercentage: 0,
    failurePercentageLocalOrigin: 0,
  },
};

/** A rng that answers from a list, for draws that a test wants to decide. */
export function scriptedRng(values: readonly number[]): Rng {
  let next = 0;
  const below = (n: number): number => {
    const value = values[next++];
    if (value === undefined || value >= n) throw new Error(`draw ${next} below ${n} isn't scripted`);
    return value;
  };
  return { below, unit: () => below(1) };
}

/** An upstream port with detection, moved by hand. */
export class OutlierScene {
  readonly cells = new Cells();
  readonly slots: number[] = [];
  readonly detector: OutlierDetector;
  readonly rng: Rng;
  nowMs: number;

  constructor(endpoints: number, policy: OutlierPolicy, rng: Rng = seededRng(1), nowMs = 1000.5) {
    this.cells.allocate(); // not 0: a forgotten slot shows
    for (let i = 0; i < endpoints; i++) this.slots.push(this.cells.allocate());
    this.rng = rng;
    this.nowMs = nowMs;
    this.detector = new OutlierDetector(policy, nowMs);
  }

  /** An attempt at the endpoint ended with a status, or failed locally. */
  end(endpoint: number, how: number | 'failed', latencyUs = 1000): Detection | undefined {
    const outcome: OutlierOutcome =
      how === 'failed' ? { status: 0, local: 'failed', latencyUs: 0 } : { status: how, local: 'none', latencyUs };
    return this.report(endpoint, outcome);
  }

  report(endpoint: number, outcome: OutlierOutcome): Detection | undefined {
    return this.detector.report(this.cells, this.slots[endpoint]!, outcome, this.slots, this.nowMs, this.rng);
  }

  /** As many answers as asked for, the bad ones first. */
  answers(endpoint: number, total: number, good: number, latencyUs = 1000): void {
    for (let i = 0; i < total; i++) this.end(endpoint, i < total - good ? 500 : 200, latencyUs);
  }

  /** Moves to the next sweep. */
  sweep(): { readonly unejected: readonly number[]; readonly detections: readonly Detection[] } {
    this.nowMs = Math.max(this.nowMs, this.detector.nextSweepMs);
    const { unejected, detections } = this.detector.sweep(this.cells, this.slots, this.nowMs, this.rng);
    return { unejected: unejected.map((slot) => this.slots.indexOf(slot)), detections };
  }

  /** Indexes of the ejected. */
  get ejected(): readonly number[] {
    return [...this.slots.keys()].filter((endpoint) => this.word(endpoint, EndpointCell.Ejected) === 1);
  }

  word(endpoint: number, word: number): number {
    return this.cells.get(this.slots[endpoint]!, word);
  }
}
