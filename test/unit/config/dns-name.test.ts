import assert from 'node:assert/strict';
import { test } from 'node:test';
import { canonicalDnsName, endpointHostProblem } from '../../../src/config/dns-name.ts';

const LONGEST = `${'abcdefg.'.repeat(31)}abcde`;

test('one spelling: lower case, and a final dot stays, for it says that the search list adds nothing', () => {
  assert.equal(canonicalDnsName('Api.Example.COM'), 'api.example.com');
  assert.equal(canonicalDnsName('Api.Example.COM.'), 'api.example.com.');
  assert.equal(canonicalDnsName('db.'), 'db.');
  assert.equal(canonicalDnsName('_grpc._tcp.a-1.'), '_grpc._tcp.a-1.');
});

test('253 characters at most, the final dot apart', () => {
  assert.equal(LONGEST.length, 253);
  for (const name of [LONGEST, `${LONGEST}.`, `${'x'.repeat(63)}.`]) assert.equal(canonicalDnsName(name), name);
  for (const name of [`${LONGEST}f`, `${LONGEST}f.`, `${'x'.repeat(64)}.`])
    assert.equal(canonicalDnsName(name), undefined);
});

test('what is no name', () => {
  for (const text of ['', '.', '..', 'a..', '.a', 'a..b', '1.2.3', '1.2.3.', 'a b', '*.a', 'a:80', 'ä']) {
    assert.equal(canonicalDnsName(text), undefined, text);
    assert.notEqual(endpointHostProblem(text), undefined, text);
  }
});
