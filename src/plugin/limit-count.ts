// `limit-count`: so many requests in a window of time for each key (APISIX `limit-count`). All is sync and of one process, so
// counts are exact however requests come in between each other. What a request can't be counted by is found out before anything is
// counted.
import type { QuotaFieldNames } from '../model/gateway.ts';
import { compileLimits, counterKey, readNumber, type CompiledLimit, type LimitCountSpec } from './compiled-limit.ts';
import { countFixed } from './fixed-window.ts';
import type { LimitVerdict } from './limit-verdict.ts';
import type { Plugin, PluginAnswer, PluginContext, PluginRequest } from './plugin.ts';
import { countSliding, slidingEndMs } from './sliding-window.ts';

/** `limit-count`. */
export const LIMIT_COUNT: Plugin<LimitCountSpec> = { name: 'limit-count', phase: 'access', run: limitCount };

/** A plugin that was made ready, with room for what a request's limits come to. */
interface ReadyLimits {
  readonly limits: readonly CompiledLimit[];
  readonly rejection: PluginAnswer;
  /** Keys of the counters; empty: the limit is passed over. */
  readonly keys: string[];
  readonly counts: number[];
  readonly windowsS: number[];
}

const ready = new WeakMap<LimitCountSpec, ReadyLimits>();

const verdict: LimitVerdict = { isAllowed: false, remaining: 0, resetCs: 0 };

function limitCount(spec: LimitCountSpec, request: PluginRequest, context: PluginContext): PluginAnswer | undefined {
  const { policy } = spec;
  const { limits, rejection, keys, counts, windowsS } = readyLimitsOf(spec);
  let applying = 0;
  for (let i = 0; i < limits.length; i++) {
    const limit = limits[i]!;
    const key = limit.readKey(request);
    keys[i] = '';
    if (key === undefined && policy.areRules) continue;
    const count = (counts[i] = readNumber(limit.count, request));
    const windowS = (windowsS[i] = readNumber(limit.windowS, request));
    if (count === 0 || windowS === 0) {
      return failure(
        spec,
        `${count === 0 ? 'count' : 'time_window'} came to something else than a whole number from 1 to 2^53-1`,
      );
    }
    keys[i] = counterKey(limit, windowS, key, request.remoteAddress);
    applying++;
  }
  if (applying === 0) return failure(spec, 'the request has no variable of any of its rules');
  for (let i = 0; i < limits.length; i++) {
    if (keys[i] === '') continue;
    countRequest(spec, keys[i]!, counts[i]!, windowsS[i]! * 1000, context);
    if (policy.showsQuota) showQuota(request.answerFields, limits[i]!.quotaFields ?? context.quotaFields, counts[i]!);
    if (!verdict.isAllowed) return rejection;
  }
  return undefined;
}

/** Fills in {@link verdict}. */
function countRequest(
  spec: LimitCountSpec,
  key: string,
  limit: number,
  windowMs: number,
  context: PluginContext,
): void {
  const { counters, clock } = context;
  const { nowMs } = clock;
  const found = counters.find(key);
  if (spec.policy.windowType === 'fixed') {
    const counter = found ?? counters.add(key, nowMs + windowMs, nowMs);
    const { endMs } = counter;
    countFixed(counter, limit, windowMs, nowMs, verdict);
    if (counter.endMs !== endMs) counters.moved(counter);
    return;
  }
  const wallMs = clock.wallMs();
  const counter = found ?? counters.add(key, slidingEndMs(windowMs, nowMs, wallMs), nowMs);
  const { endMs } = counter;
  countSliding(counter, limit, windowMs, nowMs, wallMs, verdict);
  if (counter.endMs !== endMs) counters.moved(counter);
}

function showQuota(answerFields: string[], names: QuotaFieldNames, limit: number): void {
  answerFields.push(
    names.limit,
    String(limit),
    names.remaining,
    String(verdict.remaining),
    names.reset,
    String(verdict.resetCs / 100),
  );
}

function readyLimitsOf(spec: LimitCountSpec): ReadyLimits {
  let found = ready.get(spec);
  if (found === undefined) {
    const { rejectedCode, rejectedMsg } = spec.policy;
    found = {
      limits: compileLimits(spec),
      rejection: {
        kind: 'rate_limited',
        status: rejectedCode,
        fields: [],
        body: rejectedMsg === undefined ? undefined : JSON.stringify({ error_msg: rejectedMsg }),
        detail: rejectedMsg ?? '',
      },
      keys: [],
      counts: [],
      windowsS: [],
    };
    ready.set(spec, found);
  }
  return found;
}

/** Never a way around the limit, unless it is wanted (`allow_degradation`). */
function failure({ owner, policy }: LimitCountSpec, why: string): PluginAnswer | undefined {
  if (policy.allowsDegradation) return undefined;
  return { kind: 'limit_failure', status: 0, fields: [], body: undefined, detail: `limit-count of ${owner}: ${why}` };
}
