// What a route demands of a request besides host and path, compiled once for each route.
import type { RouteSpec } from '../model/gateway.ts';
import { compileAddressBlocks, type IsInBlocks } from '../policy/address-block.ts';
import type { HashedRequest } from '../policy/request-variables.ts';
import { compileVars, type Holds } from '../policy/vars.ts';

/** Field of a route that a request of its host and path doesn't meet. */
export type Refusal = 'methods' | 'remote_addrs' | 'vars';

/** Conditions of a route. Undefined: none of the kind. */
export class RouteConditions {
  readonly #methods: ReadonlySet<string> | undefined;
  readonly #isInRemoteAddrs: IsInBlocks | undefined;
  readonly #varsHold: Holds | undefined;

  constructor({ methods, remoteAddrs, vars }: RouteSpec) {
    this.#methods = methods.length === 0 ? undefined : new Set(methods);
    this.#isInRemoteAddrs = remoteAddrs.length === 0 ? undefined : compileAddressBlocks(remoteAddrs);
    this.#varsHold = vars && compileVars(vars);
  }

  /** The first condition that a request doesn't meet; undefined: it meets all. */
  refusal(request: HashedRequest): Refusal | undefined {
    if (this.#methods !== undefined && !this.#methods.has(request.head.method)) return 'methods';
    if (this.#isInRemoteAddrs !== undefined && !this.#isInRemoteAddrs(request.remoteAddress)) return 'remote_addrs';
    if (this.#varsHold !== undefined && !this.#varsHold(request)) return 'vars';
    return undefined;
  }
}
