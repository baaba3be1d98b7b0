// What `key-auth` must see to where no plugin runs: what comes behind a request's body, and what is written of a request into
// logs.
import type { Fields } from '../codec/exchange.ts';
import type { KeyAuthPolicy, RouteSpec } from '../model/gateway.ts';
import { removeFolded } from './folded-fields.ts';
import { carrierOf, IDENTITY_FIELDS } from './key-auth.ts';
import { maskArguments } from './query-argument.ts';

/** What stands in logs for a key. */
const REDACTED = '[redacted]';

/**
 * Takes out of a request's trailers, in place, what a caller can't say of itself: who it is and, where keys are hidden from endpoints,
 * its key. Servers may merge trailers into the header section (RFC 9110 section 6.5.1). Does nothing on routes without `key-auth`.
 */
export function cleanTrailers(route: Pick<RouteSpec, 'plugins'>, fields: Fields): void {
  const policy = keyAuthOf(route);
  if (policy === undefined) return;
  removeFolded(fields, policy.hidesCredentials ? carrierOf(policy).removedWithHeader : IDENTITY_FIELDS);
}

/** A request's path for logs: every value of the argument that may carry a key is `[redacted]`. */
export function maskKey(route: Pick<RouteSpec, 'plugins'>, path: string): string {
  const policy = keyAuthOf(route);
  return policy === undefined ? path : maskArguments(path, carrierOf(policy).query, REDACTED);
}

function keyAuthOf({ plugins }: Pick<RouteSpec, 'plugins'>): KeyAuthPolicy | undefined {
  for (const plugin of plugins) if (plugin.name === 'key-auth') return plugin.policy;
  return undefined;
}
