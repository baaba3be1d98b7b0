/** Rows under a head, each column as wide as its widest cell, two blanks between. */
export function textTable(rows: readonly (readonly string[])[]): string[] {
  const widths: number[] = [];
  for (const row of rows) for (const [i, cell] of row.entries()) widths[i] = Math.max(widths[i] ?? 0, cell.length);
  return rows.map((row) =>
    row
      .map((cell, i) => cell.padEnd(widths[i] ?? 0))
      .join('  ')
      .trimEnd(),
  );
}

/** `2026-11-21 18:37:32Z`; `-` for a time that isn't known. */
export function shortTime(time: Date | undefined): string {
  return time === undefined ? '-' : `${time.toISOString().slice(0, 19).replace('T', ' ')}Z`;
}
