import type { BenchResult, PeerResult, Round, ScenarioResult } from './result.ts';
import { pairedRatio, spreadOf } from './statistics.ts';

const MIB = 1024 * 1024;

/** One figure of a round. */
export interface Measure {
  readonly title: string;
  readonly digits: number;
  pick(round: Round): number;
}

/** Lays rows out in columns, the first to the left, the others to the right. */
export function formatTable(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => (row[column] ?? '').length)));
  return rows
    .map((row) =>
      row
        .map((cell, column) => (column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0)))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

/** Median and range, `12.3 (12.1–12.6)`. */
export function formatSpread(values: readonly number[], digits: number): string {
  const { median, min, max } = spreadOf(values);
  return `${median.toFixed(digits)} (${min.toFixed(digits)}–${max.toFixed(digits)})`;
}

/** The figures of one measure over a peer's rounds. */
export function column(peer: PeerResult, pick: (round: Round) => number): number[] {
  return peer.rounds.map(pick);
}

/** A whole run as text. */
export function formatResult(result: BenchResult): string {
  const { machine } = result;
  const head = [
    `${result.startedAt}  commit ${result.commit || 'unknown'}  Node ${result.node}`,
    `${machine.cpu}, ${machine.cores} cores, Linux ${machine.kernel}${machine.pinned ? '' : ', NOT PINNED: taskset is missing'}`,
    `medians (min–max) of ${result.rounds} alternating rounds of ${result.seconds} s; ratios are of the first figure, paired by round`,
  ];
  return [head.join('\n'), ...result.scenarios.map(formatScenario)].join('\n\n') + '\n';
}

function formatScenario(scenario: ScenarioResult): string {
  const title = `${scenario.scenario}: ${scenario.summary}`;
  const direct = `${Math.round(scenario.directRequestsPerSecond)} ${pace(scenario)}`;
  const made = `load ${scenario.load}, backend ${scenario.backend}; without proxy and TLS ${direct}`;
  const lines = [title, made, formatTable(scenarioRows(scenario))];
  lines.push(...scenario.skipped.map(({ peer, reason }) => `skipped ${peer}: ${reason}`));
  lines.push(...scenario.failed.map(({ peer, reason }) => `FAILED ${peer}: ${reason}`));
  return lines.join('\n');
}

function scenarioRows(scenario: ScenarioResult): string[][] {
  const names = scenario.peers.map(({ peer }) => peer);
  const first = costOf(scenario);
  const head = ['', 'version', first.title, pace(scenario), 'core', 'MiB at rest', 'loaded'];
  const rows = scenario.peers.map((peer) => [
    peer.peer,
    peer.version,
    formatSpread(column(peer, first.pick), first.digits),
    formatSpread(
      column(peer, (round) => round.requestsPerSecond),
      0,
    ),
    `${Math.round(spreadOf(column(peer, (round) => round.coreShare)).median * 100)} %`,
    (peer.restRssBytes / MIB).toFixed(1),
    (spreadOf(column(peer, (round) => round.rssBytes)).median / MIB).toFixed(1),
    ...scenario.peers.map((other) => (other === peer ? '–' : formatRatio(peer, other, first.pick))),
  ]);
  return [[...head, ...names.map((name) => `÷ ${name}`)], ...rows];
}

/** The figure to judge a scenario by. */
export function costOf({ unit = 'request' }: ScenarioResult): Measure {
  if (unit === 'idle connection') {
    return { title: 'KiB/connection', digits: 2, pick: (round) => (round.bytesPerConnection ?? Number.NaN) / 1024 };
  }
  return { title: `µs CPU/${unit}`, digits: 2, pick: (round) => round.cpuUsPerRequest };
}

function pace({ unit = 'request' }: ScenarioResult): string {
  return unit === 'request' ? 'requests/s' : 'connections/s';
}

function formatRatio(peer: PeerResult, other: PeerResult, cost: (round: Round) => number): string {
  return `${pairedRatio(column(peer, cost), column(other, cost)).toFixed(2)}×`;
}
