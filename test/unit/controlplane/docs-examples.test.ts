// The examples of docs/apisix-upstream.md load without an error or a warning, and do what the page says.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { messageFields } from '../../../src/config/schema.ts';
import { formatFinding } from '../../../src/controlplane/finding.ts';
import { readObjects } from '../../../src/controlplane/read/objects.ts';
import { refusals } from '../../../src/controlplane/refusals.ts';
import { Translator } from '../../../src/controlplane/translate/translator.ts';
import { Upstream } from '../../../src/gen/outrigger/config/v1/upstream.ts';

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

const page = readPage('apisix-upstream.md');
const blocks = [...page.matchAll(/^```yaml\n(.*?)^```$/gms)].map((match) => match[1] ?? '');

/** Listener ports of each service, and its Upstream. */
function load(text: string): Map<string, { ports: readonly number[]; upstream: Upstream }> {
  const { objects, findings } = readObjects(text, 'page.yaml');
  const translation = new Translator().translate(objects);
  const told = [...findings, ...translation.findings, ...refusals(translation)];
  assert.deepEqual(told.filter(({ severity }) => severity !== 'note').map(formatFinding), []);
  return new Map(
    translation.services.map(({ name, ports, resources }) => {
      const bytes = resources.find(({ kind }) => kind === 'Upstream')?.bytes ?? new Uint8Array();
      return [name, { ports, upstream: Upstream.decode(bytes) }];
    }),
  );
}

test('there are three examples', () => assert.equal(blocks.length, 3));

test('a decorated Service, with an annotation', () => {
  const foo = load(blocks[0] ?? '').get('default/foo');
  assert.deepEqual(foo?.ports, [7000, 7001]);
  assert.equal(foo.upstream.maxAttempts, 3);
  assert.equal(foo.upstream.timeout?.connect, 0.5);
  assert.equal(foo.upstream.checks?.passive?.unhealthy?.timeouts, 5);
  assert.equal(foo.upstream.keepalivePool?.size, 8);
  assert.deepEqual(foo.upstream.retryOn, ['connect-failure', 'unavailable']);
});

test('external nodes and discovery', () => {
  const services = load(blocks[1] ?? '');
  const search = services.get('default/search');
  assert.deepEqual(search?.ports, [443]);
  assert.deepEqual(
    search.upstream.nodes.map(({ host, weight }) => [host, weight]),
    [
      ['search.example.com', 100],
      ['search.example.net', 1],
    ],
  );
  assert.deepEqual(services.get('default/accounts')?.ports, [7000, 7001]);
});

test('a Service of type ExternalName', () => {
  assert.deepEqual(load(blocks[2] ?? '').get('default/mail')?.ports, [80, 443]);
});

test('the table of annotations names every field that the annotation takes', () => {
  const cell = /`outrigger\.config\/upstream` \| (.*)/.exec(page)?.[1] ?? '';
  const text = (annotation: string) =>
    `apiVersion: apisix.apache.org/v2\nkind: ApisixUpstream\nmetadata: {name: a, annotations: {outrigger.config/upstream: '${annotation}'}}\n`;
  const fields = messageFields('outrigger.config.v1.Upstream').map(({ name }) => name);
  for (const field of fields.filter((name) => name !== 'timeout')) {
    const { findings } = readObjects(text(`{${field}: x}`), 'a.yaml');
    const isTaken = !findings.some(({ message }) => message.includes('is not for this annotation'));
    assert.equal(cell.includes(`\`${field}\``), isTaken, field);
  }
});
