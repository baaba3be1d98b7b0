import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DEFAULT_ACTIVE } from '../../../src/model/defaults.ts';
import type { ActivePolicy } from '../../../src/model/policy.ts';
import { probeAuthority, probeRequest } from '../../../src/upstream/probe-request.ts';

function request(policy: Partial<ActivePolicy>, host = '', address = '10.0.0.1') {
  return probeRequest({ address, port: 8080, host }, { ...DEFAULT_ACTIVE, ...policy });
}

test('APISIX row 95: the Host of a probe is that of the check, else the DNS name, else the address with its port', () => {
  const authority = (host: string | undefined, name: string, port?: number, address = '10.0.0.1'): string =>
    probeAuthority({ address, port: 8080, host: name }, { ...DEFAULT_ACTIVE, host, port });
  assert.equal(authority('foo.com', 'localhost'), 'foo.com'); // APISIX puts the DNS name first
  assert.equal(authority(undefined, 'localhost'), 'localhost');
  assert.equal(authority(undefined, ''), '10.0.0.1:8080');
  assert.equal(authority(undefined, '', 9090), '10.0.0.1:9090');
  assert.equal(authority(undefined, '', undefined, '::1'), '[::1]:8080');
  for (const [host, expected] of [
    ['foo.com:81', 'foo.com:81'],
    ['[::1]', '[::1]'],
    ['[::1]:80', '[::1]:80'],
    ['2001:db8::1', '[2001:db8::1]'],
    ['::1', '[::1]'],
  ] as const) {
    assert.equal(authority(host, 'localhost'), expected);
  }
});

test('the fields of the policy go along, and a body has its length in bytes', () => {
  assert.deepEqual(request({}), {
    method: 'GET',
    target: '/',
    authority: '10.0.0.1:8080',
    fields: ['user-agent', 'outrigger-health-check'],
    body: undefined,
  });
  assert.deepEqual(
    request({ httpMethod: 'PATCH', httpPath: '/a?b', httpBody: 'é', requestFields: ['User-Agent', 'x', 'a', '1'] }),
    {
      method: 'PATCH',
      target: '/a?b',
      authority: '10.0.0.1:8080',
      fields: ['User-Agent', 'x', 'a', '1', 'content-length', '2'],
      body: Buffer.from('é'),
    },
  );
});

test('CONNECT asks for host and port, and neither it nor TRACE has a body', () => {
  const connect = (policy: Partial<ActivePolicy>, host?: string, address?: string): string[] => {
    const { target, authority, fields, body } = request(
      { httpMethod: 'CONNECT', httpPath: '/x', httpBody: 'x', ...policy },
      host,
      address,
    );
    assert.equal(body, undefined);
    assert.deepEqual(fields, ['user-agent', 'outrigger-health-check']);
    return [target, authority];
  };
  assert.deepEqual(connect({}), ['10.0.0.1:8080', '10.0.0.1:8080']);
  assert.deepEqual(connect({}, 'a.example'), ['a.example:8080', 'a.example:8080']);
  assert.deepEqual(connect({ port: 90 }, 'a.example'), ['a.example:90', 'a.example:90']);
  assert.deepEqual(connect({ host: 'b.example:443' }, 'a.example'), ['b.example:443', 'b.example:443']);
  assert.deepEqual(connect({ host: '::1' }), ['[::1]:8080', '[::1]:8080']);
  assert.deepEqual(connect({}, '', '::1'), ['[::1]:8080', '[::1]:8080']);
  assert.equal(request({ httpMethod: 'TRACE', httpBody: 'x' }).body, undefined);
});
