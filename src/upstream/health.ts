// The health of one upstream port's endpoints: runs the probes that are due, takes the evidence of calls, and says when
// an endpoint's use changed. The decisions are health/'s; this file holds the timers and the words for people.
import type { Cancel } from '../base/clock.ts';
import type { ErrorKind, Progress } from '../base/error.ts';
import type { Rng } from '../base/rng.ts';
import { answerStatus } from '../codec/grpc/status.ts';
import { ProbeSchedule } from '../health/active.ts';
import {
  createActiveEvidence,
  createPassiveEvidence,
  type ActiveEvidence,
  type Evidence,
  type PassiveEvidence,
  type ProbeOutcome,
} from '../health/evidence.ts';
import { HealthState, healthCount, holdDown, isUp, report, resetHealth, startTrial } from '../health/machine.ts';
import { TimedReturn } from '../health/timed-return.ts';
import { EndpointCell, type Cells } from '../model/cells.ts';
import type { ActivePolicy, ChecksPolicy, Scheme } from '../model/policy.ts';
import type { EndpointSpec } from '../model/snapshot.ts';
import type { TlsConnector, TlsRefusal } from '../net/tls.ts';
import type { NetContext } from '../net/transport.ts';
import type { LiveEndpoint } from './endpoint.ts';
import { probe, type ProbeChannels } from './prober.ts';

/** How an attempt ended. */
export interface AttemptOutcome {
  /** Undefined: it was answered completely. */
  readonly error: ErrorKind | undefined;
  readonly progress: Progress;
  readonly httpStatus: number;
  /** -1 where none came. */
  readonly grpcStatus: number;
  /** What {@link LiveEndpoint.beginAttempt} returned; undefined: as if it began now. */
  readonly trials?: number;
}

/** What health needs from outside. */
export interface HealthContext extends NetContext {
  readonly rng: Rng;
  readonly endpointCells: Cells;
  readonly probeChannels: ProbeChannels;
  /** TLS for a probe, or why there can be none; undefined: the probe goes over plaintext. */
  readonly probeConnector: (spec: EndpointSpec) => TlsConnector | TlsRefusal | undefined;
  /** A probe of it succeeded, and it is up; its health has been told of that already. */
  readonly onActiveSuccess?: (endpoint: LiveEndpoint) => void;
}

/** Shortest answer of {@link PortHealth.nextReturnMs}, and how long one answer stands. */
const LEAST_RETURN_MS = 1000;
const RETURN_KNOWN_FOR_MS = 100;
/** Between two looks at the schedule, each of which goes through all endpoints. */
const LEAST_PAUSE_MS = 10;

/** Health of the endpoints of one port. */
export class PortHealth {
  private readonly context: HealthContext;
  /**
   * State, counters or cause of endpoints changed. `useChanged`: they went up or down, or their trial began or ended, so who
   * may be picked is to be found anew. Changes that `update` makes itself come with `false`: who calls that looks at all
   * endpoints afterwards.
   */
  private readonly onChange: (endpoints: readonly LiveEndpoint[], useChanged: boolean) => void;
  private readonly ask: typeof probe;
  private checks: ChecksPolicy | undefined = undefined;
  private scheme: Scheme = 'http';
  private schedule: ProbeSchedule | undefined = undefined;
  private active: ActiveEvidence | undefined = undefined;
  private passive: PassiveEvidence | undefined = undefined;
  private readonly timedReturn = new TimedReturn();
  /** None while there are no checks. */
  private readonly endpoints = new Map<number, LiveEndpoint>();
  /** Those that a probe has ended of. */
  private readonly probed = new WeakSet<LiveEndpoint>();
  /** Those that began as unhealthy and have not been up since (`checks.active.start`). */
  private readonly unproven = new WeakSet<LiveEndpoint>();
  private readonly probes = new Map<LiveEndpoint, Cancel>();
  private cancelTimer: Cancel | undefined = undefined;
  /** When the timer is due. */
  private wakeMs = Infinity;
  private returnMs = Infinity;
  private returnAskedMs = -Infinity;

  /** `ask` sends one probe. */
  constructor(
    context: HealthContext,
    onChange: (endpoints: readonly LiveEndpoint[], useChanged: boolean) => void,
    ask: typeof probe = probe,
  ) {
    this.context = context;
    this.onChange = onChange;
    this.ask = ask;
  }

  /**
   * Sets checks and endpoints. Probing starts at once; endpoints that stay keep their state and their schedule, whatever
   * changed. States hold when it returns: one that begins as unhealthy is down before anybody can pick it. `added`: those
   * among the endpoints that nobody has heard of yet; no change of them is told.
   */
  update(
    checks: ChecksPolicy | undefined,
    scheme: Scheme,
    endpoints: Iterable<LiveEndpoint>,
    added: readonly LiveEndpoint[],
  ): void {
    const { endpointCells, clock, rng } = this.context;
    this.scheme = scheme;
    this.returnAskedMs = -Infinity;
    if (checks === undefined && this.checks === undefined) return;
    if (checks !== this.checks) {
      this.checks = checks;
      this.active = checks?.active && createActiveEvidence(checks.active);
      this.passive = checks?.passive && createPassiveEvidence(checks.passive);
    }
    if (!checks?.passive || checks.active) this.timedReturn.clear();
    const unheard = new Set(added);
    this.endpoints.clear();
    for (const endpoint of endpoints) {
      if (checks) this.endpoints.set(endpoint.slot, endpoint);
      if (this.settle(endpoint) && !unheard.has(endpoint)) this.onChange([endpoint], false);
    }
    for (const [endpoint, cancel] of this.probes) {
      if (this.endpoints.get(endpoint.slot) === endpoint && checks?.active) continue;
      cancel();
      this.probes.delete(endpoint);
      this.schedule?.finish(endpoint.slot, endpoint.generation);
    }
    if (checks?.active) {
      this.schedule ??= new ProbeSchedule(checks.active);
      this.schedule.update(checks.active, endpointCells, [...this.endpoints.keys()], clock.nowMs, rng);
    } else this.schedule = undefined;
    this.run();
  }

  /** One attempt has ended at `endpoint`. */
  reportAttempt(endpoint: LiveEndpoint, outcome: AttemptOutcome): void {
    const passive = this.passive;
    if (!passive || !endpoint.holdsRow) return;
    const state = this.context.endpointCells.get(endpoint.slot, EndpointCell.HealthState);
    const onTrial = state === HealthState.Trial;
    // What began before its time was over says nothing of how it is now.
    if (onTrial && outcome.trials !== undefined && outcome.trials !== endpoint.trials) return;
    if (outcome.error === undefined) {
      const status = answerStatus(outcome.httpStatus, outcome.grpcStatus < 0 ? undefined : outcome.grpcStatus);
      const evidence = onTrial ? passive.ofTrial(status) : passive.ofStatus(status);
      if (!evidence) return;
      if (evidence.kind === 'success') {
        if (state === HealthState.Healthy) return; // moves nothing, and nearly every attempt ends here
        if (this.unproven.has(endpoint)) return; // only probes bring that one up
      }
      const text = outcome.grpcStatus < 0 ? `status ${status}` : `grpc-status ${outcome.grpcStatus}`;
      this.take(endpoint, evidence, 'passive', text);
    } else {
      const evidence = passive.ofFailure(outcome.error, outcome.progress);
      if (evidence) this.take(endpoint, evidence, 'passive', outcome.error);
    }
  }

  /**
   * Milliseconds until something may bring an endpoint back: the next probe of one that is down, the next timed return,
   * or the end of a trial. At least 1,000; Infinity where nothing will. For the Retry-After of an answer that no endpoint
   * could give.
   */
  nextReturnMs(nowMs: number): number {
    if (nowMs - this.returnAskedMs >= RETURN_KNOWN_FOR_MS) {
      this.returnAskedMs = nowMs;
      this.returnMs = this.findReturnMs();
    }
    return Math.max(LEAST_RETURN_MS, this.returnMs - nowMs);
  }

  /** Stops all probes. */
  stop(): void {
    this.stopTimer();
    for (const cancel of this.probes.values()) cancel();
    this.probes.clear();
    this.endpoints.clear();
    this.schedule = undefined;
    this.passive = undefined;
  }

  /** Puts an endpoint into the state that the policy gives it; true where that changed anything. */
  private settle(endpoint: LiveEndpoint): boolean {
    const { endpointCells: cells, clock } = this.context;
    const { slot } = endpoint;
    const active = this.checks?.active;
    const isUnproven = this.unproven.has(endpoint);
    if (!this.checks) return this.reset(endpoint);
    if (active?.start === 'unhealthy') {
      if (isUnproven || this.probed.has(endpoint)) return false;
      this.unproven.add(endpoint);
      holdDown(cells, slot);
      endpoint.cause = notProbed(active);
      endpoint.sinceWallMs = clock.wallMs();
      return true;
    }
    // Nothing but the setting that is gone ever said that it is down.
    if (isUnproven && !this.probed.has(endpoint)) return this.reset(endpoint);
    if (active || isUp(cells.get(slot, EndpointCell.HealthState))) return false;
    // No probe will bring it back any more.
    this.unproven.delete(endpoint);
    if (!this.timedReturn.has(cells, slot)) this.timedReturn.add(cells, slot, clock.nowMs);
    return false;
  }

  /** As if nothing had been heard of it. */
  private reset(endpoint: LiveEndpoint): boolean {
    const { endpointCells: cells, clock } = this.context;
    const { slot } = endpoint;
    this.unproven.delete(endpoint);
    const wasHealthy = cells.get(slot, EndpointCell.HealthState) === HealthState.Healthy;
    if (wasHealthy && cells.get(slot, EndpointCell.HealthCounters) === 0 && endpoint.cause === '') return false;
    resetHealth(cells, slot);
    endpoint.cause = '';
    if (!wasHealthy) endpoint.sinceWallMs = clock.wallMs();
    return true;
  }

  private findReturnMs(): number {
    const { endpointCells: cells, clock } = this.context;
    const passive = this.checks?.passive;
    const { schedule } = this;
    let next = schedule || !passive ? Infinity : this.timedReturn.nextMs(passive);
    for (const { slot, spec } of this.endpoints.values()) {
      if (spec.draining) continue;
      const state = cells.get(slot, EndpointCell.HealthState);
      if (state === HealthState.Trial) return clock.nowMs;
      if (schedule && !isUp(state)) next = Math.min(next, schedule.nextProbeMs(cells, slot));
    }
    return next;
  }

  /** Starts what is due, and sets the timer for what is due next. */
  private run(): void {
    const { clock, endpointCells } = this.context;
    const active = this.checks?.active;
    let nextMs = Infinity;
    if (this.schedule && active) {
      for (const slot of this.schedule.start(endpointCells, clock.nowMs)) {
        const endpoint = this.endpoints.get(slot);
        if (endpoint) this.startProbe(endpoint);
      }
      nextMs = this.schedule.nextMs(endpointCells);
    } else if (this.checks?.passive) {
      const { passive } = this.checks;
      this.letReturn(this.timedReturn.takeDue(endpointCells, passive, clock.nowMs));
      nextMs = this.timedReturn.nextMs(passive);
    }
    this.stopTimer();
    this.wakeAt(nextMs);
  }

  /** The endpoint went up or down, so its next probe or its return is due at another time. */
  private changePace(slot: number): void {
    const { clock, endpointCells } = this.context;
    const dueMs = this.schedule?.nextProbeMs(endpointCells, slot) ?? -Infinity;
    // Only this one is looked at where that will do: all may be tens of thousands.
    if (dueMs > clock.nowMs) this.wakeAt(dueMs);
    else this.run();
  }

  /** Runs at that time, if nothing does before. What falls due close together is done in one go. */
  private wakeAt(dueMs: number): void {
    if (dueMs >= this.wakeMs) return;
    this.stopTimer();
    this.wakeMs = dueMs;
    const { clock } = this.context;
    this.cancelTimer = clock.after(Math.max(LEAST_PAUSE_MS, dueMs - clock.nowMs), () => {
      this.wakeMs = Infinity;
      this.run();
    });
  }

  private stopTimer(): void {
    this.cancelTimer?.();
    this.cancelTimer = undefined;
    this.wakeMs = Infinity;
  }

  private startProbe(endpoint: LiveEndpoint): void {
    const policy = this.checks?.active;
    const judge = this.active;
    if (!policy || !judge) return;
    const { generation, slot, spec } = endpoint;
    const connector = this.context.probeConnector(spec);
    if (connector && 'kind' in connector) {
      // Nothing of the endpoint's doing: it keeps its state, and is asked again when it is due.
      this.schedule?.finish(slot, generation);
      if (!this.probed.has(endpoint)) this.explain(endpoint, `${notProbed(policy)}: ${connector.detail}`);
      return;
    }
    const { address, port, host } = spec;
    const target = { address, port, host, scheme: this.scheme, connector };
    const cancel = this.ask(target, policy, this.context.probeChannels, this.context, (outcome) => {
      this.probes.delete(endpoint);
      const othersWaited = this.schedule?.finish(slot, generation);
      this.probed.add(endpoint);
      const evidence = judge.ofProbe(outcome);
      const side = `active ${policy.type}`;
      if (!evidence) this.explain(endpoint, `${side}: ${describe(outcome)}, which counts for nothing`);
      else {
        const detail = outcome.kind === 'failed' ? outcome.detail : undefined;
        if (!this.take(endpoint, evidence, side, describe(outcome), detail)) {
          this.stillDown(endpoint, `${side}: ${describe(outcome)}`, detail);
        }
        const isUpNow = isUp(this.context.endpointCells.get(slot, EndpointCell.HealthState));
        if (evidence.kind === 'success' && isUpNow) this.context.onActiveSuccess?.(endpoint);
      }
      if (othersWaited) this.run();
      else if (this.schedule) this.wakeAt(this.schedule.nextProbeMs(this.context.endpointCells, slot));
    });
    this.probes.set(endpoint, cancel);
  }

  /** A probe of an endpoint that is down failed, which counts for nothing more: the cause is that of now, if it is another. */
  private stillDown(endpoint: LiveEndpoint, what: string, detail = ''): void {
    const { cause } = endpoint;
    if (isUp(this.context.endpointCells.get(endpoint.slot, EndpointCell.HealthState))) return;
    const now = detail === '' ? what : `${what}: ${detail}`;
    // The failure that took it out says how often it came, too.
    if (cause === now || (cause.startsWith(`${what} (`) && cause.endsWith(detail))) return;
    endpoint.cause = now;
    this.onChange([endpoint], false);
  }

  /** Why an endpoint that began as unhealthy still is, where no evidence can say it. */
  private explain(endpoint: LiveEndpoint, cause: string): void {
    const counters = this.context.endpointCells.get(endpoint.slot, EndpointCell.HealthCounters);
    if (!this.unproven.has(endpoint) || counters !== 0 || endpoint.cause === cause) return;
    endpoint.cause = cause;
    this.onChange([endpoint], false);
  }

  /** All at once: each change of who may be picked looks at all endpoints. */
  private letReturn(slots: readonly number[]): void {
    const returned: LiveEndpoint[] = [];
    for (const slot of slots) {
      const endpoint = this.endpoints.get(slot);
      if (!endpoint || startTrial(this.context.endpointCells, slot) === 'none') continue;
      endpoint.beginTrial();
      endpoint.cause = 'passive: time is over, the next call decides';
      endpoint.sinceWallMs = this.context.clock.wallMs();
      returned.push(endpoint);
    }
    if (returned.length > 0) this.onChange(returned, true);
  }

  /** False: it changed nothing. */
  private take(endpoint: LiveEndpoint, evidence: Evidence, side: string, what: string, detail?: string): boolean {
    const { endpointCells: cells, clock } = this.context;
    const { slot } = endpoint;
    const stateBefore = cells.get(slot, EndpointCell.HealthState);
    const countersBefore = cells.get(slot, EndpointCell.HealthCounters);
    const change = report(cells, slot, evidence.kind, evidence.limit);
    const state = cells.get(slot, EndpointCell.HealthState);
    const stateChanged = state !== stateBefore;
    if (!stateChanged && cells.get(slot, EndpointCell.HealthCounters) === countersBefore) return false;
    const onTrial = stateBefore === HealthState.Trial;
    const count = onTrial ? 'on trial' : `${healthCount(cells, slot, evidence.kind)} of ${evidence.limit}`;
    endpoint.cause = `${side}: ${what} (${count})`;
    if (detail !== undefined) endpoint.cause += `: ${detail}`;
    if (stateChanged) endpoint.sinceWallMs = clock.wallMs();
    this.returnAskedMs = -Infinity;
    if (isUp(state)) {
      this.unproven.delete(endpoint);
      if (state === HealthState.Healthy) this.timedReturn.forget(slot);
    } else if (change === 'down' && !this.checks?.active) this.timedReturn.add(cells, slot, clock.nowMs, onTrial);
    if (change !== 'none') this.changePace(slot);
    this.onChange([endpoint], change !== 'none' || (onTrial && stateChanged));
    return true;
  }
}

function notProbed({ type }: ActivePolicy): string {
  return `active ${type}: not probed yet`;
}

function describe(outcome: ProbeOutcome): string {
  switch (outcome.kind) {
    case 'connected':
      return 'connected';
    case 'answered':
      return `status ${outcome.status}`;
    case 'health':
      return outcome.serving ? 'serving' : 'not serving';
    case 'malformed':
      return 'malformed answer';
    case 'timeout':
      return 'timeout';
    case 'failed':
      return 'connection failed';
  }
}
