import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatFinding } from '../../../../src/controlplane/finding.ts';
import { readObjects } from '../../../../src/controlplane/read/objects.ts';

function warnings(kind: string, name: string, spec: string): string[] {
  const text = `apiVersion: outrigger.config/v1\nkind: ${kind}\nmetadata: {name: ${name}}\nspec:\n${spec}\n`;
  const { objects, findings } = readObjects(text, 'a.yaml');
  assert.equal(objects.length, 1, findings.map(formatFinding).join('\n'));
  return findings.map(formatFinding);
}

test('a node of a native Upstream that stands twice is one, the last, and the other one is told', () => {
  const spec =
    '  nodes:\n  - {host: "2001:DB8::1", port: 80}\n  - {host: a.b, port: 80, weight: 2}\n  - {host: "[2001:db8::1]", weight: 3}\n  - {host: a.b, port: 81}';
  assert.deepEqual(warnings('Upstream', 'a', spec), [
    'a.yaml:6:5: warning: Upstream a: spec.nodes[0]: has the host and port of spec.nodes[2] and no effect: the last one stands, with its own weight; remove one of the two',
  ]);
  assert.deepEqual(warnings('Upstream', 'a', `  scheme: https\n${spec}`), []);
});

test('an address of native Endpoints as well', () => {
  const spec = '  endpoints:\n  - {address: 10.0.0.1, port: 80}\n  - {address: 10.0.0.1, port: 80, weight: 5}';
  assert.deepEqual(warnings('Endpoints', 'a/80', spec), [
    'a.yaml:6:5: warning: Endpoints a/80: spec.endpoints[0]: has the host and port of spec.endpoints[1] and no effect: the last one stands, with its own weight; remove one of the two',
  ]);
});

test('three times: the two before the last', () => {
  const spec = '  nodes: [{host: 10.0.0.1, port: 1}, {host: 10.0.0.1, port: 1}, {host: 10.0.0.1, port: 1}]';
  const found = warnings('Upstream', 'a', spec);
  assert.equal(found.length, 2);
  for (const text of found) assert.match(text, /the host and port of spec\.nodes\[2\]/);
});
