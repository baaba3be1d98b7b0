import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { parseAllDocuments } from 'yaml';
import { DEFAULT_BALANCER } from '../../../src/model/defaults.ts';
import { EMPTY_SNAPSHOT } from '../../../src/model/snapshot.ts';
import { readBootstrap } from '../../../src/config/bootstrap.ts';
import { buildSnapshot } from '../../../src/config/builder.ts';
import { describePolicy } from '../../../src/config/describe-policy.ts';
import { type EffectivePolicy, effectivePolicy } from '../../../src/config/effective-policy.ts';
import { nodesOf } from '../../../src/config/endpoint-specs.ts';
import { readNative } from '../../../src/config/native.ts';
import { describeProblems, KINDS, type Resource } from '../../../src/config/resource.ts';
import { messageFields } from '../../../src/config/schema.ts';
import { issueAuthority, issueCertificate } from '../../support/certificates.ts';
import { resource, ResourceStore } from '../../support/resources.ts';

/** The first folder at or above this one that has the page: tests run from wherever they were compiled to. */
function readPage(name: string): string {
  for (let folder = import.meta.dirname; ; folder = join(folder, '..')) {
    try {
      return readFileSync(join(folder, 'docs', name), 'utf8');
    } catch (error) {
      if (folder === join(folder, '..')) throw error;
    }
  }
}

const page = readPage('configuration.md');
const blocks = [...page.matchAll(/^```yaml\n(.*?)^```$/gms)].map((match) => match[1] ?? '');

/** A document as far as this test looks into it. */
interface Document {
  readonly kind: unknown;
  readonly spec: unknown;
}

function parse(block: string): Document {
  const documents = parseAllDocuments(block);
  assert.equal(documents.length, 1);
  const [document] = documents;
  assert.ok(document !== undefined && 'errors' in document);
  assert.deepEqual(document.errors, []);
  return document.toJS() as Document;
}

const authority = await issueAuthority();
const pair = await issueCertificate(authority, { dns: ['cart.shop'] });

/** No page holds a key, so a Secret has its form only: made ones stand for the texts with a `…`. */
function filled(document: Document): Document {
  if (document.kind !== 'Secret') return document;
  const made = { certificate: pair.certificatePem, private_key: pair.keyPem, ca: authority.certificatePem };
  for (const [name, pem] of Object.entries(made)) {
    const shown = (document.spec as Record<string, string>)[name] ?? '';
    assert.deepEqual(shown.split('\n'), [pem.split('\n')[0], '…', pem.trimEnd().split('\n').at(-1), '']);
  }
  assert.equal(Object.keys(document.spec as object).length, 3);
  return { ...document, spec: made };
}

/** The resources of the page; each block must load. */
function load(): Resource[] {
  const loaded: Resource[] = [];
  for (const block of blocks) {
    const document = parse(block);
    if (document.kind === 'Bootstrap') continue;
    const result = readNative(filled(document));
    assert.ok(result.ok, result.ok ? '' : `${describeProblems(result.problems)} in\n${block}`);
    loaded.push(result.resource);
  }
  return loaded;
}

test('the page has one example of each kind, and each loads', () => {
  const kinds = new Set(blocks.map((block) => parse(block).kind));
  assert.deepEqual(kinds, new Set([...KINDS, 'Bootstrap']));
  assert.equal(load().length, 15);
});

test('the bootstrap file loads', () => {
  const files = blocks.map(parse).filter(({ kind }) => kind === 'Bootstrap');
  assert.equal(files.length, 1);
  const result = readBootstrap(files[0]);
  assert.ok(result.ok, result.ok ? '' : describeProblems(result.problems));
  assert.deepEqual(result.bootstrap.services, ['shop/cart', 'blog/web']);
});

test('the resources fit together', () => {
  const store = new ResourceStore(...load(), resource('Upstream', 'blog/web', {}));
  const snapshot = buildSnapshot('any', store, EMPTY_SNAPSHOT);
  assert.deepEqual([...snapshot.listeners.keys()], ['outbound/80', 'outbound/7000']);
  assert.deepEqual(
    snapshot.ports.get('shop/cart/80')?.endpoints.map(({ priority }) => priority),
    [0, 0, -1],
  );
  assert.deepEqual([...snapshot.secrets.keys()], ['shop/cart-tls']);
});

test('the page names every member of the TLS messages', () => {
  for (const message of [
    'ListenerTls',
    'UpstreamTls',
    'TlsCertificate',
    'TlsAuthorities',
    'SubjectAltName',
    'ControlTls',
  ]) {
    for (const { name } of messageFields(`outrigger.config.v1.${message}`)) {
      assert.match(page, new RegExp(`\\b${name}\\b`), `${message}.${name}`);
    }
  }
});

test('what the comments of the payment example say is true', () => {
  const payment = load().find((one): one is Resource<'Upstream'> => one.name === 'shop/payment');
  assert.ok(payment);
  const [all, nine, off] = [443, 9000, 9001].map((port) => effectivePolicy(payment, port).policy);
  assert.deepEqual(all?.host, { passHost: 'rewrite', upstreamHost: 'payment.example:8443' });
  assert.deepEqual(all.tls?.clientCertificate, { kind: 'secret', name: 'shop/cart-tls' });
  assert.deepEqual([all.checks?.active?.type, all.checks?.active?.verifyCertificate], ['https', false]);
  assert.deepEqual([nine?.tls?.clientCertificate, nine?.tls?.serverName], [undefined, undefined]);
  assert.deepEqual([off?.tls?.ca, off?.tls?.verify], [{ kind: 'system' }, true]);
  assert.equal(nodesOf(payment, 'https')[0]?.port, 443);
});

/** The policies of two ports of an example. */
function policies(name: string, ...ports: readonly [number, number]): readonly [EffectivePolicy, EffectivePolicy] {
  const found = load().find((one): one is Resource<'Upstream'> => one.kind === 'Upstream' && one.name === name);
  assert.ok(found);
  return [effectivePolicy(found, ports[0]), effectivePolicy(found, ports[1])];
}

test('what the comments of the catalog example say is true', () => {
  const [all, nine] = policies('shop/catalog', 80, 9000);
  assert.equal(all.policy.attempts.maxAttempts, 3);
  assert.deepEqual(all.policy.attempts.backoff, { initialMs: 25, maxMs: 250 });
  assert.deepEqual(all.policy.balancer, {
    type: 'chash',
    hashOn: 'header',
    key: 'x-user-id',
    hashBalanceFactor: 150,
    ewmaFormula: 'peak',
  });
  assert.deepEqual(nine.policy.balancer, { ...DEFAULT_BALANCER, type: 'ewma' });
  assert.deepEqual(nine.policy.attempts.retryOn, ['unavailable', 'resource-exhausted']);
  assert.deepEqual(nine.policy.attempts.backoff, { initialMs: 25, maxMs: 100 });
  assert.deepEqual([all.policy.outlierDetection?.maxEjectionPercent, nine.policy.outlierDetection], [30, undefined]);
  assert.deepEqual([nine.policy.allUnhealthy, nine.policy.warmUp?.windowMs], ['fail-fast', 30_000]);
});

test('what the page says of the stock example is true', () => {
  const [all, nine] = policies('shop/stock', 80, 9000);
  assert.deepEqual(all.service, { name: 'stock.service.example.org', port: 0 });
  assert.deepEqual(nine.service, { name: 'stock-grpc.service.example.org', port: 9000 });
});

test('the page names every policy field', () => {
  for (const { name } of messageFields('outrigger.config.v1.PortLevelSettings')) {
    assert.match(page, new RegExp(`\\b${name}\\b`), name);
  }
});

test('the sources that the page shows are true', () => {
  const store = new ResourceStore(...load(), resource('Upstream', 'blog/web', {}));
  const cart = buildSnapshot('any', store, EMPTY_SNAPSHOT).ports.get('shop/cart/7000');
  assert.ok(cart);
  const lines = describePolicy(cart);
  assert.ok(lines.includes('scheme: grpc (port 7000)') && lines.includes('timeout.total: 0s (default)'));
  const other = buildSnapshot('any', store, EMPTY_SNAPSHOT).ports.get('shop/cart/80');
  assert.ok(other && describePolicy(other).includes('retries: 2 (upstream)'));
});

test('the table of the inheritance example is true', () => {
  const cart = load().find((one): one is Resource<'Upstream'> => one.name === 'shop/cart');
  assert.ok(cart);
  const row = (port: number): unknown[] => {
    const { policy, provenance } = effectivePolicy(cart, port);
    return [
      policy.scheme,
      policy.attempts.maxAttempts,
      policy.timeout.readMs,
      policy.timeout.connectMs,
      policy.checks?.active?.type,
      policy.checks?.active?.healthy.intervalMs,
      policy.checks?.passive?.httpFailures,
      provenance.get('checks.passive'),
    ];
  };
  assert.deepEqual(row(80), ['http', 3, 5000, 1000, 'http', 2000, 3, 'upstream']);
  assert.deepEqual(row(7000), ['grpc', 2, 30_000, 1000, 'grpc', 1000, 3, 'upstream']);
  assert.deepEqual(row(7001), ['http', 3, 5000, 1000, undefined, undefined, undefined, 'port 7001']);
});
