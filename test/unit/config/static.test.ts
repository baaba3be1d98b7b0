import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EMPTY_SNAPSHOT } from '../../../src/model/snapshot.ts';
import { buildSnapshot } from '../../../src/config/builder.ts';
import { describeProblems, type Resource } from '../../../src/config/resource.ts';
import { staticResources, type StaticListenerSpec } from '../../../src/config/static.ts';
import { ListenerTls, UpstreamTls } from '../../../src/gen/outrigger/config/v1/tls.ts';
import { ResourceStore } from '../../support/resources.ts';

function resources(...listeners: StaticListenerSpec[]): readonly Resource[] {
  const result = staticResources(listeners, 'node-1');
  assert.ok(result.ok, result.ok ? '' : describeProblems(result.problems));
  return result.resources;
}

function listen(port: number, host = '127.0.0.1'): StaticListenerSpec['listen'] {
  return { host, port };
}

test('static listeners make a snapshot', () => {
  const made = resources(
    {
      listen: listen(8080),
      to: [
        { host: 'localhost', port: 80 },
        { host: '10.0.0.6', port: 81 },
      ],
      scheme: 'grpc',
    },
    { listen: listen(0, 'localhost'), to: [{ host: '0::1', port: 9 }], scheme: 'http' },
    { listen: listen(8080, '::1'), to: [{ host: '10.0.0.6', port: 81 }], scheme: 'http' },
  );
  const snapshot = buildSnapshot('node-1', new ResourceStore(...made), EMPTY_SNAPSHOT);
  assert.deepEqual(
    [...snapshot.listeners.values()].map(({ name, address, port, targets }) => [name, address, port, targets[0]?.port]),
    [
      ['static/8080', '127.0.0.1', 8080, 'static/listener-0/8080'],
      ['static/1', '127.0.0.1', 0, 'static/listener-1/9'],
      ['static/8080-2', '::1', 8080, 'static/listener-2/8080'],
    ],
  );
  const port = snapshot.ports.get('static/listener-0/8080');
  assert.equal(port?.policy.scheme, 'grpc');
  assert.deepEqual(
    port.endpoints.map((endpoint) => [endpoint.address, endpoint.port]),
    [
      ['10.0.0.6', 81],
      ['127.0.0.1', 80],
    ],
  );
  assert.equal(snapshot.ports.get('static/listener-1/9')?.endpoints[0]?.address, '::1');
});

test('endpoints that are DNS names stand in the Upstream, beside addresses', () => {
  const to = [
    { host: 'Web.Example.', port: 80 },
    { host: '10.0.0.6', port: 81 },
    { host: 'localhost', port: 82 },
  ];
  const made = resources({ listen: listen(8080), to, scheme: 'http' });
  assert.deepEqual(
    made.map(({ kind }) => kind),
    ['Listener', 'Upstream', 'Sidecar'],
  );
  const snapshot = buildSnapshot('node-1', new ResourceStore(...made), EMPTY_SNAPSHOT);
  const port = snapshot.ports.get('static/listener-0/8080');
  assert.deepEqual(
    port?.names.map(({ kind, name, port: number, portIsSet }) => [kind, name, number, portIsSet]),
    [['addresses', 'web.example.', 80, true]],
  );
  assert.deepEqual(
    port.endpoints.map((endpoint) => [endpoint.address, endpoint.port]),
    [
      ['10.0.0.6', 81],
      ['127.0.0.1', 82],
    ],
  );
});

test('TLS of either side stands in the resources', () => {
  const tls = ListenerTls.fromPartial({
    certificates: [{ certificateFile: '/c', keyFile: '/k' }],
    clientCertificate: 'required',
    clientCa: { file: '/ca' },
    clientNames: [{ uri: 'spiffe://example.org/a' }],
  });
  const toTls = UpstreamTls.fromPartial({ ca: { file: '/ca' }, serverNames: [{ dns: 'a.example' }] });
  const to = [{ host: '10.0.0.6', port: 81 }];
  const made = resources({ listen: listen(8443), to, scheme: 'grpcs', tls, toTls });
  const snapshot = buildSnapshot('node-1', new ResourceStore(...made), EMPTY_SNAPSHOT);
  const spec = snapshot.listeners.get('static/8443')?.tls;
  assert.deepEqual(spec?.certificates, [{ kind: 'files', certificateFile: '/c', keyFile: '/k' }]);
  assert.equal(spec.clientCertificate, 'required');
  assert.deepEqual(spec.clientNames, [{ type: 'uri', value: 'spiffe://example.org/a' }]);
  const policy = snapshot.ports.get('static/listener-0/8443')?.policy;
  assert.equal(policy?.scheme, 'grpcs');
  assert.deepEqual(policy.tls?.ca, { kind: 'file', file: '/ca' });
  assert.deepEqual(policy.tls.serverNames, [{ type: 'dns', value: 'a.example' }]);
});

test('none is a sidecar without listeners', () => {
  assert.deepEqual(
    resources().map(({ kind, name }) => [kind, name]),
    [['Sidecar', 'node-1']],
  );
});

test('what is wrong is told with its place', () => {
  const result = staticResources(
    [
      { listen: listen(1, 'a.example'), to: [], scheme: 'http' },
      {
        listen: listen(70000),
        to: [
          { host: '*.example', port: 80 },
          { host: '10.0.0.1', port: 0 },
        ],
        scheme: 'tcp',
        tls: ListenerTls.fromPartial({}),
        toTls: UpstreamTls.fromPartial({ serverName: '*.a' }),
      },
    ],
    'node-1',
  );
  assert.ok(!result.ok);
  assert.deepEqual(
    result.problems.map(({ path }) => path),
    [
      'listeners[0].listen',
      'listeners[0].to',
      'listeners[1].listen',
      'listeners[1].to[0]',
      'listeners[1].to[1]',
      'listeners[1].scheme',
      'listeners[1].tls.certificates',
      'listeners[1].to_tls.server_name',
    ],
  );
  assert.deepEqual(
    [0, 3].map((i) => result.problems[i]?.reason),
    [
      "'a.example' is a DNS name: give an IP address",
      "'*.example' has a wildcard, and an endpoint is one host: name each",
    ],
  );
});
