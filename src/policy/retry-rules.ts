// `retry_on` and `retry_methods` of one upstream port, compiled once into tables, so that a question costs a look-up. They
// say what *may* be tried again; policy/retry.ts decides whether it is.
import type { AttemptsPolicy } from '../model/policy.ts';
import {
  ANY_5XX,
  GATEWAY_ERROR,
  GRPC_WORDS,
  grpcStatusOfWord,
  HIGHEST_STATUS,
  LOWEST_STATUS,
  statusOfWord,
  type TransportWord,
} from '../model/retry-words.ts';

/** Beside a failed attempt, what a request may be sent again for: an HTTP status, or a gRPC status. */
export type ResendCause = 'failure' | 'status' | 'grpc-status';

/** What the policy of a port allows. Immutable; questions allocate nothing. */
export interface RetryRules {
  /** Whether `retry_on` has the word. */
  isOn(what: TransportWord): boolean;
  /**
   * Whether an answer with this status may be tried again. `5xx` is about answers: unlike Envoy's word of this name it has
   * nothing to do with attempts that had none, which are the business of {@link TransportWord}s.
   */
  retriesStatus(httpStatus: number): boolean;
  /** Whether an answer with this gRPC status, in its head or trailers, may be tried again. OK never is. */
  retriesGrpcStatus(grpcStatus: number): boolean;
  /** Whether any HTTP status is tried again. */
  readonly watchesStatus: boolean;
  /** Whether any gRPC status is tried again: only then heads of gRPC answers must wait for the status. */
  readonly watchesGrpcStatus: boolean;
  /**
   * The method rule, for a request of which something was written. With `retry_methods`: its method is listed, or it is a
   * gRPC call whose method is. Without: methods that are idempotent, and any gRPC call on a gRPC status that `retry_on`
   * names. `path` may have a query.
   */
  mayResend(method: string, path: string, isGrpc: boolean, because: ResendCause): boolean;
}

/** Ports of one policy share it. */
const compiled = new WeakMap<AttemptsPolicy, RetryRules>();

/** Compiles the rules of a port. Words that config/ would refuse say nothing. */
export function createRetryRules(policy: AttemptsPolicy): RetryRules {
  let rules = compiled.get(policy);
  if (rules === undefined) compiled.set(policy, (rules = new CompiledRules(policy)));
  return rules;
}

class CompiledRules implements RetryRules {
  readonly watchesStatus: boolean;
  readonly watchesGrpcStatus: boolean;
  private readonly words: ReadonlySet<string>;
  /** 1 at each status that is tried again, from LOWEST_STATUS. */
  private readonly statuses = new Uint8Array(HIGHEST_STATUS - LOWEST_STATUS + 1);
  private readonly grpcStatuses = new Uint8Array(GRPC_WORDS.length + 1);
  private readonly namesMethods: boolean;
  private readonly httpMethods: ReadonlySet<string>;
  /** `/package.Service/Method`. */
  private readonly grpcMethods: readonly string[];
  /** `/package.Service/`. */
  private readonly grpcServices: readonly string[];

  constructor(policy: AttemptsPolicy) {
    this.words = new Set(policy.retryOn);
    for (const word of policy.retryOn) {
      if (word === ANY_5XX) this.statuses.fill(1, 500 - LOWEST_STATUS);
      if (word === GATEWAY_ERROR) this.statuses.fill(1, 502 - LOWEST_STATUS, 505 - LOWEST_STATUS);
      const status = statusOfWord(word);
      if (status !== undefined) this.statuses[status - LOWEST_STATUS] = 1;
      const grpcStatus = grpcStatusOfWord(word);
      if (grpcStatus !== undefined) this.grpcStatuses[grpcStatus] = 1;
    }
    this.watchesStatus = this.statuses.includes(1);
    this.watchesGrpcStatus = this.grpcStatuses.includes(1);
    const { retryMethods } = policy;
    this.namesMethods = retryMethods.length > 0;
    this.httpMethods = new Set(retryMethods.filter((method) => !method.startsWith('/')));
    const paths = retryMethods.filter((method) => method.startsWith('/'));
    this.grpcMethods = paths.filter((path) => !path.endsWith('/*'));
    this.grpcServices = paths.filter((path) => path.endsWith('/*')).map((path) => path.slice(0, -1));
  }

  isOn(what: TransportWord): boolean {
    return this.words.has(what);
  }

  retriesStatus(httpStatus: number): boolean {
    return httpStatus >= LOWEST_STATUS && this.statuses[httpStatus - LOWEST_STATUS] === 1;
  }

  retriesGrpcStatus(grpcStatus: number): boolean {
    return grpcStatus > 0 && this.grpcStatuses[grpcStatus] === 1;
  }

  mayResend(method: string, path: string, isGrpc: boolean, because: ResendCause): boolean {
    if (!this.namesMethods) return isIdempotent(method) || (isGrpc && because === 'grpc-status');
    return this.httpMethods.has(method) || (isGrpc && this.namesGrpcMethod(path));
  }

  private namesGrpcMethod(path: string): boolean {
    for (const method of this.grpcMethods) {
      if (path.startsWith(method) && endsAt(path, method.length)) return true;
    }
    for (const service of this.grpcServices) {
      if (path.startsWith(service) && isOneSegment(path, service.length)) return true;
    }
    return false;
  }
}

/** Methods that may be sent again (RFC 9110 section 9.2.2). Methods are case-sensitive, and unknown ones are not. */
export function isIdempotent(method: string): boolean {
  switch (method) {
    case 'GET':
    case 'HEAD':
    case 'OPTIONS':
    case 'TRACE':
    case 'PUT':
    case 'DELETE':
      return true;
    default:
      return false;
  }
}

const QUESTION_MARK = 0x3f;

/** Whether the path of a target ends at `index`: what follows, if anything, is a query. */
function endsAt(target: string, index: number): boolean {
  return target.length === index || target.charCodeAt(index) === QUESTION_MARK;
}

/** Whether exactly one segment of the path begins at `index`. */
function isOneSegment(target: string, index: number): boolean {
  if (endsAt(target, index)) return false;
  const slashAt = target.indexOf('/', index);
  if (slashAt < 0) return true;
  const queryAt = target.indexOf('?', index);
  return queryAt >= 0 && queryAt < slashAt;
}
