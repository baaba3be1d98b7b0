import assert from 'node:assert/strict';
import { test } from 'node:test';
import { refuseHost } from '../../../src/admin/host-allow-list.ts';

test('loopback names and addresses and the bound address pass, with or without port', () => {
  for (const host of [
    'localhost',
    'LOCALHOST:15000',
    'a.localhost:1',
    'localhost.',
    '127.0.0.1:15000',
    '127.9.9.9',
    '[::1]:15000',
  ]) {
    assert.equal(refuseHost(host, '127.0.0.1'), undefined, host);
  }
  assert.equal(refuseHost('10.1.2.3:15000', '10.1.2.3'), undefined);
  assert.equal(refuseHost('[fd00::1]', 'fd00::1'), undefined);
  assert.equal(refuseHost('10.1.2.3', '0.0.0.0'), undefined);
  assert.equal(refuseHost('10.1.2.3', '::'), undefined);
  assert.equal(refuseHost(undefined, '127.0.0.1'), undefined);
});

test('other names are refused: they could be rebound', () => {
  for (const host of [
    'evil.example',
    'localhost.evil.example',
    '127.0.0.1.evil.example',
    '10.1.2.3',
    'evil.example:15000',
  ]) {
    assert.equal(refuseHost(host, '127.0.0.1')?.status, 403, host);
  }
  assert.equal(refuseHost('evil.example', '0.0.0.0')?.status, 403);
  assert.match(refuseHost('evil.example', '127.0.0.1')?.reason ?? '', /"evil.example" is not allowed/);
});

test('what is not a Host is malformed', () => {
  for (const host of [
    '',
    ' ',
    'a b',
    'localhost:port',
    'localhost:1:2',
    '[::1',
    '[1.2.3.4]',
    'http://localhost',
    'user@localhost',
  ]) {
    assert.equal(refuseHost(host, '127.0.0.1')?.status, 400, host);
  }
});
