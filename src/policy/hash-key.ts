// What `chash` hashes of a request (APISIX `hash_on`, `key`), compiled once for each policy.
import type { BalancerPolicy } from '../model/policy.ts';
import { parseTemplate, type TemplatePart } from './key-template.ts';
import { compileVariable, readCookie, readHeader, type HashedRequest, type ReadVariable } from './request-variables.ts';

export type { HashedRequest };

/**
 * Makes the reader of the hash key of a policy; of one that isn't `chash`'s, or names what doesn't exist, it always gives
 * undefined. The key of a request is a latin1 string; undefined where the request has no value for it (no such header, no
 * consumer, a template of which nothing was resolved): such a request is hashed by its `remote_addr`. Empty is a value.
 */
export function createHashKey(policy: Pick<BalancerPolicy, 'type' | 'hashOn' | 'key'>): ReadVariable {
  if (policy.type !== 'chash') return noValue;
  const key = toLatin1(policy.key);
  switch (policy.hashOn) {
    case 'vars':
      return compileVariable(key) ?? noValue;
    case 'header':
      return readHeader(key);
    case 'cookie':
      return readCookie(key);
    case 'consumer':
      return ({ consumer }) => consumer;
    case 'vars_combinations':
      return compileTemplate(parseTemplate(key));
  }
}

function noValue(): undefined {
  return undefined;
}

/** A piece of a key that is made for each request anew: text, or what `read` gives, or else `text`. */
interface KeyPart {
  readonly text: string;
  /** Whether `text` is there by somebody's will, as a default. */
  readonly hasDefault: boolean;
  readonly read: ReadVariable | undefined;
}

/**
 * What isn't resolved is left empty, unless it has a default, which counts as resolved. Where nothing was resolved, since
 * there are no variables or none has a value, there is no key.
 */
function compileTemplate(template: readonly TemplatePart[]): ReadVariable {
  const parts: KeyPart[] = template.map((part) =>
    part.kind === 'text'
      ? { text: part.text, hasDefault: false, read: undefined }
      : {
          text: part.fallback ?? '',
          hasDefault: part.fallback !== undefined,
          read: compileVariable(part.name) ?? noValue,
        },
  );
  return (request) => {
    let key = '';
    let isResolved = false;
    for (const part of parts) {
      const value = part.read?.(request);
      key += value ?? part.text;
      isResolved ||= value !== undefined || part.hasDefault;
    }
    return isResolved ? key : undefined;
  };
}

/** The bytes of a setting, one character each, as those of requests are. */
function toLatin1(text: string): string {
  return Buffer.from(text, 'utf8').toString('latin1');
}
