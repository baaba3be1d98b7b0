import type { Unit } from './scenario.ts';

/** One round of one peer. What a scenario doesn't measure is undefined; per `request` means per what it counts. */
export interface Round {
  /** CPU time of the proxy's processes by requests answered, in microseconds. */
  readonly cpuUsPerRequest?: number | undefined;
  readonly requestsPerSecond?: number | undefined;
  /** Share of its core that the proxy used, 0 to 1. Near 1 the proxy was the bottleneck, else backend and load were. */
  readonly coreShare?: number | undefined;
  /** Resident memory right after the load. */
  readonly rssBytes?: number | undefined;
  /** By how much it grew for each idle connection. */
  readonly bytesPerConnection?: number | undefined;
  /** Time to the end of the answer that half of the requests, and 99 of 100, kept to, in microseconds. */
  readonly p50Us?: number | undefined;
  readonly p99Us?: number | undefined;
  /** From the start of the process until it served, in milliseconds. */
  readonly readyMs?: number | undefined;
}

/** What one peer did in one scenario. */
export interface PeerResult {
  readonly peer: string;
  readonly version: string;
  /** Resident memory before the first request. */
  readonly restRssBytes: number;
  /** The part of it that no other process shares; undefined where that isn't measured. */
  readonly restPrivateBytes?: number | undefined;
  readonly rounds: readonly Round[];
}

/** A peer that has no figures, and why. */
export interface Absence {
  readonly peer: string;
  readonly reason: string;
}

/** One scenario of a run. */
export interface ScenarioResult {
  readonly scenario: string;
  readonly summary: string;
  /** Undefined in files of earlier versions: requests. */
  readonly unit?: Unit | undefined;
  readonly load: string;
  readonly backend: string;
  /** Requests a second without any proxy between: what backend and load manage on their core. */
  readonly directRequestsPerSecond?: number | undefined;
  /** Where fewer than the run's are enough. */
  readonly rounds?: number | undefined;
  readonly peers: readonly PeerResult[];
  /** Not installed. */
  readonly skipped: readonly Absence[];
  /** Installed, but didn't start, answered wrongly or failed requests. */
  readonly failed: readonly Absence[];
  /** What else one should know. */
  readonly notes?: readonly string[] | undefined;
}

/** A whole run, as `--json` writes it. */
export interface BenchResult {
  readonly format: 1;
  readonly startedAt: string;
  /** Short commit id, with `+` for a changed tree; empty outside a repository. */
  readonly commit: string;
  readonly machine: { readonly cpu: string; readonly cores: number; readonly kernel: string; readonly pinned: boolean };
  /** Version of the Node that ran the proxies written for Node. */
  readonly node: string;
  readonly rounds: number;
  readonly seconds: number;
  /** How long the run took. */
  readonly tookSeconds?: number | undefined;
  readonly scenarios: readonly ScenarioResult[];
  /** Scenarios that weren't run, and why. */
  readonly left?: readonly LeftScenario[] | undefined;
}

/** A scenario without figures, and why. */
export interface LeftScenario {
  readonly scenario: string;
  readonly reason: string;
  /** False where it only can't be run here. */
  readonly hasFailed: boolean;
}

/** Reads what `--json` wrote. Throws, naming the place, if it is something else. */
export function parseBenchResult(text: string, place: string): BenchResult {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new Error(`${place}: not JSON`, { cause: error });
  }
  if (typeof value !== 'object' || value === null || !('format' in value) || value.format !== 1) {
    throw new Error(`${place}: not a result of this bench (\`format\` must be 1)`);
  }
  return value as BenchResult;
}
