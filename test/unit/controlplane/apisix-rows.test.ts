// Rows of APISIX's acceptance table that speak of the ApisixUpstream, held from the document to the policy in force.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeResource } from '../../../src/config/decode/decode.ts';
import { effectivePolicy, needsEndpoints } from '../../../src/config/effective-policy.ts';
import { readObjects } from '../../../src/controlplane/read/objects.ts';
import { type Translation, Translator } from '../../../src/controlplane/translate/translator.ts';
import type { Upstream } from '../../../src/gen/outrigger/config/v1/upstream.ts';
import type { PortPolicy } from '../../../src/model/policy.ts';

const apisix = (spec: string): string =>
  `{apiVersion: apisix.apache.org/v2, kind: ApisixUpstream, metadata: {name: foo}, spec: ${spec}}`;
const SERVICE =
  '{apiVersion: v1, kind: Service, metadata: {name: foo}, spec: {ports: [{name: a, port: 80}, {name: b, port: 443}]}}';

function translate(translator: Translator, ...texts: string[]): Translation {
  return translator.translate(
    texts.flatMap((text, i) => {
      const { objects, refused, findings } = readObjects(text, `${i}.yaml`);
      assert.deepEqual(refused, [], findings.map(({ message }) => message).join());
      return objects;
    }),
  );
}

interface InForce {
  readonly upstream: Upstream;
  policy(port: number): PortPolicy;
  needsEndpoints(port: number): boolean;
}

/** What a sidecar makes of it. */
function inForce({ services }: Translation): InForce {
  const found = services[0]?.resources.find(({ kind }) => kind === 'Upstream');
  assert.ok(found);
  const decoded = decodeResource('Upstream', found.name, found.bytes);
  assert.ok(decoded.ok, JSON.stringify(decoded));
  const { resource } = decoded;
  return {
    upstream: resource.message,
    policy: (port) => effectivePolicy(resource, port).policy,
    needsEndpoints: (port) => needsEndpoints(resource, port),
  };
}

const of = (...texts: string[]): InForce => inForce(translate(new Translator(), ...texts));

test('APISIX row 131: external nodes, one attempt more, active tcp and passive https checks', () => {
  const {
    upstream,
    policy,
    needsEndpoints: asks,
  } = of(
    apisix(`{retries: 1, externalNodes: [{type: Domain, name: live.example}, {type: Domain, name: httpbin.invalid1}, {type: Domain, name: httpbin.invalid2}],
  healthCheck: {
    active: {type: tcp, healthy: {interval: 1s, httpCodes: [200, 201]}, unhealthy: {interval: 1s, httpCodes: [500, 502]}},
    passive: {type: https, healthy: {httpCodes: [200, 206]}, unhealthy: {httpCodes: [500, 504]}}}}`),
  );
  assert.deepEqual(
    upstream.nodes.map(({ host, weight }) => [host, weight]),
    [
      ['live.example', 100],
      ['httpbin.invalid1', 100],
      ['httpbin.invalid2', 100],
    ],
  );
  assert.equal(upstream.checks?.passive?.type, 'https');
  const { attempts, checks } = policy(80);
  assert.equal(attempts.maxAttempts, 2);
  assert.equal(checks?.active?.type, 'tcp');
  assert.deepEqual([checks.active.healthy.intervalMs, checks.active.unhealthy.intervalMs], [1000, 1000]);
  assert.deepEqual([...checks.active.healthy.statuses], [200, 201]);
  assert.deepEqual([...checks.active.unhealthy.statuses], [500, 502]);
  assert.deepEqual([...(checks.passive?.healthyStatuses ?? [])], [200, 206]);
  assert.deepEqual([...(checks.passive?.unhealthyStatuses ?? [])], [500, 504]);
  assert.equal(asks(80), false);
});

test('APISIX row 132: the Host is rewritten on port 80, and port 443 goes over TLS', () => {
  const { policy } = of(
    SERVICE,
    apisix('{portLevelSettings: [{port: 80, passHost: rewrite, upstreamHost: foo.com}, {port: 443, scheme: https}]}'),
  );
  assert.deepEqual(policy(80).host, { passHost: 'rewrite', upstreamHost: 'foo.com' });
  assert.deepEqual([policy(80).scheme, policy(443).scheme], ['http', 'https']);
  assert.equal(policy(443).host.passHost, 'pass');
});

test('APISIX row 135: an ApisixUpstream that comes later changes the Host, and nothing but the Upstream', () => {
  const translator = new Translator();
  const service = readObjects(SERVICE, 'a.yaml').objects;
  const before = translator.translate(service);
  const decoration = readObjects(apisix('{passHost: rewrite, upstreamHost: foo.com}'), 'b.yaml').objects;
  const after = translator.translate([...service, ...decoration]);
  assert.equal(inForce(before).policy(80).host.passHost, 'pass');
  assert.deepEqual(inForce(after).policy(80).host, { passHost: 'rewrite', upstreamHost: 'foo.com' });
  const others = ({ services }: Translation) =>
    services[0]?.resources.filter(({ kind }) => kind !== 'Upstream').map(({ name, version }) => [name, version]);
  assert.deepEqual(others(after), others(before));
});

test('APISIX row 138: retries 3, and read and send timeouts of 10 s; connecting has the default of 60 s', () => {
  const { policy } = of(SERVICE, apisix('{retries: 3, timeout: {read: 10s, send: 10s}}'));
  const { attempts, timeout } = policy(80);
  // The document says: at most three requests.
  assert.equal(attempts.maxAttempts, 3);
  assert.deepEqual([timeout.connectMs, timeout.sendMs, timeout.readMs], [60_000, 10_000, 10_000]);
});

test('APISIX row 140: a port without a load balancer keeps that of the whole', () => {
  const { policy } = of(
    SERVICE,
    apisix(
      '{loadbalancer: {type: chash, hashOn: header, key: user-agent}, portLevelSettings: [{port: 80, retries: 0}]}',
    ),
  );
  assert.deepEqual(policy(80).balancer, policy(443).balancer);
  assert.match(JSON.stringify(policy(80).balancer), /chash.*user-agent/);
  assert.deepEqual([policy(80).attempts.maxAttempts, policy(443).attempts.maxAttempts], [1, 2]);
});

test('APISIX row 140: a port keeps scheme, hosts and attempts of the whole too', () => {
  const { policy } = of(
    SERVICE,
    apisix(
      '{scheme: grpc, retries: 5, passHost: rewrite, upstreamHost: a.b, portLevelSettings: [{port: 80, timeout: {read: 1s}}]}',
    ),
  );
  assert.equal(policy(80).timeout.readMs, 1000);
  for (const port of [80, 443]) {
    const { scheme, attempts, host } = policy(port);
    assert.deepEqual([scheme, attempts.maxAttempts, host.upstreamHost], ['grpc', 5, 'a.b']);
  }
});

test('APISIX row 140: strictTLS false, 500 ms and thresholds of 0 are honoured', () => {
  const { policy } = of(
    SERVICE,
    apisix(`{timeout: {connect: 500ms}, healthCheck: {active: {type: https, strictTLS: false, timeout: 500ms, unhealthy: {}},
  passive: {healthy: {successes: 0}, unhealthy: {httpFailures: 0, tcpFailures: 0, timeout: 0}}}}`),
  );
  const { timeout, checks } = policy(80);
  assert.equal(timeout.connectMs, 500);
  assert.equal(checks?.active?.timeoutMs, 500);
  assert.equal(checks.active.verifyCertificate, false);
  const { successes, httpFailures, tcpFailures, timeouts } = checks.passive ?? {};
  assert.deepEqual([successes, httpFailures, tcpFailures, timeouts], [0, 0, 0, 0]);
});
