// The series of certificates: names come from configuration and file paths, so they are bounded, and two certificates
// may have one name (an upstream with an inline one at each port). Where a series stands for several, it tells the
// earliest time: that is the one to be warned of.
import type { CertificateInfo } from '../model/tls.ts';

/** A certificate, or a set of authorities, in use. */
export interface CertificateMetrics {
  /** Where it comes from. */
  readonly name: string;
  readonly kind: 'certificate' | 'authorities';
  /** Undefined while there is none in force; it has no series then. */
  readonly info: Pick<CertificateInfo, 'notAfterMs'> | undefined;
}

/** One series. Name and kind together are unique. */
export interface CertificateSeries {
  readonly name: string;
  readonly kind: 'certificate' | 'authorities';
  /** ms since 1970. */
  readonly notAfterMs: number;
}

/** Longest name, UTF-16 code units; a longer one ends with an ellipsis. Resource names fit. */
const MAX_NAME_LENGTH = 256;

/** The series of these certificates, at most `cap` and for each kind one more named `other` for the rest. */
export function certificateSeries(certificates: Iterable<CertificateMetrics>, cap: number): CertificateSeries[] {
  const series = new Map<string, CertificateSeries>();
  let own = 0;
  for (const { name, kind, info } of certificates) {
    if (!info) continue;
    let shown = boundedName(name);
    let key = `${kind} ${shown}`;
    if (!series.has(key) && own++ >= cap) {
      shown = 'other';
      key = `${kind} other`;
    }
    const before = series.get(key)?.notAfterMs ?? Infinity;
    series.set(key, { name: shown, kind, notAfterMs: Math.min(before, info.notAfterMs) });
  }
  return [...series.values()];
}

function boundedName(name: string): string {
  if (name.length <= MAX_NAME_LENGTH) return name;
  // A pair of surrogates isn't cut in two.
  return `${name.slice(0, MAX_NAME_LENGTH - 1).replace(/[\uD800-\uDBFF]$/, '')}…`;
}
