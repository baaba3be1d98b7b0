import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cleanTrailers, maskKey } from '../../../src/plugin/key-traces.ts';
import { keyAuth } from '../../support/route-spec.ts';
import { limitCount, limitRule } from './scene.ts';

const LIMIT = limitCount([limitRule(1, 60)]);

test('a caller’s trailers don’t say who it is', () => {
  const sent = ['X-Consumer-Username', 'admin', 'grpc-status', '0', 'x_credential_identifier', 'c', 'Api-Key', 'k'];
  const rows = [
    { plugins: [LIMIT, keyAuth({ header: 'api-key' })], left: ['grpc-status', '0', 'Api-Key', 'k'] },
    { plugins: [keyAuth({ header: 'api-key', hidesCredentials: true })], left: ['grpc-status', '0'] },
    { plugins: [LIMIT], left: sent },
  ];
  for (const { plugins, left } of rows) {
    const fields = [...sent];
    cleanTrailers({ plugins }, fields);
    assert.deepEqual(fields, left);
  }
});

test('a path for logs has no key in it', () => {
  const rows = [
    ['/a?apikey=secret', '/a?apikey=[redacted]'],
    ['/a?b=1&apikey=s1&apikey=s2&c', '/a?b=1&apikey=[redacted]&apikey=[redacted]&c'],
    ['/a?%61pi%4Bey=secret%20&', '/a?%61pi%4Bey=[redacted]&'],
    ['/a?APIKEY=secret=more', '/a?APIKEY=[redacted]'],
    ['/a?apikey', '/a?apikey'],
    ['/a?apikey=', '/a?apikey=[redacted]'],
    ['/a?xapikey=1&apikey2=2&x=apikey=3', '/a?xapikey=1&apikey2=2&x=apikey=3'],
    ['/apikey=x', '/apikey=x'],
    ['/a?', '/a?'],
    ['/a?&&=&apikey=?', '/a?&&=&apikey=[redacted]'],
  ];
  for (const [path = '', masked] of rows) assert.equal(maskKey({ plugins: [LIMIT, keyAuth()] }, path), masked);
  assert.equal(maskKey({ plugins: [LIMIT] }, '/a?apikey=secret'), '/a?apikey=secret');
  assert.equal(maskKey({ plugins: [keyAuth({ query: 'my clé' })] }, '/?my+cl%C3%A9=s'), '/?my+cl%C3%A9=[redacted]');
});
