import { measuresOf, paceOf } from './measures.ts';
import type { Measure } from './measures.ts';
import type { BenchResult, PeerResult, ScenarioResult } from './result.ts';
import { pairedRatio, spreadOf } from './statistics.ts';

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
export function column(peer: PeerResult, measure: Measure): number[] {
  return peer.rounds.map((round) => measure.pick(round, peer));
}

/** A whole run as text. */
export function formatResult(result: BenchResult): string {
  const { machine } = result;
  const head = [
    `${result.startedAt}  commit ${result.commit || 'unknown'}  Node ${result.node}`,
    `${machine.cpu}, ${machine.cores} cores, Linux ${machine.kernel}${machine.pinned ? '' : ', NOT PINNED: taskset is missing'}`,
    `medians (min–max) of ${result.rounds} alternating rounds of ${result.seconds} s; ratios are of the first figure, paired by round`,
  ];
  const absences = result.scenarios.flatMap(({ skipped }) =>
    skipped.map(({ peer, reason }) => `skipped ${peer}: ${reason}`),
  );
  const left = (result.left ?? []).map(
    ({ scenario, reason, hasFailed }) => `${hasFailed ? 'FAILED' : 'skipped'} ${scenario}: ${reason}`,
  );
  const tail = result.tookSeconds === undefined ? [] : [`took ${formatDuration(result.tookSeconds)}`];
  const parts = [
    head.join('\n'),
    ...result.scenarios.map(formatScenario),
    [...new Set([...absences, ...left, ...tail])].join('\n'),
  ];
  return `${parts.filter((part) => part !== '').join('\n\n')}\n`;
}

function formatDuration(seconds: number): string {
  return `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
}

function formatScenario(scenario: ScenarioResult): string {
  const lines = [`${scenario.scenario}: ${scenario.summary}`, formatMeans(scenario)];
  if (scenario.peers.length > 0) lines.push(formatTable(scenarioRows(scenario)));
  lines.push(...(scenario.notes ?? []).map((note) => `note: ${note}`));
  lines.push(...scenario.failed.map(({ peer, reason }) => `FAILED ${peer}: ${reason}`));
  return lines.join('\n');
}

function formatMeans({ load, backend, unit, rounds, directRequestsPerSecond: direct }: ScenarioResult): string {
  const pace = paceOf(unit);
  const parts = unit === 'start' ? [`backend ${backend}`] : [`load ${load}, backend ${backend}`];
  if (direct !== undefined && pace !== undefined)
    parts.push(`without proxy and TLS ${direct.toFixed(pace.digits)} ${pace.title}`);
  if (rounds !== undefined) parts.push(`${rounds} rounds`);
  return parts.join('; ');
}

function scenarioRows(scenario: ScenarioResult): string[][] {
  const measures = measuresOf(scenario.unit);
  const [cost] = measures;
  const head = ['', 'version', ...measures.map(({ title }) => title)];
  const rows = scenario.peers.map((peer) => [
    peer.peer,
    peer.version,
    ...measures.map((measure) => formatMeasure(measure, column(peer, measure))),
    ...scenario.peers.map((other) => (other === peer ? '–' : formatRatio(peer, other, cost))),
  ]);
  return [[...head, ...scenario.peers.map(({ peer }) => `÷ ${peer}`)], ...rows];
}

function formatMeasure({ digits, isSpread }: Measure, values: readonly number[]): string {
  return isSpread ? formatSpread(values, digits) : spreadOf(values).median.toFixed(digits);
}

function formatRatio(peer: PeerResult, other: PeerResult, cost: Measure): string {
  return `${pairedRatio(column(peer, cost), column(other, cost)).toFixed(2)}×`;
}
