// Keys of an object outside its spec: a misspelt one isn't dropped in silence.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatFinding } from '../../../../src/controlplane/finding.ts';
import { readObjects } from '../../../../src/controlplane/read/objects.ts';

function read(text: string): { objects: number; findings: string[] } {
  const { objects, findings } = readObjects(text, 'a.yaml');
  return { objects: objects.length, findings: findings.map((one) => formatFinding(one).replace(/^\S+ /, '')) };
}

const apisix = (rest: string, metadata = '{name: foo}'): string =>
  `{apiVersion: apisix.apache.org/v2, kind: ApisixUpstream, metadata: ${metadata}${rest}}`;
const known = '(known: apiVersion, kind, metadata, spec, status)';

for (const [rest, finding] of [
  [', sepc: {scheme: grpc}', `sepc: unknown field ${known}; did you mean 'spec'?`],
  [', Spec: {scheme: grpc}', `Spec: unknown field ${known}; did you mean 'spec'?`],
  [', spec: {}, retries: 3', `retries: unknown field ${known}; write it under spec`],
  [', spec: {}, retires: 3', `retires: unknown field ${known}; did you mean 'spec.retries'?`],
  [', spec: {}, namespace: prod', `namespace: unknown field ${known}; write it under metadata`],
  [', spec: {}, x: 1', `x: unknown field ${known}; remove it`],
] as const) {
  test(`ApisixUpstream {${rest.slice(2)}} is an error`, () => {
    const { objects, findings } = read(apisix(rest));
    assert.equal(objects, 0);
    assert.deepEqual(findings, [`error: ApisixUpstream default/foo: ${finding}`]);
  });
}

test('an ApisixUpstream without spec is a warning', () => {
  for (const rest of ['', ', spec:']) {
    const { objects, findings } = read(apisix(rest));
    assert.equal(objects, 1);
    assert.deepEqual(findings, [
      'warning: ApisixUpstream default/foo: has no spec: all of its policy is the default; write it under `spec`',
    ]);
  }
});

for (const [metadata, severity, finding] of [
  ['{name: foo, namepsace: prod}', 'error', "metadata.namepsace: unknown field of metadata; did you mean 'namespace'?"],
  [
    '{name: foo, anotations: {}}',
    'error',
    "metadata.anotations: unknown field of metadata; did you mean 'annotations'?",
  ],
  ['{name: foo, Labels: {}}', 'error', "metadata.Labels: unknown field of metadata; did you mean 'labels'?"],
  [
    '{name: foo, whatever: {}}',
    'warning',
    'metadata.whatever: no field of metadata that Kubernetes has: it has no effect; remove it',
  ],
] as const) {
  test(`metadata ${metadata} is ${severity === 'error' ? 'an error' : 'a warning'}`, () => {
    const { objects, findings } = read(apisix(', spec: {}', metadata));
    assert.equal(objects, severity === 'error' ? 0 : 1);
    assert.equal(findings.length, 1);
    assert.ok(findings[0]?.startsWith(`${severity}: `) && findings[0].endsWith(`: ${finding}`), findings[0]);
  });
}

for (const [kind, version, rest, finding] of [
  ['Service', 'v1', 'ports: [{port: 80}], spec: {ports: [{port: 80}]}', /ports: unknown field .*write it under spec$/],
  ['EndpointSlice', 'discovery.k8s.io/v1', 'endpoint: []', /endpoint: unknown field .*did you mean 'endpoints'\?$/],
  ['Secret', 'v1', 'stringdata: {a: b}', /stringdata: unknown field .*did you mean 'stringData'\?$/],
  ['List', 'v1', 'itmes: []', /itmes: unknown field .*did you mean 'items'\?$/],
  ['ServiceList', 'v1', 'items: [], itmes: []', /itmes: unknown field .*did you mean 'items'\?$/],
] as const) {
  test(`${kind} with {${rest}} is an error`, () => {
    const text = `{apiVersion: ${version}, kind: ${kind}, metadata: {name: foo}, ${rest}}`;
    const errors = read(text).findings.filter((one) => one.startsWith('error'));
    assert.equal(errors.length, 1, errors.join('\n'));
    assert.match(errors[0] ?? '', finding);
  });
}

test('a list of others is left alone', () => {
  const { findings } = read('{apiVersion: a.example/v1, kind: WidgetList, items: [], more: 1}');
  assert.deepEqual(findings, []);
});

/** As `kubectl get -o yaml` prints them. */
const PRINTED = `apiVersion: v1
kind: List
metadata:
  resourceVersion: ""
items:
- apiVersion: v1
  kind: Service
  metadata:
    annotations:
      kubectl.kubernetes.io/last-applied-configuration: |
        {"apiVersion":"v1","kind":"Service"}
    creationTimestamp: "2024-05-01T10:00:00Z"
    deletionGracePeriodSeconds: 30
    deletionTimestamp: "2024-05-01T11:00:00Z"
    finalizers: [service.kubernetes.io/load-balancer-cleanup]
    generateName: foo-
    generation: 2
    labels: {app: foo}
    managedFields: [{manager: kubectl, operation: Update}]
    name: foo
    namespace: shop
    resourceVersion: "123"
    selfLink: /api/v1/namespaces/shop/services/foo
    uid: 0c5a4b1e-0000-0000-0000-000000000000
  spec:
    clusterIP: 10.96.0.1
    clusterIPs: [10.96.0.1]
    internalTrafficPolicy: Cluster
    ipFamilies: [IPv4]
    ipFamilyPolicy: SingleStack
    ports:
    - {name: http, port: 80, protocol: TCP, targetPort: 8080}
    selector: {app: foo}
    sessionAffinity: None
    type: ClusterIP
  status:
    loadBalancer: {}
- addressType: IPv4
  apiVersion: discovery.k8s.io/v1
  endpoints:
  - addresses: [10.0.0.1]
    conditions: {ready: true, serving: true, terminating: false}
    nodeName: n1
    targetRef: {kind: Pod, name: foo-0, namespace: shop, uid: x}
  kind: EndpointSlice
  metadata:
    labels:
      endpointslice.kubernetes.io/managed-by: endpointslice-controller.k8s.io
      kubernetes.io/service-name: foo
    name: foo-abc
    namespace: shop
    ownerReferences: [{apiVersion: v1, kind: Service, name: foo, uid: x}]
  ports:
  - {name: http, port: 8080, protocol: TCP}
- apiVersion: apisix.apache.org/v2
  kind: ApisixUpstream
  metadata: {name: foo, namespace: shop, generation: 1}
  spec: {scheme: http}
  status:
    conditions: [{type: ResourcesAvailable, status: "True"}]
- apiVersion: v1
  data: {password: c2VjcmV0}
  immutable: true
  kind: Secret
  metadata: {name: other, namespace: shop}
  type: kubernetes.io/basic-auth
`;

test('objects as kubectl prints them are clean', () => {
  const { objects, findings } = read(PRINTED);
  assert.equal(objects, 3);
  assert.deepEqual(
    findings.filter((text) => !text.startsWith('note: Secret shop/other: ')),
    [],
  );
});
