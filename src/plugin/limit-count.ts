// `limit-count`: so many requests in a window of time for each key (APISIX `limit-count`). All is sync and of one process, so
// counts are exact however requests come in between each other. What a request can't be counted by is found out before anything is
// counted.
import type { QuotaFieldNames } from '../model/gateway.ts';
import { compileLimits, counterKey, readNumber, type CompiledLimit, type LimitCountSpec } from './compiled-limit.ts';
import type { CounterSet } from './counter-pool.ts';
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

/** Never a way around the limit, unless it is wanted (`allow_degradation`). Whose limit it is, and why, is no caller's business. */
const FAILURE: PluginAnswer = {
  kind: 'limit_failure',
  status: 0,
  fields: [],
  body: '{"error_msg":"failed to limit count"}',
  detail: '',
};

function limitCount(spec: LimitCountSpec, request: PluginRequest, context: PluginContext): PluginAnswer | undefined {
  const { policy } = spec;
  if (policy.limits.length === 0) return undefined;
  const { limits, rejection, keys, counts, windowsS } = readyLimitsOf(spec);
  const counters = context.counters.of(spec);
  if (counters === undefined) return FAILURE;
  let applying = 0;
  for (let i = 0; i < limits.length; i++) {
    const limit = limits[i]!;
    const key = limit.readKey(request);
    keys[i] = '';
    if (key === undefined && policy.areRules) continue;
    const count = (counts[i] = readNumber(limit.count, request));
    const windowS = (windowsS[i] = readNumber(limit.windowS, request));
    if (count === 0 || windowS === 0) {
      if (!policy.allowsDegradation) return FAILURE;
      continue;
    }
    keys[i] = counterKey(limit, windowS, key, request.remoteAddress);
    applying++;
  }
  if (applying === 0) return policy.allowsDegradation ? undefined : FAILURE;
  for (let i = 0; i < limits.length; i++) {
    if (keys[i] === '') continue;
    countRequest(spec, counters[i]!, keys[i]!, counts[i]!, windowsS[i]! * 1000, context.clock);
    if (policy.showsQuota) showQuota(request.answerFields, limits[i]!.quotaFields ?? context.quotaFields, counts[i]!);
    if (!verdict.isAllowed) return rejection;
  }
  return undefined;
}

/** Fills in {@link verdict}. */
function countRequest(
  spec: LimitCountSpec,
  counters: CounterSet,
  key: string,
  limit: number,
  windowMs: number,
  clock: PluginContext['clock'],
): void {
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
