/** Says where a file of the store is damaged and what to do: nothing is guessed. */
export function damaged(path: string, line: number, what: string, fix: string): Error {
  return new Error(`${path}:${line}: ${what}; ${fix}`);
}
