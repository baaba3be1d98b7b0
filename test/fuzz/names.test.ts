// Names of certificates over many inputs. test/support/fuzz-run.ts says what can be set and how a failure is had again.
import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { test } from 'node:test';
import { readSubjectAltNames } from '../../src/identity/names.ts';
import { runFuzz } from '../support/fuzz-run.ts';
import { FIRST_CERTIFICATE, NAMES_TARGET } from './targets/names.ts';

test('inputs begin with certificates that are ones', () => {
  assert.deepEqual(readSubjectAltNames(FIRST_CERTIFICATE), {
    dns: ['a.example'],
    uris: ['spiffe://a/b'],
    ips: ['10.0.0.1'],
  });
  const { subjectAltName } = new X509Certificate(FIRST_CERTIFICATE);
  assert.equal(subjectAltName, 'DNS:a.example, URI:spiffe://a/b, IP Address:10.0.0.1');
});

test(NAMES_TARGET.name, (context) => runFuzz(NAMES_TARGET, (line) => context.diagnostic(line)));
