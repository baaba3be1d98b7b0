// What the parts of the request path cost, each by itself. `npm run bench -- micro [NAME…]`. Runs in this process, without
// any network. The first comment of a file of src says by which of these it is guarded.
import { accessLog } from './access-log.ts';
import { counters } from './counters.ts';
import { forwarding } from './forwarding.ts';
import { frameLoop } from './frame-loop.ts';
import { headParse } from './head-parse.ts';
import { headWrite } from './head-write.ts';
import { histogram } from './histogram.ts';
import { hpackDecode } from './hpack-decode.ts';
import { hpackEncode } from './hpack-encode.ts';
import { measureGroups, type MicroBudget, type MicroFigure, type MicroGroup } from './measure.ts';
import { pick } from './pick.ts';
import { formatTable } from '../report.ts';
import { routeMatch } from './route-match.ts';
import { timerWheel } from './timer-wheel.ts';

const GROUPS: readonly MicroGroup[] = [
  headParse,
  headWrite,
  hpackDecode,
  hpackEncode,
  frameLoop,
  forwarding,
  pick,
  routeMatch,
  counters,
  histogram,
  timerWheel,
  accessLog,
];

/** What there is to measure. */
export const MICRO_NAMES: readonly string[] = GROUPS.map(({ name }) => name);

/** A fifth of a second a case. */
const BUDGET: MicroBudget = { warmUpMs: 80, batches: 21, batchMs: 5 };

/** Measures what is named, or all, and returns a table for people. Throws a RangeError for a name that there isn't. */
export function measureMicro(names: readonly string[], budget = BUDGET): string {
  const chosen = choose(names);
  const figures = measureGroups(chosen, budget);
  const rows = chosen.flatMap(({ name, operation }) => [
    [`${name}, ns of a ${operation}`, 'median', '(min–max)', 'bytes of heap'],
    ...figures.filter(({ group }) => group === name).map((figure) => [`  ${figure.name}`, ...cells(figure)]),
  ]);
  return `${formatTable(rows)}\n\nNode ${process.version}, ${budget.batches} batches of ${budget.batchMs} ms each\n`;
}

/** The same as figures. */
export function microFigures(names: readonly string[], budget = BUDGET): readonly MicroFigure[] {
  return measureGroups(choose(names), budget);
}

function choose(names: readonly string[]): readonly MicroGroup[] {
  const unknown = names.find((name) => !MICRO_NAMES.includes(name));
  if (unknown !== undefined) {
    throw new RangeError(`no micro-benchmark ${unknown}; there are: ${MICRO_NAMES.join(', ')}`);
  }
  return names.length === 0 ? GROUPS : GROUPS.filter(({ name }) => names.includes(name));
}

function cells({ ns, heapBytes }: MicroFigure): readonly string[] {
  const count = ns.median < 10 ? 1 : 0;
  return [
    ns.median.toFixed(count),
    `(${ns.min.toFixed(count)}–${ns.max.toFixed(count)})`,
    Math.round(heapBytes).toLocaleString('en'),
  ];
}
