// How often, when and why a request is tried again.
import { CAUSE_WORDS, RETRY_WORDS, statusOfWord } from '../../model/retry-words.ts';
import { entry, member, type ProblemList, quote } from '../problem-list.ts';
import { didYouMean } from '../suggest.ts';
import type { PolicyFields } from './upstream.ts';
import { checkLeast, checkSeconds } from './values.ts';

/** A method of HTTP without lower-case letters: a token (RFC 9110 section 5.6.2). */
const HTTP_METHOD = /^[!#$%&'*+.^_`|~0-9A-Z-]+$/;
/** A method of gRPC by its path; `*` stands for all methods of the service. */
const GRPC_METHOD = /^\/[^/*?#\s\u0000-\u0020\u007f-\uffff]+\/(\*|[^/*?#\s\u0000-\u0020\u007f-\uffff]+)$/;

/** Checks the attempts of one level. */
export function checkAttempts(policy: PolicyFields, problems: ProblemList, path: string): void {
  const at = (name: string): string => member(path, name);
  checkLeast(problems, at('max_attempts'), policy.maxAttempts, 1);
  if (policy.retries !== undefined && policy.maxAttempts !== undefined) {
    problems.add(
      at('max_attempts'),
      'not together with retries: max_attempts counts the first attempt too, retries does not',
    );
  }
  checkSeconds(problems, at('retry_timeout'), policy.retryTimeout, { least: 0 });
  checkSeconds(problems, at('per_try_timeout'), policy.perTryTimeout, { least: 0 });
  checkSeconds(problems, at('retry_backoff.initial'), policy.retryBackoff?.initial, { least: 0 });
  checkSeconds(problems, at('retry_backoff.max'), policy.retryBackoff?.max, { least: 0 });
  checkEach(policy.retryOn, causeProblem, problems, at('retry_on'));
  checkEach(policy.retryMethods, methodProblem, problems, at('retry_methods'));
}

/**
 * Checks that the longest wait isn't shorter than the first, where `policy` sets one of the two; the other may be
 * `inherited`, for the two inherit one by one.
 */
export function checkBackoff(
  policy: PolicyFields,
  inherited: PolicyFields | undefined,
  problems: ProblemList,
  path: string,
): void {
  const own = policy.retryBackoff;
  if (own?.initial === undefined && own?.max === undefined) return;
  const initial = own.initial ?? inherited?.retryBackoff?.initial ?? 0;
  const max = own.max ?? inherited?.retryBackoff?.max;
  if (max === undefined || max < 0 || !(max < initial)) return;
  if (own.max !== undefined) problems.add(member(path, 'retry_backoff.max'), `must be initial (${initial}) or more`);
  else problems.add(member(path, 'retry_backoff.initial'), `must be at most max (${max}, of the upstream)`);
}

function checkEach(
  words: readonly string[],
  problemOf: (word: string) => string | undefined,
  problems: ProblemList,
  path: string,
): void {
  const first = new Map<string, number>();
  for (const [i, word] of words.entries()) {
    const reason = problemOf(word);
    if (reason !== undefined) problems.add(entry(path, i), reason);
    const earlier = first.get(word);
    if (earlier === undefined) first.set(word, i);
    else problems.add(entry(path, i), `${quote(word)} is there twice`);
  }
}

function causeProblem(word: string): string | undefined {
  if (RETRY_WORDS.includes(word) || statusOfWord(word) !== undefined) return undefined;
  if (/^\d+$/.test(word)) return `status ${quote(word)} must be between 400 and 599`;
  const hint = didYouMean(word, RETRY_WORDS);
  return `${quote(word)} is none of ${CAUSE_WORDS.join(', ')}, no status from 400 to 599 and no gRPC status${hint}`;
}

function methodProblem(word: string): string | undefined {
  if (word.startsWith('/')) {
    if (GRPC_METHOD.test(word)) return undefined;
    return `${quote(word)} must be /package.Service/Method, or /package.Service/* for all of a service`;
  }
  if (HTTP_METHOD.test(word)) return undefined;
  if (HTTP_METHOD.test(word.toUpperCase())) return `${quote(word)} must be in upper case: ${quote(word.toUpperCase())}`;
  return `${quote(word)} is neither a method of HTTP nor a gRPC method, /package.Service/Method`;
}
