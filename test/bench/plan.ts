import type { Peer } from './peers/peer.ts';

/** How long and how often to measure. */
export interface Plan {
  readonly rounds: number;
  /** Measured seconds of a round. */
  readonly seconds: number;
}

/** Seconds of the same load for a peer before its first round: the others only fill their pools of connections. */
export function warmUpSeconds({ isJit }: Peer): number {
  return isJit ? 2 : 1;
}
