// What a request has tried, and whether it tries again: keeps the facts that policy/retry.ts decides by, and carries out
// what it says, as far as that is bookkeeping. One for each request.
import type { ErrorKind, Progress } from '../base/error.ts';
import type { Rng } from '../base/rng.ts';
import { TriedSlots } from '../balance/tried-slots.ts';
import type { Fields } from '../codec/exchange.ts';
import { PortCell } from '../model/cells.ts';
import { awaitsGrpcStatus, mayRetry, mayRetryAnswer, type RetryFacts, type RetryReason } from '../policy/retry.ts';
import { readPushback, retryWait, type Pushback } from '../policy/retry-wait.ts';
import type { Cluster } from '../upstream/cluster.ts';

/** Attempts of one request. */
export class Retries {
  /** Endpoints that were tried. */
  readonly tried = new TriedSlots();
  /** A kept connection was closed under this request: what is tried next gets a new one. */
  staleSeen = false;
  /**
   * It has one of the `max_retries` places: from the first decision for a further attempt, which may have to wait, until
   * the caller gets an answer. Its attempts follow each other, so one place is enough.
   */
  private holdsPlace = false;
  private readonly facts: RetryFacts;
  private readonly rng: Rng;

  constructor(method: string, path: string, isGrpc: boolean, rng: Rng) {
    this.rng = rng;
    this.facts = {
      method,
      path,
      isGrpc,
      bodyKept: true,
      headPassedOn: false,
      attempts: 0,
      maxAttempts: 1,
      endpointLeft: false,
      retryRoom: true,
      replays: 0,
      refusals: 0,
      retriesEndMs: Infinity,
      callEndsMs: Infinity,
      waitMs: 0,
      pushedBackAt: 0,
      sameEndpoint: false,
    };
  }

  /** All of the body that was sent so far can be sent again. */
  get bodyKept(): boolean {
    return this.facts.bodyKept;
  }

  /** Attempts so far, replays not. */
  get attempts(): number {
    return this.facts.attempts;
  }

  /** How long the next attempt waits, after one of the `after…` has said that there is one. */
  get waitMs(): number {
    return this.facts.waitMs === 'stop' ? 0 : this.facts.waitMs;
  }

  /** The whole call ends at `endsMs`, monotonic. */
  endAt(endsMs: number): void {
    this.facts.callEndsMs = endsMs;
  }

  dropBody(): void {
    this.facts.bodyKept = false;
  }

  /** The head of an answer goes to the caller: nothing is tried again. */
  settle(cluster: Cluster): void {
    this.facts.headPassedOn = true;
    this.end(cluster);
  }

  /** An attempt begins; true where it follows another. */
  begin(cluster: Cluster, nowMs: number): boolean {
    const { facts } = this;
    const { retryTimeoutMs } = cluster.port.policy.attempts;
    if (facts.attempts === 0 && facts.replays === 0) cluster.budget.countFirst(nowMs);
    if (retryTimeoutMs > 0 && facts.retriesEndMs === Infinity) facts.retriesEndMs = nowMs + retryTimeoutMs;
    return facts.attempts++ > 0;
  }

  /** The request is over, or will be tried no more. */
  end(cluster: Cluster): void {
    if (this.holdsPlace) cluster.breaker.moveRetries(-1);
    this.holdsPlace = false;
  }

  /** Whether an attempt that failed is followed by another, after {@link waitMs}, or by itself on another connection. */
  afterFailure(
    cluster: Cluster,
    slot: number,
    kind: ErrorKind,
    progress: Progress,
    nowMs: number,
  ): 'retry' | 'replay' | 'final' {
    const { facts, tried } = this;
    if (kind === 'upstream_reset' && progress.reusedConnection) this.staleSeen = true;
    this.update(cluster, slot, kind, undefined);
    const decision = mayRetry(kind, progress, facts, cluster.retryRules, cluster.budget, nowMs);
    if (decision.kind === 'final') countRefused(cluster, decision.reason);
    else if (decision.kind === 'retry') this.countRetry(cluster, slot);
    else {
      // The same attempt once more: this endpoint may take it too, but rather one that hasn't refused it.
      if (decision.reason === 'refused_by_peer') {
        facts.refusals++;
        if (facts.endpointLeft) tried.add(slot);
      }
      facts.replays++;
      facts.attempts--;
    }
    return decision.kind;
  }

  /** Whether an answer is followed by another attempt, after {@link waitMs}. `fields`: its last ones, head or trailers. */
  afterAnswer(
    cluster: Cluster,
    slot: number,
    status: number,
    grpcStatus: number,
    fields: Fields,
    nowMs: number,
    nowWallMs: number,
  ): boolean {
    const { facts } = this;
    const { retryRules } = cluster;
    if (!retryRules.retriesStatus(status) && !retryRules.retriesGrpcStatus(grpcStatus)) return false;
    this.update(cluster, slot, undefined, readPushback(fields, facts.isGrpc, nowWallMs));
    const decision = mayRetryAnswer(status, grpcStatus, facts, retryRules, cluster.budget, nowMs);
    if (decision.kind === 'retry') this.countRetry(cluster, slot);
    else countRefused(cluster, decision.reason);
    return decision.kind === 'retry';
  }

  /** Whether the head of a gRPC answer is held until its status is known, which may lead to another attempt. */
  awaitsStatus(cluster: Cluster, slot: number): boolean {
    if (!cluster.retryRules.watchesGrpcStatus) return false;
    this.facts.maxAttempts = cluster.attemptLimit();
    this.facts.endpointLeft = cluster.hasUntried(this.tried, slot);
    return awaitsGrpcStatus(this.facts, cluster.retryRules);
  }

  private update(cluster: Cluster, slot: number, ending: ErrorKind | undefined, pushback: Pushback): void {
    const { facts, tried, rng } = this;
    facts.maxAttempts = cluster.attemptLimit();
    facts.endpointLeft = cluster.hasUntried(tried, slot);
    facts.retryRoom = this.holdsPlace || cluster.breaker.retryRoom;
    facts.sameEndpoint = cluster.hasOneEndpoint;
    facts.waitMs = retryWait(cluster.port.policy.attempts.backoff, ending, pushback, facts, rng);
  }

  private countRetry(cluster: Cluster, slot: number): void {
    // Where there is only one endpoint it may be tried again; cluster.pick knows.
    this.tried.add(slot);
    cluster.count(PortCell.Retries);
    if (!this.holdsPlace) cluster.breaker.moveRetries(1);
    this.holdsPlace = true;
  }
}

function countRefused(cluster: Cluster, reason: RetryReason): void {
  if (reason === 'budget_exhausted') cluster.count(PortCell.RetriesRefused);
  else if (reason === 'max_retries') cluster.count(PortCell.OverflowRetries);
}
