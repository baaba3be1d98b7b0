import type { AttemptsPolicy } from '../model/policy.ts';

/**
 * How many attempts a request has at most. Without a stated number as many as the port has endpoints (APISIX: `retries`
 * defaults to nodes - 1). Each endpoint is tried once a request, so more than there are endpoints only count where there
 * is a single one. `endpointCount` is that of the configured endpoints, down ones included. At least 1.
 */
export function attemptLimit(policy: Pick<AttemptsPolicy, 'maxAttempts'>, endpointCount: number): number {
  const wanted = Math.max(1, policy.maxAttempts ?? endpointCount);
  return endpointCount > 1 ? Math.min(wanted, endpointCount) : wanted;
}

/** Whether a request may try the same endpoint again: only where the port has no other configured. */
export function mayTryAgain(endpointCount: number): boolean {
  return endpointCount === 1;
}
