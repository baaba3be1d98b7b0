import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readTlsFiles, variableOf } from '../../../src/config/tls-files.ts';

test('variables are named after flags', () => {
  assert.equal(variableOf('control-ca'), 'OUTRIGGER_CONTROL_CA');
  assert.equal(variableOf('ads-client-ca'), 'OUTRIGGER_ADS_CLIENT_CA');
});

test('nothing given is no TLS, and each place is told as its flag', () => {
  const read = readTlsFiles('ads', {}, { OUTRIGGER_ADS_CERT: '' });
  assert.ok(read.ok);
  assert.equal(read.files, undefined);
  assert.deepEqual(read.places.caFile, { origin: 'default', place: '--ads-client-ca' });
});

test('a place that is not used is checked all the same', () => {
  const flags = { 'ads-cert': '/c', 'ads-key': '/k' };
  const read = readTlsFiles('ads', flags, { OUTRIGGER_ADS_KEY: '/k' });
  assert.deepEqual(read, { ok: false, reason: 'OUTRIGGER_ADS_KEY: needs OUTRIGGER_ADS_CERT' });
});
