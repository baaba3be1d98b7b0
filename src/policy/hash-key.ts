// What `chash` hashes of a request (APISIX `hash_on`, `key`), compiled once for each policy.
import type { BalancerPolicy } from '../model/policy.ts';
import { compileTemplate, noValue } from './compiled-template.ts';
import { toLatin1 } from './latin1.ts';
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
      return compileTemplate(key).read;
  }
}
