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
import { healthCount, isUp, report, resetHealth, startTrial } from '../health/machine.ts';
import { TimedReturn } from '../health/timed-return.ts';
import { EndpointCell, type Cells } from '../model/cells.ts';
import type { ChecksPolicy, Scheme } from '../model/policy.ts';
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
}

/** What health needs from outside. */
export interface HealthContext extends NetContext {
  readonly rng: Rng;
  readonly endpointCells: Cells;
  readonly probeChannels: ProbeChannels;
  /** TLS for a probe, or why there can be none; undefined: the probe goes over plaintext. */
  readonly probeConnector: (spec: EndpointSpec) => TlsConnector | TlsRefusal | undefined;
}

/** Health of the endpoints of one port. */
export class PortHealth {
  private readonly context: HealthContext;
  /** `useChanged`: the endpoint went up or down, so the list of usable ones is stale. */
  private readonly onChange: (endpoint: LiveEndpoint, useChanged: boolean) => void;
  private checks: ChecksPolicy | undefined = undefined;
  private scheme: Scheme = 'http';
  private schedule: ProbeSchedule | undefined = undefined;
  private active: ActiveEvidence | undefined = undefined;
  private passive: PassiveEvidence | undefined = undefined;
  private readonly timedReturn = new TimedReturn();
  private readonly endpoints = new Map<number, LiveEndpoint>();
  private readonly probes = new Map<LiveEndpoint, Cancel>();
  private cancelTimer: Cancel | undefined = undefined;

  constructor(context: HealthContext, onChange: (endpoint: LiveEndpoint, useChanged: boolean) => void) {
    this.context = context;
    this.onChange = onChange;
  }

  /** Sets checks and endpoints. Probing starts at once; endpoints that stay keep their state and their schedule. */
  update(checks: ChecksPolicy | undefined, scheme: Scheme, endpoints: Iterable<LiveEndpoint>): void {
    const { endpointCells, clock, rng } = this.context;
    this.scheme = scheme;
    const changed = checks !== this.checks;
    if (changed) {
      this.checks = checks;
      this.active = checks?.active && createActiveEvidence(checks.active);
      this.passive = checks?.passive && createPassiveEvidence(checks.passive);
      this.timedReturn.clear();
    }
    this.endpoints.clear();
    for (const endpoint of endpoints) {
      this.endpoints.set(endpoint.slot, endpoint);
      if (!checks) this.forget(endpoint);
      else if (changed && !checks.active) this.awaitReturn(endpoint);
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
    if (!passive || this.endpoints.get(endpoint.slot) !== endpoint) return;
    if (outcome.error === undefined) {
      const status = answerStatus(outcome.httpStatus, outcome.grpcStatus < 0 ? undefined : outcome.grpcStatus);
      const evidence = passive.ofStatus(status);
      if (!evidence) return;
      const text = outcome.grpcStatus < 0 ? `status ${status}` : `grpc-status ${outcome.grpcStatus}`;
      this.take(endpoint, evidence, 'passive', text);
    } else {
      const evidence = passive.ofFailure(outcome.error, outcome.progress);
      if (evidence) this.take(endpoint, evidence, 'passive', outcome.error);
    }
  }

  /** Stops all probes. */
  stop(): void {
    this.cancelTimer?.();
    this.cancelTimer = undefined;
    for (const cancel of this.probes.values()) cancel();
    this.probes.clear();
    this.endpoints.clear();
    this.schedule = undefined;
    this.passive = undefined;
  }

  private forget(endpoint: LiveEndpoint): void {
    resetHealth(this.context.endpointCells, endpoint.slot);
    endpoint.cause = '';
  }

  /** An endpoint that active checks took out and that they will no longer bring back. */
  private awaitReturn(endpoint: LiveEndpoint): void {
    const { endpointCells, clock } = this.context;
    if (isUp(endpointCells.get(endpoint.slot, EndpointCell.HealthState))) return;
    this.timedReturn.add(endpointCells, endpoint.slot, clock.nowMs);
  }

  private run(): void {
    const { clock, endpointCells } = this.context;
    this.cancelTimer?.();
    this.cancelTimer = undefined;
    const active = this.checks?.active;
    let nextMs = Infinity;
    if (this.schedule && active) {
      for (const slot of this.schedule.start(endpointCells, clock.nowMs)) {
        const endpoint = this.endpoints.get(slot);
        if (endpoint) this.startProbe(endpoint);
      }
      nextMs = this.schedule.nextMs(endpointCells);
    } else if (this.checks?.passive) {
      const { returnAfterMs } = this.checks.passive;
      for (const slot of this.timedReturn.takeDue(endpointCells, returnAfterMs, clock.nowMs)) this.letReturn(slot);
      nextMs = this.timedReturn.nextMs(returnAfterMs);
    }
    if (nextMs === Infinity) return;
    this.cancelTimer = clock.after(Math.max(1, nextMs - clock.nowMs), () => this.run());
  }

  private startProbe(endpoint: LiveEndpoint): void {
    const active = this.checks?.active;
    if (!active) return;
    const { generation, slot, spec } = endpoint;
    const connector = this.context.probeConnector(spec);
    if (connector && 'kind' in connector) {
      // Nothing of the endpoint's doing: it keeps its state, and is asked again when it is due.
      this.schedule?.finish(slot, generation);
      return;
    }
    const target = { address: spec.address, port: spec.port, scheme: this.scheme, connector };
    const cancel = probe(target, active, this.context.probeChannels, this.context, (outcome) => {
      this.probes.delete(endpoint);
      this.schedule?.finish(slot, generation);
      const evidence = this.active?.ofProbe(outcome);
      const detail = outcome.kind === 'failed' ? outcome.detail : undefined;
      if (evidence) this.take(endpoint, evidence, `active ${active.type}`, describe(outcome), detail);
      this.run();
    });
    this.probes.set(endpoint, cancel);
  }

  private letReturn(slot: number): void {
    const endpoint = this.endpoints.get(slot);
    if (!endpoint || startTrial(this.context.endpointCells, slot) === 'none') return;
    endpoint.cause = 'passive: time is over, the next call decides';
    endpoint.sinceWallMs = this.context.clock.wallMs();
    this.onChange(endpoint, true);
  }

  private take(endpoint: LiveEndpoint, evidence: Evidence, side: string, what: string, detail?: string): void {
    const cells = this.context.endpointCells;
    const { slot } = endpoint;
    const stateBefore = cells.get(slot, EndpointCell.HealthState);
    const countersBefore = cells.get(slot, EndpointCell.HealthCounters);
    const change = report(cells, slot, evidence.kind, evidence.limit);
    const stateChanged = cells.get(slot, EndpointCell.HealthState) !== stateBefore;
    if (!stateChanged && cells.get(slot, EndpointCell.HealthCounters) === countersBefore) return;
    endpoint.cause = `${side}: ${what} (${healthCount(cells, slot, evidence.kind)} of ${evidence.limit})`;
    if (detail !== undefined) endpoint.cause += `: ${detail}`;
    if (stateChanged) endpoint.sinceWallMs = this.context.clock.wallMs();
    if (change === 'down' && !this.checks?.active) {
      this.timedReturn.add(cells, slot, this.context.clock.nowMs);
      this.run();
    }
    this.onChange(endpoint, change !== 'none');
  }
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
