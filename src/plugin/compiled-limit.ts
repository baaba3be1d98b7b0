// A limit of `limit-count`, ready to be asked for one request after another: how its key and numbers are read, and under which
// keys its counters stand among those of the limit.
import { createHash } from 'node:crypto';
import type { LimitRule, PluginSpec, QuotaFieldNames } from '../model/gateway.ts';
import { compileTemplate, noValue, type CompiledTemplate } from '../policy/compiled-template.ts';
import { toLatin1 } from '../policy/latin1.ts';
import { compileVariable, type HashedRequest, type ReadVariable } from '../policy/request-variables.ts';

/** `limit-count` where it is set. */
export type LimitCountSpec = Extract<PluginSpec, { readonly name: 'limit-count' }>;

/** A number of a limit: always the same, or a template. */
export interface LimitNumber {
  /** Undefined: `template` gives it. 0: it is never valid. */
  readonly constant: number | undefined;
  readonly template: CompiledTemplate;
}

/** A limit that was made ready. */
export interface CompiledLimit {
  /** Undefined for a request that has no key. */
  readonly readKey: ReadVariable;
  readonly count: LimitNumber;
  readonly windowS: LimitNumber;
  /** Undefined: those of the metadata. */
  readonly quotaFields: QuotaFieldNames | undefined;
  /** Whether requests with different windows have counters of their own: else the first caller of a key would choose for all. */
  readonly isByWindow: boolean;
}

/** Keys longer than this are hashed, so that counters stay small whatever callers send. */
const MAX_KEY_LENGTH = 64;
/** Bytes of a digest in a key; none is found twice by chance or by will. */
const DIGEST_BYTES = 16;

/** Makes the limits of a plugin ready. */
export function compileLimits({ policy }: LimitCountSpec): readonly CompiledLimit[] {
  return policy.limits.map((rule, i) => {
    const count = compileNumber(rule.count);
    const windowS = compileNumber(rule.windowS);
    return {
      readKey: compileKey(rule),
      count,
      windowS,
      quotaFields:
        policy.areRules || rule.headerPrefix !== undefined ? prefixed(rule.headerPrefix ?? `${i + 1}`) : undefined,
      isByWindow: windowS.constant === undefined,
    };
  });
}

/** The number for this request, a whole one from 1 to 2^53-1; 0: it isn't one. */
export function readNumber(number: LimitNumber, request: HashedRequest): number {
  return number.constant ?? toWholeNumber(number.template.read(request) ?? number.template.bareText);
}

/**
 * Key of the counter for a key that a request has, or of the one for its address where it has none. The two never meet: a
 * caller that names another's address as its key doesn't use up what is the other's.
 */
export function counterKey(
  limit: CompiledLimit,
  windowS: number,
  key: string | undefined,
  remoteAddress: string,
): string {
  const start = limit.isByWindow ? `${windowS}` : '';
  if (key === undefined) return `${start}@${remoteAddress}`;
  return key.length <= MAX_KEY_LENGTH ? `${start}=${key}` : `${start}#${digest(key)}`;
}

function compileKey({ keyType, key }: LimitRule): ReadVariable {
  const text = toLatin1(key);
  switch (keyType) {
    case 'var':
      return compileVariable(text) ?? noValue;
    case 'var_combination':
      return compileTemplate(text).read;
    case 'constant':
      return () => text;
  }
}

function compileNumber(text: string): LimitNumber {
  const template = compileTemplate(toLatin1(text));
  return { template, constant: template.hasVariables ? undefined : toWholeNumber(template.bareText) };
}

function toWholeNumber(text: string): number {
  if (!/^\d{1,16}$/.test(text)) return 0;
  const number = Number(text);
  return number <= Number.MAX_SAFE_INTEGER ? number : 0;
}

function prefixed(prefix: string): QuotaFieldNames {
  const start = `X-${prefix}-RateLimit-`;
  return { limit: `${start}Limit`, remaining: `${start}Remaining`, reset: `${start}Reset` };
}

/**
 * What a limit is known by: who counts, and what limits, and nothing else. An edit of the answer's status or text, of the fields'
 * names or of other limits leaves it the same.
 */
export function limitIdentity({ owner, policy: { group, windowType } }: LimitCountSpec, rule: LimitRule): string {
  const [kind, holder] = group === '' ? ['owner', owner] : ['group', group];
  return JSON.stringify([kind, holder, windowType, rule.count, rule.windowS, rule.keyType, rule.key]);
}

function digest(text: string): string {
  return createHash('sha256').update(text, 'latin1').digest().latin1Slice(0, DIGEST_BYTES);
}
