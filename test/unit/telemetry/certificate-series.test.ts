import assert from 'node:assert/strict';
import { test } from 'node:test';
import { certificateSeries, type CertificateMetrics } from '../../../src/telemetry/certificate-series.ts';

function certificate(name: string, notAfterMs: number, kind: CertificateMetrics['kind'] = 'certificate') {
  return { name, kind, info: { notAfterMs } };
}

test('certificates of one name and kind are one series with the earliest time', () => {
  const series = certificateSeries(
    [
      certificate('Upstream shop/cart', 3000),
      certificate('Upstream shop/cart', 1000),
      certificate('Upstream shop/cart', 2000),
      certificate('Upstream shop/cart', 5000, 'authorities'),
      { name: 'Secret shop/none', kind: 'certificate', info: undefined },
    ],
    10,
  );
  assert.deepEqual(series, [
    { name: 'Upstream shop/cart', kind: 'certificate', notAfterMs: 1000 },
    { name: 'Upstream shop/cart', kind: 'authorities', notAfterMs: 5000 },
  ]);
});

test('beyond the cap the earliest of the rest stands as "other"', () => {
  const many = Array.from({ length: 5000 }, (_, i) => certificate(`Secret shop/${i}`, 10_000 - i));
  const series = certificateSeries([...many, certificate('ca.pem', 7, 'authorities')], 1000);
  assert.equal(series.length, 1002);
  assert.deepEqual(series.slice(-2), [
    { name: 'other', kind: 'certificate', notAfterMs: 5001 },
    { name: 'other', kind: 'authorities', notAfterMs: 7 },
  ]);
});

test('names are bounded, whole characters only, and what they then share is one series', () => {
  const long = (start: string) => certificate(start + 'x'.repeat(5000), start.length);
  const [resource, ...cut] = certificateSeries(
    [certificate(`Secret ${'a'.repeat(63)}/${'b'.repeat(180)}`, 1), long('/etc/'), long('/etc/xx'), long('\u{1f600}')],
    1000,
  );
  assert.equal(resource?.name.length, 251);
  assert.deepEqual(
    cut.map(({ name, notAfterMs }) => [name.length, notAfterMs]),
    [
      [256, 5],
      [256, 2],
    ],
  );
  const [pair] = certificateSeries([certificate('\u{1f600}'.repeat(400), 1)], 1);
  assert.ok(pair && !/\p{Surrogate}/u.test(pair.name) && pair.name.endsWith('…') && pair.name.length <= 256);
});
