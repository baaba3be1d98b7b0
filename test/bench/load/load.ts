import type { Scenario } from '../scenario.ts';
import type { Workbench } from '../workbench.ts';

/** What a load tool saw. */
export interface LoadOutcome {
  /** Requests that were answered with a 2xx, or what else the scenario counts. */
  readonly answered: number;
  readonly seconds: number;
  /** What went wrong, by name; empty if nothing did. */
  readonly trouble: string;
}

/** A program that sends a scenario's requests as fast as they are answered. */
export interface LoadTool {
  /** Name and version. */
  readonly title: string;
  /** Sends requests to a port of 127.0.0.1 for some whole seconds, over TLS if the scenario says so. Rejects if the tool itself fails. */
  run(bench: Workbench, scenario: Scenario, port: number, seconds: number): Promise<LoadOutcome>;
}

/** How long after its time a load tool is ended by force. */
export const LATE_MS = 10_000;

/** Sends load. Rejects if a request failed or none was answered. */
export async function loadWithoutTrouble(
  load: LoadTool,
  bench: Workbench,
  scenario: Scenario,
  port: number,
  seconds: number,
): Promise<LoadOutcome> {
  const outcome = await load.run(bench, scenario, port, seconds);
  if (outcome.trouble !== '') throw new Error(`requests failed: ${outcome.trouble} (of ${outcome.answered} answered)`);
  if (outcome.answered === 0) throw new Error('not one request was answered');
  return outcome;
}
