import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import type { RequestHead } from '../../../src/codec/exchange.ts';
import { compileVariable, readArgument, readCookie, readHeader } from '../../../src/policy/request-variables.ts';
import { hashedRequest } from '../../support/hashed-request.ts';

test('variables', () => {
  const rows: [name: string, head: Partial<RequestHead>, value: string | undefined][] = [
    ['uri', {}, '/cart'],
    ['uri', { path: '/' }, '/'],
    ['uri', { path: '/a?' }, '/a'],
    ['uri', { path: '*' }, '*'],
    ['request_uri', {}, '/cart?device_id=7'],
    ['request_uri', { path: '/a' }, '/a'],
    ['request_uri', { path: '/a?' }, '/a'],
    ['request_uri', { path: '/a??' }, '/a??'],
    ['query_string', {}, 'device_id=7'],
    ['query_string', { path: '/a?b?c' }, 'b?c'],
    ['query_string', { path: '/a' }, undefined],
    ['query_string', { path: '/a?' }, undefined],
    ['args', {}, 'device_id=7'],
    ['is_args', {}, '?'],
    ['is_args', { path: '/a' }, ''],
    ['is_args', { path: '/a?' }, ''],
    ['document_uri', {}, '/cart'],
    ['host', {}, 'web.example'],
    ['host', { authority: 'WEB.Example.' }, 'web.example'],
    ['host', { authority: 'web.example.:80' }, 'web.example'],
    ['host', { authority: '[2001:DB8::1]' }, '[2001:db8::1]'],
    ['host', { authority: '[2001:DB8::1]:80' }, '[2001:db8::1]'],
    ['host', { authority: '' }, '_'],
    ['server_name', {}, '_'],
    ['server_addr', {}, '10.0.0.1'],
    ['server_port', {}, '8080'],
    ['server_protocol', { version: 10 }, 'HTTP/1.0'],
    ['server_protocol', { version: 11 }, 'HTTP/1.1'],
    ['server_protocol', { version: 20 }, 'HTTP/2.0'],
    ['remote_addr', {}, '10.0.0.9'],
    ['remote_port', {}, '51000'],
    ['hostname', {}, 'node-1'],
    ['consumer_name', {}, undefined],
    ['request_method', { method: 'PUT' }, 'PUT'],
    ['method', { method: 'PUT' }, 'PUT'],
    ['scheme', { scheme: 'https' }, 'https'],
    ['https', { scheme: 'https' }, 'on'],
    ['https', {}, ''],
    ['route_id', {}, undefined],
    ['service_id', {}, undefined],
    ['content_type', { fields: ['Content-Type', 'text/plain'] }, 'text/plain'],
    ['content_type', {}, undefined],
    ['content_length', { contentLength: 0 }, '0'],
    ['content_length', {}, undefined],
    ['mqtt_client_id', {}, undefined],
    ['http_host', {}, 'web.example:8080'],
    ['http_host', { authority: '' }, undefined],
    ['http_x_session', { fields: ['X-Session', 's'] }, 's'],
    ['cookie_sid', { fields: ['cookie', 'sid=1'] }, '1'],
    ['arg_device_id', {}, '7'],
  ];
  for (const [name, head, value] of rows) {
    const read = compileVariable(name);
    assert.ok(read, name);
    assert.equal(read(hashedRequest(head)), value, name);
  }
  const others = { consumer: 'jack', routeId: '7', serviceId: 's' };
  for (const [name, value] of [
    ['consumer_name', 'jack'],
    ['route_id', '7'],
    ['service_id', 's'],
  ] as const) {
    assert.equal(compileVariable(name)?.(hashedRequest({}, others)), value);
  }
});

test('names of no variable', () => {
  for (const name of [
    ...['', 'url', 'URI', 'arg_', 'http_', 'cookie_', 'request_uri ', 'not_support', 'constructor'],
    ...['graphql_name', 'post_arg_x', 'uri_param_id', 'remote_user'],
  ]) {
    assert.equal(compileVariable(name), undefined, name);
  }
});

test('headers', () => {
  const rows: [name: string, fields: string[], value: string | undefined][] = [
    ['x-session', ['X-Session', 'a'], 'a'],
    ['X-SESSION', ['x-session', 'a'], 'a'],
    ['X_Session', ['x-session', 'a'], 'a'],
    ['x-session', ['x_session', 'a'], 'a'],
    ['x_session', ['x_session', 'a'], 'a'],
    ['x-session', ['x-session', ''], ''],
    ['x-session', ['x-sessions', 'a', 'x-sessio', 'b', 'xxsession', 'c'], undefined],
    ['x-session', ['x-session', 'a', 'other', 'o', 'X_SESSION', 'b'], 'a, b'],
    ['x-session', ['x-session', '', 'x-session', 'b'], ', b'],
    ['cookie', ['cookie', 'a=1', 'cookie', 'b=2'], 'a=1; b=2'],
    ['Host', [], 'web.example:8080'],
    ['at', ['a\u0054', 'a', '\u0001t', 'b'], 'a'],
    ['x@', ['x`', 'a'], undefined], // signs beside the letters are no letters
  ];
  for (const [name, fields, value] of rows) {
    assert.equal(readHeader(name)(hashedRequest({ fields })), value, `${name} of ${fields.join()}`);
  }
});

test('cookies', () => {
  const rows: [name: string, fields: string[], value: string | undefined][] = [
    ['sid', ['cookie', 'sid=1'], '1'],
    ['sid', ['Cookie', 'a=1; sid=2; b=3'], '2'],
    ['sid', ['cookie', 'a=1;sid=2;b=3'], '2'],
    ['sid', ['cookie', ' a=1 ;\t sid = 2 ; b=3'], '2'],
    ['sid', ['cookie', 'a=1', 'cookie', 'sid=2', 'cookie', 'b=3'], '2'],
    ['sid', ['cookie', 'sid='], ''],
    ['sid', ['cookie', 'sid=; a=1'], ''],
    ['sid', ['cookie', 'sid=a=b'], 'a=b'],
    ['sid', ['cookie', 'sid="q"'], '"q"'],
    ['sid', ['cookie', 'SID=1'], undefined],
    ['SID', ['cookie', 'sid=1; SID=2'], '2'],
    ['sid', ['cookie', 'xsid=1; sidx=2; sid'], undefined],
    ['sid', ['cookie', 'sid=1; sid=2'], '2'],
    ['sid', ['cookie', 'sid=1', 'cookie', 'a=2'], '1'],
    ['sid', ['cookie', ';;;'], undefined],
    ['sid', ['set-cookie', 'sid=1'], undefined],
    ['sid', [], undefined],
  ];
  for (const [name, fields, value] of rows) {
    assert.equal(readCookie(name)(hashedRequest({ fields })), value, `${name} of ${fields.join()}`);
  }
});

test('arguments', () => {
  const rows: [name: string, query: string, value: string | undefined][] = [
    ['x', '?x=1', '1'],
    ['x', '?a=0&x=1&x=2', '1'],
    ['x', '?x=', ''],
    ['x', '?x', 'true'],
    ['x', '?x&x=1', 'true'],
    ['x', '?a&x=1', '1'],
    ['x', '?X=1', undefined],
    ['x', '?xx=1&ax=2', undefined],
    ['x', '?x=a=b?c', 'a=b?c'],
    ['x', '?x=a%20b+c', 'a b c'],
    ['x', '?x=%e4%B8', '\u00e4\u00b8'],
    ['x', '?x=100%&y=1', '100%'],
    ['x', '?x=%2', '%2'],
    ['x', '?x=%zz%41', '%zzA'],
    ['x', '?%78=1', '1'],
    ['a b', '?a+b=1', '1'],
    ['a b', '?a%20b=1', '1'],
    ['x', '?&&x=1&', '1'],
    ['x', '?=1', undefined],
    ['x', '?', undefined],
    ['x', '', undefined],
  ];
  for (const [name, query, value] of rows) {
    assert.equal(readArgument(name)(hashedRequest({ path: `/x=9${query}` })), value, `${name} of ${query}`);
  }
});

test('any argument that is encoded comes back', () => {
  const text = fc.string({ unit: fc.constantFrom('a', 'Z', '0', ' ', '+', '%', '&', '=', '?', '-', '_', '/') });
  fc.assert(
    fc.property(text, text, (name, value) => {
      fc.pre(name !== '');
      const path = `/?q=1&${encodeURIComponent(name)}=${encodeURIComponent(value)}&z=2`;
      assert.equal(readArgument(name)(hashedRequest({ path })), value);
    }),
    { seed: 23, numRuns: 500 },
  );
});
