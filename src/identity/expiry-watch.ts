// Says in the log that a certificate will expire while there is time to replace it: 30 days, 7 days and 1 day before, and
// when it did. Connections that stand go on; each new handshake fails.
//
//     (not yet valid) → fine → 30 days → 7 days → 1 day → expired
//
// Each step is said once for each certificate, also where several are passed at once: then only the last of them.
import type { Cancel, Clock } from '../base/clock.ts';
import type { Logger, LogLevel } from '../base/log.ts';
import type { CertificateInfo } from '../model/tls.ts';
import type { Credentials, CredentialStatus } from './credentials.ts';

/** So soon is one looked at that comes into use or replaces another. */
const LOOK_MS = 5_000;
const DAY_MS = 86_400_000;

/** How near its end a certificate is, from far to past. */
export type ExpiryStep = 'not_yet_valid' | 'fine' | '30_days' | '7_days' | '1_day' | 'expired';

const STEPS: readonly ExpiryStep[] = ['not_yet_valid', 'fine', '30_days', '7_days', '1_day', 'expired'];

/** Time before the end at which a step begins, ms. */
const BEGINS_MS = { '30_days': 30 * DAY_MS, '7_days': 7 * DAY_MS, '1_day': DAY_MS } as const;

/** Where a certificate stands. `nowMs` is ms since 1970. Its last moment is `notAfterMs` (RFC 5280 section 4.1.2.5). */
export function expiryStep({ notBeforeMs, notAfterMs }: CertificateInfo, nowMs: number): ExpiryStep {
  const leftMs = notAfterMs - nowMs;
  if (leftMs < 0) return 'expired';
  if (nowMs < notBeforeMs) return 'not_yet_valid';
  if (leftMs <= BEGINS_MS['1_day']) return '1_day';
  if (leftMs <= BEGINS_MS['7_days']) return '7_days';
  return leftMs <= BEGINS_MS['30_days'] ? '30_days' : 'fine';
}

/**
 * Whether a step is to be said, when `said` was the last one said of this certificate. Steps go one way: a clock that is
 * set back makes nothing be said again.
 */
export function isExpiryNews(step: ExpiryStep, said: ExpiryStep | undefined): boolean {
  if (step === 'fine') return false;
  return said === undefined || STEPS.indexOf(step) > STEPS.indexOf(said);
}

/**
 * What counts as said of a certificate that took the place of another: nothing, but where it is so short-lived that it
 * begins its life at that step or soon after. One that is replaced each hour would be complained of each hour.
 */
export function saidOfSuccessor(info: CertificateInfo, said: ExpiryStep): ExpiryStep | undefined {
  if (said !== '30_days' && said !== '7_days' && said !== '1_day') return undefined;
  return info.notAfterMs - info.notBeforeMs < 2 * BEGINS_MS[said] ? said : undefined;
}

/** What {@link watchExpiry} needs. */
export interface ExpiryWatchOptions {
  readonly credentials: Pick<Credentials, 'list'>;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Looks at all certificates in use, at once and then every five seconds, until it is cancelled. */
export function watchExpiry({ credentials, clock, logger }: ExpiryWatchOptions): Cancel {
  /** Last step said: by name, then by certificate. Several inline ones can have one name. */
  let said = new Map<string, Map<string, ExpiryStep | undefined>>();
  let cancel: Cancel;
  const look = (): void => {
    cancel = clock.after(LOOK_MS, look);
    const nowMs = clock.wallMs();
    const next: typeof said = new Map();
    for (const status of credentials.list()) {
      const { kind, name, info } = status;
      if (!info) continue;
      const key = `${kind}\0${name}`;
      // Of a chain the end is that of whatever ends first, so the leaf's fingerprint doesn't say all.
      const certificate = `${info.fingerprint}\0${info.notAfterMs}`;
      const before = said.get(key);
      let last = before?.has(certificate) ? before.get(certificate) : saidOfPredecessors(info, before);
      const step = expiryStep(info, nowMs);
      if (isExpiryNews(step, last)) {
        say(logger, status, info, step);
        last = step;
      }
      next.set(key, (next.get(key) ?? new Map<string, ExpiryStep | undefined>()).set(certificate, last));
    }
    said = next;
  };
  cancel = clock.after(0, look);
  return () => cancel();
}

function saidOfPredecessors(
  info: CertificateInfo,
  before: ReadonlyMap<string, ExpiryStep | undefined> | undefined,
): ExpiryStep | undefined {
  for (const step of before?.values() ?? []) {
    const said = step && saidOfSuccessor(info, step);
    if (said) return said;
  }
  return undefined;
}

function say(logger: Logger, status: CredentialStatus, info: CertificateInfo, step: ExpiryStep): void {
  const { name, kind, usedBy } = status;
  const level: LogLevel = step === '1_day' || step === 'expired' ? 'error' : 'warn';
  const notBefore = step === 'not_yet_valid' ? { notBefore: new Date(info.notBeforeMs).toISOString() } : {};
  const fields = { name, kind, usedBy, ...notBefore, notAfter: new Date(info.notAfterMs).toISOString() };
  logger.log(level, fields, `${kind === 'certificate' ? 'certificate' : 'one of the authorities'} ${WORDS[step]}`);
}

const WORDS: Record<ExpiryStep, string> = {
  not_yet_valid: "is not valid yet, so peers refuse it: check this machine's clock, or use one that is valid now",
  fine: 'is valid',
  '30_days': 'expires within 30 days: replace it before then, new connections will fail after that',
  '7_days': 'expires within 7 days: replace it before then, new connections will fail after that',
  '1_day': 'expires within 1 day: replace it now, new connections will fail after that',
  expired: 'has expired, so peers refuse it and new connections fail: replace it now',
};
