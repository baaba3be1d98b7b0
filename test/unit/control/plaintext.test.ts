import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { exposureOf, isLoopback } from '../../../src/control/plaintext.ts';

describe('isLoopback', () => {
  it('knows this machine by its names', () => {
    const own = [
      'localhost',
      'LOCALHOST',
      '127.0.0.1',
      '127.255.1.2',
      '::1',
      '0:0:0:0:0:0:0:1',
      '::ffff:127.0.0.1',
      '::FFFF:7f01:2',
    ];
    for (const host of own) assert.equal(isLoopback(host), true, host);
  });

  it('takes nothing else for it', () => {
    const others = [
      '10.0.0.1',
      '128.0.0.1',
      '12.7.0.0',
      '::',
      '::2',
      '0.0.0.0',
      '::ffff:10.0.0.1',
      '::ffff:7e00:1',
      '::127.0.0.1',
      '2001:db8::7f00:1',
      'localhost.example',
      'localhost.',
      'ip6-localhost',
      '127.0.0.1.example',
      '127.1',
      '127.0.0.01',
      'control',
      '',
    ];
    for (const host of others) assert.equal(isLoopback(host), false, host);
  });
});

describe('exposureOf', () => {
  it('is nothing for TLS and for loopback, and names the server and the fix else', () => {
    const tls = { ca: undefined, certificate: undefined, key: undefined };
    assert.equal(exposureOf({ host: 'control', port: 1 }, tls), undefined);
    assert.equal(exposureOf({ host: '::1', port: 1 }, undefined), undefined);
    const exposure = exposureOf({ host: '2001:db8::1', port: 15010 }, undefined);
    assert.equal(
      exposure?.notAsked('Consumer'),
      'a Consumer is not asked for over plaintext to [2001:db8::1]:15010: use --control-ca (and --control-cert), or a control plane on loopback',
    );
    assert.equal(
      exposure.notTaken,
      'a private key is not taken over plaintext from [2001:db8::1]:15010: use --control-ca (and --control-cert), or a control plane on loopback',
    );
  });
});
