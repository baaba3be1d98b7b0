// A snapshot that is made from the one before is the snapshot that would be made from nothing, and knows what changed.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { KINDS } from '../../../src/config/resource.ts';
import { formatFinding } from '../../../src/controlplane/finding.ts';
import { identify } from '../../../src/controlplane/node-identity.ts';
import { readObjects } from '../../../src/controlplane/read/objects.ts';
import { Snapshot } from '../../../src/controlplane/snapshot.ts';
import { SnapshotCache } from '../../../src/controlplane/snapshot-cache.ts';
import type { ConfigObject } from '../../../src/controlplane/source.ts';
import { type Translation, Translator } from '../../../src/controlplane/translate/translator.ts';
import type { View } from '../../../src/controlplane/views.ts';
import { withheldView } from '../../../src/controlplane/withheld-view.ts';
import { Node } from '../../../src/gen/envoy/config/core/v3/base.ts';
import { Consumer, Route, Service } from '../../../src/gen/outrigger/config/v1/gateway.ts';
import { Secret } from '../../../src/gen/outrigger/config/v1/secret.ts';
import { Sidecar } from '../../../src/gen/outrigger/config/v1/sidecar.ts';

const service = (name: string, ...ports: number[]): string =>
  `{apiVersion: v1, kind: Service, metadata: {name: ${name}}, spec: {ports: [${ports.map((port) => `{name: p${port}, port: ${port}}`).join()}]}}`;
const slice = (name: string, of: string, ...addresses: string[]): string =>
  `{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: ${name}, labels: {kubernetes.io/service-name: ${of}}}, ports: [{name: p80, port: 8080}], endpoints: [${addresses.map((address) => `{addresses: ["${address}"], zone: ${name}}`).join()}]}`;
const apisix = (name: string, spec: string): string =>
  `{apiVersion: apisix.apache.org/v2, kind: ApisixUpstream, metadata: {name: ${name}}, spec: ${spec}}`;
const native = (kind: string, name: string, spec: string): string =>
  `{apiVersion: outrigger.config/v1, kind: ${kind}, metadata: {name: "${name}"}, spec: ${spec}}`;
const tls = (secret: string): string => `tls: {client_certificate: {secret: ${secret}}}`;

function read(text: string, file: string): ConfigObject {
  const { objects, findings } = readObjects(text, file);
  assert.deepEqual(findings.map(formatFinding), []);
  const [object] = objects;
  assert.ok(object);
  return object;
}

function encoded(
  resourceKind: 'Route' | 'Service' | 'Consumer' | 'Secret',
  name: string,
  bytes: Uint8Array,
): ConfigObject {
  return { kind: 'native', resourceKind, name, bytes, origin: { file: name, line: 1, column: 1 } };
}
const route = (name: string, upstreamId: string): ConfigObject =>
  encoded('Route', name, Route.encode(Route.fromPartial({ name, uris: ['/'], upstreamId })).finish());
const gatewayService = (name: string, upstreamId: string): ConfigObject =>
  encoded('Service', name, Service.encode(Service.fromPartial({ name, upstreamId })).finish());
const secret = (name: string, ca: string): ConfigObject =>
  encoded('Secret', name, Secret.encode(Secret.fromPartial({ name, ca: Buffer.from(ca) })).finish());
const consumer = (name: string, key: string): ConfigObject =>
  encoded('Consumer', name, Consumer.encode(Consumer.fromPartial({ name, plugins: { keyAuth: { key } } })).finish());

/** Files; each holds nothing or one of these. Two may hold the same name. */
const FILES: readonly (readonly ConfigObject[])[] = [
  ['a', [service('a', 80), service('a', 80, 81), service('a', 81)]],
  ['a-dup', [service('a', 82)]],
  ['a-slice', [slice('s1', 'a', '10.0.0.1'), slice('s1', 'a', '10.0.0.1', '10.0.0.2'), slice('s1', 'b', '10.0.0.3')]],
  ['a-slice2', [slice('s2', 'a', '10.0.0.2'), slice('s2', 'a', '10.0.0.1')]],
  ['a-up', [apisix('a', '{scheme: grpc}'), apisix('a', '{retries: 3}'), apisix('lone', '{retries: 3}')]],
  ['b', [service('b', 80), service('b', 80, 90)]],
  ['b-slice', [slice('s3', 'b', '10.0.0.3'), slice('s3', 'b', '127.0.0.1')]],
  [
    'listener',
    [
      native('Listener', 'outbound/80', '{port: 80, targets: [{upstream: default/b, service_port: 80}]}'),
      native('Listener', 'edge', '{port: 8443, targets: [{upstream: default/b, service_port: 80}]}'),
    ],
  ],
  [
    'sidecar',
    [
      native('Sidecar', 'edge', '{listeners: [edge]}'),
      native('Sidecar', 'edge', '{listeners: [edge, outbound/81]}'),
      native('Sidecar', 'default', '{listeners: [outbound/80]}'),
    ],
  ],
  [
    'up',
    [
      native('Upstream', 'a', '{retries: 1}'),
      native('Upstream', 'a', `{${tls('default/s')}}`),
      native('Upstream', 'b', `{${tls('default/s')}}`),
      native('Upstream', 'lone', '{retries: 1}'),
    ],
  ],
]
  .map(([file, texts]) => (texts as string[]).map((text) => read(text, `${file as string}.yaml`)))
  .concat([
    [route('r1', 'default/a'), route('r1', 'default/b'), route('r1', 'none')],
    [route('r2', 'default/a'), route('r2', 'default/lone')],
    [gatewayService('s1', 'default/b')],
    [secret('default/s', 'one'), secret('default/s', 'two')],
    [consumer('jack', 'one')],
  ]);

const NODES = [
  { id: 'plain' },
  { id: 'edge' },
  { id: 'pod', metadata: { pod_ip: '10.0.0.1' } },
  { id: 'listed', metadata: { services: ['a', 'default/none'] } },
].map((node) => identify(Node.fromPartial(node)));

/** Everything that a view shows, as `Kind name` → version. */
function content(view: View): Map<string, string> {
  const found = new Map<string, string>();
  for (const kind of KINDS) {
    for (const { name, version } of view.all(kind)) {
      assert.equal(view.get(kind, name)?.version, version);
      found.set(`${kind} ${name}`, version);
    }
  }
  return found;
}

const summary = ({ services, others, findings }: Translation): unknown => ({
  services: services.map(({ name, ports, resources }) => [name, ports, resources.map((one) => one.version)]),
  others: others.map(({ kind, name, version }) => `${kind} ${name} ${version}`).sort(),
  findings: findings.map(formatFinding).sort(),
});

/** All files are others, or one is. */
type Step = { readonly chosen: number[] } | { readonly file: number; readonly to: number };

test('whatever changes: alike whether made from the one before or from nothing, and it tells what changed', () => {
  const choice: fc.Arbitrary<number[]> = fc.tuple(...FILES.map((file) => fc.integer({ min: 0, max: file.length })));
  const step: fc.Arbitrary<Step> = fc.oneof(
    { weight: 1, arbitrary: choice.map((chosen) => ({ chosen })) },
    { weight: 4, arbitrary: fc.record({ file: fc.nat(FILES.length - 1), to: fc.nat(4) }) },
  );
  fc.assert(
    fc.property(
      choice,
      fc.array(step, { maxLength: 12 }),
      fc.constantFrom(undefined, '127.0.0.1:9180'),
      (first, steps, adminApi) => {
        const translator = new Translator();
        let chosen: number[] = first;
        let last: Snapshot | undefined;
        let before: readonly { readonly moment: View['moment']; readonly content: Map<string, string> }[] = [];
        for (const one of [undefined, ...steps]) {
          if (one !== undefined && 'chosen' in one) chosen = one.chosen;
          else if (one !== undefined)
            chosen = chosen.map((was, i) => (i === one.file ? one.to % ((FILES[i]?.length ?? 0) + 1) : was));
          const objects = chosen.flatMap((number, i) => FILES[i]?.[number - 1] ?? []);
          const translation = translator.translate(objects);
          const fresh = new Translator().translate(objects);
          assert.deepEqual(summary(translation), summary(fresh));
          const snapshot: Snapshot = new Snapshot(translation, last, adminApi);
          const anew = new Snapshot(fresh, undefined, adminApi);
          const now = NODES.map((node, n) => {
            const view = snapshot.viewOf(node);
            const shown = content(view);
            assert.deepEqual(shown, content(anew.viewOf(node)));
            const earlier = before[n];
            for (const kind of earlier === undefined ? [] : KINDS) {
              const told = earlier && view.changedSince(earlier.moment, kind);
              if (told === undefined) continue;
              const names = new Set(told);
              for (const key of [...shown.keys(), ...(earlier?.content.keys() ?? [])]) {
                if (!key.startsWith(`${kind} `) || shown.get(key) === earlier?.content.get(key)) continue;
                assert.ok(names.has(key.slice(kind.length + 1)), `${key} changed`);
              }
            }
            return { moment: view.moment, content: shown };
          });
          before = now;
          last = snapshot;
        }
      },
    ),
    { seed: 7, numRuns: 150 },
  );
});

function put(cache: SnapshotCache, translator: Translator, ...objects: ConfigObject[]): void {
  cache.put(translator.translate(objects));
}

test('a change is told by its name alone', () => {
  const [cache, translator] = [new SnapshotCache(), new Translator()];
  const routes = Array.from({ length: 100 }, (_, i) => route(`r${i}`, `u${i}`));
  put(cache, translator, ...routes);
  const before = cache.viewOf(Node.fromPartial({ id: 'n' })).moment;
  put(cache, translator, ...routes.slice(0, 50), route('r50', 'other'), ...routes.slice(51), route('new', 'u1'));
  const view = cache.viewOf(Node.fromPartial({ id: 'n' }));
  assert.deepEqual([...(view.changedSince(before, 'Route') ?? ['all'])].sort(), ['new', 'r50']);
  for (const kind of KINDS) {
    if (kind !== 'Route') assert.deepEqual([...(view.changedSince(before, kind) ?? ['all'])], [], kind);
  }
  // Of a view that is further back, or of another node, nothing is known.
  put(cache, translator, ...routes);
  assert.equal(cache.viewOf(Node.fromPartial({ id: 'n' })).changedSince(before, 'Route'), undefined);
  const other = cache.viewOf(Node.fromPartial({ id: 'n', metadata: { services: ['a'] } }));
  assert.equal(other.changedSince(view.moment, 'Route'), undefined);
});

test('every sidecar sees what the gateway needs, whatever services it lists', () => {
  const [cache, translator] = [new SnapshotCache(), new Translator()];
  const mesh = [
    read(service('web', 80), 'web.yaml'),
    read(slice('web-1', 'web', '10.0.0.1'), 'slice.yaml'),
    read(native('Upstream', 'web', `{scheme: https, ${tls('default/s')}}`), 'up.yaml'),
    secret('default/s', 'one'),
    secret('default/other', 'two'),
  ];
  const node = Node.fromPartial({ id: 'n', metadata: { services: ['none'] } });
  put(cache, translator, ...mesh);
  assert.equal(cache.viewOf(node).get('Endpoints', 'default/web/80'), undefined);
  assert.equal(cache.viewOf(node).get('Secret', 'default/s'), undefined);
  put(cache, translator, ...mesh, route('r', 'default/web'), gatewayService('s', 'u'), consumer('jack', 'one'));
  const view = cache.viewOf(node);
  for (const [kind, name] of [
    ['Route', 'r'],
    ['Service', 's'],
    ['Consumer', 'jack'],
    ['Upstream', 'default/web'],
    ['Endpoints', 'default/web/80'],
    ['Secret', 'default/s'],
  ] as const) {
    assert.ok(view.get(kind, name), `${kind} ${name}`);
  }
  assert.equal(view.get('Secret', 'default/other'), undefined);
  assert.deepEqual(view.all('Listener'), []);
});

test('APISIX row 113: over a plaintext stream from another machine Consumers are withheld', () => {
  const [cache, translator] = [new SnapshotCache(), new Translator()];
  const empty = encoded('Consumer', 'keyless', Consumer.encode(Consumer.fromPartial({ name: 'keyless' })).finish());
  const credential = Consumer.fromPartial({ name: 'jill', credentials: [{ id: 'one', keyAuth: { key: 'k' } }] });
  const jill = encoded('Consumer', 'jill', Consumer.encode(credential).finish());
  put(cache, translator, consumer('jack', 'one'), jill, empty, route('r', 'u'));
  const full = cache.viewOf(Node.fromPartial({ id: 'n' }));
  const withheld: string[] = [];
  const view = withheldView(full, ({ kind, name }) => withheld.push(`${kind} ${name}`));
  assert.deepEqual(
    view.all('Consumer').map(({ name }) => name),
    ['keyless'],
  );
  assert.equal(view.get('Consumer', 'jack'), undefined);
  assert.deepEqual(withheld.sort(), ['Consumer jack', 'Consumer jack', 'Consumer jill']);
  assert.equal(view.all('Route').length, 1);
  assert.deepEqual([...(view.changedSince(full.moment, 'Consumer') ?? ['all'])], []);
});

test('derived Sidecars say where the Admin API is, native ones what they say', () => {
  const [cache, translator] = [new SnapshotCache(), new Translator()];
  put(cache, translator, read(service('a', 80), 'a.yaml'), read(native('Sidecar', 'edge', '{}'), 'edge.yaml'));
  let told = 0;
  cache.subscribe(() => told++);
  const adminApi = (id: string): (string | undefined)[] =>
    cache
      .viewOf(Node.fromPartial({ id, metadata: { services: id === 'some' ? ['none'] : [] } }))
      .all('Sidecar')
      .map(({ bytes }) => Sidecar.decode(bytes).adminApi);
  assert.deepEqual(adminApi('n'), [undefined]);
  for (const [bound, sent] of [
    ['127.0.0.1:9180', '127.0.0.1:9180'],
    ['0.0.0.0:9180', ':9180'],
    ['[::]:9181', ':9181'],
    ['[::1]:9180', '[::1]:9180'],
    [undefined, undefined],
  ]) {
    const before = cache.viewOf(Node.fromPartial({ id: 'n' })).moment;
    cache.setAdminApi(bound);
    assert.deepEqual(adminApi('n'), [sent]);
    assert.deepEqual(adminApi('some'), [sent]);
    assert.deepEqual(adminApi('edge'), [sent, undefined]);
    assert.deepEqual(
      [...(cache.viewOf(Node.fromPartial({ id: 'n' })).changedSince(before, 'Sidecar') ?? [])],
      ['default'],
    );
  }
  cache.setAdminApi(undefined);
  assert.equal(told, 5);
});
