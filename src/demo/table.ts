// The live table of the demo on a terminal.
import type { Scoreboard } from './scoreboard.ts';

const COLUMNS = ['PORT', 'SCHEME', 'ENDPOINT', 'W', 'STATE', 'RPS', 'OK%', 'P50', 'P99', 'WHY'];
const HOME_AND_CLEAR = '\u001b[H\u001b[J';

/** The whole screen as of now; `footer` stands below the table. */
export function drawTable(board: Scoreboard, title: string, footer: readonly string[], nowMs: number): string {
  const rows = [COLUMNS];
  for (const [, endpoint] of [...board.endpoints].sort(([a], [b]) => compare(a, b, board))) {
    const { status } = endpoint;
    const { rps, p50Ms, p99Ms } = board.recent(endpoint, nowMs);
    const done = Number(status.successes + status.failures);
    rows.push([
      String(status.servicePort),
      status.scheme,
      `${status.address}:${status.port}`,
      String(status.weight),
      status.state,
      rps.toFixed(0),
      done === 0 ? '-' : ((Number(status.successes) * 100) / done).toFixed(1),
      milliseconds(p50Ms),
      milliseconds(p99Ms),
      status.cause,
    ]);
  }
  const widths = COLUMNS.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const lines = rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  );
  const totals = [...board.ports].map(
    ([port, score]) =>
      `port ${port}: ${score.calls} calls, ${score.calls - score.ok} failed, ${score.ejected} ejected, ${score.healed} healed` +
      (score.lastError === '' ? '' : `, last error: ${score.lastError}`),
  );
  return HOME_AND_CLEAR + [title, '', ...lines, '', ...totals, '', ...footer, ''].join('\n');
}

function milliseconds(value: number): string {
  return Number.isNaN(value) ? '-' : `${value.toFixed(1)}ms`;
}

function compare(a: string, b: string, board: Scoreboard): number {
  const left = board.endpoints.get(a)?.status;
  const right = board.endpoints.get(b)?.status;
  return (left?.servicePort ?? 0) - (right?.servicePort ?? 0) || (left?.port ?? 0) - (right?.port ?? 0);
}
