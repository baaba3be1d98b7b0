import type { Scenario } from '../scenario.ts';
import type { Running, Workbench } from '../workbench.ts';

/** A proxy that can be measured. */
export interface Peer {
  readonly name: string;
  /** Whether its code is compiled while it runs, so that it needs a longer warm-up. */
  readonly isJit: boolean;
  /** Its version, or why it can't take part. */
  probe(bench: Workbench): { readonly version: string } | { readonly missing: string };
  /**
   * Starts it on the proxy's core in front of the backend and waits until it serves. Rejects with what it said if it
   * doesn't come up.
   */
  start(bench: Workbench, scenario: Scenario, backendPort: number): Promise<Running>;
}
