import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readBootstrap } from '../../../src/config/bootstrap.ts';
import { describeProblems } from '../../../src/config/resource.ts';

const apiVersion = 'outrigger.config/v1';

function problems(spec: unknown): string[] {
  const result = readBootstrap({ apiVersion, kind: 'Bootstrap', spec });
  return result.ok ? [] : result.problems.map((problem) => describeProblems([problem]));
}

test('an empty file, and one that states everything', () => {
  assert.deepEqual(problems({}), []);
  const result = readBootstrap({
    apiVersion,
    kind: 'Bootstrap',
    metadata: { name: 'any' },
    spec: {
      node_id: 'node-1',
      control: ['control.mesh:15010', '[::1]:15010'],
      xds: 'sotw',
      admin: '15000',
      health: '0.0.0.0:15021',
      state_dir: '/var/lib/outrigger',
      bind: '::',
      listener_ports: 'ephemeral',
      drain_timeout: 0,
      access_log: 'json',
      log_level: 'debug',
      pod_ip: '10.0.0.9',
      services: ['shop/cart'],
      listeners: [
        {
          listen: '8080',
          to: ['10.0.0.5:80', 'localhost:81', 'web.example:82'],
          scheme: 'grpcs',
          tls: {
            certificates: [{ certificate_file: '/etc/tls/web.pem', key_file: '/etc/tls/web-key.pem' }],
            client_certificate: 'required',
            client_ca: { file: '/etc/tls/ca.pem' },
            client_names: [{ uri: 'spiffe://example.org/ns/a/sa/b' }],
          },
          to_tls: { ca: { file: '/etc/tls/ca.pem' }, server_names: [{ dns: 'b.example.org' }] },
        },
      ],
      control_tls: {
        ca_file: '/etc/tls/ca.pem',
        certificate_file: '/etc/tls/node.pem',
        key_file: '/etc/tls/node-key.pem',
      },
    },
  });
  assert.ok(result.ok);
  assert.equal(result.bootstrap.drainTimeout, 0);
  assert.deepEqual(result.bootstrap.listeners[0]?.to, ['10.0.0.5:80', 'localhost:81', 'web.example:82']);
});

const TO = 'spec.listeners[0].to[0]';

test('each value is checked, with its place', () => {
  const cases: readonly (readonly [spec: unknown, problem: string])[] = [
    [{ node_id: '' }, 'spec.node_id: required: a name'],
    [{ control: ['15010'] }, "spec.control[0]: '15010' has no port: it must be HOST:PORT"],
    [{ control: 'a:1' }, 'spec.control: must be a list, not a string'],
    [{ xds: 'deltas' }, "spec.xds: 'deltas' is none of delta, sotw: did you mean 'delta'?"],
    [{ admin: 15000 }, 'spec.admin: must be a string, not a number; put it in quotes'],
    [{ admin: 'admin.example:1' }, "spec.admin: 'admin.example' is a DNS name: give an IP address"],
    [{ health: '70000' }, "spec.health: port '70000' must be between 0 and 65535"],
    [{ state_dir: '' }, 'spec.state_dir: must be a directory; leave it out to keep nothing'],
    [{ bind: '1.2.3' }, "spec.bind: '1.2.3' is no IP address"],
    [{ listener_ports: 'own' }, "spec.listener_ports: 'own' is none of service, ephemeral"],
    [{ drain_timeout: -1 }, 'spec.drain_timeout: must be 0 or more'],
    [{ drain_timeout: Infinity }, 'spec.drain_timeout: must be at most 1000000000 seconds'],
    [{ access_log: 'jsno' }, "spec.access_log: 'jsno' is none of off, json, text: did you mean 'json'?"],
    [{ log_level: 'warning' }, "spec.log_level: 'warning' is none of trace, debug, info, warn, error, fatal"],
    [{ pod_ip: 'x' }, "spec.pod_ip: 'x' is a DNS name: give an IP address"],
    [{ services: ['cart'] }, "spec.services[0]: 'cart' must be namespace/name"],
    [{ listeners: [{ to: ['10.0.0.1:1'] }] }, 'spec.listeners[0].listen: required: [HOST:]PORT'],
    [{ listeners: [{ listen: '1' }] }, 'spec.listeners[0].to: required: at least one HOST:PORT'],
    [
      { listeners: [{ listen: 'web.example:1', to: ['10.0.0.1:1'] }] },
      "spec.listeners[0].listen: 'web.example' is a DNS name: give an IP address",
    ],
    [{ listeners: [{ listen: '1', to: ['10.0.0.256:80'] }] }, `${TO}: '10.0.0.256' is no IP address and no DNS name`],
    [
      { listeners: [{ listen: '1', to: ['a..example:80'] }] },
      `${TO}: 'a..example' is no DNS name: its labels have 1 to 63 letters, digits, - and _, the whole at most 253 characters`,
    ],
    [{ listeners: [{ listen: '1', to: ['a.example'] }] }, `${TO}: 'a.example' has no port: it must be HOST:PORT`],
    [
      { listeners: [{ listen: '1', to: ['10.0.0.1:1'], scheme: 'htps' }] },
      "spec.listeners[0].scheme: 'htps' is none of http, https, grpc, grpcs: did you mean 'https'?",
    ],
    [{ control_tls: { ca_file: '' } }, 'spec.control_tls.ca_file: required: the path of a PEM file'],
    [{ control_tls: { certificate_file: '/c' } }, 'spec.control_tls.key_file: required beside certificate_file'],
    [{ control_tls: { key_file: '/k' } }, 'spec.control_tls.certificate_file: required beside key_file'],
    [
      { listeners: [{ listen: '1', to: ['10.0.0.1:1'], tls: {} }] },
      'spec.listeners[0].tls.certificates: required: at least one',
    ],
    [
      { listeners: [{ listen: '1', to: ['10.0.0.1:1'], tls: { certificates: [{ secret: 'a/b' }] } }] },
      'spec.listeners[0].tls.certificates[0].secret: a static listener takes no Secret; give certificate_file and key_file instead',
    ],
    [
      { listeners: [{ listen: '1', to: ['10.0.0.1:1'], to_tls: { server_name: 'a' } }] },
      "spec.listeners[0].to_tls: needs scheme https or grpcs, not 'http'",
    ],
    [
      { listeners: [{ listen: '1', to: ['10.0.0.1:1'], scheme: 'https', to_tls: { ca: { secret: 'a/b' } } }] },
      'spec.listeners[0].to_tls.ca.secret: a static listener takes no Secret; give file instead',
    ],
    [
      { listeners: [{ listen: '1', to: ['10.0.0.1:1'], scheme: 'https', to_tls: { client_cert_id: 'a' } }] },
      'spec.listeners[0].to_tls.client_cert_id: a static listener takes no Secret; give client_certificate with certificate_file and key_file instead',
    ],
    [
      { listeners: [{ listen: '1', to: ['10.0.0.1:1'], scheme: 'grpcs', to_tls: { server_name: '*.a' } }] },
      "spec.listeners[0].to_tls.server_name: '*.a' is no DNS name and no IP address; wildcards stand in certificates only",
    ],
    [{ drain_timout: 1 }, "spec.drain_timout: unknown key: did you mean 'drain_timeout'?"],
  ];
  for (const [spec, problem] of cases) assert.deepEqual(problems(spec), [problem]);
});

test('another kind is refused', () => {
  const result = readBootstrap({ apiVersion, kind: 'Upstream', metadata: { name: 'a' }, spec: {} });
  assert.ok(!result.ok);
  assert.equal(describeProblems(result.problems), "kind: 'Upstream' is none of Bootstrap");
});
