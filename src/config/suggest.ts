// "Did you mean": the nearest of some known words.

/**
 * Edits (insert, delete, replace, swap of neighbours) that turn `a` into `b`; `most` + 1 if it takes more than `most`.
 */
export function editDistance(a: string, b: string, most = Infinity): number {
  if (Math.abs(a.length - b.length) > most) return most + 1;
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1];
      let edits = Math.min((last[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1, (last[j - 1] ?? 0) + (same ? 0 : 1));
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        edits = Math.min(edits, (beforeLast[j - 2] ?? 0) + 1);
      }
      row.push(edits);
    }
    beforeLast = last;
    last = row;
  }
  return last[b.length] ?? 0;
}

/** Letters only, small: `hashOn`, `hash-on` and `Hash_On ` are one word. */
function fold(word: string): string {
  return word.toLowerCase().replace(/[^a-z0-9]/g, '');
}

/**
 * The known word nearest to `word`: one that differs only in case, blanks, `-` or `_`, else the one with the fewest
 * edits, at most a third of the letters. Undefined if none is near. The first of equals wins.
 */
export function suggest(word: string, known: Iterable<string>): string | undefined {
  // A long word is no typing error of one of ours, and the distance costs the product of the lengths.
  if (word.length > 100) return undefined;
  const folded = fold(word);
  const most = Math.max(1, Math.floor(folded.length / 3));
  let best: string | undefined;
  let fewest = most + 1;
  for (const candidate of known) {
    if (candidate === word) continue;
    const edits = folded === '' ? most + 1 : editDistance(folded, fold(candidate), most);
    if (edits < fewest) [best, fewest] = [candidate, edits];
  }
  return best;
}

/** `: did you mean 'x'?`, or nothing if no known word is near. */
export function didYouMean(word: string, known: Iterable<string>): string {
  const near = suggest(word, known);
  return near === undefined ? '' : `: did you mean '${near}'?`;
}
