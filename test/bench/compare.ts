import { measuresOf } from './measures.ts';
import type { Measure } from './measures.ts';
import { column, formatSpread, formatTable } from './report.ts';
import type { BenchResult, PeerResult } from './result.ts';
import { spreadOf } from './statistics.ts';

/**
 * Two runs side by side, for the scenarios and peers that both have. A difference counts only where the ranges of the
 * rounds don't meet. The peers that didn't change show how far the machine itself was the same both times.
 */
export function formatComparison(before: BenchResult, after: BenchResult): string {
  const lines = [
    `before: ${before.startedAt}  commit ${before.commit || 'unknown'}  Node ${before.node}`,
    `after:  ${after.startedAt}  commit ${after.commit || 'unknown'}  Node ${after.node}`,
  ];
  if (before.machine.cpu !== after.machine.cpu || before.machine.cores !== after.machine.cores) {
    lines.push(`NOT THE SAME MACHINE: ${before.machine.cpu}, then ${after.machine.cpu}`);
  }
  for (const then of before.scenarios) {
    const now = after.scenarios.find(({ scenario }) => scenario === then.scenario);
    if (now === undefined) continue;
    const rows = [['', '', 'before', 'after', 'change']];
    for (const old of then.peers) {
      const fresh = now.peers.find(({ peer }) => peer === old.peer);
      if (fresh !== undefined)
        rows.push(...measuresOf(then.unit).map((measure) => compareMeasure(measure, old, fresh)));
    }
    lines.push('', `${then.scenario}: ${then.summary}`, formatTable(rows));
  }
  return lines.join('\n') + '\n';
}

function compareMeasure(measure: Measure, before: PeerResult, after: PeerResult): string[] {
  const { title, digits } = measure;
  const [old, fresh] = [column(before, measure), column(after, measure)];
  const [oldSpread, newSpread] = [spreadOf(old), spreadOf(fresh)];
  const change = (newSpread.median / oldSpread.median - 1) * 100;
  const meets = oldSpread.min <= newSpread.max && newSpread.min <= oldSpread.max;
  const said = `${change > 0 ? '+' : ''}${change.toFixed(1)} %${meets ? ' (ranges meet)' : ''}`;
  return [before.peer, title, formatSpread(old, digits), formatSpread(fresh, digits), said];
}
