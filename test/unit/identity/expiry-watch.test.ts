import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CredentialStatus } from '../../../src/identity/credentials.ts';
import { expiryStep, isExpiryNews, saidOfSuccessor, watchExpiry } from '../../../src/identity/expiry-watch.ts';
import type { CertificateInfo } from '../../../src/model/tls.ts';
import { FakeClock } from '../../support/fake-clock.ts';

const DAY_MS = 86_400_000;
const LOOK_MS = 5_000;

function infoOf(fingerprint: string, notBeforeMs: number, notAfterMs: number): CertificateInfo {
  return { subject: 'CN=web', names: { dns: [], uris: [], ips: [] }, notBeforeMs, notAfterMs, fingerprint };
}

/** A watched list of one certificate. Times are given in days from now. */
function setUp(options: { kind?: CredentialStatus['kind'] } = {}) {
  const clock = new FakeClock();
  const startMs = clock.wallMs();
  const lines: string[] = [];
  const fields: Record<string, unknown>[] = [];
  const logger = {
    level: 'trace' as const,
    isOn: () => true,
    log: (level: string, more: Record<string, unknown>, message: string) => {
      lines.push(`${level} ${message.replace(/[:,].*/, '')}`);
      fields.push(more);
    },
  };
  let list: CredentialStatus[] = [];
  const status = (info: CertificateInfo | undefined, name: string): CredentialStatus => ({
    name,
    kind: options.kind ?? 'certificate',
    usedBy: ['Listener outbound/7000'],
    info,
    error: '',
  });
  const certificate = (fingerprint: string, fromDays: number, toDays: number, name = 'web.pem'): CredentialStatus =>
    status(infoOf(fingerprint, startMs + fromDays * DAY_MS, startMs + toDays * DAY_MS), name);
  const set = (...now: CredentialStatus[]): void => void (list = now);
  const cancel = watchExpiry({ credentials: { list: () => list }, clock, logger });
  /** Lines since the last call. */
  const said = (days = 0): string[] => {
    // Not by the clock alone: it would fire each of the looks on the way.
    clock.nowMs += days * DAY_MS;
    clock.advance(LOOK_MS);
    return lines.splice(0);
  };
  return { clock, startMs, fields, status, certificate, set, said, cancel };
}

test('the step that a certificate is at', () => {
  const info = infoOf('a', 10, 100 * DAY_MS);
  const steps = [
    [9, 'not_yet_valid'],
    [10, 'fine'],
    [70 * DAY_MS - 1, 'fine'],
    [70 * DAY_MS, '30_days'],
    [93 * DAY_MS - 1, '30_days'],
    [93 * DAY_MS, '7_days'],
    [99 * DAY_MS - 1, '7_days'],
    [99 * DAY_MS, '1_day'],
    [100 * DAY_MS, '1_day'],
    [100 * DAY_MS + 1, 'expired'],
  ] as const;
  for (const [nowMs, step] of steps) assert.equal(expiryStep(info, nowMs), step, String(nowMs));
});

test('what is news', () => {
  assert.ok(!isExpiryNews('fine', undefined));
  assert.ok(!isExpiryNews('fine', 'not_yet_valid'));
  assert.ok(isExpiryNews('not_yet_valid', undefined));
  assert.ok(isExpiryNews('30_days', 'not_yet_valid'));
  assert.ok(isExpiryNews('expired', '30_days'));
  assert.ok(!isExpiryNews('7_days', '7_days'));
  assert.ok(!isExpiryNews('7_days', '1_day'));
  assert.equal(saidOfSuccessor(infoOf('a', 0, DAY_MS), '1_day'), '1_day');
  assert.equal(saidOfSuccessor(infoOf('a', 0, 2 * DAY_MS), '1_day'), undefined);
  assert.equal(saidOfSuccessor(infoOf('a', 0, DAY_MS), 'expired'), undefined);
});

test('each step is said once', () => {
  const { said, certificate, set } = setUp();
  set(certificate('a', -60, 40));
  assert.deepEqual(said(), []);
  assert.deepEqual(said(11), ['warn certificate expires within 30 days']);
  assert.deepEqual(said(1), []);
  assert.deepEqual(said(22), ['warn certificate expires within 7 days']);
  assert.deepEqual(said(), []);
  assert.deepEqual(said(5.5), ['error certificate expires within 1 day']);
  assert.deepEqual(said(), []);
  assert.deepEqual(said(1), ['error certificate has expired']);
  assert.deepEqual(said(100), []);
});

test('steps passed at once are one line, and a clock set back says nothing', () => {
  const { said, certificate, set, clock } = setUp();
  set(certificate('a', -60, 0.5));
  assert.deepEqual(said(), ['error certificate expires within 1 day']);
  clock.nowMs -= 5 * DAY_MS;
  assert.deepEqual(said(), []);
  assert.deepEqual(said(5), []);
});

test('the line says which, who uses it and when', () => {
  const { said, certificate, set, fields, startMs } = setUp({ kind: 'authorities' });
  set(certificate('a', 1, 5));
  assert.deepEqual(said(), ['warn one of the authorities is not valid yet']);
  assert.deepEqual(fields, [
    {
      name: 'web.pem',
      kind: 'authorities',
      usedBy: ['Listener outbound/7000'],
      notBefore: new Date(startMs + DAY_MS).toISOString(),
      notAfter: new Date(startMs + 5 * DAY_MS).toISOString(),
    },
  ]);
  assert.deepEqual(said(2), ['warn one of the authorities expires within 7 days']);
});

test('a certificate that replaces another starts anew', () => {
  const { said, certificate, set } = setUp();
  set(certificate('a', -60, 6));
  assert.deepEqual(said(), ['warn certificate expires within 7 days']);
  set(certificate('b', -60, 6));
  assert.deepEqual(said(), ['warn certificate expires within 7 days']);
  set(certificate('c', -60, 90));
  assert.deepEqual(said(), []);
  // The same leaf under another intermediate.
  set(certificate('c', -60, 0.5));
  assert.deepEqual(said(), ['error certificate expires within 1 day']);
});

test('short-lived certificates that are replaced in time are complained of once, until one expires', () => {
  const { said, certificate, set } = setUp();
  set(certificate('a', -0.1, 0.5));
  assert.deepEqual(said(), ['error certificate expires within 1 day']);
  set(certificate('b', 0.2, 0.9));
  assert.deepEqual(said(0.25), []);
  set(certificate('c', 0.4, 1.3));
  assert.deepEqual(said(0.25), []);
  assert.deepEqual(said(1), ['error certificate has expired']);
  set(certificate('d', 1.4, 2.3));
  assert.deepEqual(said(), ['error certificate expires within 1 day']);
});

test('several of one name, and sources without a certificate', () => {
  const { said, certificate, status, set } = setUp();
  set(
    certificate('a', -60, 6),
    certificate('b', -60, 20),
    certificate('a', -60, 6, 'other.pem'),
    status(undefined, 'x'),
  );
  assert.deepEqual(said().toSorted(), [
    'warn certificate expires within 30 days',
    'warn certificate expires within 7 days',
    'warn certificate expires within 7 days',
  ]);
  assert.deepEqual(said(), []);
});

test('it ends', () => {
  const { clock, cancel, said } = setUp();
  said();
  cancel();
  assert.equal(clock.waiting, 0);
});
