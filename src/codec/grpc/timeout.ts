// The grpc-timeout field ("PROTOCOL-HTTP2", Timeout): one to eight digits and a unit.

const MS_PER_UNIT: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1000, m: 1, u: 1e-3, n: 1e-6 };
const MAX_VALUE = 99_999_999;
/** Units for writing, finest first. Nanoseconds are left out: no deadline is that exact. */
const WRITTEN_UNITS = ['u', 'm', 'S', 'M', 'H'] as const;

/**
 * Milliseconds of a grpc-timeout value, possibly a fraction; undefined if it is malformed. The grammar wants a positive
 * integer, but 0 has one meaning only, a deadline that has passed, so it is read.
 */
export function parseGrpcTimeout(text: string): number | undefined {
  const digits = text.length - 1;
  if (digits < 1 || digits > 8) return undefined;
  let value = 0;
  for (let i = 0; i < digits; i++) {
    const digit = text.charCodeAt(i) - 48;
    if (digit < 0 || digit > 9) return undefined;
    value = value * 10 + digit;
  }
  const factor = MS_PER_UNIT[text.charAt(digits)];
  return factor === undefined ? undefined : value * factor;
}

/**
 * Writes `timeoutMs` in the finest unit that leaves at most eight digits, rounded down so that the next hop's deadline is
 * never later than ours. What is less than a microsecond, also nothing and less, is written as the smallest value there
 * is; what is more than 99,999,999 hours, as that.
 */
export function formatGrpcTimeout(timeoutMs: number): string {
  for (const unit of WRITTEN_UNITS) {
    // Multiplying keeps microseconds exact where dividing by 0.001 would not.
    // A hair more, since 16.345 ms times 1000 is 16344.999… to a double and would lose a microsecond at each hop.
    const value = Math.floor(unit === 'u' ? timeoutMs * 1000 + 1e-6 : timeoutMs / MS_PER_UNIT[unit]!);
    if (value < 1) return '1n';
    if (value <= MAX_VALUE) return `${value}${unit}`;
  }
  return `${MAX_VALUE}H`;
}

/**
 * The value for the next hop after `spentMs` of `timeoutMs` are gone. Whether the deadline has passed is for the caller
 * to ask first.
 */
export function remainingGrpcTimeout(timeoutMs: number, spentMs: number): string {
  return formatGrpcTimeout(timeoutMs - Math.max(0, spentMs));
}
