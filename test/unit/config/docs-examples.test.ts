import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { parseAllDocuments } from 'yaml';
import { EMPTY_SNAPSHOT } from '../../../src/model/snapshot.ts';
import { readBootstrap } from '../../../src/config/bootstrap.ts';
import { buildSnapshot } from '../../../src/config/builder.ts';
import { effectivePolicy } from '../../../src/config/effective-policy.ts';
import { readNative } from '../../../src/config/native.ts';
import { describeProblems, type Resource } from '../../../src/config/resource.ts';
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

function parse(block: string): { readonly kind: unknown } {
  const documents = parseAllDocuments(block);
  assert.equal(documents.length, 1);
  const [document] = documents;
  assert.ok(document !== undefined && 'errors' in document);
  assert.deepEqual(document.errors, []);
  return document.toJS() as { readonly kind: unknown };
}

/** The resources of the page; each block must load, or be refused where it says so. */
function load(): Resource[] {
  const loaded: Resource[] = [];
  for (const block of blocks) {
    const document = parse(block);
    if (document.kind === 'Bootstrap') continue;
    const result = readNative(document);
    if (block.startsWith('# refused\n')) {
      assert.ok(!result.ok);
      assert.match(describeProblems(result.problems), /not supported yet$/);
    } else {
      assert.ok(result.ok, result.ok ? '' : `${describeProblems(result.problems)} in\n${block}`);
      loaded.push(result.resource);
    }
  }
  return loaded;
}

test('the page has one example of each kind, and each loads', () => {
  const kinds = new Set(blocks.map((block) => parse(block).kind));
  assert.deepEqual(kinds, new Set(['Sidecar', 'Listener', 'Upstream', 'Endpoints', 'Secret', 'Bootstrap']));
  assert.equal(load().length, 6);
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
  assert.deepEqual([...snapshot.listeners.keys()], ['outbound/80']);
  assert.equal(snapshot.ports.get('shop/cart/80')?.endpoints.length, 2);
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
  assert.deepEqual(row(7001), ['http', 3, 5000, 1000, undefined, undefined, undefined, 'port_level_settings[1]']);
});
