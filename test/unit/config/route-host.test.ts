import assert from 'node:assert/strict';
import { test } from 'node:test';
import { canonicalRouteHost, routeHostProblem } from '../../../src/config/route-host.ts';

test('whole names, addresses, and a leading wildcard', () => {
  for (const [host, canonical] of [
    ['Example.org', 'example.org'],
    ['*.Example.org', '*.example.org'],
    ['*x', '*x'],
    ['10.0.0.1', '10.0.0.1'],
    ['[0:0::1]', '[::1]'],
    ['my_host-1', 'my_host-1'],
  ] as const) {
    assert.equal(routeHostProblem(host), undefined);
    assert.equal(canonicalRouteHost(host), canonical);
  }
});

test('what is refused, with its fix', () => {
  for (const [host, reason] of [
    ['', 'required: a host; for any host leave the list out'],
    ['*', "'*' alone would be any host: leave the list out"],
    ['a.*', "'a.*': a * may only stand first"],
    ['**.a', "'**.a': a * may only stand first"],
    ['a.example:80', "'a.example:80': hosts are compared without their port: write 'a.example'"],
    ['*.example:80', "'*.example:80': hosts are compared without their port: write '*.example'"],
    ['[::1]:80', "'[::1]:80': hosts are compared without their port: write '[::1]'"],
    ['::1', "'::1': an IPv6 address stands in brackets: '[::1]'"],
    ['[10.0.0.1]', "'[10.0.0.1]' has no IPv6 address in its brackets"],
    ['http://a', "'http://a' is no host: a DNS name or an IP address"],
    ['a b', "'a b' is no host: a DNS name or an IP address"],
    ['a.example.', "'a.example.': hosts are compared without a dot at their end: write 'a.example'"],
  ] as const) {
    assert.equal(routeHostProblem(host), reason);
  }
});
