import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { readObjects } from '../../../src/controlplane/read/objects.ts';
import { refusals } from '../../../src/controlplane/refusals.ts';
import { Translator } from '../../../src/controlplane/translate/translator.ts';

const FILE = `apiVersion: apisix.apache.org/v2
kind: ApisixUpstream
metadata: {name: foo}
spec: {loadbalancer: {type: TYPE}}
---
apiVersion: v1
kind: Service
metadata: {name: foo}
spec: {ports: [{port: 80}]}
`;

function notesOf(type: string): string[] {
  const { objects } = readObjects(FILE.replace('TYPE', type), 'foo.yaml');
  return refusals(new Translator().translate(objects)).map(
    ({ severity, object, path }) => `${severity} ${object} ${path}`,
  );
}

describe('refusals', () => {
  it('notes what sidecars of this version refuse, with the object and the field', () => {
    assert.deepEqual(notesOf('ewma'), ['note Upstream default/foo type']);
  });

  it('says nothing about what they take', () => {
    assert.deepEqual(notesOf('roundrobin'), []);
  });
});
