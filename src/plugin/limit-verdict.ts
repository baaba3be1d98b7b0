/** What a window says of a request. One object is filled in again and again. */
export interface LimitVerdict {
  isAllowed: boolean;
  /** Requests that would pass now; 0 where this one didn't. */
  remaining: number;
  /** Hundredths of a second, whole, until the window ends, or until a request may pass again. */
  resetCs: number;
}

/** A stretch of time in hundredths of a second, rounded up, since what is nearly over isn't over. */
export function centiseconds(ms: number): number {
  // Times with fractions carry noise behind the point: 60 s must not become 60.01.
  return Math.ceil(ms / 10 - 1e-4);
}
