import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CONNECT_RULES, LISTEN_RULES, parseHostPort } from '../../../src/config/host-port.ts';

function listen(text: string): string {
  const parsed = parseHostPort(text, LISTEN_RULES);
  return parsed.ok ? `${parsed.host} ${parsed.port}` : parsed.reason;
}

function connect(text: string): string {
  const parsed = parseHostPort(text, CONNECT_RULES);
  return parsed.ok ? `${parsed.host} ${parsed.port}` : parsed.reason;
}

test('to listen: the host may be missing, the port may be 0', () => {
  assert.equal(listen('8080'), '127.0.0.1 8080');
  assert.equal(listen(':8080'), '127.0.0.1 8080');
  assert.equal(listen('0'), '127.0.0.1 0');
  assert.equal(listen('0.0.0.0:80'), '0.0.0.0 80');
  assert.equal(listen('[::]:80'), ':: 80');
  assert.equal(listen('localhost:80'), 'localhost 80');
  assert.equal(listen('65536'), "port '65536' must be between 0 and 65535");
  assert.equal(listen(''), "'' has no port: it must be [HOST:]PORT");
  assert.equal(listen('localhost'), "'localhost' has no port: it must be [HOST:]PORT");
});

test('to connect: host and port are there', () => {
  assert.equal(connect('10.0.0.5:80'), '10.0.0.5 80');
  assert.equal(connect('control.mesh:15010'), 'control.mesh 15010');
  assert.equal(connect('[2001:db8::1]:80'), '2001:db8::1 80');
  assert.equal(connect('80'), "'80' has no port: it must be HOST:PORT");
  assert.equal(connect(':80'), "':80' has no host: it must be HOST:PORT");
  assert.equal(connect('a:0'), "port '0' must be between 1 and 65535");
  assert.equal(connect('a:http'), "port 'http' must be between 1 and 65535");
  assert.equal(connect('a:'), "port '' must be between 1 and 65535");
  assert.equal(connect('::1'), 'an IPv6 address stands in brackets: [::1]');
  assert.equal(connect('::1:1980'), 'an IPv6 address stands in brackets: [::1]:1980, or [::1:1980]');
  assert.equal(connect('1:2:3:4:5:6:7:8:80'), 'an IPv6 address stands in brackets: [1:2:3:4:5:6:7:8]:80');
  assert.equal(connect('a:1:2'), "'a:1:2' is not HOST:PORT");
  assert.equal(connect('[1.2.3.4]:80'), "'[1.2.3.4]:80' has no IPv6 address in its brackets");
  assert.equal(connect('http://a:80'), "'http://a:80' is not HOST:PORT");
  assert.equal(connect('a b:80'), "'a b:80' is not HOST:PORT");
});
