import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DEFAULT_ATTEMPTS } from '../../../src/model/defaults.ts';
import { createRetryRules } from '../../../src/policy/retry-rules.ts';
import { RETRY_WORDS, retryMethodProblem, retryWordProblem } from '../../../src/policy/retry-words.ts';

test('the words of retry_on', () => {
  const expected =
    'connect-failure refused-stream reset timeout 5xx gateway-error cancelled unknown invalid-argument deadline-exceeded ' +
    'not-found already-exists permission-denied resource-exhausted failed-precondition aborted out-of-range ' +
    'unimplemented internal unavailable data-loss unauthenticated';
  assert.deepEqual(RETRY_WORDS, expected.split(' '));
  for (const word of [...RETRY_WORDS, '400', '404', '503', '599'])
    assert.equal(retryWordProblem(word), undefined, word);
});

test('every word switches something on', () => {
  for (const word of RETRY_WORDS) {
    const rules = createRetryRules({ ...DEFAULT_ATTEMPTS, retryOn: [word] });
    const words = ['connect-failure', 'refused-stream', 'reset', 'timeout'] as const;
    assert.ok(rules.watchesStatus || rules.watchesGrpcStatus || words.some((what) => rules.isOn(what)), word);
  }
});

test('what is wrong with a word of retry_on', () => {
  const rows: [word: string, problem: RegExp][] = [
    ['', /is empty/],
    ['399', /no status from 400 to 599/],
    ['600', /no status from 400 to 599/],
    ['0503', /no status from 400 to 599/],
    ['14', /no status from 400 to 599/],
    ['ok', /no failure/],
    ['OK', /no failure/],
    ['UNAVAILABLE', /spelled `unavailable`/],
    ['deadline_exceeded', /spelled `deadline-exceeded`/],
    ['5XX', /spelled `5xx`/],
    ['4xx', /list its statuses/],
    ['retriable-4xx', /list the statuses/],
    ['retriable-status-codes', /list the statuses/],
    ['reset ', /neither a word of retry_on/],
    ['rest', /neither a word of retry_on/],
    ['503.0', /neither a word of retry_on/],
  ];
  for (const [word, problem] of rows) assert.match(retryWordProblem(word) ?? '', problem, word);
});

test('what is wrong with an entry of retry_methods', () => {
  const good = ['GET', 'POST', 'PROPFIND', 'M-SEARCH', '/pkg.Svc/Method', '/pkg.Svc/*', '/Svc/*'];
  for (const word of good) assert.equal(retryMethodProblem(word), undefined, word);
  const rows: [word: string, problem: RegExp][] = [
    ['', /is empty/],
    ['get', /spelled `GET`/],
    ['Post', /spelled `POST`/],
    ['GET ', /no HTTP method/],
    ['GET,PUT', /no HTTP method/],
    ['pkg.Svc/Method', /starts with `\/`/],
    ['/', /no gRPC method/],
    ['/pkg.Svc', /no gRPC method/],
    ['/pkg.Svc/', /no gRPC method/],
    ['/*', /no gRPC method/],
    ['/*/Method', /no gRPC method/],
    ['/pkg.Svc/Me*', /no gRPC method/],
    ['/pkg.Svc/a/b', /no gRPC method/],
    ['/pkg.Svc/a?b', /no gRPC method/],
    ['/pkg.Svc/a b', /no gRPC method/],
    ['/pkg.Svc/é', /no gRPC method/],
  ];
  for (const [word, problem] of rows) assert.match(retryMethodProblem(word) ?? '', problem, word);
});
