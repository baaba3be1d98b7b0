// What a plugin is: a plain function at a named phase. It sees the request and may change it, and says whether the
// request goes on. All plugins stand in one ordered list (plugins.ts).
import type { Clock } from '../base/clock.ts';
import type { ErrorKind } from '../base/error.ts';
import type { ConsumerSpec, PluginSpec, QuotaFieldNames } from '../model/gateway.ts';
import type { HashedRequest } from '../policy/request-variables.ts';
import type { ConsumerTable } from './consumer-table.ts';
import type { LimitCounters } from './limit-counters.ts';

/** `rewrite`: before the plugins of the consumer come in. `access`: after that, before an endpoint is chosen. */
export type Phase = 'rewrite' | 'access';

/** A plugin. What one needs of a setting again and again it makes of `spec` once, and keeps as long as `spec` lives. */
export interface Plugin<Spec extends PluginSpec = PluginSpec> {
  readonly name: Spec['name'];
  readonly phase: Phase;
  /** Undefined: the request goes on. */
  run(spec: Spec, request: PluginRequest, context: PluginContext): PluginAnswer | undefined;
}

/** A request as plugins see it. Its head is the one that is forwarded; `consumer` is filled in by authentication. */
export interface PluginRequest extends HashedRequest {
  consumer: string | undefined;
  /** The consumer of that name. */
  consumerSpec: ConsumerSpec | undefined;
  /** Flat names and values that the caller's answer gets, whoever makes it, in the place of fields of the same name. */
  readonly answerFields: string[];
}

/** What all plugins share. `consumers` and `counters` outlive a snapshot. */
export interface PluginContext {
  readonly consumers: ConsumerTable;
  /** Whether the consumers have come: until then a key that nobody has may be somebody's. */
  readonly consumersAreKnown: boolean;
  readonly counters: LimitCounters;
  readonly quotaFields: QuotaFieldNames;
  /** Its `nowMs` is of the read that brought the request. */
  readonly clock: Pick<Clock, 'nowMs' | 'wallMs'>;
}

/** An answer of our own: the request goes no further. It gets the request's `answerFields` too. */
export interface PluginAnswer {
  readonly kind: ErrorKind;
  /** HTTP status; 0: that of the kind. */
  readonly status: number;
  /** Flat names and values; none says what the body is. */
  readonly fields: readonly string[];
  /** JSON, to be sent as UTF-8; undefined: the text of the kind. */
  readonly body: string | undefined;
  /** Added to the text of the kind, for gRPC callers and logs; may be empty. Holds nothing of what the caller sent. */
  readonly detail: string;
}
